//! The binary as its users meet it: arguments, exit codes, signals, standard output.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "the binary itself is started, from outside")]

mod client;
mod command_line;
mod server;
mod tools;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The binary, with no configuration from the environment of the test.
fn jackfield() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jackfield"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("JACKFIELD_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// What it printed, and its exit code.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn run(args: &[&str]) -> Ran {
    ran(jackfield().args(args).output().unwrap())
}

fn ran(output: Output) -> Ran {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A folder of one test, removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("jackfield-cli-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// A program for `/bin/sh`.
    fn script(&self, name: &str, lines: &str) -> String {
        use std::os::unix::fs::PermissionsExt;
        let path = self.write(name, &format!("#!/bin/sh\n{lines}\n"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
