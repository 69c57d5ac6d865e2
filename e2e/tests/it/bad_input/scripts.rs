//! Scripts that do not end, do not read, or do not stop to print.

use super::lifeline::Lifeline;
use super::{HookCall, calls, first_call};
use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::{Client, Refused};
use jackfield_e2e::{Scratch, Server, forget_peak, peak_kib, resident_kib};

/// The timeout of the hooks here.
const TIMEOUT_MS: u64 = 1000;
/// SIGTERM, two seconds, SIGKILL, and some time to see the end.
const ENDING_MS: u64 = 2500;
/// What a busy machine may add until the end of a call is noted.
const SLACK_MS: u64 = 500;
/// What all calls of a test together may take of the server's memory.
const FLAT_KIB: u64 = 16 * 1024;

/// Which end of a program is looked at.
#[derive(Clone, Copy, PartialEq)]
enum Group {
    /// The program was ended: its whole group must be gone.
    Gone,
    /// It ended by itself: what it left lives on until the server stops.
    LivesOn,
}

struct Case {
    name: &'static str,
    /// After `exec 9>` of its lifeline.
    script: &'static str,
    /// Of a question, then of a notice.
    outcomes: [&'static [&'static str]; 2],
    group: Group,
}

const CASES: [Case; 12] = [
    Case {
        name: "never-ends",
        script: "sleep 600",
        outcomes: [&["timeout"], &["timeout"]],
        group: Group::Gone,
    },
    Case {
        name: "ignores-sigterm",
        script: "trap '' TERM INT HUP\nwhile :; do sleep 1; done",
        outcomes: [&["timeout"], &["timeout"]],
        group: Group::Gone,
    },
    Case {
        name: "forks-and-waits",
        script: "sleep 600 & sleep 600 &\n(trap '' TERM; sleep 600) &\nwait",
        outcomes: [&["timeout"], &["timeout"]],
        group: Group::Gone,
    },
    Case {
        name: "forks-and-holds-stdout",
        script: "sleep 600 &\nexit 0",
        outcomes: [&["answered"], &["answered"]],
        group: Group::LivesOn,
    },
    Case {
        name: "prints-lines",
        script: "yes 'a line of some length that nobody wants to read' | head -c 1000000000",
        outcomes: [&["protocol_error"], &["answered", "timeout"]],
        group: Group::Gone,
    },
    Case {
        name: "prints-no-newline",
        script: "head -c 1000000000 /dev/zero",
        outcomes: [&["protocol_error"], &["answered", "timeout"]],
        group: Group::Gone,
    },
    Case {
        name: "prints-on-stderr",
        script: "head -c 1000000000 /dev/zero >&2",
        outcomes: [&["answered", "timeout"], &["answered", "timeout"]],
        group: Group::Gone,
    },
    Case {
        name: "prints-for-ever-and-ignores-sigterm",
        script: "trap '' TERM\nyes",
        outcomes: [&["protocol_error"], &["timeout"]],
        group: Group::Gone,
    },
    Case {
        name: "closes-stdin",
        script: "exec 0<&-\nexit 0",
        outcomes: [&["answered"], &["answered"]],
        group: Group::Gone,
    },
    Case {
        name: "exits-before-reading",
        script: "exit 0",
        outcomes: [&["answered"], &["answered"]],
        group: Group::Gone,
    },
    Case {
        name: "closes-stdout-and-stays",
        script: "exec 0<&- 1>&- 2>&-\nsleep 600",
        outcomes: [&["timeout"], &["timeout"]],
        group: Group::Gone,
    },
    Case {
        name: "kills-itself",
        script: "kill -KILL $$",
        outcomes: [&["crashed", "handler_error"], &["crashed", "handler_error"]],
        group: Group::Gone,
    },
];

/// A server with a hook for each case, on a stream of the case's name.
fn start(folder: &Scratch, event: &str) -> Result<(Server, Vec<Lifeline>)> {
    let mut config = String::new();
    let mut lifelines = Vec::new();
    for Case { name, script, .. } in &CASES {
        let lifeline = folder.path().join(format!("{name}.pipe"));
        lifelines.push(Lifeline::new(&lifeline)?);
        let text = format!("#!/bin/sh\nexec 9>'{}'\n{script}\n", lifeline.display());
        let script = folder.script(name, &text)?;
        config += &format!(
            "[[hook]]\nname = \"{name}\"\non = [\"{event}\"]\nstreams = [\"live/{name}\"]\nrun = [\"{}\"]\ntimeout = \"{TIMEOUT_MS}ms\"\n",
            script.display()
        );
    }
    Ok((Server::builder().config(config).start()?, lifelines))
}

/// What must hold of each case once its client has been there.
fn check(server: &Server, case: &Case, lifeline: &Lifeline, expect: &[&str]) -> Result<()> {
    lifeline.wait_opened()?;
    let HookCall { outcome, elapsed_ms, event, .. } = first_call(server, case.name)?;
    ensure!(expect.contains(&outcome.as_str()), "{event} ended with {outcome}");
    ensure!(elapsed_ms <= TIMEOUT_MS + ENDING_MS + SLACK_MS, "{event} took {elapsed_ms} ms");
    if case.group == Group::Gone {
        lifeline.wait_gone()?;
    }
    Ok(())
}

/// Lets `client` come once for each case, all at the same time, and checks what must hold.
fn run(
    event: &str,
    expect: impl Fn(&Case) -> &'static [&'static str] + Sync,
    client: impl Fn(&Server, &Case) -> Result<()> + Sync,
) -> Result<()> {
    let folder = Scratch::new()?;
    let (server, lifelines) = start(&folder, event)?;
    forget_peak(server.pid())?;
    let before = resident_kib(server.pid())?;
    std::thread::scope(|scope| {
        let tries = CASES.iter().zip(&lifelines).map(|(case, lifeline)| {
            let (server, client, expect) = (&server, &client, &expect);
            scope.spawn(move || {
                client(server, case)?;
                check(server, case, lifeline, expect(case))
            })
        });
        let tries: Vec<_> = tries.collect();
        for (case, tried) in CASES.iter().zip(tries) {
            tried.join().ok().context("a case panicked")?.with_context(|| case.name.to_owned())?;
        }
        anyhow::Ok(())
    })?;
    let grown = peak_kib(server.pid())?.saturating_sub(before);
    ensure!(grown < FLAT_KIB, "the server grew by {grown} KiB");
    for (case, lifeline) in CASES.iter().zip(&lifelines) {
        let count = calls(&server, case.name).len();
        ensure!(count == 1, "{}: {count} outcomes of one call", case.name);
        ensure!(
            lifeline.is_held() == (case.group == Group::LivesOn),
            "{}: the end of its group came at another time",
            case.name
        );
    }
    server.stop()?;
    // The server's end is the end of what was left in the background, too.
    lifelines.iter().try_for_each(Lifeline::wait_gone)
}

#[test]
fn a_question_to_a_misbehaving_script_has_one_outcome_in_time_and_leaves_nothing() -> Result<()> {
    run(
        "authorize_publish",
        |case| case.outcomes[0],
        |server, case| {
            let answer = Client::connect(server.rtmp(), "live")?.publish(case.name);
            let told = match answer {
                Ok(_) => "answered".to_owned(),
                Err(error) => error.downcast::<Refused>()?.description,
            };
            let outcome = first_call(server, case.name)?.outcome;
            ensure!(
                told == if outcome == "answered" { "answered" } else { "Refused." },
                "{outcome}, but {told}"
            );
            Ok(())
        },
    )
}

#[test]
fn a_notice_to_a_misbehaving_script_has_one_outcome_in_time_and_leaves_nothing() -> Result<()> {
    run(
        "publish_start",
        |case| case.outcomes[1],
        |server, case| Client::connect(server.rtmp(), "live")?.publish(case.name).map(drop),
    )
}
