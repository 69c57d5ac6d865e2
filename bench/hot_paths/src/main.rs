//! Runs one hot path of the server so and so often, for its instructions to be counted: `cargo xtask perf-check`.
//!
//! The count of one turn is the difference between two runs, so what a run does before and after its turns falls out.
//! Everything runs in one thread, and nothing waits for a clock, so that two runs do the same. (`notices`, `outbox` and
//! `serve` are no such paths: their time is taken.)

mod client;
mod event;
mod facts;
mod fan_out;
mod message;
mod notices;
mod outbox;
mod serve;
mod under_valgrind;
mod worker;

use anyhow::{Context, Result, bail};

fn main() -> Result<()> {
    jackfield_process::run_helper_if_asked();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| -> Result<usize> {
        words.get(at).context("a number is missing")?.parse().context("not a number")
    };
    match words.first().map(String::as_str) {
        Some("message-in") => message::take(number(1)?),
        Some("fan-out") => in_runtime(fan_out::serve(number(1)?, number(2)?)),
        Some("event-without-hook") => in_runtime(event::tell(number(1)?)),
        Some("event-with-outbox") => in_runtime(event::store(number(1)?)),
        Some("worker-round-trip") => in_runtime(worker::ask(number(1)?)),
        Some("notices") => in_runtime(notices::deliver(number(1)?, words.get(2..).unwrap_or_default())),
        Some("outbox") => {
            let folder = words.get(3).context("a folder is missing")?;
            let (rate, seconds) = (u32::try_from(number(1)?)?, u64::try_from(number(2)?)?);
            let run = outbox::run(rate, seconds, folder.as_ref(), words.get(4..).unwrap_or_default());
            tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run)
        }
        Some("serve") => serve::run(words.get(1..).unwrap_or_default()),
        _ => bail!(
            "usage: hot_paths message-in TURNS | fan-out VIEWERS TURNS | event-without-hook TURNS | event-with-outbox TURNS | worker-round-trip TURNS
                | notices COUNT COMMAND… | outbox RATE SECONDS FOLDER COMMAND… | serve FLAGS OF JACKFIELD"
        ),
    }
}

fn in_runtime(path: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(path)
}
