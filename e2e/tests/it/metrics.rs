//! What a real server counts, read by Prometheus's own reader.

use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::{Client, configurations, picture};
use jackfield_e2e::{Api, Program, Receiver, Reply, SOON, Scratch, Server, clip, eventually};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::Path;

/// Reads the file of its argument strictly and prints every sample as `name{label=value,…}: value`.
const READ: &str = r#"
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
samples = {}
for family in text_string_to_metric_families(open(sys.argv[1]).read()):
    for sample in family.samples:
        labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
        samples[f"{sample.name}{{{labels}}}"] = sample.value
json.dump(samples, sys.stdout)
"#;

/// Every sample of a scrape.
fn read(text: &str) -> Result<Value> {
    let tools =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the project's folder")?.join(".tools");
    let python = tools.join("openmetrics/bin/python");
    ensure!(python.exists(), "there is no reader of metrics: `scripts/setup test` brings it");
    let folder = Scratch::new()?;
    let file = folder.file("scrape.txt", text)?;
    let done = Program::new(python).args([OsStr::new("-c"), OsStr::new(READ), file.as_os_str()]).run(SOON)?;
    ensure!(done.code == Some(0), "{}\n{text}", done.stderr);
    Ok(serde_json::from_str(&done.stdout)?)
}

/// A scrape of a listener that asks for no token.
fn scrape(address: SocketAddr) -> Result<Value> {
    let answer = Api::new(address, "")
        .raw(&format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"))?;
    let answer = answer.expect(200)?;
    ensure!(
        answer.header("content-type").starts_with("application/openmetrics-text; version=1.0.0"),
        "{answer:?}"
    );
    read(&answer.text)
}

#[test]
fn what_clients_and_hooks_do_is_counted_as_prometheus_reads_it() -> Result<()> {
    let receiver = Receiver::start(|request| {
        let deny = request.json()["stream_key"] == "live/denied";
        Reply::json(200, &json!({ "decision": if deny { "deny" } else { "allow" } }))
    })?;
    let config = format!(
        "[metrics]\nlisten = \"127.0.0.1:0\"\n\n[[hook]]\nname = \"auth\"\non = [\"authorize_publish\", \"publish_start\"]\nurl = \"{}\"\n",
        receiver.url("/hook")
    );
    let server = Server::builder().config(config).start()?;
    let metrics = server.address("metrics")?;
    let before = scrape(metrics)?;
    ensure!(before["jackfield_streams{state=live}"] == 0.0, "{before}");

    let clip = clip::standard()?;
    let mut publisher = Client::connect(server.rtmp(), "live")?;
    let stream = publisher.publish("show")?;
    for media in configurations(&clip) {
        publisher.send(stream, &media)?;
    }
    for number in 0..50 {
        publisher.send(stream, &picture(number, 1000))?;
    }
    ensure!(Client::connect(server.rtmp(), "live")?.publish("denied").is_err(), "it was not denied");

    eventually("everything is counted", SOON, || {
        let now = scrape(metrics)?;
        let is = |name: &str, value: f64| now[name] == value;
        let more = |name: &str, than: f64| now[name].as_f64().is_some_and(|value| value > than);
        let counted = is("jackfield_streams{state=live}", 1.0)
            && more("jackfield_stream_bytes_total{stream=live/show}", 50_000.0)
            && more("jackfield_media_frames_total{}", 49.0)
            && more("jackfield_received_bytes_total{}", 50_000.0)
            && is("jackfield_connections_opened_total{}", 2.0)
            && is("jackfield_connections{protocol=rtmp}", 1.0)
            && is("jackfield_hook_decisions_total{decision=allow,hook=auth}", 1.0)
            && is("jackfield_hook_decisions_total{decision=deny,hook=auth}", 1.0)
            && is("jackfield_hook_outcomes_total{hook=auth,outcome=answered}", 3.0)
            && is("jackfield_hook_call_seconds_count{hook=auth,phase=handler}", 3.0)
            && is("jackfield_hook_call_seconds_bucket{hook=auth,le=+Inf,phase=handler}", 3.0)
            && is("jackfield_hook_lag_events{hook=auth}", 0.0)
            && is("jackfield_deliveries_kept_total{}", 3.0)
            && is("jackfield_deliveries_unwritten{}", 0.0)
            && more("jackfield_outbox_written_events_total{}", 3.0)
            && more("process_resident_memory_bytes{}", 1e6)
            && more("process_open_fds{}", 3.0);
        Ok(counted.then_some(()))
    })
    .with_context(|| format!("{:#}", scrape(metrics).unwrap_or_default()))?;
    // Nothing else is there, with a token neither.
    let elsewhere = Api::new(metrics, Api::admin(&server)?.token());
    for path in ["health", "streams", "session"] {
        ensure!(elsewhere.get(path)?.status == 404, "the listener of metrics serves {path}");
    }
    server.stop()?;
    Ok(())
}

#[test]
fn metrics_need_a_token_where_everything_else_does() -> Result<()> {
    let server = Server::builder().start()?;
    let address = server.http();
    let get = |api: &Api| {
        let authorization = api.authorization();
        api.raw(&format!(
            "GET /metrics HTTP/1.1\r\nhost: {address}\r\n{authorization}connection: close\r\n\r\n"
        ))
    };
    let api = Api::admin(&server)?;
    ensure!(get(&api.with_token(""))?.status == 401);
    ensure!(get(&api.with_token("jfk_wrong"))?.status == 401);
    let answer = get(&api)?.expect(200)?;
    let samples = read(&answer.text)?;
    ensure!(samples["jackfield_http_failed_tokens_total{}"] == 1.0, "{samples}");
    ensure!(samples["jackfield_http_requests_total{code=4xx}"] == 2.0, "{samples}");
    server.stop()?;
    Ok(())
}
