//! What people read at the beginning and at the end.

use crate::ledger::{Segment, Series};
use crate::plan::Plan;
use serde_json::Value;
use std::path::Path;
use std::process::ExitCode;

/// Nothing is wrong, but it was stopped before its goal.
const STOPPED: u8 = 3;

/// A machine with room for the load is not late by more.
const LATE_MS: u64 = 250;

pub(super) fn begin(series: &Series, plan: &Plan, folder: &Path) {
    let Plan { publishers, viewers, .. } = plan;
    let (goal, done, left) = (series.goal.as_secs(), series.done.as_secs(), series.left().as_secs());
    println!("Soak: {publishers} publishers, {viewers} players, {goal} s; results in {}", folder.display());
    if done > 0 {
        println!(
            "Going on with {}: {} segments, {done} s so far, {left} s left",
            series.name,
            series.segments.len()
        );
    }
}

pub(super) fn end(series: &Series, segment: &Segment) -> ExitCode {
    println!();
    for line in &segment.checks {
        let word = match (line.faults, line.examined) {
            (0, 0) => "not told",
            (0, _) => "ok",
            _ => "FAULTS",
        };
        let check = format!("{:?}", line.check).to_lowercase();
        let faults = if line.faults > 0 { format!(" ({} faults)", line.faults) } else { String::new() };
        println!("{check:>10}  {word:<9} {:>12} {}{faults}", line.examined, line.check.unit());
    }
    if let Some(took) = segment.figures["milliseconds"].as_object() {
        let took: Vec<String> =
            took.iter().map(|(phase, ms)| format!("{} {ms} ms", phase.replace('_', " "))).collect();
        println!("At the end: {}.", took.join(", "));
    }
    let late = segment.figures["load_late_ms"].as_u64().unwrap_or_default();
    if late > LATE_MS {
        println!(
            "The load itself was late by up to {late} ms: where the machine is starved, answers come late from everybody."
        );
    }
    println!();
    table(series, segment);
    let done = series.done.as_secs() + segment.seconds;
    if segment.faults > 0 {
        println!("{} faults.", segment.faults);
        return ExitCode::FAILURE;
    }
    if done < segment.goal_seconds {
        println!("Stopped after {done} s of {} s. The same command goes on.", segment.goal_seconds);
        return ExitCode::from(STOPPED);
    }
    println!("{done} s without a fault.");
    ExitCode::SUCCESS
}

/// A row for each segment, and their sum.
fn table(series: &Series, segment: &Segment) {
    let columns = ["joined", "frames", "events", "kicks", "takeovers", "visits"];
    let head: String = columns.iter().map(|column| format!("{column:>11}")).collect();
    println!(
        "{:<16} {:>8}{head}  memory, and descriptors/tasks/programs at the start and at the end",
        "segment", "seconds"
    );
    let own = serde_json::to_value(segment).unwrap_or_default();
    let segments: Vec<&Value> = series.segments.iter().chain([&own]).collect();
    let mut sums = [0; 6];
    for line in &segments {
        let figures = &line["figures"];
        let mut row = String::new();
        for (sum, column) in sums.iter_mut().zip(columns) {
            let value = figures[column].as_u64().unwrap_or_default();
            *sum += value;
            row += &format!("{value:>11}");
        }
        let name = line["segment"].as_str().unwrap_or_default();
        let remains = &figures["remains"];
        println!(
            "{name:<16} {:>8}{row}  {}, {} → {}",
            line["seconds"],
            memory(&figures["memory"]),
            counts(&remains["start"]),
            counts(&remains["end"])
        );
    }
    if segments.len() > 1 {
        let seconds: u64 = segments.iter().filter_map(|line| line["seconds"].as_u64()).sum();
        let row: String = sums.iter().map(|sum| format!("{sum:>11}")).collect();
        println!("{:<16} {seconds:>8}{row}", "all");
    }
}

fn memory(memory: &Value) -> String {
    match memory.as_str() {
        Some(word) => word.to_owned(),
        None => {
            let kib = |name: &str| memory[name].as_u64().unwrap_or_default();
            let growth = memory["growth"].as_str().unwrap_or_default();
            format!("{} → {} KiB ({growth})", kib("after_warm_up_kib"), kib("at_the_end_kib"))
        }
    }
}

fn counts(remains: &Value) -> String {
    format!("{}/{}/{}", remains["descriptors"], remains["tasks"], remains["programs"])
}
