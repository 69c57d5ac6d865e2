//! Hooks of the API reach what is public and what the operator allows, and nothing else of this machine.

use anyhow::{Result, ensure};
use jackfield_e2e::{Api, Receiver, Reply, SOON, Server};
use serde_json::json;
use std::net::TcpListener;

fn api(server: &Server) -> Result<Api> {
    Api::admin(server)
}

#[test]
fn no_spelling_of_this_machine_or_of_a_private_network_is_taken() -> Result<()> {
    let receiver = Receiver::start(|_| Reply::status(204))?;
    let port = receiver.url("").rsplit(':').next().unwrap_or_default().to_owned();
    let server = Server::builder().config("[hooks]\nplain_http = true\n").start()?;
    let api = api(&server)?;
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "127.0.0.1.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "0.0.0.0",
        "[::]",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "[fd00::1]",
        "[fe80::1]",
        "224.0.0.1",
        "255.255.255.255",
        "%31%32%37.0.0.1",
        "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
    ] {
        let url = format!("http://{host}:{port}/x");
        let answer = api.post("hooks", &json!({"name": "x", "on": "publish_start", "url": url}))?;
        ensure!(answer.status == 422 && answer.text.contains("allow_networks"), "{host}: {}", answer.text);
    }
    ensure!(receiver.requests().is_empty(), "somebody was reached");
    server.stop()?;
    Ok(())
}

#[test]
fn a_name_of_this_machine_is_resolved_and_not_dialled() -> Result<()> {
    let receiver = Receiver::start(|_| Reply::status(204))?;
    let server = Server::builder().start()?;
    let api = api(&server)?;
    let body = json!({"name": "x", "on": "publish_start", "url": receiver.named_url("/x")});
    api.post("hooks", &body)?.expect(201)?;
    let tried = api.post("hooks/x/test", &json!({"event": "publish_start"}))?.expect(200)?.body;
    ensure!(tried["outcome"] == "connect_error", "{tried}");
    let detail = tried["detail"].as_str().unwrap_or_default();
    ensure!(detail.contains("no public address") && !detail.contains("127.0.0.1"), "{tried}");
    ensure!(receiver.requests().is_empty(), "it was reached");
    server.stop()?;
    Ok(())
}

#[test]
fn a_redirect_leads_nowhere_and_an_allowed_network_is_reached() -> Result<()> {
    let inside = TcpListener::bind("127.0.0.1:0")?;
    inside.set_nonblocking(true)?;
    let target = format!("http://{}/admin", inside.local_addr()?);
    let receiver = Receiver::start(move |_| Reply::redirect(307, &target))?;
    let server = Server::builder().config("[api]\nallow_networks = [\"127.0.0.0/8\"]\n").start()?;
    let api = api(&server)?;
    let body = json!({"name": "x", "on": "authorize_publish", "url": receiver.url("/x")});
    api.post("hooks", &body)?.expect(201)?;
    let tried = api.post("hooks/x/test", &json!({"event": "authorize_publish"}))?.expect(200)?.body;
    ensure!(tried["outcome"] == "handler_error" && tried["verdict"] == "deny", "{tried}");
    receiver.wait("the request", SOON, |_| true)?;
    ensure!(inside.accept().is_err(), "the redirect was followed");
    server.stop()?;
    Ok(())
}

#[test]
fn urls_of_the_file_and_of_flags_go_where_the_operator_likes() -> Result<()> {
    let receiver = Receiver::start(|_| Reply::status(204))?;
    let hook = format!("publish_start={}", receiver.url("/flag"));
    let server = Server::builder().args(["--hook-webhook", &hook]).start()?;
    let tried =
        api(&server)?.post("hooks/webhook-1/test", &json!({"event": "publish_start"}))?.expect(200)?.body;
    ensure!(tried["outcome"] == "answered", "{tried}");
    server.stop()?;
    Ok(())
}

#[test]
fn a_hook_whose_network_is_not_allowed_any_more_is_kept_and_not_called() -> Result<()> {
    let receiver = Receiver::start(|_| Reply::status(204))?;
    let server = Server::builder().config("[api]\nallow_networks = [\"127.0.0.0/8\"]\n").start()?;
    let api = api(&server)?;
    api.post("hooks", &json!({"name": "x", "on": "publish_start", "url": receiver.url("/x")}))?
        .expect(201)?;
    std::fs::write(server.folder().join("jackfield.toml"), "")?;
    api.post("reload", &serde_json::Value::Null)?.expect(200)?;
    server.wait_log("the hook that is idle", SOON, |line| {
        line.message() == "A hook made by the API is not in force" && line.field("hook") == Some("x")
    })?;
    ensure!(api.get("hooks/x")?.status == 404, "it is not called");
    ensure!(
        std::fs::read_to_string(server.folder().join("data/hooks.json"))?.contains("\"x\""),
        "it is kept"
    );
    // It can be taken away all the same.
    api.delete("hooks/x")?.expect(204)?;
    server.stop()?;
    Ok(())
}
