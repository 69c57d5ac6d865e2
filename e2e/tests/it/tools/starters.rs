//! What `hooks init` writes works as it is: its own test, one call, the checks.

use super::{json, printed, run};
use anyhow::{Context, Result, ensure};
use jackfield_e2e::{Program, Scratch, Server, all_cases, rtmp::Client};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Compiling takes its time on a busy machine.
const LONG: Duration = Duration::from_secs(300);

/// Writes a starter and returns its folder, and the commands that it says come next.
fn init(scratch: &Scratch, lang: &str, kind: &str) -> Result<(PathBuf, Vec<String>)> {
    let folder = scratch.path().join(format!("{lang}{kind}"));
    let made = folder.to_str().context("a folder of words")?;
    let written = json(scratch.path(), &["hooks", "init", "--lang", lang, kind, made, "--json"])?;
    let next = written["next"].as_array().context("no next steps")?;
    let next = next.iter().map(|step| Ok(step.as_str().context("a step is a text")?.to_owned()));
    Ok((folder, next.collect::<Result<_>>()?))
}

/// Types a line in the folder, in which `jackfield` is the one of this build.
fn type_in(folder: &Path, line: &str) -> Result<()> {
    let own = jackfield_e2e::server()?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path =
        std::iter::once(own.parent().context("a folder")?.to_path_buf()).chain(std::env::split_paths(&path));
    let program =
        Program::new("bash").args(["-c", line]).cwd(folder).env("PATH", std::env::join_paths(path)?);
    // It builds into its own folder, as at a user's.
    let ran = program.env("CARGO_TARGET_DIR", folder.join("target")).run(LONG)?;
    ensure!(ran.code == Some(0), "{line} ended with {:?}: {}\n{}", ran.code, ran.stderr, ran.stdout);
    Ok(())
}

/// All of its steps but the last, which starts a server.
fn check(lang: &str, kind: &str) -> Result<()> {
    let scratch = Scratch::new()?;
    let (folder, next) = init(&scratch, lang, kind)?;
    let (server, others) = next.split_last().context("no next steps")?;
    ensure!(server == "jackfield --config jackfield.toml", "{server}");
    others.iter().try_for_each(|step| type_in(&folder, step))?;
    printed(&folder, &["check", "--config", "jackfield.toml"]).map(drop)
}

#[test]
fn the_worker_in_bash_works() -> Result<()> {
    check("bash", "--worker")
}

#[test]
fn the_program_in_bash_works() -> Result<()> {
    check("bash", "--run")
}

#[test]
fn the_worker_in_python_works() -> Result<()> {
    check("python", "--worker")
}

#[test]
fn the_program_in_python_works() -> Result<()> {
    check("python", "--run")
}

#[test]
fn the_worker_in_node_works() -> Result<()> {
    check("node", "--worker")
}

#[test]
fn the_program_in_node_works() -> Result<()> {
    check("node", "--run")
}

#[test]
fn the_starters_in_go_work_where_there_is_a_go() -> Result<()> {
    if Program::new("go").args(["version"]).run(LONG).is_err() {
        println!("skipped: no go here");
        return Ok(());
    }
    check("go", "--worker")?;
    check("go", "--run")
}

#[test]
fn the_starters_in_rust_work() -> Result<()> {
    if !all_cases() {
        println!("skipped: they fetch and compile serde_json; `make test-all` does");
        return Ok(());
    }
    check("rust", "--worker")?;
    check("rust", "--run")
}

#[test]
fn the_server_runs_a_starter_with_its_configuration() -> Result<()> {
    let scratch = Scratch::new()?;
    let (folder, _) = init(&scratch, "python", "--worker")?;
    let server =
        Server::builder().line(format!("cd '{}' && jackfield --config jackfield.toml", folder.display()));
    let server = server.start()?;
    let refused = Client::connect(server.rtmp(), "live")?.publish("show?token=guess");
    ensure!(
        refused.is_err_and(|error| error.to_string().contains("Wrong or missing token.")),
        "it was let in"
    );
    Client::connect(server.rtmp(), "live")?.publish("show?token=letmein")?;
    server.stop()?;
    Ok(())
}

#[test]
fn a_starter_writes_over_nothing() -> Result<()> {
    let scratch = Scratch::new()?;
    let notes = scratch.file("README.md", "mine")?;
    let folder = scratch.path().to_str().context("a folder of words")?;
    let ran = run(scratch.path(), &["hooks", "init", "--lang", "bash", folder])?;
    ensure!(ran.code == Some(1) && ran.stderr.contains("README.md is there already"), "{ran:?}");
    ensure!(std::fs::read_to_string(notes)? == "mine", "the file was written over");
    ensure!(std::fs::read_dir(scratch.path())?.count() == 1, "other files were written");
    let ran = run(scratch.path(), &["hooks", "init", "--lang", "pyton", "x"])?;
    ensure!(ran.code == Some(2) && ran.stderr.contains("python"), "{ran:?}");
    Ok(())
}
