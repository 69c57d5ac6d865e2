//! Workers that die within an answer: at every byte of it.

use super::{Asked, calls_of};
use anyhow::{Context, Result, ensure};
use jackfield_e2e::{SOON, Scratch, Server};
use std::collections::BTreeSet;
use std::path::Path;

/// Its first argument is the form in which it speaks, the second how many bytes of an answer it writes before it is
/// killed. So that each answer has the same length, it is padded; what would be taken of a half one is `allow`. Whoever
/// else asks is denied, with his own stream as the reason.
const WORKER: &str = r#"#!/bin/sh
[ "$1" = plain ] || printf '{"t":"hello","proto":[1],"concurrency":2}\n'
while read -r line; do
    case $line in *'"t":"drain"'*) exit;; esac
    key=${line#*'"stream_key":"'}
    key=${key%%'"'*}
    id=
    # The first request is bare if it was sent before the hello was read.
    case $line in '{"t":"event"'*)
        id=${line#*'"d":"'}
        id="\"d\":\"${id%%'"'*}\","
    esac
    case $key in
    *.bad)
        answer=$(printf '{%-63s}' "$id\"decision\":\"allow\"")
        # With one byte more than the answer has it is a whole line.
        [ "$2" -le 65 ] && printf '%.*s' "$2" "$answer" || printf '%s\n' "$answer"
        kill -9 $$
        ;;
    *) printf '{%s"decision":"deny","reason":{"public":"%s"}}\n' "$id" "$key" ;;
    esac
done
"#;

/// Bytes of an answer that would allow, without the end of the line.
const LENGTH: usize = 65;
/// Workers that die at the same time.
const AT_ONCE: usize = 12;

/// The form, and how many bytes are written.
type Case = (&'static str, usize);

fn name((form, bytes): Case) -> String {
    format!("{form}-{bytes}")
}

fn hook(worker: &Path, case: Case) -> String {
    let (name, worker, (form, bytes)) = (name(case), worker.display(), case);
    format!(
        "[[hook]]\nname = \"{name}\"\non = [\"authorize_publish\"]\nstreams = [\"live/{name}.*\"]\nworker = [\"{worker}\", \"{form}\", \"{bytes}\"]\nmin = 0\nmax = 1\ntimeout = \"5s\"\n"
    )
}

/// Each answer that is not whole is a failure, and the next one is another process's.
fn check(server: &Server, case: Case) -> Result<()> {
    let name = name(case);
    let own = |what: &str| {
        let stream = format!("{name}.{what}");
        let told = super::ask(server, &stream)?;
        ensure!(told.as_ref() == Some(&format!("live/{stream}")), "{stream} was told {told:?}");
        Ok(())
    };
    own("before")?;
    let told = super::ask(server, &format!("{name}.bad"))?;
    let whole = case.1 > LENGTH;
    let expect = (!whole).then_some("Refused.");
    ensure!(told.as_deref() == expect, "the bad one was told {told:?}");
    if whole {
        // It dies after its answer: a question that comes at that moment would die with it.
        server.wait_log("death of the worker", SOON, |line| {
            line.message() == "Worker has to be replaced" && line.field("hook") == Some(&name)
        })?;
    }
    own("after")?;

    let calls = calls_of(server, &name, 3)?;
    let outcomes: Vec<&str> = calls.iter().map(|call| call.outcome.as_str()).collect();
    let bad = if whole { "answered" } else { "crashed" };
    ensure!(outcomes == ["answered", bad, "answered"], "{outcomes:?}");
    let processes: BTreeSet<Option<u64>> = calls.iter().map(|Asked { pid, .. }| *pid).collect();
    ensure!(processes.len() == 2, "asked were {processes:?}");
    Ok(())
}

#[test]
fn a_worker_that_dies_at_any_byte_of_its_answer_has_not_answered() -> Result<()> {
    let folder = Scratch::new()?;
    let worker = folder.script("worker.sh", WORKER)?;
    let cases =
        ["plain", "framed"].into_iter().flat_map(|form| (0..=LENGTH + 1).map(move |bytes| (form, bytes)));
    let cases: Vec<Case> = cases.collect();
    let config: String = cases.iter().map(|case| hook(&worker, *case)).collect();
    let server = Server::builder().config(config).start()?;
    std::thread::scope(|scope| {
        let lanes = (0..AT_ONCE).map(|lane| {
            let mine: Vec<Case> = cases.iter().copied().skip(lane).step_by(AT_ONCE).collect();
            let server = &server;
            scope.spawn(move || {
                mine.into_iter().try_for_each(|case| check(server, case).with_context(|| name(case)))
            })
        });
        let lanes: Vec<_> = lanes.collect();
        lanes.into_iter().try_for_each(|lane| lane.join().ok().context("a lane panicked")?)
    })?;
    server.stop()?;
    Ok(())
}
