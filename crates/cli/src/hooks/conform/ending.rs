//! The checks of programs that are about their end.

use super::Subject;
use super::events;
use super::line::{environment, told};
use super::report::{Finding, Report};
use jackfield_process::{ExitStatus, Output, Program, Stdin};
use jackfield_runtime::clock;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// How long a program is left waiting for the rest of its input.
const WAIT: Duration = Duration::from_millis(300);
/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// Plays them.
pub(super) async fn check(subject: &Subject<'_>, words: &[String], report: &mut Report) {
    report.add("a call that is given up", given_up(subject, words).await);
}

/// A client that leaves ends the program: SIGTERM to its group, SIGKILL 2 s later.
async fn given_up(subject: &Subject<'_>, words: &[String]) -> Finding {
    let event = events::usual(subject.usual());
    let mut env = environment();
    env.extend(event.environment());
    let (stdout, stderr) = (Output::Null, Output::Null);
    let program = Program { env, stdin: Stdin::Pipe, stdout, stderr, ..Program::new(words) };
    let mut child = match subject.local.host.launcher.spawn(program).await {
        Ok(child) => child,
        Err(error) => {
            return Finding::Failed {
                what: format!("it could not be started: {error}"),
                next: "Does it exist, may it be executed?",
            };
        }
    };
    let mut stdin = child.stdin.take();
    if let Some(stdin) = &mut stdin {
        // Half of the event: who reads waits for the rest.
        let json = event.json();
        drop(stdin.write_all(json.get(..json.len() / 2).unwrap_or_default()).await);
    }
    let ended = clock::until(clock::now().after(WAIT), child.wait()).await;
    if ended.is_some() {
        return Finding::Passed("it ends before its input does".to_owned());
    }
    child.terminate(GRACE);
    match child.wait().await {
        ExitStatus::Signal(9) => Finding::Advice {
            what: "it had to be killed after 2 s".to_owned(),
            next: "End at SIGTERM: what you have begun is cut off otherwise.",
        },
        status => Finding::Passed(format!("ends at SIGTERM with {}", told(status))),
    }
}
