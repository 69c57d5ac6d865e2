//! The real server, in which notices are told beside all that happens in it: what they cost the media. `bench/run` starts it.
//!
//! It takes the flags of `jackfield`, says where it listens, and reads orders: `RATE SECONDS WAIT` tells so many notices a
//! second for so many seconds, waits so many seconds at most until its hooks have them, and prints figures.

use crate::facts::{Facts, Told};
use anyhow::{Context, Result};
use jackfield_dispatch::Dispatch;
use jackfield_hooks::Outcome;
use jackfield_server::config::Flags;
use jackfield_server::{Inside, Server};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Serves until a signal stops it.
pub fn run(words: &[String]) -> Result<()> {
    let mut flags = Flags::default();
    for pair in words.chunks(2) {
        let [flag, value] = pair else { anyhow::bail!("{pair:?} is no flag with a value") };
        match flag.trim_start_matches('-') {
            "config" => flags.config = Some(PathBuf::from(value)),
            name => flags.given.push((name.into(), value.into())),
        }
    }
    let mut begun = Ok(());
    Server::load(flags)?.run_with(|inside| begun = begin(inside))?;
    begun
}

fn begin(inside: Inside) -> Result<()> {
    let facts = Facts::new(&inside.bus)?;
    println!(r#"{{"listen":"{}"}}"#, inside.rtmp.first().context("no listener")?);
    std::thread::Builder::new().name("teller".into()).spawn(move || {
        for order in std::io::stdin().lines().map_while(Result::ok) {
            match obey(&inside, &facts, &order) {
                Ok(figures) => println!("{figures}"),
                Err(error) => eprintln!("{order:?}: {error:#}"),
            }
        }
    })?;
    Ok(())
}

fn obey(inside: &Inside, facts: &Facts, order: &str) -> Result<String> {
    let mut words = order.split_whitespace();
    let mut word = || words.next().context("RATE SECONDS WAIT");
    let rate = word()?.parse()?;
    let (during, wait) = (word()?.parse()?, word()?.parse()?);
    let answered_before = answered(&inside.dispatch);
    let stored = || inside.bus.outbox().map(|outbox| outbox.counters());
    let before = stored();
    let start = Instant::now();
    let told = facts.tell_for(&inside.bus, rate, Duration::from_secs_f64(during));
    let after = stored();
    let answered =
        || answered(&inside.dispatch).iter().zip(&answered_before).map(|(now, then)| now - then).min();
    let deadline = Instant::now() + Duration::from_secs_f64(wait);
    while answered().is_some_and(|fewest| fewest < told.count) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    let Told { count, line_bytes, elapsed, p99, max, most_behind } = told;
    let (written, lost) = before
        .zip(after)
        .map_or((0, 0), |(before, after)| (after.written - before.written, after.lost - before.lost));
    let fewest = answered().map_or("null".into(), |fewest| fewest.to_string());
    Ok(format!(
        r#"{{"told":{count},"line_bytes":{line_bytes},"seconds":{:.3},"tell_p99_us":{:.1},"tell_max_us":{:.1},"most_behind":{most_behind},"stored":{written},"lost":{lost},"answered_by_each":{fewest},"answered_after_s":{:.3}}}"#,
        elapsed.as_secs_f64(),
        p99.as_secs_f64() * 1e6,
        max.as_secs_f64() * 1e6,
        start.elapsed().as_secs_f64(),
    ))
}

/// What each hook has answered.
fn answered(dispatch: &Dispatch) -> Vec<u64> {
    dispatch.status().iter().map(|status| status.tally.outcome(Outcome::Answered)).collect()
}
