//! Seeds, one by one or by the hundred thousand.

use crate::trace::Trace;
use crate::world::World;
use jackfield_hooks::Mutation;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Seeds that a thread takes at once.
const BATCH: u64 = 64;

/// A law that a seed has broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The seed.
    pub seed: u64,
    /// Which law, and how.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}", self.seed, self.what)
    }
}

impl std::error::Error for Broken {}

/// What was simulated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Seeds without a broken law.
    pub seeds: u64,
    /// Inputs to the core.
    pub steps: u64,
}

/// Plays one seed, with a defect or without; the number of steps.
///
/// # Errors
/// The law that it broke.
pub fn run(seed: u64, mutation: Option<Mutation>) -> Result<u64, Broken> {
    World::new(seed, mutation, None).run().map_err(|what| Broken { seed, what })
}

/// Plays one seed and tells all that went in and came out.
#[must_use]
pub fn trace(seed: u64, mutation: Option<Mutation>) -> String {
    let mut trace = Trace::default();
    let end = World::new(seed, mutation, Some(&mut trace)).run();
    match end {
        Ok(steps) => trace.line(format_args!("seed {seed}: {steps} steps, every law holds")),
        Err(what) => trace.line(format_args!("seed {seed}: {what}")),
    }
    trace.0
}

/// Plays all these seeds on all processors.
///
/// # Errors
/// The lowest seed among those found to break a law; the search stops at the first.
pub fn seeds(range: Range<u64>) -> Result<Tally, Broken> {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let next = AtomicU64::new(range.start);
    let broken = AtomicBool::new(false);
    let work = || -> Result<Tally, Broken> {
        let mut tally = Tally::default();
        while !broken.load(Ordering::Relaxed) {
            let from = next.fetch_add(BATCH, Ordering::Relaxed);
            if from >= range.end {
                break;
            }
            for seed in from..range.end.min(from + BATCH) {
                tally.steps += run(seed, None).inspect_err(|_| broken.store(true, Ordering::Relaxed))?;
                tally.seeds += 1;
            }
        }
        Ok(tally)
    };
    let results: Vec<Result<Tally, Broken>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("invariant: a simulated core does not panic"))
            .collect()
    });
    let mut all = Tally::default();
    let mut lowest: Option<Broken> = None;
    for result in results {
        match result {
            Ok(tally) => {
                all.seeds += tally.seeds;
                all.steps += tally.steps;
            }
            Err(found) if lowest.as_ref().is_none_or(|known| found.seed < known.seed) => lowest = Some(found),
            Err(_) => {}
        }
    }
    lowest.map_or(Ok(all), Err)
}

/// The first seed below `most` that finds this defect, if one does.
#[must_use]
pub fn hunt(mutation: Mutation, most: u64) -> Option<Broken> {
    (0..most).find_map(|seed| run(seed, Some(mutation)).err())
}
