//! The checks of handlers that are called anew for each event: programs and webhooks.

use super::report::{Finding, Report, counted};
use super::{Subject, events};
use crate::hooks::local::Called;
use crate::hooks::shown::next;
use crate::paint::milliseconds;
use jackfield_dispatch::Transport;
use jackfield_events::{Event, EventType};
use jackfield_runtime::clock;
use std::sync::Arc;
use std::time::Duration;

/// How soon a call is given up in the check of cancels.
const SOON: Duration = Duration::from_millis(20);
/// Names of events that are told of those that failed.
const MOST_TOLD: usize = 4;
/// Calls at once.
const AT_ONCE: usize = 8;

/// What to do if nothing better is known.
const LOOK: &str = "Try it by `jackfield hooks test`, which shows what is asked and said.";

/// Plays the checks that all such handlers have.
pub(super) async fn check(subject: &Subject<'_>, transport: &Arc<dyn Transport>, report: &mut Report) {
    let (mut slowest, mut wrong) = (Duration::ZERO, Vec::new());
    for event in subject.events.iter().copied() {
        let called = call(subject, transport, events::usual(event)).await;
        slowest = slowest.max(called.reply.connect + called.reply.handler);
        if called.outcome() != "answered" {
            wrong.push((event, called));
        }
    }
    report.add("answers each event", summary(&wrong, subject.events.len(), slowest));

    let usual = subject.usual();
    let bare = call(subject, transport, events::bare(usual)).await;
    report.add("nothing but the fields that are always there", one(&bare, LOOK));
    const ODD: &str = "Clients send what they like: quote what you pass on, and read all of it.";
    let [odd, long] = events::odd(usual);
    report.add("odd texts", one(&call(subject, transport, odd).await, ODD));
    report.add("long texts", one(&call(subject, transport, long).await, ODD));

    let usual = events::usual(usual);
    const TWICE: &str = "An event may come more than once, with the same id: answer it all the same.";
    let first = call(subject, transport, Arc::clone(&usual)).await;
    let again = call(subject, transport, Arc::clone(&usual)).await;
    report.add(
        "the same event twice",
        if first.outcome() == "answered" { one(&again, TWICE) } else { one(&first, LOOK) },
    );

    let calls = (0..AT_ONCE).map(|_| call(subject, transport, Arc::clone(&usual)));
    let all = futures_util::future::join_all(calls).await;
    let worst = all.iter().find(|called| called.outcome() != "answered").or(all.first());
    const MANY: &str = "Events of several streams come at once: do not share files or ports between calls.";
    if let Some(worst) = worst {
        report.add("several at once", one(worst, MANY));
    }
}

/// Whether a handler still answers when a call before was given up: the client has left.
pub(super) async fn cancelled(subject: &Subject<'_>, transport: &Arc<dyn Transport>, report: &mut Report) {
    let event = events::usual(subject.usual());
    let given_up = clock::until(clock::now().after(SOON), call(subject, transport, Arc::clone(&event))).await;
    let note = if given_up.is_some() { "it answered before the call could be given up" } else { "" };
    let after = call(subject, transport, event).await;
    let finding = match one(&after, "Stand a connection that is closed in the middle of a request.") {
        Finding::Passed(_) => Finding::Passed(note.to_owned()),
        other => other,
    };
    report.add("a call that is given up", finding);
}

async fn call(subject: &Subject<'_>, transport: &Arc<dyn Transport>, event: Arc<Event>) -> Called {
    Box::pin(Called::make(transport, event, Some(subject.timeout))).await
}

fn told(called: &Called) -> String {
    match called.detail() {
        "" => called.outcome().to_owned(),
        detail => format!("{}: {detail}", called.outcome()),
    }
}

fn one(called: &Called, advice: &'static str) -> Finding {
    match called.outcome() {
        "answered" => Finding::Passed(String::new()),
        _ => Finding::Failed { what: told(called), next: advice },
    }
}

fn summary(wrong: &[(EventType, Called)], of: usize, slowest: Duration) -> Finding {
    let Some((_, first)) = wrong.first() else {
        let slowest = milliseconds(Some(slowest.as_secs_f64() * 1e3));
        return Finding::Passed(format!("{}, slowest {slowest}", counted(of)));
    };
    let names: Vec<&str> = wrong.iter().take(MOST_TOLD).map(|(event, _)| event.name()).collect();
    let more = if wrong.len() > MOST_TOLD { ", …" } else { "" };
    let what = format!("{} of {of} ({}{more}): {}", wrong.len(), names.join(", "), told(first));
    Finding::Failed { what, next: next(first.outcome(), first.detail()).unwrap_or(LOOK) }
}
