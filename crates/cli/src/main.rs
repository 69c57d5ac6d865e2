//! The binary `jackfield`: arguments in, exit code out.

mod arguments;
mod client;
mod commands;
mod dlq;
mod explain;
mod failed;
mod health;
mod hooks;
mod listen;
mod manual;
mod paint;
mod remote;
mod replay;
mod tail;
mod token;

use std::process::ExitCode;

fn main() -> ExitCode {
    jackfield_process::run_helper_if_asked();
    commands::run(std::env::args_os())
}
