//! What is exported is what the documentation and the dashboard say.

use super::{Fault, Metrics, MetricsConfig, MetricsSources};
use jackfield_bus::{Bus, Fsync, Outbox, OutboxConfig};
use jackfield_dispatch::{BoxFuture, Call, Dispatch, DispatchConfig, Followed, KeepConfig, Reply, Transport};
use jackfield_events::{Answer, Decision, EventSet, EventType, Masker, Protocol, Scope, notices};
use jackfield_hooks::{HookSpec, Mode};
use jackfield_hub::{Hub, HubConfig};
use jackfield_media::Mono;
use jackfield_runtime::Tasks;
use jackfield_sessions::{ConnectionLimits, Connections, Peer};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Answers everything at once.
struct Ready;

impl Transport for Ready {
    fn call(&self, _call: Call) -> BoxFuture<'_, Reply> {
        let result = Ok(Answer::bare(Decision::Pass));
        let handler = Duration::from_millis(3);
        Box::pin(async move { Reply { result, connect: Duration::ZERO, handler, pid: None } })
    }

    fn drain(&self, _deadline: Mono) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// A scrape of a server in which everything that can be counted is there once.
async fn scrape() -> String {
    let folder = tempfile::tempdir().unwrap();
    let tasks = Tasks::new();
    let masker = Masker::default();
    let dispatch = Dispatch::new(DispatchConfig::default(), masker.clone(), &tasks);
    let hook = HookSpec::new("a \"hook\"\\", EventSet::EMPTY.with(EventType::StreamCreate), Mode::Notify);
    let (outbox, _recovered) = Outbox::open(OutboxConfig::new(folder.path().join("log")), &tasks).unwrap();
    let kept = KeepConfig {
        outbox: outbox.clone(),
        folder: folder.path().into(),
        retain: Duration::from_secs(60),
        fsync: Fsync::Off,
    };
    dispatch.keep_notices(kept).unwrap();
    dispatch.set_hooks(vec![(hook, Arc::new(Ready))]);
    let bus = Bus::new("node", masker).with_outbox(outbox, &tasks);
    let mut follower = dispatch.deliveries().follow();
    bus.emit(&Scope::default(), &notices::StreamCreate { app: "live".into(), stream_name: "a".into() });
    let Some(Followed::Delivery(_)) = follower.next().await else { panic!("one is delivered") };
    let connections = Connections::new(bus.clone(), ConnectionLimits::default());
    let address = "192.0.2.1:1000".parse().unwrap();
    let peer = Peer { client: address, server: address, protocol: Protocol::Rtmp };
    let _open = connections.open(peer).unwrap();
    let (hub, _minter) = Hub::new(HubConfig::default(), bus.clone(), tasks.clone());
    let sources = MetricsSources { hub, connections, dispatch, bus: bus.clone(), node: "node".into() };
    let metrics = Metrics::new(sources, MetricsConfig::default());
    metrics.count_faults(|| vec![Fault { service: "rtmp", kind: "garbage", count: 3 }]);
    let text = metrics.text();
    bus.close().await;
    text
}

/// A family of metrics, as its comments and first sample tell.
#[derive(Debug, Default, PartialEq, Eq)]
struct Family {
    kind: String,
    help: String,
    labels: BTreeSet<String>,
}

/// The families by the names that their samples have, without the suffixes of histograms.
fn families(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|line| line.split_once(' ')) {
            let family = Family { help: help.to_owned(), ..Family::default() };
            assert_eq!(families.insert(name.to_owned(), family), None, "{name} is there twice");
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' '))
        {
            kind.clone_into(&mut families.get_mut(name).unwrap().kind);
        } else if !line.starts_with('#') {
            let sample = line.split(['{', ' ']).next().unwrap();
            let (_, family) = families
                .iter_mut()
                .rfind(|(name, _)| {
                    sample
                        .strip_prefix(name.as_str())
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
                })
                .unwrap();
            if let Some(labels) = line.strip_prefix(sample).and_then(|rest| rest.strip_prefix('{')) {
                let names = labels.split("=\"").filter_map(|part| part.rsplit(['"', ',', '{']).next());
                let names =
                    names.filter(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
                family
                    .labels
                    .extend(names.filter(|name| !name.is_empty() && *name != "le").map(str::to_owned));
            }
        }
    }
    let exported = |(name, family): (String, Family)| match family.kind.as_str() {
        "counter" => (format!("{name}_total"), family),
        "info" => (format!("{name}_info"), family),
        _ => (name, family),
    };
    families.into_iter().map(exported).collect()
}

/// Metrics of single streams, which need a publisher: the same for all of them.
const OF_STREAMS: [(&str, &str, &str); 5] = [
    ("jackfield_stream_bytes_total", "counter", "Bytes of the frames received"),
    ("jackfield_stream_frames_total", "counter", "Frames received"),
    ("jackfield_stream_tracks", "gauge", "Tracks of its publisher"),
    ("jackfield_stream_uptime_seconds", "gauge", "How long its publisher has been there"),
    ("jackfield_stream_viewers", "gauge", "Players of a stream"),
];

async fn all_families() -> BTreeMap<String, Family> {
    let mut families = families(&scrape().await);
    for (name, kind, help) in OF_STREAMS {
        let labels = BTreeSet::from(["stream".to_owned()]);
        let family = Family { kind: kind.to_owned(), help: help.to_owned(), labels };
        assert_eq!(families.insert(name.to_owned(), family), None);
    }
    families
}

#[tokio::test]
async fn every_metric_stands_in_the_documentation_and_no_other() {
    let row = |(name, family): (&String, &Family)| {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        format!("| `{name}` | {} | {} | {} |", family.kind, labels.join(" "), family.help)
    };
    let rows: Vec<String> = all_families().await.iter().map(row).collect();
    let document = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md"));
    let (_, table) = document.split_once("## All metrics").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let documented: Vec<&str> = table
        .lines()
        .filter(|line| line.starts_with("| `jackfield_") || line.starts_with("| `process_"))
        .collect();
    assert_eq!(documented, rows, "docs/metrics.md should have these rows:\n{}", rows.join("\n"));
}

#[tokio::test]
async fn the_dashboard_names_only_metrics_that_there_are() {
    let families = all_families().await;
    let dashboard =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/grafana/jackfield.json"));
    let dashboard: Value = serde_json::from_str(dashboard).unwrap();
    let mut expressions = Vec::new();
    collect(&dashboard, &mut expressions);
    assert!(expressions.len() > 20, "{expressions:?}");
    let mut named = 0;
    for expression in expressions {
        let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        for word in words.filter(|word| word.starts_with("jackfield_") || word.starts_with("process_")) {
            let name = word.strip_suffix("_bucket").unwrap_or(word);
            assert!(families.contains_key(name), "{name} in {expression}");
            named += 1;
        }
    }
    assert!(named > 20);
}

/// Every query of a dashboard, those of its variables included.
fn collect(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value) {
                    ("expr" | "query", Value::String(text)) => into.push(text.clone()),
                    (_, value) => collect(value, into),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        _ => {}
    }
}

#[tokio::test]
async fn a_scrape_has_what_happened_and_labels_that_cannot_break_it() {
    let text = scrape().await;
    assert!(text.ends_with("# EOF\n"), "{text}");
    for line in [
        "jackfield_connections{protocol=\"rtmp\"} 1.0",
        "jackfield_connections_opened_total 1",
        "jackfield_hook_outcomes_total{hook=\"a \\\"hook\\\"\\\\\",outcome=\"answered\"} 1",
        "jackfield_hook_call_seconds_count{hook=\"a \\\"hook\\\"\\\\\",phase=\"handler\"} 1",
        "jackfield_hook_call_seconds_bucket{le=\"0.002\",hook=\"a \\\"hook\\\"\\\\\",phase=\"handler\"} 0",
        "jackfield_hook_call_seconds_bucket{le=\"0.005\",hook=\"a \\\"hook\\\"\\\\\",phase=\"handler\"} 1",
        "jackfield_hook_call_seconds_bucket{le=\"+Inf\",hook=\"a \\\"hook\\\"\\\\\",phase=\"handler\"} 1",
        "jackfield_service_faults_total{service=\"rtmp\",kind=\"garbage\"} 3",
        "jackfield_deliveries_kept_total 1",
    ] {
        assert!(text.lines().any(|is| is == line), "{line} in:\n{text}");
    }
}
