//! Reloads in mid-stream, and a server that is killed.

use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::Client;
use jackfield_e2e::{
    PlayerKind, Processes, PublisherKind, Receiver, Reply, SOON, Scratch, Server, check_pairs, clip, compare,
    eventually, hook_fixture, wait_end,
};
use rustix::process::Signal;
use serde_json::json;

fn webhook(name: &str, on: &str, url: &str) -> String {
    format!("[[hook]]\nname = \"{name}\"\non = [\"{on}\"]\nurl = \"{url}\"\n")
}

#[test]
fn a_reload_replaces_the_hooks_and_touches_no_stream() -> Result<()> {
    let old = Receiver::start(|_| Reply::status(204))?;
    let new = Receiver::start(|_| {
        Reply::json(200, &json!({ "decision": "deny", "reason": "The new hook says no." }))
    })?;
    let server = Server::builder().config(webhook("auth", "authorize_publish", &old.url("/"))).start()?;
    let clip = clip::standard()?;
    let publisher = PublisherKind::Ffmpeg.start(clip.path(), &server.url("live/show"))?;
    let player = PlayerKind::Rtmpdump.start(&server.url("live/show"))?;
    player.wait_video(5, SOON)?;
    let file = server.folder().join("jackfield.toml");

    std::fs::write(&file, webhook("auth", "authorize_publish", &new.url("/")))?;
    server.signal(Signal::HUP)?;
    server.wait_log("reload", SOON, |line| line.message().contains("hooks have been replaced"))?;
    let denied = Client::connect(server.rtmp(), "live")?.publish("other").err().context("published")?;
    ensure!(denied.to_string().contains("The new hook says no."), "{denied:#}");
    ensure!((old.requests().len(), new.requests().len()) == (1, 1));

    // A bad file changes nothing, and says what is bad.
    std::fs::write(
        &file,
        "[[hook]]\nname = \"auth\"\non = [\"authorize_publsh\"]\nurl = \"https://h.example\"\n",
    )?;
    server.signal(Signal::HUP)?;
    server.wait_log("the problem", SOON, |line| {
        let message = line.message();
        ["former hooks stay", "authorize_publsh", "did you mean `authorize_publish`"]
            .iter()
            .all(|words| message.contains(words))
    })?;
    let denied = Client::connect(server.rtmp(), "live")?.publish("other").err().context("published")?;
    ensure!(denied.to_string().contains("The new hook says no."), "{denied:#}");

    // No hook at all.
    std::fs::write(&file, "")?;
    server.signal(Signal::HUP)?;
    server.log().wait("second reload", SOON, |lines| {
        let reloads = lines.iter().filter(|line| line.contains("hooks have been replaced"));
        (reloads.count() == 2).then_some(())
    })?;
    Client::connect(server.rtmp(), "live")?.publish("other")?;
    ensure!(new.requests().len() == 2);

    // All the while the stream went on.
    let so_far = player.so_far().video.units.len();
    player.wait_video(so_far + 5, SOON)?;
    compare(clip.recording(), &player.finish()?, so_far + 5)?;
    drop(publisher);
    let events = server.stop()?.events.all()?;
    check_pairs(&events)?;
    let shows = events.iter().filter(|event| event.stream_key() == Some("live/show"));
    ensure!(shows.filter(|event| event.kind() == "publish_start").count() == 1);
    Ok(())
}

#[test]
fn a_reload_ends_workers_that_are_gone_and_keeps_those_that_stay() -> Result<()> {
    let program = hook_fixture()?.display().to_string();
    let worker = |name: &str| {
        format!(
            "[[hook]]\nname = \"{name}\"\non = [\"authorize_publish\"]\nworker = [{program:?}, \"worker\"]\nmin = 1\nmax = 1\n"
        )
    };
    let budget = "[hooks]\nquestion_budget = \"1s\"\n";
    let server =
        Server::builder().config(format!("{budget}{}{}", worker("stays"), worker("goes"))).start()?;
    Client::connect(server.rtmp(), "live")?.publish("one-yes")?;
    let workers = || -> Result<Vec<u32>> {
        let now = Processes::now()?;
        let mut workers = now.below(server.pid());
        workers.retain(|pid| now.name(*pid) == Some("hook-fixture"));
        Ok(workers)
    };
    let before = workers()?;
    ensure!(before.len() == 2, "{before:?}");
    std::fs::write(server.folder().join("jackfield.toml"), format!("{budget}{}", worker("stays")))?;
    server.signal(Signal::HUP)?;
    server.wait_log("reload", SOON, |line| line.message().contains("hooks have been replaced"))?;
    // It ends when no question can reach it any more.
    let after =
        eventually("end of one worker", SOON, || Ok(Some(workers()?).filter(|left| left.len() == 1)))?;
    ensure!(after.iter().all(|pid| before.contains(pid)), "{before:?}, then {after:?}");
    Client::connect(server.rtmp(), "live")?.publish("two-yes")?;
    check_pairs(&server.stop()?.events.all()?)
}

#[test]
fn a_killed_server_leaves_no_program_behind() -> Result<()> {
    let folder = Scratch::new()?;
    let notes = folder.path().join("notes");
    // A worker, a script that ignores SIGTERM and is still on, and what a script left in the background.
    let stubborn = folder.script(
        "stubborn.sh",
        "#!/bin/bash\ntrap '' TERM\necho $$ >>\"$NOTES\"\nwhile :; do sleep 0.1; done\n",
    )?;
    let leaves = folder.script("leaves.sh", "#!/bin/bash\nsleep 600 &\necho $! >>\"$NOTES\"\n")?;
    let config = format!(
        "[[hook]]\nname = \"worker\"\non = [\"authorize_publish\"]\nworker = [{:?}, \"worker\"]\n",
        hook_fixture()?.display().to_string()
    );
    let server = Server::builder()
        .config(config)
        .args(["--hook-script", &format!("stream_create={}", leaves.display())])
        .args(["--hook-script", &format!("publish_start={}", stubborn.display())])
        .env("NOTES", &notes)
        .start()?;
    let mut publisher = Client::connect(server.rtmp(), "live")?;
    publisher.publish("show-yes")?;
    // Both scripts have begun; the second begins when the first has ended.
    server.log().wait("end of the first script", SOON, |lines| {
        lines.iter().find(|line| line.contains("script-1") && line.contains("answered")).cloned()
    })?;
    let pids = eventually("start of both scripts", SOON, || {
        let text = std::fs::read_to_string(&notes).unwrap_or_default();
        let pids: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
        Ok((pids.len() == 2).then_some(pids))
    })?;
    let below = Processes::now()?.below(server.pid());
    ensure!(below.len() >= 3, "{below:?}");
    ensure!(pids.iter().all(|pid| Processes::now().is_ok_and(|now| now.lives(*pid))));
    server.signal(Signal::KILL)?;
    let ended = server.wait(SOON)?;
    ensure!(ended.status.code().is_none());
    for pid in below.into_iter().chain(pids) {
        wait_end(pid, SOON).with_context(|| format!("process {pid}"))?;
    }
    Ok(())
}
