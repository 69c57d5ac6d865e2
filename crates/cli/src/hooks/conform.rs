//! `jackfield hooks conform`: how a handler takes all that may come.
//!
//! Each check is by itself: one that kills a worker is followed by the next with a fresh one. A check that fails names
//! something that the server does, or may do; advice names what only a broken server would.

mod calls;
mod ending;
mod events;
mod line;
mod report;
mod workers;

use super::Kind;
use super::fixture::event_type;
use super::local::{Handler, Local};
use super::trying::duration;
use crate::failed::{Exit, Failed};
use crate::paint::{Paint, print};
use jackfield_events::EventType;
use report::Report;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(crate) struct Conform {
    /// A program with its arguments ('./auth.py --strict'), or a URL.
    what: String,

    /// The program is a worker: it stays, and answers a line with a line.
    #[arg(long)]
    worker: bool,

    /// Only these events: those that the hook is for [default: all].
    #[arg(short, long = "event", value_name = "EVENT", value_delimiter = ',')]
    events: Vec<String>,

    /// The longest time for an answer.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "2s")]
    timeout: Duration,

    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// What all checks know.
struct Subject<'a> {
    local: &'a Local,
    events: Vec<EventType>,
    timeout: Duration,
}

impl Subject<'_> {
    /// One to try other things with: a question if there is one, since its answer tells more.
    fn usual(&self) -> EventType {
        let question = self.events.iter().find(|event| event.spec().kind.is_question());
        question.or(self.events.first()).copied().unwrap_or(EventType::PublishStart)
    }
}

/// Plays all checks and shows the report. The exit is that of a handler that fails one.
pub(super) async fn run(options: Conform) -> anyhow::Result<Option<Exit>> {
    let mut events = Vec::new();
    for name in &options.events {
        events.push(event_type(name)?);
    }
    if events.is_empty() {
        events = EventType::ALL.to_vec();
    }
    let kind = if options.worker { Kind::Worker } else { Kind::Run };
    let handler = Handler::parse(&options.what, kind)?.ok_or_else(|| {
        let next = format!("A program is meant by its path: ./{}", options.what);
        Failed::new(Exit::Usage, format!("`{}` is no program and no URL", options.what), next)
    })?;
    let local = Local::start().await?;
    let subject = Subject { local: &local, events, timeout: options.timeout };
    let report = Box::pin(check(&subject, &handler, &options.what)).await;
    local.stop().await;
    let report = report?;
    print(&if options.json { format!("{:#}\n", report.json()) } else { report.text(Paint::of_stdout()) })?;
    Ok((report.failed() > 0).then_some(Exit::Failed))
}

async fn check(subject: &Subject<'_>, handler: &Handler, what: &str) -> anyhow::Result<Report> {
    // What the server would refuse at its start is no matter of conformance.
    let transport = match handler {
        Handler::Worker(_) => None,
        handler => Some(subject.local.transport(handler)?),
    };
    let mut report = Report::new(what, handler);
    match (handler, &transport) {
        (Handler::Worker(words), _) => workers::check(subject, words, &mut report).await,
        (handler, Some(transport)) => {
            calls::check(subject, transport, &mut report).await;
            match handler {
                Handler::Run(words) => ending::check(subject, words, &mut report).await,
                _ => calls::cancelled(subject, transport, &mut report).await,
            }
        }
        (_, None) => {}
    }
    Ok(report)
}
