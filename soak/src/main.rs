//! The soak: a server under load, with hooks that misbehave, for as long as one likes.
//!
//! One process has the real server in it ([`server`]); another, which is started by people, has its publishers,
//! players and webhook receivers, reads all its events, and judges ([`run`]). What is checked stands in
//! [`findings::Check`]. `docs/reliability.md` says how it is used.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the outside world: it starts the server under test, has threads that wait for its output, and tells the date"
)]
#![expect(clippy::print_stdout, reason = "it reports to people")]

mod board;
mod clip;
mod control;
mod director;
mod findings;
mod hooks;
mod ledger;
mod plan;
mod publishers;
mod receiver;
mod recorder;
mod run;
mod sequence;
mod server;
mod verdicts;
mod viewers;
mod watch;
mod workers;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "soak", about = "Runs a server under load and checks what it must never do")]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    run: plan::Wishes,
}

/// What else the program is, when it is started by itself or by the server.
#[derive(Subcommand)]
enum Role {
    /// The server under test.
    #[command(hide = true)]
    Server {
        /// Its configuration.
        config: PathBuf,
        /// The socket on which it is asked.
        control: PathBuf,
    },
    /// A worker of its hooks.
    #[command(hide = true)]
    Worker {
        /// How it behaves.
        manner: workers::Manner,
    },
}

fn main() -> ExitCode {
    jackfield_process::run_helper_if_asked();
    let arguments = Arguments::parse();
    let result = match arguments.role {
        None => run::run(&arguments.run),
        Some(Role::Server { config, control }) => server::run(config, control).map(|()| ExitCode::SUCCESS),
        Some(Role::Worker { manner }) => workers::run(manner).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        println!("soak: {error:#}");
        ExitCode::FAILURE
    })
}
