//! What a finished program leaves behind lives on, and ends when the server stops.

use crate::{alive, closed, launcher, lines, run, sh};
use jackfield_process::{ExitStatus, Output, Program, SpawnError};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_grandchild_that_holds_stdout_does_not_hold_the_exit() {
    let launcher = launcher().await;
    let mut child = launcher.spawn(sh("sleep 1000 & echo $!")).await.unwrap();
    let mut lines = lines(&mut child);
    assert!(alive(&lines.next_line().await.unwrap().unwrap()));
    assert_eq!(child.wait().await, ExitStatus::Code(0));
    launcher.stop(Duration::ZERO).await.unwrap();
    closed(lines).await;
}

#[tokio::test]
async fn the_background_lives_on_and_ends_with_end_background() {
    let launcher = launcher().await;
    let script = "sh -c 'trap \"echo saved; exit\" TERM; echo $$; while :; do sleep 0.05; done' &";
    // Its standard error is not a pipe, whose end with the child would make its shell die of writing.
    let mut child = launcher.spawn(Program { stderr: Output::Null, ..sh(script) }).await.unwrap();
    assert_eq!(child.wait().await, ExitStatus::Code(0));
    let mut left = lines(&mut child);
    let pid = left.next_line().await.unwrap().unwrap();
    drop(child);
    for _ in 0..20 {
        run(&launcher, sh("exit 0")).await;
    }
    let running = launcher.running().await.unwrap();
    assert_eq!((running.programs, running.background), (0, 1));
    assert!(alive(&pid));

    launcher.end_background(LONG).await.unwrap();
    assert_eq!(left.next_line().await.unwrap().as_deref(), Some("saved"), "it could end in good order");
    closed(left).await;
    assert_eq!(launcher.running().await.unwrap().background, 0);
}

#[tokio::test]
async fn background_that_ends_by_itself_is_forgotten() {
    let launcher = launcher().await;
    let mut child = launcher.spawn(sh("sleep 0.1 &")).await.unwrap();
    let lines = lines(&mut child);
    assert_eq!(child.wait().await, ExitStatus::Code(0));
    closed(lines).await;
    while launcher.running().await.unwrap().background > 0 {}
}

#[tokio::test]
async fn background_that_ignores_sigterm_is_killed_after_the_grace() {
    let launcher = launcher().await;
    let script = "sh -c 'trap \"\" TERM; echo ready; while :; do sleep 1; done' &";
    let mut child = launcher.spawn(sh(script)).await.unwrap();
    let mut lines = lines(&mut child);
    lines.next_line().await.unwrap().unwrap();
    child.wait().await;
    launcher.end_background(Duration::from_millis(100)).await.unwrap();
    closed(lines).await;
}

#[tokio::test]
async fn nothing_gets_away_by_its_own_session_or_a_double_fork() {
    let launcher = launcher().await;
    let script = "setsid sh -c '(sleep 1000 & echo $!) ; setsid sleep 1000 & echo $!' & wait";
    let mut child = launcher.spawn(sh(script)).await.unwrap();
    let mut lines = lines(&mut child);
    let pids = [lines.next_line().await.unwrap().unwrap(), lines.next_line().await.unwrap().unwrap()];
    assert_eq!(child.wait().await, ExitStatus::Code(0));
    assert!(pids.iter().all(|pid| alive(pid)));
    launcher.end_background(LONG).await.unwrap();
    assert!(!pids.iter().any(|pid| alive(pid)));
    closed(lines).await;
}

#[tokio::test]
async fn ending_the_background_leaves_unfinished_programs_alone() {
    let launcher = launcher().await;
    let mut worker = launcher.spawn(sh("sleep 1000 & echo $!; wait")).await.unwrap();
    let mut left = lines(&mut worker);
    let member = left.next_line().await.unwrap().unwrap();
    let background = Program { stdout: Output::Null, stderr: Output::Null, ..sh("sleep 1000 &") };
    run(&launcher, background).await;
    launcher.end_background(LONG).await.unwrap();
    let running = launcher.running().await.unwrap();
    assert_eq!((running.programs, running.background), (1, 0));
    assert!(alive(&member));
    worker.kill();
    assert_eq!(worker.wait().await, ExitStatus::Signal(9));
    closed(left).await;
}

#[tokio::test]
async fn stop_ends_everything_and_then_nothing_starts_any_more() {
    let launcher = launcher().await;
    let mut worker = launcher.spawn(sh("echo ready; sleep 1000")).await.unwrap();
    let mut left = lines(&mut worker);
    left.next_line().await.unwrap().unwrap();
    let helper = launcher.running().await.unwrap().helper;
    launcher.stop(LONG).await.unwrap();
    assert_eq!(worker.wait().await, ExitStatus::Signal(15));
    closed(left).await;
    assert!(!alive(&helper.to_string()));
    assert!(matches!(launcher.spawn(sh("exit 0")).await, Err(SpawnError::Stopped)));
}
