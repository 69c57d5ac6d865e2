//! The project's own chores: `cargo xtask <task>`.
//!
//! | task | what it does |
//! |---|---|
//! | `tidy` | checks the house rules that no compiler knows ([`tidy`]) |
//! | `generate [--check]` | writes the generated documents, or tells which are out of date ([`generate`]) |
//! | `simulate [--seeds N]` | plays the hook engine's core against its laws ([`simulate`]) |
//! | `perf-check [--update]` | counts the instructions of the hot paths, and tells what moved ([`perf_check`]) |
//!
//! A task is a module with one function that takes the arguments after the task's name; [`TASKS`] lists them.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

mod generate;
mod perf_check;
mod simulate;
mod tidy;

use std::process::ExitCode;

struct Task {
    name: &'static str,
    about: &'static str,
    run: fn(&[String]) -> anyhow::Result<()>,
}

const TASKS: &[Task] = &[
    Task {
        name: "tidy",
        about: "check layers, sans-IO crates, code map, module heads, lengths",
        run: tidy::run,
    },
    Task {
        name: "generate",
        about: "write the generated documents (--check: only compare)",
        run: generate::run,
    },
    Task {
        name: "simulate",
        about: "play the hook engine's core against its laws (--seeds N, --seed S --trace, --mutations)",
        run: simulate::run,
    },
    Task {
        name: "perf-check",
        about: "count the instructions of the hot paths (--update: keep the counts)",
        run: perf_check::run,
    },
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let task = args.first().and_then(|name| TASKS.iter().find(|task| task.name == name));
    let Some(task) = task else {
        eprintln!("usage: cargo xtask <task>\n");
        for Task { name, about, .. } in TASKS {
            eprintln!("  {name:<10} {about}");
        }
        return ExitCode::from(2);
    };
    match (task.run)(args.get(1..).unwrap_or_default()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error:#}", task.name);
            ExitCode::FAILURE
        }
    }
}
