//! The helper process, through which programs are started, is killed.

use super::{Asked, allowed, answer, calls_of, helper};
use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::Client;
use jackfield_e2e::{
    Broadcast, Processes, SOON, Scratch, Server, all_cases, check_pairs, eventually, limit_descriptors,
    wait_end,
};
use rustix::process::{Pid, Signal, kill_process};
use std::path::Path;

/// Notes who it is, and does not end when it is asked about a stream to be held.
const SCRIPT: &str = "#!/bin/sh
echo $$ script $RTMP_STREAM_KEY >>PIDS
case $RTMP_STREAM_KEY in *-hold*) exec sleep 1000;; esac
";

const WORKER: &str = r#"#!/bin/sh
echo $$ worker >>PIDS
while read -r line; do
    case $line in *-hold*) echo $$ held >>PIDS; sleep 1000;; esac
    echo '{"decision":"allow"}'
done
"#;

const CONFIG: &str = r#"
[[hook]]
name = "script"
on = ["authorize_publish"]
streams = ["live/script-*"]
run = ["FOLDER/script.sh"]
timeout = "1m"
[[hook]]
name = "worker"
on = ["authorize_publish"]
streams = ["live/worker-*"]
worker = ["FOLDER/worker.sh"]
timeout = "1m"
min = 1
max = 1
[[hook]]
name = "note"
on = ["publish_start"]
streams = ["live/script-*"]
run = ["FOLDER/script.sh"]
[hooks]
question_budget = "1m"
"#;

fn start(folder: &Scratch) -> Result<Server> {
    let pids = folder.path().join("pids").display().to_string();
    folder.script("script.sh", &SCRIPT.replace("PIDS", &pids))?;
    folder.script("worker.sh", &WORKER.replace("PIDS", &pids))?;
    Server::builder().config(CONFIG.replace("FOLDER", &folder.path().display().to_string())).start()
}

/// The processes that noted themselves, and as what.
fn noted(folder: &Path) -> Result<Vec<(u32, String)>> {
    let text = std::fs::read_to_string(folder.join("pids")).unwrap_or_default();
    let line = |line: &str| {
        let (pid, what) = line.split_once(' ').context("a line of two words")?;
        Ok((pid.parse()?, what.to_owned()))
    };
    text.lines().map(line).collect()
}

/// Waits until so many processes have noted themselves so.
fn wait_noted(folder: &Path, what: &str, count: usize) -> Result<()> {
    eventually(what, SOON, || {
        let found = noted(folder)?.iter().filter(|(_, noted)| noted == what).count();
        ensure!(found <= count, "{found} times {what}");
        Ok((found == count).then_some(()))
    })
}

fn kill_helper(server: &Server) -> Result<()> {
    let pid = i32::try_from(helper(server)?).ok().and_then(Pid::from_raw).context("no process id")?;
    kill_process(pid, Signal::KILL).context("killing the helper")
}

fn wait_restarts(server: &Server, count: usize) -> Result<()> {
    server.log().wait("restart of the helper", SOON, |lines| {
        (super::told(lines, "Process helper restarted") >= count).then_some(())
    })
}

/// Kills the helper while a script and a worker are being asked.
fn kill_it(server: &Server, folder: &Path, round: usize) -> Result<()> {
    let ask = |name: &str| {
        let mut client = Client::connect(server.rtmp(), "live")?;
        let stream = client.ask_publish(name)?;
        anyhow::Ok((client, stream))
    };
    let script = format!("script-hold-{round}");
    let mut held = vec![ask(&script)?, ask(&format!("worker-hold-{round}"))?];
    wait_noted(folder, &format!("script live/{script}"), 1)?;
    wait_noted(folder, "held", round)?;
    let unfinished = Processes::now()?.below(helper(server)?);
    kill_helper(server)?;

    for (client, stream) in &mut held {
        let refused = answer(client.published(*stream).map(|()| *stream))?;
        ensure!(refused.as_deref() == Some("Refused."), "a question whose program was lost: {refused:?}");
    }
    // Whatever they had started themselves goes too.
    unfinished.into_iter().try_for_each(|pid| wait_end(pid, SOON))?;
    wait_restarts(server, round)?;

    let after = format!("script-after-{round}");
    allowed(server, &after)?;
    allowed(server, &format!("worker-after-{round}"))?;
    // The question and the notice, each once.
    wait_noted(folder, &format!("script live/{after}"), 2)
}

#[test]
fn a_killed_helper_is_replaced_and_each_question_gets_its_one_verdict() -> Result<()> {
    let folder = Scratch::new()?;
    let server = start(&folder)?;
    let broadcast = Broadcast::start(server.rtmp(), "show")?;
    let rounds = if all_cases() { 6 } else { 3 };
    for round in 1..=rounds {
        kill_it(&server, folder.path(), round).with_context(|| format!("round {round}"))?;
    }
    for (hook, good) in [("script", rounds), ("worker", rounds)] {
        let calls = calls_of(&server, hook, 2 * rounds)?;
        let with = |outcome: &str| calls.iter().filter(|call: &&Asked| call.outcome == outcome).count();
        let sums = (with("answered"), with("crashed"), calls.len());
        ensure!(sums == (good, rounds, 2 * rounds), "{hook}: {calls:?}");
    }
    // One worker is there, and nothing else.
    let helper = helper(&server)?;
    eventually("end of all others", SOON, || Ok((Processes::now()?.below(helper).len() == 1).then_some(())))?;
    let workers = noted(folder.path())?.into_iter().filter(|(_, what)| what == "worker").count();
    ensure!(workers == rounds + 1, "{workers} workers were started");
    broadcast.finish()?;
    let everybody = noted(folder.path())?;
    check_pairs(&server.stop()?.events.all()?)?;
    everybody.into_iter().try_for_each(|(pid, _)| wait_end(pid, SOON))
}

#[test]
fn a_helper_that_cannot_be_replaced_for_want_of_descriptors_is_when_there_are_some() -> Result<()> {
    let folder = Scratch::new()?;
    let server = start(&folder)?;
    let broadcast = Broadcast::start(server.rtmp(), "show")?;
    let mut client = Client::connect(server.rtmp(), "live")?;
    // Not one more than those that are open, and not even those.
    let limit = limit_descriptors(server.pid(), 10)?;
    kill_helper(&server)?;
    let message = "Process helper cannot be restarted";
    server.wait_log(message, SOON, |line| line.message() == message)?;
    let refused = answer(client.publish("script-without"))?;
    ensure!(refused.as_deref() == Some("Refused."), "a question whose program cannot start: {refused:?}");
    broadcast.wait(25)?;

    limit_descriptors(server.pid(), limit)?;
    wait_restarts(&server, 1)?;
    allowed(&server, "script-after")?;
    allowed(&server, "worker-after")?;
    broadcast.finish()?;
    check_pairs(&server.stop()?.events.all()?)
}
