//! Instruction counts of the hot paths: what has moved since the file under version control was written.
//!
//! `bench/hot_paths` runs one path so and so often under callgrind. The count of one turn is what more turns cost beyond
//! fewer, so start and end fall out. Counts are steady from run to run, whatever else the machine does; times are not.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

const COUNTS: &str = "bench/instructions.json";

/// What may move without being told.
const TOLERANCE: f64 = 0.05;

/// A path, and the runs whose counts are added or taken away; what is left is divided by `turns`.
struct HotPath {
    name: &'static str,
    what: &'static str,
    plus: &'static [&'static [&'static str]],
    minus: &'static [&'static [&'static str]],
    turns: f64,
    threads: Threads,
}

/// Whose instructions count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Threads {
    All,
    /// The first one's: it does the work, and others what is not steady from run to run.
    Main,
}

const HOT_PATHS: &[HotPath] = &[
    HotPath {
        name: "message_in",
        what: "one message of a publisher (a picture of 10 kB or a sound), from bytes to frames",
        plus: &[&["message-in", "1500"]],
        minus: &[&["message-in", "500"]],
        turns: 2000.0,
        threads: Threads::All,
    },
    HotPath {
        name: "fan_out_to_one_more_viewer",
        what: "one picture of 10 kB to one more viewer, beyond 50",
        plus: &[&["fan-out", "150", "150"], &["fan-out", "50", "50"]],
        minus: &[&["fan-out", "50", "150"], &["fan-out", "150", "50"]],
        turns: 10_000.0,
        threads: Threads::All,
    },
    HotPath {
        name: "event_without_hook",
        what: "one fact that no hook wants",
        plus: &[&["event-without-hook", "11000"]],
        minus: &[&["event-without-hook", "1000"]],
        turns: 10_000.0,
        threads: Threads::All,
    },
    HotPath {
        name: "event_told_with_outbox",
        what: "one fact for the outbox, in the thread that tells it",
        plus: &[&["event-with-outbox", "11000"]],
        minus: &[&["event-with-outbox", "1000"]],
        turns: 10_000.0,
        threads: Threads::Main,
    },
    HotPath {
        name: "worker_round_trip",
        what: "one question decided by a worker, through the engine and back",
        plus: &[&["worker-round-trip", "600"]],
        minus: &[&["worker-round-trip", "100"]],
        turns: 500.0,
        threads: Threads::All,
    },
];

/// Tells what moved by more than [`TOLERANCE`]; with `--update` writes the file anew.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let update = match args {
        [] => false,
        [flag] if flag == "--update" => true,
        _ => bail!("the only argument is --update"),
    };
    let root = super::tidy::root();
    let binary = build(&root)?;
    let before = read(&root)?;
    let mut counts = Map::new();
    let mut moved = Vec::new();
    for path in HOT_PATHS {
        let count = count(&binary, path)?;
        let known = before.get(path.name).and_then(|entry| entry["instructions"].as_f64());
        println!("perf-check: {:<28} {}", path.name, compared(count, known));
        if known.is_none_or(|known| (count - known).abs() > TOLERANCE * known) {
            moved.push(path.name);
        }
        counts.insert(path.name.into(), json!({ "what": path.what, "instructions": count }));
    }
    if update {
        let text = serde_json::to_string_pretty(&Value::Object(counts))?;
        std::fs::write(root.join(COUNTS), text + "\n").with_context(|| format!("writing {COUNTS}"))?;
        println!("perf-check: wrote {COUNTS}");
        return Ok(());
    }
    ensure!(
        moved.is_empty(),
        "moved by more than {:.0} %: {}; if that is meant, `cargo xtask perf-check --update` writes {COUNTS}",
        TOLERANCE * 100.0,
        moved.join(", ")
    );
    Ok(())
}

fn compared(count: f64, known: Option<f64>) -> String {
    match known {
        Some(known) => {
            format!("{count:>9.0} instructions, was {known:.0} ({:+.1} %)", 100.0 * (count - known) / known)
        }
        None => format!("{count:>9.0} instructions, not known before"),
    }
}

fn read(root: &Path) -> Result<Value> {
    match std::fs::read_to_string(root.join(COUNTS)) {
        Ok(text) => serde_json::from_str(&text).with_context(|| format!("reading {COUNTS}")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Value::Null),
        Err(error) => Err(error).with_context(|| format!("reading {COUNTS}")),
    }
}

/// Builds the programs with the versions of the server's own lock file: what is counted is what is shipped.
fn build(root: &Path) -> Result<PathBuf> {
    let folder = root.join("bench/hot_paths");
    std::fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).context("copying Cargo.lock")?;
    let target = root.join("bench/target");
    let status = program("cargo")
        .args(["build", "--quiet", "--release"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", &target)
        .status()
        .context("running cargo")?;
    ensure!(status.success(), "bench/hot_paths does not build");
    Ok(target.join("release/hot_paths"))
}

/// Instructions of one turn, rounded.
fn count(binary: &Path, path: &HotPath) -> Result<f64> {
    let sum = |runs: &[&[&str]]| -> Result<f64> {
        runs.iter().map(|run| instructions(binary, run, path.threads)).sum()
    };
    let turns = sum(path.plus)? - sum(path.minus)?;
    Ok((turns / path.turns).round())
}

/// Instructions of one whole run in user space.
fn instructions(binary: &Path, args: &[&str], threads: Threads) -> Result<f64> {
    let folder = std::env::temp_dir().join(format!("jackfield-perf-check-{}", std::process::id()));
    std::fs::create_dir_all(&folder).context("a folder for callgrind")?;
    let separate = if threads == Threads::Main { "yes" } else { "no" };
    let output = program("valgrind")
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", folder.join("counts").display()))
        .arg(format!("--separate-threads={separate}"))
        .arg(binary)
        .args(args)
        .output()
        .context("running valgrind; `scripts/setup bench` brings it")?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    // The files of the threads are numbered from 1.
    let of_main = std::fs::read_to_string(folder.join("counts-01")).unwrap_or_default();
    std::fs::remove_dir_all(&folder).context("the folder for callgrind")?;
    ensure!(output.status.success(), "hot_paths {} failed: {told}", args.join(" "));
    let (text, before) = match threads {
        Threads::All => (told, "Collected : "),
        Threads::Main => (of_main, "totals: "),
    };
    let counted = text.lines().find_map(|line| line.split_once(before)).context("callgrind told no count")?;
    Ok(counted.1.trim().parse()?)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a chore, not the server: there is no helper process to go through"
)]
fn program(name: &str) -> Command {
    Command::new(name)
}
