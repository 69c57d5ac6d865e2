//! The kit's own side of the server, tried with a shell script in its place.

use super::*;

/// Behaves like the server as far as the kit looks; `$end` runs at SIGTERM.
const DOUBLE: &str = r#"#!/bin/sh
trap "$END" TERM
echo '{"level":"INFO","fields":{"message":"Listening","proto":"http","addr":"127.0.0.1:1"}}' >&2
echo '{"level":"INFO","fields":{"message":"Listening","proto":"rtmp","addr":"127.0.0.1:2"}}' >&2
echo '{"type":"publish_start","stream_key":"live/a"}'
echo "{\"level\":\"INFO\",\"message\":\"Arguments\",\"all\":\"$*\",\"home\":\"$SHOW\"}" >&2
while :; do sleep 0.01; done
"#;

/// The double, which does `end` when it is told to stop; the folder must live as long as the server.
fn double(end: &str) -> (Scratch, ServerBuilder) {
    let folder = Scratch::new().unwrap();
    let script = folder.script("double", DOUBLE).unwrap();
    (folder, Server::builder().binary(script).env("END", end))
}

#[test]
fn a_server_is_started_watched_and_stopped() {
    let (_folder, builder) = double("echo '{\"type\":\"publish_stop\"}'; exit 0");
    let server = builder.arg("--chunk-size").arg("4096").env("SHOW", "x").config("[server]").start().unwrap();
    assert_eq!(server.url("live/a"), "rtmp://127.0.0.1:2/live/a");
    assert_eq!(server.http().port(), 1);
    server.events().wait_for("publish_start", SOON, |event| event.stream_key() == Some("live/a")).unwrap();
    let line = server.wait_log("arguments", SOON, |line| line.message() == "Arguments").unwrap();
    let args = line.field("all").unwrap();
    assert!(args.contains("--hook-stdio-format ndjson") && args.ends_with("--chunk-size 4096"), "{args}");
    assert!(args.contains("--config") && server.folder().join("jackfield.toml").exists(), "{args}");
    assert_eq!(line.field("home"), Some("x"));
    assert!(server.descriptors().unwrap() >= 3 && server.threads().unwrap() == 1);
    let ended = server.stop().unwrap();
    assert_eq!(ended.events.kinds(|_| true).unwrap(), ["publish_start", "publish_stop"]);
}

#[test]
fn what_must_hold_after_every_test_is_checked() {
    for (end, fault) in [
        ("exit 3", "the server ended with exit status: 3"),
        ("echo \"thread 'main' panicked at x.rs\" >&2; exit 0", "the server panicked"),
        ("echo hello; exit 0", "the server's standard output"),
    ] {
        let (_folder, builder) = double(end);
        let error = builder.start().unwrap().stop().unwrap_err().to_string();
        assert!(error.contains(fault), "{end}: {error}");
    }
}

#[test]
fn a_server_that_does_not_start_shows_its_last_words() {
    let folder = Scratch::new().unwrap();
    let script = folder.script("double", "#!/bin/sh\necho 'unknown key' >&2\nexit 1\n").unwrap();
    let error = Server::builder().binary(script).start().unwrap_err().to_string();
    assert!(error.contains("proto=rtmp") && error.contains("unknown key"), "{error}");
    assert!(Server::builder().binary("/nowhere").start().is_err());
}

#[test]
fn fields_of_a_log_line_are_found_nested_or_flat() {
    for line in [
        r#"{"level":"INFO","fields":{"message":"Listening","proto":"rtmp","addr":"127.0.0.1:1935"}}"#,
        r#"{"level":"INFO","message":"Listening","proto":"rtmp","addr":"127.0.0.1:1935"}"#,
    ] {
        let line = LogLine::parse(line).unwrap();
        assert_eq!((line.level(), line.message()), ("INFO", "Listening"));
        assert_eq!((line.field("proto"), line.field("addr")), (Some("rtmp"), Some("127.0.0.1:1935")));
    }
    assert_eq!(LogLine::parse("thread 'main' panicked at x"), None);
}
