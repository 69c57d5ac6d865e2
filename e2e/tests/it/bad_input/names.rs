//! Names of streams that could do harm in a path, an argument, a log line or a variable.

use anyhow::{Context, Result, bail, ensure};
use jackfield_e2e::rtmp::{Client, Refused};
use jackfield_e2e::{Receiver, Reply, Request, Server};
use jackfield_rtmp::ClientConfig;
use jackfield_rtmp::chunk::{ChunkWriter, HeaderForm, MessageHeader};
use jackfield_rtmp::message::kind;
use std::io::Write;

/// Names that AMF can carry as text.
fn bad_names() -> Vec<String> {
    let names = [
        "a%0ab",
        "a\nb",
        "a%0d%0aX: y",
        "a%00b",
        "a\0b",
        "..",
        "../x",
        "a/../b",
        "..%2fx",
        "%2e%2e/x",
        "/a",
        "a/",
        "a//b",
        "-rf",
        "%2drf",
        "a/-rf",
        "%ff%fe",
        "a%",
        "a%4",
        "a%zz",
        "",
        "a b",
        "a;reboot",
        "$(id)",
        "`id`",
        "a\u{202e}b",
        "{\"a\":1}",
        "a/b/c/d/e",
    ];
    let mut names: Vec<String> = names.map(str::to_owned).into();
    names.push("x".repeat(10 * 1024));
    names.push("x/".repeat(100) + "x");
    names
}

/// What a client is told when it is refused.
fn refusal<T>(answer: Result<T>, name: &str) -> Result<Refused> {
    match answer {
        Ok(_) => bail!("{name:?} was taken"),
        Err(error) => error.downcast().with_context(|| format!("{name:?} got no status")),
    }
}

/// A server that asks and tells a receiver of everything.
fn asking(receiver: &Receiver) -> Result<Server> {
    let url = receiver.url("/all");
    Server::builder().config(format!("[[hook]]\nname = \"all\"\non = [\"*\"]\nurl = \"{url}\"\n")).start()
}

/// Nobody was asked or told about a stream.
fn ensure_unheard(receiver: &Receiver, server: Server) -> Result<()> {
    let ended = server.stop()?;
    let about_streams =
        |kind: &str| kind.contains("publish") || kind.contains("play") || kind.contains("stream");
    let asked: Vec<String> = receiver.requests().all().iter().filter_map(Request::event).collect();
    ensure!(!asked.iter().any(|kind| about_streams(kind)), "a hook was called: {asked:?}");
    let told = ended.events.kinds(|event| about_streams(event.kind()) || event.stream_key().is_some())?;
    ensure!(told.is_empty(), "events were told: {told:?}");
    Ok(())
}

#[test]
fn a_bad_name_is_refused_with_a_status_before_any_hook_sees_it() -> Result<()> {
    let receiver = Receiver::start(|_| Reply::status(204))?;
    let server = asking(&receiver)?;
    for name in bad_names() {
        let mut client = Client::connect(server.rtmp(), "live")?;
        let refused = refusal(client.publish(&name), &name)?;
        ensure!(refused.code == "NetStream.Publish.BadName", "{name:?}: {refused}");
        let mut client = Client::connect(server.rtmp(), "live")?;
        let refused = refusal(client.play(&name), &name)?;
        ensure!(refused.code.starts_with("NetStream.Play."), "{name:?}: {refused}");
    }
    ensure_unheard(&receiver, server)
}

#[test]
fn a_name_that_is_no_utf8_is_refused_with_a_status_before_any_hook_sees_it() -> Result<()> {
    let receiver = Receiver::start(|_| Reply::status(204))?;
    let server = asking(&receiver)?;
    for bytes in [&b"a\xff\xfeb"[..], b"\xc3", b"a\xed\xa0\x80"] {
        let mut client = Client::connect(server.rtmp(), "live")?;
        let stream = client.create_stream()?;
        let length = u16::try_from(bytes.len())?.to_be_bytes();
        let body =
            [b"\x02\0\x07publish\0\x40\x14\0\0\0\0\0\0\x05\x02", &length[..], bytes, b"\x02\0\x04live"]
                .concat();
        let (mut writer, mut out) = (ChunkWriter::new(HeaderForm::Full), Vec::new());
        writer.set_chunk_size(4096);
        let header = MessageHeader {
            chunk_stream: 20,
            message_stream: stream,
            kind: kind::COMMAND_AMF0,
            timestamp: 0,
        };
        writer.write(header, &body, &mut out);
        client.socket().write_all(&out)?;
        let refused = refusal(client.published(stream), "not UTF-8")?;
        ensure!(refused.code == "NetStream.Publish.BadName", "{refused}");
    }
    ensure_unheard(&receiver, server)
}

#[test]
fn a_bad_app_or_url_is_refused_with_a_status_before_any_hook_sees_it() -> Result<()> {
    let receiver = Receiver::start(|_| Reply::status(204))?;
    let server = asking(&receiver)?;
    let long = "x".repeat(10 * 1024);
    for app in ["live%0a", "li\nve", "live/../x", "..", "-live", "li\0ve", "%ff", "", long.as_str()] {
        let config = ClientConfig::new(app, "rtmp://localhost/live");
        let answer = Client::open(server.rtmp(), config)?.connected();
        let refused = refusal(answer, app)?;
        ensure!(refused.code == "NetConnection.Connect.Rejected", "{app:?}: {refused}");
    }
    for url in ["rtmp://h/live\n?a=b", "rtmp://h/live?a=\0", long.as_str()] {
        let answer = Client::open(server.rtmp(), ClientConfig::new("live", url))?.connected();
        refusal(answer, url)?;
    }
    // These were not even asked about as connections.
    let asked: Vec<String> = receiver.requests().all().iter().filter_map(Request::event).collect();
    ensure!(!asked.iter().any(|kind| kind.starts_with("authorize_")), "a hook was asked: {asked:?}");
    ensure_unheard(&receiver, server)
}
