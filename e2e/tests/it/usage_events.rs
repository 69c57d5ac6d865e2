//! Every event of the catalogue, seen on standard output with all its fields, in all three forms.

use anyhow::{Context, Result, ensure};
use jackfield_e2e::{
    Event, PlayerKind, Program, PublisherKind, SOON, Server, check_pairs, clip, compare, server,
};
use serde_json::Value;
use std::collections::BTreeSet;

/// What the binary says of its own events: the oracle.
fn catalogue() -> Result<Vec<Value>> {
    let done = Program::new(server()?).args(["events", "--json"]).run(SOON)?;
    ensure!(done.code == Some(0), "{}", done.stderr);
    Ok(serde_json::from_str(&done.stdout)?)
}

/// Notices of a show that goes wrong: `guessing`, `limits`, `durable` and `delivery` check them.
const OF_OTHERS: [&str; 4] = ["auth_failed", "connection_refused", "events_lost", "hook_disabled"];

/// Fields that may be missing: where the client did not say what they tell, or nothing went wrong.
const OPTIONAL: [&str; 14] = [
    "code",
    "denials",
    "codec_string",
    "width",
    "height",
    "fps",
    "profile",
    "level",
    "sample_rate",
    "channels",
    "tc_url",
    "query",
    "failopen",
    "page_url",
];

/// Lets ffmpeg publish and rtmpdump play, both with a token, and stops the server in mid-stream.
fn a_show(format: &'static str) -> Result<Vec<String>> {
    let server = Server::builder().stdio_format(Some(format)).start()?;
    let clip = clip::standard()?;
    let mut publisher =
        PublisherKind::Ffmpeg.start(clip.path(), &server.url("live/show?token=s3cret&camera=2"))?;
    let player = PlayerKind::Rtmpdump.start(&server.url("live/show?tkn=hush"))?;
    player.wait_video(25, SOON)?;
    server.signal(rustix::process::Signal::TERM)?;
    let ended = server.wait(SOON)?;
    ensure!(ended.status.code() == Some(0), "{}", ended.status);
    publisher.wait(SOON)?;
    compare(clip.recording(), &player.finish()?, 25)?;
    Ok(ended.events.lines().all())
}

fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() || number.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Checks an event against what the catalogue says of it.
fn check(event: &Event, spec: &Value) -> Result<()> {
    let json = event.json();
    let (name, kind) = (event.kind(), json_type);
    for (field, expect) in [
        ("type", "string"),
        ("timestamp", "integer"),
        ("id", "string"),
        ("seq", "string"),
        ("node", "string"),
        ("time", "string"),
        ("v", "integer"),
        ("data", "object"),
    ] {
        let is = json.get(field).map(kind);
        ensure!(is == Some(expect), "{name}: `{field}` is {is:?} instead of {expect}");
    }
    let id = json["id"].as_str().unwrap_or_default();
    ensure!(id.len() == 26 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{name}: id {id}");
    ensure!(json["seq"].as_str().is_some_and(|seq| seq.parse::<u64>().is_ok()), "{name}: seq");
    // A stream is nobody's: it outlives a publisher that is replaced.
    let conn_id = event.conn_id().is_some_and(|id| id.len() == 7 && id.starts_with('c'));
    ensure!(conn_id != name.starts_with("stream_"), "{name}: conn_id {:?}", event.conn_id());
    let of_stream = !matches!(name, "connection_accept" | "handshake_complete" | "connection_close");
    let expect = of_stream.then_some("live/show");
    ensure!(event.stream_key() == expect, "{name}: stream_key {:?}", event.stream_key());
    let of_session = of_stream && !name.starts_with("stream_");
    ensure!(json.get("session_id").is_some() == of_session, "{name}: session_id");
    ensure!(json.get("num_dropped").is_none(), "{name}: num_dropped");
    check_fields(event, spec)
}

fn check_fields(event: &Event, spec: &Value) -> Result<()> {
    let (name, kind) = (event.kind(), json_type);
    let data = event.json()["data"].as_object().context("data")?;
    let fields = spec["fields"].as_array().context("fields")?;
    for field in fields {
        let field_name = field["name"].as_str().context("a field's name")?;
        let is = data.get(field_name).map(kind);
        let expect = field["type"].as_str();
        let absent = is.is_none() && OPTIONAL.contains(&field_name);
        ensure!(absent || is == expect, "{name}: `{field_name}` is {is:?} instead of {expect:?}");
    }
    let known: BTreeSet<&str> = fields.iter().filter_map(|field| field["name"].as_str()).collect();
    let unknown: Vec<_> = data.keys().filter(|field| !known.contains(field.as_str())).collect();
    ensure!(unknown.is_empty(), "{name}: {unknown:?} are not in the catalogue");
    Ok(())
}

/// Checks the fields of an event against what the catalogue says of its kind.
pub(super) fn check_kind(event: &Event) -> Result<()> {
    let catalogue = catalogue()?;
    let spec = catalogue.iter().find(|spec| spec["name"] == event.kind());
    check_fields(event, spec.with_context(|| format!("the catalogue has no {}", event.kind()))?)
}

/// Checks what is known of this show beyond types.
fn check_values(events: &[Event]) -> Result<()> {
    let first = |kind: &str| events.iter().find(|event| event.kind() == kind).context(kind.to_owned());
    let start = first("publish_start")?;
    ensure!(start.data("app") == Some("live") && start.data("stream_name") == Some("show"));
    ensure!(start.data("publish_type") == Some("live") && start.data("client_ip") == Some("127.0.0.1"));
    ensure!(start.data("query") == Some("token=***&camera=2"), "{}", start.json());
    ensure!(start.json()["epoch"] == 1);
    let stop = first("publish_stop")?;
    ensure!(stop.data("reason") == Some("server_shutdown"));
    let number = |event: &Event, field: &str| event.number(field).with_context(|| field.to_owned());
    ensure!(number(stop, "video_packets")? >= 25 && number(stop, "audio_packets")? > 40);
    let (seconds, ms) = (number(stop, "duration_seconds")?, number(stop, "duration_ms")?);
    ensure!(seconds == ms / 1000 && ms >= 900, "{seconds} s, {ms} ms");
    let play = first("play_start")?;
    ensure!(play.data("query") == Some("tkn=***"), "{}", play.json());
    ensure!(number(first("play_stop")?, "bytes_sent")? > 10_000);

    let mut codecs = events.iter().filter(|event| event.kind() == "codec_detected");
    let video = codecs.clone().find(|event| event.data("kind") == Some("video")).context("no video")?;
    ensure!(video.data("codec") == Some("h264") && video.data("profile") == Some("Main"), "{}", video.json());
    let size = (number(video, "width")?, number(video, "height")?, number(video, "fps")?);
    ensure!(size == (320, 180, 25), "{size:?}");
    ensure!(video.data("level").is_some());
    ensure!(video.data("codec_string").is_some_and(|codec| codec.starts_with("avc1.4d")), "{}", video.json());
    let audio = codecs.find(|event| event.data("kind") == Some("audio")).context("no audio")?;
    ensure!(audio.data("codec") == Some("aac") && audio.data("codec_string") == Some("mp4a.40.2"));
    ensure!((number(audio, "sample_rate")?, number(audio, "channels")?) == (44_100, 2));
    Ok(())
}

#[test]
fn every_event_has_every_field_of_the_catalogue_and_no_other() -> Result<()> {
    for format in ["ndjson", "json"] {
        let lines = a_show(format)?;
        let prefixed = lines.iter().filter(|line| line.starts_with("RTMP_EVENT: {")).count();
        ensure!(prefixed == if format == "json" { lines.len() } else { 0 }, "{format}: {lines:#?}");
        let events: Vec<Event> = lines.iter().map(|line| Event::parse(line)).collect::<Result<_>>()?;
        check_pairs(&events)?;
        let catalogue = catalogue()?;
        let mut seen = BTreeSet::new();
        for event in &events {
            let spec = catalogue.iter().find(|spec| spec["name"] == event.kind());
            check(event, spec.with_context(|| format!("the catalogue has no {}", event.kind()))?)?;
            seen.insert(event.kind());
        }
        let notices: BTreeSet<&str> = catalogue
            .iter()
            .filter(|spec| spec["kind"] == "notice")
            .filter_map(|spec| spec["name"].as_str())
            .filter(|name| !OF_OTHERS.contains(name))
            .collect();
        ensure!(seen == notices, "seen: {seen:?}, in the catalogue: {notices:?}");
        ensure!(notices.len() == 12);
        check_values(&events)?;
        ensure!(
            !lines.iter().any(|line| line.contains("s3cret") || line.contains("hush")),
            "a secret is told"
        );
    }
    Ok(())
}

#[test]
fn events_as_variables_are_what_a_shell_reads() -> Result<()> {
    let lines = a_show("env")?;
    let catalogue = catalogue()?;
    let mut seen = BTreeSet::new();
    for line in &lines {
        let variables = line.strip_prefix("RTMP_EVENT: ").with_context(|| line.clone())?;
        // As a processor in bash reads them; an `=` that the quoting let through would set something else.
        let read = Program::new("env")
            .args(["-i", "/bin/bash", "-c", "set -euo pipefail; set -a; eval \"$1\"; env", "bash", variables])
            .run(SOON)?;
        ensure!(read.code == Some(0), "{line}: {}", read.stderr);
        let value = |name: &str| {
            let prefix = format!("{name}=");
            read.stdout.lines().find_map(|line| line.strip_prefix(&prefix)).map(str::to_owned)
        };
        let kind = value("RTMP_EVENT_TYPE").with_context(|| line.clone())?;
        let spec = catalogue.iter().find(|spec| spec["name"] == kind.as_str()).context("in the catalogue")?;
        for field in spec["fields"].as_array().context("fields")? {
            let name = field["name"].as_str().context("name")?;
            let value = value(&format!("RTMP_{}", name.to_uppercase()));
            match field["type"].as_str() {
                Some("integer") => {
                    let number = value.as_ref().is_some_and(|value| value.parse::<i64>().is_ok());
                    ensure!(number || OPTIONAL.contains(&name), "{kind}: {name} is {value:?}");
                }
                Some("array" | "object") => ensure!(value.is_none(), "{kind}: {name} is {value:?}"),
                _ => ensure!(value.is_some() || OPTIONAL.contains(&name), "{kind}: no {name}"),
            }
        }
        let order: Vec<&str> = variables
            .split(' ')
            .filter_map(|word| word.split_once('=').map(|(name, _)| name))
            .filter(|name| name.starts_with("RTMP_"))
            .collect();
        let connection = if kind.starts_with("stream_") { "RTMP_STREAM_KEY" } else { "RTMP_CONN_ID" };
        ensure!(order.starts_with(&["RTMP_EVENT_TYPE", "RTMP_TIMESTAMP", connection]), "{line}");
        ensure!(order.last() == Some(&"RTMP_TIME"), "{line}");
        for name in ["RTMP_ID", "RTMP_SEQ", "RTMP_NODE"] {
            ensure!(value(name).is_some(), "{line}");
        }
        seen.insert(kind);
    }
    ensure!(seen.len() == 12, "{seen:?}");
    Ok(())
}
