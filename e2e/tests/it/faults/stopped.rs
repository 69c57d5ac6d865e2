//! The server, its helper or a worker stands still for a while and goes on (SIGSTOP, SIGCONT).

use super::{allowed, answer, ask, calls_of, helper, one_of_each};
use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::Client;
use jackfield_e2e::{
    Broadcast, Paused, Processes, Receiver, Reply, SOON, Scratch, Server, all_cases, check_pairs, eventually,
    wait_end,
};
use jackfield_rtmp::ClientConfig;
use serde_json::json;
use std::time::Duration;

/// For so long the server stands still: longer than each of its deadlines here.
fn standstill() -> Duration {
    Duration::from_secs(if all_cases() { 10 } else { 2 })
}

const DEADLINES: &str = r#"
[rtmp]
handshake_timeout = "1s"
publish_timeout = "1s"
[hooks]
question_timeout = "1s"
"#;

/// Asked about streams that are held, both answer only when the file `go` is there.
const SCRIPT: &str = "#!/bin/sh
case $RTMP_STREAM_KEY in *-hold*) echo >>FOLDER/held; until [ -e FOLDER/go ]; do sleep 0.02; done;; esac
";

const WORKER: &str = r#"#!/bin/sh
while read -r line; do
    case $line in *-hold*) echo >>FOLDER/held; until [ -e FOLDER/go ]; do sleep 0.02; done;; esac
    echo '{"decision":"allow"}'
done
"#;

fn start(folder: &Scratch, receiver: &Receiver) -> Result<Server> {
    let path = folder.path().display().to_string();
    folder.script("script.sh", &SCRIPT.replace("FOLDER", &path))?;
    folder.script("worker.sh", &WORKER.replace("FOLDER", &path))?;
    let (script, worker) = (format!("{path}/script.sh"), format!("{path}/worker.sh"));
    let hooks = one_of_each(&script, &worker, &receiver.url("/hook"));
    Server::builder().config(format!("{DEADLINES}{hooks}")).start()
}

const KINDS: [&str; 3] = ["script", "worker", "webhook"];

#[test]
fn a_server_that_stood_still_goes_on_as_if_nothing_had_been() -> Result<()> {
    let folder = Scratch::new()?;
    let latch = jackfield_e2e::receiver::Latch::default();
    let go = latch.clone();
    let receiver = Receiver::start(move |request| {
        let allow = Reply::json(200, &json!({ "decision": "allow" }));
        let key = request.json().get("stream_key").cloned();
        if key == Some("live/webhook-hold".into()) { Reply::When(go.clone(), Box::new(allow)) } else { allow }
    })?;
    let server = start(&folder, &receiver)?;
    let broadcast = Broadcast::start(server.rtmp(), "show")?;
    let config = || ClientConfig::new("live", &format!("rtmp://{}/live", server.rtmp()));
    let mut asking = KINDS.map(|kind| {
        let mut client = Client::connect(server.rtmp(), "live")?;
        let stream = client.ask_publish(&format!("{kind}-hold"))?;
        anyhow::Ok((client, stream))
    });
    eventually("questions that wait", SOON, || {
        let held = std::fs::read(folder.path().join("held")).unwrap_or_default().len();
        Ok((held == 2 && !receiver.requests().is_empty()).then_some(()))
    })?;
    let mut halfway = Client::open(server.rtmp(), config())?;
    halfway.socket().peek(&mut [0; 1])?;

    let paused = Paused::new(server.pid())?;
    // All is answered while it does not look; and the deadlines pass.
    folder.file("go", "")?;
    latch.open();
    let mut meanwhile = Client::open(server.rtmp(), config())?;
    // It reads the server's half of the handshake and ends its own.
    halfway.media(Duration::from_millis(200)).err().context("media of no stream")?;
    paused.last(standstill());

    for (kind, asked) in KINDS.iter().zip(&mut asking) {
        let (client, stream) = asked.as_mut().map_err(|error| anyhow::anyhow!("{kind}: {error:#}"))?;
        // The answer was in time, the server was not: either is right, and one verdict.
        let refused =
            answer(client.published(*stream).map(|()| *stream)).with_context(|| (*kind).to_owned())?;
        ensure!(refused.as_deref().unwrap_or("Refused.") == "Refused.", "{kind}: {refused:?}");
        ensure!(calls_of(&server, kind, 1)?.len() == 1, "{kind} has two outcomes");
    }
    meanwhile.connected().context("who connected meanwhile")?;
    halfway.connected().context("who had begun its handshake")?;
    for kind in KINDS {
        allowed(&server, &format!("{kind}-after"))?;
    }
    broadcast.wait(25)?;
    broadcast.finish()?;
    drop((asking, meanwhile, halfway));
    check_pairs(&server.stop()?.events.all()?)
}

#[test]
fn a_helper_that_stands_still_costs_scripts_their_time_and_nobody_else_anything() -> Result<()> {
    let folder = Scratch::new()?;
    let receiver = Receiver::start(|_| Reply::json(200, &json!({ "decision": "allow" })))?;
    let server = start(&folder, &receiver)?;
    let broadcast = Broadcast::start(server.rtmp(), "show")?;
    KINDS.iter().try_for_each(|kind| allowed(&server, &format!("{kind}-before")))?;
    let helper = helper(&server)?;
    let paused = Paused::new(helper)?;
    std::thread::scope(|scope| {
        // Fewer than would open the hook's breaker.
        let asked: Vec<_> = (0..8)
            .map(|number| {
                scope.spawn({
                    let server = &server;
                    move || ask(server, &format!("script-{number}"))
                })
            })
            .collect();
        for asked in asked {
            let refused = asked.join().ok().context("a client panicked")??;
            ensure!(refused.as_deref() == Some("Refused."), "a script was not started: {refused:?}");
        }
        anyhow::Ok(())
    })?;
    allowed(&server, "worker-meanwhile")?;
    allowed(&server, "webhook-meanwhile")?;
    broadcast.wait(25)?;
    drop(paused);
    KINDS.iter().try_for_each(|kind| allowed(&server, &format!("{kind}-after")))?;
    let calls = calls_of(&server, "script", 10)?;
    let late = calls.iter().filter(|call| call.outcome == "timeout").count();
    ensure!((late, calls.len()) == (8, 10), "{calls:?}");
    // What was to be started for those who have gone is gone: the worker remains.
    eventually("end of late programs", SOON, || {
        Ok((Processes::now()?.below(helper).len() == 1).then_some(()))
    })?;
    broadcast.finish()?;
    check_pairs(&server.stop()?.events.all()?)
}

#[test]
fn a_plain_worker_that_stands_still_is_replaced() -> Result<()> {
    let folder = Scratch::new()?;
    let receiver = Receiver::start(|_| Reply::status(204))?;
    let server = start(&folder, &receiver)?;
    allowed(&server, "worker-before")?;
    let worker = worker(&server)?;
    let paused = Paused::new(worker)?;
    let refused = ask(&server, "worker-meanwhile")?;
    ensure!(refused.as_deref() == Some("Refused."), "{refused:?}");
    allowed(&server, "worker-after")?;
    // It is killed, since it hears nothing else.
    wait_end(worker, SOON)?;
    drop(paused);
    let calls = calls_of(&server, "worker", 3)?;
    let outcomes: Vec<&str> = calls.iter().map(|call| call.outcome.as_str()).collect();
    ensure!(outcomes == ["answered", "timeout", "answered"], "{outcomes:?}");
    ensure!(self::worker(&server)? != worker, "it was asked again");
    check_pairs(&server.stop()?.events.all()?)
}

fn worker(server: &Server) -> Result<u32> {
    let helper = helper(server)?;
    eventually("one worker", SOON, || match Processes::now()?.children(helper)[..] {
        [worker] => Ok(Some(worker)),
        _ => Ok(None),
    })
}
