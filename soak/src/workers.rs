//! Workers of hooks, good and bad: this program, started by the server.

use anyhow::Result;
use clap::ValueEnum;
use serde_json::{Value, json};
use std::io::{BufRead, Write, stdin, stdout};
use std::time::Duration;

/// How a worker behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Manner {
    /// Answers everything at once, without an opinion.
    Good,
    /// Answers what nobody asked.
    WrongIds,
    /// Says what is no answer.
    Garbage,
    /// Dies of each event.
    Dies,
    /// Answers when nobody waits any more.
    Slow,
}

/// Longer than the hooks' deadline.
const SLOW: Duration = Duration::from_millis(700);

/// Runs until the server closes our input.
pub(crate) fn run(manner: Manner) -> Result<()> {
    let mut out = stdout().lock();
    if manner != Manner::Garbage {
        writeln!(out, "{}", json!({ "t": "hello", "proto": [1], "concurrency": 16 }))?;
        out.flush()?;
    }
    for line in stdin().lock().lines() {
        let message: Value = serde_json::from_str(&line?)?;
        if !matches!(message["t"].as_str(), Some("event") | None) {
            continue;
        }
        // The server asks without waiting for the hello; such a line is answered as a plain worker does.
        let answer = message.get("d").map_or(json!({}), |delivery| json!({ "d": delivery }));
        match manner {
            Manner::Good => writeln!(out, "{answer}")?,
            Manner::WrongIds => writeln!(out, "{}", json!({ "d": "dlv_of_nobody", "decision": "allow" }))?,
            Manner::Garbage => out.write_all(b"\xff\xfe{]\"allow\"\n")?,
            Manner::Dies => std::process::exit(3),
            Manner::Slow => {
                std::thread::sleep(SLOW);
                writeln!(out, "{answer}")?;
            }
        }
        out.flush()?;
    }
    Ok(())
}
