//! The death of the server ends its programs; the death of the helper is survived by the server.

use crate::{alive, closed, launcher, lines, run, sh};
use jackfield_process::{ExitStatus, Output, Program, SpawnError};
use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags, Signal};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(3600);

/// Not a test: the server that `kill_of_the_server_ends_all_that_it_started` kills.
#[tokio::test]
#[ignore = "a role in another test"]
async fn role_of_a_server() {
    let launcher = launcher().await;
    // Each says a number to look for.
    let heeds = sh("echo $$; exec sleep 1000");
    let ignores = sh("trap '' TERM; echo $$; while :; do sleep 1; done");
    let leaves = sh("sleep 1000 & echo $!");
    let flees = sh("setsid sleep 1000 & echo $!; wait");
    let mut children = Vec::new();
    for program in [heeds, ignores, leaves, flees] {
        let mut child = launcher.spawn(Program { stderr: Output::Null, ..program }).await.unwrap();
        let mut lines = lines(&mut child);
        println!("pid {}", lines.next_line().await.unwrap().unwrap());
        children.push((child, lines));
    }
    println!("helper {}", launcher.running().await.unwrap().helper);
    std::future::pending::<()>().await;
}

fn pid_of(number: &str) -> Pid {
    Pid::from_raw(number.parse().unwrap()).unwrap()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the program under test is this one, not one of its programs")]
fn kill_of_the_server_ends_all_that_it_started() {
    let mut server = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "death::role_of_a_server", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines().map(Result::unwrap);
    let pids: Vec<String> = lines
        .by_ref()
        .filter_map(|line| line.split_once("pid ").map(|(_, pid)| pid.to_owned()))
        .take(4)
        .collect();
    let helper = lines.find_map(|line| line.strip_prefix("helper ").map(str::to_owned)).unwrap();
    assert!(pids.iter().all(|pid| alive(pid)), "{pids:?}");
    let helper = rustix::process::pidfd_open(pid_of(&helper), PidfdFlags::empty()).unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    // Readable when the helper has ended, which is when its work is done.
    rustix::event::poll(&mut [PollFd::new(&helper, PollFlags::IN)], None).unwrap();
    assert!(!pids.iter().any(|pid| alive(pid)), "{pids:?}");
}

#[tokio::test]
async fn a_killed_helper_takes_its_programs_along_and_is_replaced() {
    let launcher = launcher().await;
    for _ in 0..2 {
        let mut child = launcher.spawn(sh("echo ready; exec sleep 1000")).await.unwrap();
        let mut lines = lines(&mut child);
        lines.next_line().await.unwrap().unwrap();
        let helper = launcher.running().await.unwrap().helper;
        let pid = pid_of(&helper.to_string());
        rustix::process::kill_process(pid, Signal::KILL).unwrap();
        assert_eq!(child.wait().await, ExitStatus::Lost);
        closed(lines).await;
        let next = loop {
            match launcher.spawn(sh("exit 7")).await {
                Ok(child) => break child,
                Err(error) => {
                    // What was sent to it may have run; what was not cannot have.
                    assert!(matches!(error, SpawnError::HelperGone | SpawnError::HelperDied), "{error}");
                    assert_eq!(error.is_retryable(), matches!(error, SpawnError::HelperGone));
                }
            }
            tokio::task::yield_now().await;
        };
        let mut next = next;
        assert_eq!(next.wait().await, ExitStatus::Code(7));
        assert_ne!(launcher.running().await.unwrap().helper, helper);
    }
}

#[tokio::test]
async fn the_next_helper_takes_over_what_a_killed_one_left() {
    let launcher = launcher().await;
    let mut left = launcher.spawn(sh("sleep 1000 & echo $!")).await.unwrap();
    let mut left_lines = lines(&mut left);
    let background = left_lines.next_line().await.unwrap().unwrap();
    assert_eq!(left.wait().await, ExitStatus::Code(0));
    let mut unfinished = launcher.spawn(sh("sleep 1000 & echo $!; wait")).await.unwrap();
    let mut unfinished_lines = lines(&mut unfinished);
    unfinished_lines.next_line().await.unwrap().unwrap();

    let helper = launcher.running().await.unwrap().helper;
    let pid = pid_of(&helper.to_string());
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
    assert_eq!(unfinished.wait().await, ExitStatus::Lost);
    // The member of the unfinished group goes, though its leader alone was tied to the helper.
    closed(unfinished_lines).await;
    let running = loop {
        // The member has closed its pipe, but may not be quite gone.
        if let Some(running) = launcher.running().await
            && running.background < 2
        {
            break running;
        }
    };
    assert_eq!((running.programs, running.background), (0, 1));
    assert!(alive(&background));
    launcher.end_background(LONG).await.unwrap();
    closed(left_lines).await;
    assert_eq!(launcher.running().await.unwrap().background, 0);
}

#[tokio::test]
async fn the_last_handle_ends_the_helper_and_its_programs() {
    let launcher = launcher().await;
    let mut child = launcher.spawn(sh("sleep 1000 & echo $!")).await.unwrap();
    let mut left = lines(&mut child);
    left.next_line().await.unwrap().unwrap();
    child.wait().await;
    drop(launcher);
    closed(left).await;
}

#[tokio::test]
async fn signals_to_the_helper_other_than_kill_do_nothing() {
    let launcher = launcher().await;
    let helper = launcher.running().await.unwrap().helper;
    let pid = pid_of(&helper.to_string());
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::PIPE] {
        rustix::process::kill_process(pid, signal).unwrap();
    }
    assert_eq!(run(&launcher, sh("exit 0")).await.0, ExitStatus::Code(0));
    assert_eq!(launcher.running().await.unwrap().helper, helper);
}
