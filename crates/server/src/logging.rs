//! The log: lines on standard error, for people or for programs.

mod lines;

pub(crate) use lines::{Lines, Waiting};

use crate::config::{LogFormat, LogLevel, ServerTable};
use std::io::{IsTerminal, stderr};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

/// Starts to log. A log that is there already, as in tests, stays. What is logged is written once
/// [`Waiting::write`] runs.
pub(crate) fn start(config: &ServerTable) -> (Lines, Waiting) {
    let (lines, waiting) = lines::lines(config.log_format);
    let layer = fmt::layer().with_writer(lines.clone()).log_internal_errors(false);
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match config.log_format {
        LogFormat::Text => layer.with_target(false).with_ansi(stderr().is_terminal()).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    if tracing_subscriber::registry().with(layer).with(targets(config.log_level)).try_init().is_err() {
        tracing::debug!("The log was started before");
    }
    (lines, waiting)
}

/// The level is for our own crates, whose names begin alike; of libraries only what went wrong.
fn targets(level: LogLevel) -> Targets {
    let own = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    Targets::new().with_default(own.min(LevelFilter::WARN)).with_target("jackfield", own)
}
