//! Workers that answer twice, late, to the wrong id, with something else, or with half of it.

use super::{HookCall, calls, calls_in};
use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::{Client, Refused};
use jackfield_e2e::{SOON, Scratch, Server};
use std::collections::BTreeSet;
use std::path::Path;

/// Denies with the stream's own key as reason, so that everybody sees whose answer he got. To streams with `bad` in
/// their name it does as its first argument says.
const WORKER: &str = r#"#!/usr/bin/env python3
import json, os, sys, time

how = sys.argv[1]
framed = how.startswith("hello-")
held = []
last = None


def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()


def answer(event, delivery=None):
    said = {"decision": "deny", "reason": {"public": event["stream_key"]}}
    return json.dumps(said if delivery is None else {"d": delivery, **said}) + "\n"


if framed:
    say('{"t":"hello","proto":[1],"concurrency":4}\n')
if how == "banner":
    say("Worker 1.0, ready to serve\n")
for line in sys.stdin:
    frame = json.loads(line)
    if frame.get("t") == "cancel":
        # Now it is too late for sure.
        for event, delivery in held:
            if delivery == frame["d"]:
                say(answer(event, delivery))
        continue
    if frame.get("t") == "drain":
        break
    event, delivery = (frame["event"], frame["d"]) if "event" in frame else (frame, None)
    good = answer(event, delivery)
    if "bad" not in event["stream_key"]:
        last = delivery
        say(good)
    elif how in ("twice", "hello-twice"):
        say(good + good)
    elif how == "late":
        time.sleep(2.5)
        say(good)
    elif how == "hello-late":
        held.append((event, delivery))
    elif how == "pretty":
        say(json.dumps(json.loads(good), indent=2) + "\n")
    elif how == "hello-unknown":
        say(answer(event, "dlv_7fffffff"))
    elif how == "hello-answered":
        say(answer(event, last))
    elif how == "hello-no-id":
        say(answer(event))
    elif how in ("dies", "hello-dies"):
        say(good[: len(good) // 2])
        os._exit(1)
    elif how == "closes":
        os.close(1)
        time.sleep(60)
    elif how == "huge":
        say(good[:-2] + " " * 1000000 + "}\n")
    elif how == "no-newline":
        say("x" * 1000000)
        time.sleep(60)
    elif how == "silent-and-full":
        time.sleep(60)
"#;

/// How a worker misbehaves, and whether one of its kind is ever of use. Those that take their time come first, so that they
/// take it together.
const WAYS: [(&str, Use); 15] = [
    ("late", Use::Some),
    ("silent-and-full", Use::Some),
    ("hello-late", Use::Some),
    ("banner", Use::MaybeNone),
    ("twice", Use::Some),
    ("pretty", Use::Some),
    ("dies", Use::Some),
    ("closes", Use::Some),
    ("huge", Use::Some),
    ("no-newline", Use::Some),
    ("hello-twice", Use::Some),
    ("hello-unknown", Use::Some),
    ("hello-answered", Use::Some),
    ("hello-no-id", Use::Some),
    ("hello-dies", Use::Some),
];

#[derive(Clone, Copy, PartialEq)]
enum Use {
    /// Good questions are answered in the end.
    Some,
    /// It may never get as far as that.
    MaybeNone,
}

/// The clients of one worker come in two rows at once; of each row every third stream is a bad one.
const ROWS: usize = 2;
const PER_ROW: usize = 6;
/// Processes of a pool.
const POOL: usize = 2;

fn is_bad(at: usize) -> bool {
    at % 3 == 1
}

/// Publishes under a name of its own; whose answer came.
fn ask(server: &Server, key_name: &str) -> Result<String> {
    let answer = Client::connect(server.rtmp(), "live")?.publish(key_name);
    let refused: Refused = answer.err().context("nobody is allowed here")?.downcast()?;
    Ok(refused.description)
}

/// One row of clients, one after the other; how many good ones got their own answer.
fn row(server: &Server, way: &str, row: usize) -> Result<usize> {
    let mut own = 0;
    for at in 0..PER_ROW {
        let kind = if is_bad(at) { "bad" } else { "good" };
        let name = format!("{way}.{kind}-{row}-{at}");
        let told = ask(server, &name)?;
        let mine = told == format!("live/{name}");
        ensure!(mine || told == "Refused.", "{name} got the answer of {told}");
        own += usize::from(mine && !is_bad(at));
    }
    Ok(own)
}

/// A worker of the plain form that has had a bad question is asked no more: whose answer its next line is, nobody knows.
fn ensure_replaced(calls: &[HookCall]) -> Result<()> {
    let mut calls: Vec<&HookCall> = calls.iter().collect();
    calls.sort_by_key(|call| call.asked_us);
    let mut spoiled = BTreeSet::new();
    for call in calls {
        let Some(pid) = call.pid else { continue };
        ensure!(!spoiled.contains(&pid), "process {pid} was asked again");
        if call.stream.contains("bad") {
            spoiled.insert(pid);
        }
    }
    Ok(())
}

fn hook(worker: &Path, name: &str, pool: usize) -> String {
    let worker = worker.display();
    format!(
        "[[hook]]\nname = \"{name}\"\non = [\"authorize_publish\"]\nstreams = [\"live/{name}.*\"]\nworker = [\"{worker}\", \"{name}\"]\ntimeout = \"2s\"\nmin = {pool}\nmax = {pool}\n"
    )
}

/// What must hold of the calls of a hook when all is over.
fn check_calls(server: &Server, way: &str) -> Result<()> {
    let calls = server.log().wait("outcome of each question", SOON, |lines| {
        let calls = calls_in(lines, way);
        (calls.len() >= ROWS * PER_ROW).then_some(calls)
    })?;
    ensure!(calls.len() == ROWS * PER_ROW, "{} outcomes", calls.len());
    if !way.starts_with("hello-") {
        ensure_replaced(&calls)?;
    }
    let processes = calls.iter().filter_map(|call| call.pid).collect::<BTreeSet<u32>>().len();
    let bad = ROWS * (0..PER_ROW).filter(|at| is_bad(*at)).count();
    // A worker that prints a banner is bad from its start.
    ensure!(way == "banner" || processes <= POOL + bad, "{processes} processes for {bad} bad questions");
    Ok(())
}

/// Lets these ways of misbehaving loose on one server, beside a worker that behaves.
fn let_loose(worker: &Path, ways: &[(&str, Use)]) -> Result<()> {
    let mut config = hook(worker, "bystander", 1);
    config.extend(ways.iter().map(|(way, _)| hook(worker, way, POOL)));
    let server = Server::builder().config(config).start()?;
    let bystander = |name: &str| {
        let told = ask(&server, name)?;
        ensure!(told == format!("live/{name}"), "the bystander said {told}");
        Ok(())
    };
    bystander("bystander.before")?;
    std::thread::scope(|scope| {
        let tries = ways.iter().map(|(way, usable)| {
            let server = &server;
            let rows: Vec<_> = (0..ROWS).map(|at| scope.spawn(move || row(server, way, at))).collect();
            (way, usable, rows)
        });
        let tries: Vec<_> = tries.collect();
        for (way, usable, rows) in tries {
            let mut own = 0;
            for row in rows {
                own += row.join().ok().context("a row panicked")?.with_context(|| (*way).to_owned())?;
            }
            ensure!(own > 0 || *usable == Use::MaybeNone, "{way}: no good question was answered");
        }
        anyhow::Ok(())
    })?;
    bystander("bystander.after")?;
    for (way, _) in ways {
        check_calls(&server, way).with_context(|| (*way).to_owned())?;
    }
    let processes: BTreeSet<Option<u32>> = calls(&server, "bystander").iter().map(|call| call.pid).collect();
    ensure!(processes.len() == 1, "a worker of another hook was replaced");
    server.stop()?;
    Ok(())
}

#[test]
fn no_caller_gets_the_answer_of_another_and_only_the_bad_worker_is_replaced() -> Result<()> {
    let folder = Scratch::new()?;
    let worker = folder.script("worker.py", WORKER)?;
    // A few at a time: some dozens of interpreters that start at once are all late.
    WAYS.chunks(4).try_for_each(|ways| let_loose(&worker, ways))
}
