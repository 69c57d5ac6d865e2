//! Tokens, made by the command and used at the server.

use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::Client;
use jackfield_e2e::{Api, Program, SOON, Server, eventually, server as binary};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

/// `jackfield token …` on this server's data folder; what it prints.
fn token(server: &Server, args: &[&str]) -> Result<String> {
    let data = server.folder().join("data");
    let program =
        Program::new(binary()?).args(["token"]).args(args).args(["--data-dir".as_ref(), data.as_os_str()]);
    let done = program.run(SOON)?;
    ensure!(done.code == Some(0), "{args:?}: {}", done.stderr);
    Ok(done.stdout)
}

#[test]
fn a_token_of_the_command_line_may_what_it_was_made_for_until_it_is_revoked() -> Result<()> {
    let server = Server::builder().start()?;
    let admin = Api::admin(&server)?;
    for file in ["admin.token", "tokens.json"] {
        if file == "tokens.json" {
            token(&server, &["create", "--name", "first", "--scope", "hooks"])?;
        }
        let mode = std::fs::metadata(server.folder().join("data").join(file))?.permissions().mode();
        ensure!(mode & 0o777 == 0o600, "{file}: {mode:o}");
    }
    let made = token(
        &server,
        &["create", "--name", "ci", "--scope", "read,operate", "--stream-prefix", "live/ours"],
    )?;
    let ours = admin.with_token(made.trim_end());
    ensure!(made.starts_with("jf_") && made.lines().count() == 1, "{made:?}");
    let mut publisher = Client::connect(server.rtmp(), "live/ours")?;
    publisher.publish("a")?;
    let mut other = Client::connect(server.rtmp(), "live")?;
    other.publish("theirs")?;
    eventually("two streams", SOON, || {
        let items = admin.get("streams")?.expect(200)?.body["items"].clone();
        Ok((items.as_array().map(Vec::len) == Some(2)).then_some(()))
    })?;
    let keys = |list: &str, field: &str| -> Result<Vec<String>> {
        let items = ours.get(list)?.expect(200)?.body["items"].clone();
        let items = items.as_array().context("items")?.iter();
        Ok(items.filter_map(|item| item[field].as_str().map(str::to_owned)).collect())
    };
    ensure!(
        keys("streams", "key")? == ["live/ours/a"] && keys("connections", "stream_key")? == ["live/ours/a"]
    );
    for (method, path) in [
        ("GET", "streams/live%2Ftheirs"),
        ("DELETE", "streams/live%2Ftheirs/publisher"),
        ("DELETE", "connections/c000002"),
        ("GET", "connections/c000002"),
        ("GET", "config"),
        ("POST", "reload"),
    ] {
        ours.send(method, path, None)?.expect(403)?;
    }
    ours.delete("streams/live%2Fours%2Fa/publisher")?.expect(204)?;

    let listed: Value = serde_json::from_str(&token(&server, &["list", "--json"])?)?;
    ensure!(listed[1]["name"] == "ci" && !listed.to_string().contains(made.trim_end()), "{listed}");
    token(&server, &["revoke", "ci"])?;
    ours.get("streams")?.expect(401)?;
    admin.get("streams")?.expect(200)?;
    Ok(())
}

#[test]
fn who_may_end_one_stream_of_a_connection_does_not_end_its_others() -> Result<()> {
    let server = Server::builder().start()?;
    let made =
        token(&server, &["create", "--name", "ci", "--scope", "operate", "--stream-prefix", "live/ours"])?;
    let ours = Api::new(server.http(), made.trim_end());
    let mut publisher = Client::connect(server.rtmp(), "live")?;
    let stream = publisher.publish("ours/a")?;
    publisher.publish("theirs")?;
    ours.delete("streams/live%2Fours%2Fa/publisher")?.expect(204)?;
    publisher.expect_status(stream, "NetStream.Unpublish.Success", SOON)?;
    let left = Api::admin(&server)?.get("streams/live%2Ftheirs")?.expect(200)?.body;
    ensure!(left["state"] == "live", "{left}");
    server.stop()?;
    Ok(())
}

#[test]
fn the_command_says_what_is_wrong() -> Result<()> {
    let server = Server::builder().start()?;
    token(&server, &["create", "--name", "dashboard", "--scope", "read"])?;
    let refused = |args: &[&str]| -> Result<(Option<i32>, String)> {
        let data = server.folder().join("data");
        let program = Program::new(binary()?)
            .args(["token"])
            .args(args)
            .args(["--data-dir".as_ref(), data.as_os_str()]);
        let done = program.run(SOON)?;
        Ok((done.code, done.stderr))
    };
    for (args, code, says) in [
        (&["create", "--name", "dashboard", "--scope", "read"][..], 1, "there is a token named `dashboard`"),
        (&["create", "--name", "x", "--scope", "all"], 2, "there are read, operate and hooks"),
        (&["create", "--name", "x"], 2, "--scope"),
        (&["create", "--name", "a b", "--scope", "read"], 2, "a name has"),
        (&["create", "--name", "x", "--scope", "read", "--stream-prefix", "../x"], 2, "begins no stream key"),
        (&["revoke", "dashbord"], 5, "did you mean `dashboard`?"),
    ] {
        let (got, text) = refused(args)?;
        ensure!(got == Some(code) && text.contains(says), "{args:?}: {got:?} {text}");
    }
    Ok(())
}

#[test]
fn the_admin_token_stays_over_a_restart() -> Result<()> {
    let first = Server::builder().start()?;
    let data = first.folder().join("data");
    let kept = std::fs::read_to_string(data.join("admin.token"))?;
    let folder = jackfield_e2e::Scratch::new()?;
    let moved = folder.path().join("data");
    std::fs::create_dir(&moved)?;
    std::fs::write(moved.join("admin.token"), &kept)?;
    first.stop()?;
    let second = Server::builder().data_dir(&moved).start()?;
    Api::new(second.http(), kept.trim_end()).get("version")?.expect(200)?;
    Ok(())
}

#[test]
fn a_token_for_some_streams_tries_hooks_with_connections_of_these_alone() -> Result<()> {
    let server = Server::builder().start()?;
    let admin = Api::admin(&server)?;
    let made =
        token(&server, &["create", "--name", "author", "--scope", "hooks", "--stream-prefix", "live/ours"])?;
    let ours = admin.with_token(made.trim_end());
    let mut publishers = Vec::new();
    for (key, expect) in [("ours", 202), ("theirs", 403)] {
        let mut publisher = Client::connect(server.rtmp(), "live")?;
        publisher.publish(key)?;
        publishers.push(publisher);
        let stream = eventually("its stream", SOON, || {
            let stream = admin.get(&format!("streams/live%2F{key}"))?;
            Ok(stream.body["publisher"]["conn_id"].is_string().then_some(stream.body))
        })?;
        let conn = &stream["publisher"]["conn_id"];
        let wish = json!({"event": "publish_start", "stream_key": "live/ours", "conn_id": conn});
        ours.post("events/trigger", &wish)?.expect(expect)?;
    }
    server.stop()?;
    Ok(())
}
