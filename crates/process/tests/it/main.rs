//! Real programs through a real helper. The test binary is its own helper and, for the tests of its
//! death, the server.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod background;
mod death;
mod ending;
mod hanging;
mod starting;

use jackfield_process::{Child, Env, ExitStatus, Launcher, LauncherConfig, Program};
use jackfield_runtime::Tasks;
use std::ffi::OsString;
use std::path::Path;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::unix::pipe;

jackfield_process::helper_in_tests!();

async fn launcher() -> Launcher {
    Launcher::start(LauncherConfig::default(), &Tasks::new()).await.unwrap()
}

fn program<A: Into<OsString>>(argv: impl IntoIterator<Item = A>) -> Program {
    Program { env: [("PATH", "/usr/bin:/bin")].into_iter().collect::<Env>(), ..Program::new(argv) }
}

fn sh(script: &str) -> Program {
    program(["sh", "-c", script])
}

/// What it wrote and how it ended.
async fn run(launcher: &Launcher, program: Program) -> (ExitStatus, String, String) {
    let mut child = launcher.spawn(program).await.unwrap();
    let (mut stdout, mut stderr) = (String::new(), String::new());
    if let Some(mut pipe) = child.stdout.take() {
        pipe.read_to_string(&mut stdout).await.unwrap();
    }
    if let Some(mut pipe) = child.stderr.take() {
        pipe.read_to_string(&mut stderr).await.unwrap();
    }
    (child.wait().await, stdout, stderr)
}

async fn stdout_of(launcher: &Launcher, program: Program) -> String {
    run(launcher, program).await.1
}

/// The lines of its standard output, as they come.
fn lines(child: &mut Child) -> tokio::io::Lines<BufReader<pipe::Receiver>> {
    BufReader::new(child.stdout.take().unwrap()).lines()
}

/// Waits until nobody holds the writing end any more.
async fn closed(mut lines: tokio::io::Lines<BufReader<pipe::Receiver>>) {
    while lines.next_line().await.unwrap().is_some() {}
}

fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// A folder of this test alone, with files in it.
fn folder(name: &str) -> std::path::PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
