//! The tools of hook authors, as they are typed.

mod checking;
mod remote;
mod starters;
mod walk;

use anyhow::{Context, Result, ensure};
use jackfield_e2e::{Finished, Program, SOON, Server};
use serde_json::Value;
use std::ffi::OsString;
use std::path::Path;

/// The binary with these arguments, in this folder.
fn tool(folder: &Path, args: &[&str]) -> Result<Program> {
    Ok(Program::new(jackfield_e2e::server()?).cwd(folder).args(args))
}

/// Runs it to its end.
fn run(folder: &Path, args: &[&str]) -> Result<Finished> {
    tool(folder, args)?.run(SOON)
}

/// What it prints; it must end with 0.
fn printed(folder: &Path, args: &[&str]) -> Result<String> {
    let ran = run(folder, args)?;
    ensure!(ran.code == Some(0), "{args:?} ended with {:?}: {}\n{}", ran.code, ran.stderr, ran.stdout);
    Ok(ran.stdout)
}

/// The same, as JSON.
fn json(folder: &Path, args: &[&str]) -> Result<Value> {
    let printed = printed(folder, args)?;
    serde_json::from_str(&printed).with_context(|| format!("{args:?} printed {printed}"))
}

/// The arguments of a tool that talks to this server.
fn to(server: &Server, args: &[&str]) -> Vec<OsString> {
    let api = format!("http://{}", server.http());
    let mut all: Vec<OsString> = args.iter().map(Into::into).collect();
    all.extend(["--api".into(), api.into(), "--data-dir".into(), server.folder().join("data").into()]);
    all
}
