//! How unfinished programs are ended: with all of their group.

use crate::{alive, closed, launcher, lines, program, run, sh};
use jackfield_process::{ExitStatus, Output, Program};
use std::time::Duration;

/// Longer than any test runs: an end that waits for it never comes.
const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn terminate_asks_with_sigterm_and_leaves_time_to_answer() {
    let launcher = launcher().await;
    let script = "trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    let mut child = launcher.spawn(sh(script)).await.unwrap();
    let mut lines = lines(&mut child);
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("ready"));
    child.terminate(LONG);
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("bye"));
    assert_eq!(child.wait().await, ExitStatus::Code(5));
}

#[tokio::test]
async fn who_ignores_sigterm_is_killed_after_the_grace_with_the_whole_group() {
    let launcher = launcher().await;
    let script = "trap '' TERM; sh -c 'echo $$; while :; do sleep 1; done' & echo ready; wait; wait; wait";
    let mut child = launcher.spawn(sh(script)).await.unwrap();
    let mut lines = lines(&mut child);
    for _ in 0..2 {
        lines.next_line().await.unwrap().unwrap();
    }
    child.terminate(Duration::from_millis(100));
    assert_eq!(child.wait().await, ExitStatus::Signal(9));
    closed(lines).await;
}

#[tokio::test]
async fn members_that_outlive_their_ended_leader_are_killed_after_the_grace() {
    let launcher = launcher().await;
    // The leader heeds SIGTERM, its child does not.
    let script = "sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' & wait";
    let mut child = launcher.spawn(sh(script)).await.unwrap();
    let mut lines = lines(&mut child);
    lines.next_line().await.unwrap().unwrap();
    child.terminate(Duration::from_millis(100));
    assert_eq!(child.wait().await, ExitStatus::Signal(15));
    closed(lines).await;
    while launcher.running().await.unwrap().programs > 0 {}
}

#[tokio::test]
async fn a_shorter_grace_replaces_a_longer_one() {
    let launcher = launcher().await;
    let mut child = launcher.spawn(sh("trap '' TERM; echo ready; while :; do sleep 1; done")).await.unwrap();
    let mut lines = lines(&mut child);
    lines.next_line().await.unwrap().unwrap();
    child.terminate(LONG);
    child.terminate(Duration::from_millis(50));
    assert_eq!(child.wait().await, ExitStatus::Signal(9));
    closed(lines).await;
}

#[tokio::test]
async fn kill_and_drop_end_the_whole_group_at_once() {
    let launcher = launcher().await;
    let script = "trap '' TERM; sleep 1000 & echo ready; wait";
    let mut child = launcher.spawn(sh(script)).await.unwrap();
    let mut killed = lines(&mut child);
    killed.next_line().await.unwrap().unwrap();
    child.kill();
    assert_eq!(child.wait().await, ExitStatus::Signal(9));
    closed(killed).await;

    let mut child = launcher.spawn(sh(script)).await.unwrap();
    let mut dropped = lines(&mut child);
    dropped.next_line().await.unwrap().unwrap();
    drop(child);
    closed(dropped).await;
}

#[tokio::test]
async fn dropping_a_child_that_is_being_terminated_leaves_it_its_grace() {
    let launcher = launcher().await;
    let script = "trap 'sleep 0.2; echo bye; exit' TERM; echo ready; while :; do sleep 0.05; done";
    let mut child = launcher.spawn(Program { stderr: Output::Null, ..sh(script) }).await.unwrap();
    let mut lines = lines(&mut child);
    lines.next_line().await.unwrap().unwrap();
    child.terminate(LONG);
    drop(child);
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("bye"));
}

#[tokio::test]
async fn a_stopped_program_is_ended_too() {
    let launcher = launcher().await;
    let mut child = launcher.spawn(sh("echo ready; kill -STOP $$; sleep 1000")).await.unwrap();
    let mut lines = lines(&mut child);
    lines.next_line().await.unwrap().unwrap();
    child.terminate(LONG);
    assert_eq!(child.wait().await, ExitStatus::Signal(15));
}

#[tokio::test]
async fn a_start_that_nobody_waits_for_any_more_is_undone() {
    let launcher = launcher().await;
    for _ in 0..50 {
        let spawning = launcher.spawn(program(["sleep", "1000"]));
        // Polled once: the request is under way, its answer is not.
        tokio::select! { biased; _ = spawning => {}, () = std::future::ready(()) => {} }
    }
    while launcher.running().await.unwrap().programs > 0 {}
}

#[tokio::test]
async fn a_deadline_after_the_end_hits_nobody() {
    let launcher = launcher().await;
    let mut child = launcher.spawn(sh("sleep 1000 & echo $!")).await.unwrap();
    let mut lines = lines(&mut child);
    let left = lines.next_line().await.unwrap().unwrap();
    assert_eq!(child.wait().await, ExitStatus::Code(0));
    child.terminate(Duration::ZERO);
    child.kill();
    drop(child);
    // A round trip: what was asked before is done.
    assert_eq!(run(&launcher, sh("exit 0")).await.0, ExitStatus::Code(0));
    assert!(alive(&left));
    launcher.stop(Duration::ZERO).await.unwrap();
}
