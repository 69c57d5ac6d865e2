//! The checks of workers.

use super::line::{Broken, Worker, line, told};
use super::report::{Finding, Report, counted};
use super::{Subject, events};
use crate::paint::milliseconds;
use jackfield_events::{Event, EventType};
use jackfield_hook_transports::worker::line::Violation;
use jackfield_process::ExitStatus;
use jackfield_runtime::clock;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// How long the hello of one that says hello may take. The server does not wait for it.
const HELLO: Duration = Duration::from_secs(5);
/// A silence in which a sound worker only waits.
const SILENCE: Duration = Duration::from_millis(700);
/// Between the two halves of a line.
const HALF_TIME: Duration = Duration::from_millis(150);
/// How long a worker may take to end by itself.
const LEAVE: Duration = Duration::from_secs(5);
/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// Questions that are sent at once at most.
const MOST_AT_ONCE: usize = 32;
/// Names of events that are told of those that failed.
const MOST_TOLD: usize = 4;

/// Whether a worker said hello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manners {
    Plain,
    Hello { at_once: usize },
}

/// A worker program under check.
struct Bench<'a> {
    subject: &'a Subject<'a>,
    words: &'a [String],
    manners: Manners,
}

/// Plays all checks.
pub(super) async fn check(subject: &Subject<'_>, words: &[String], report: &mut Report) {
    let mut bench = Bench { subject, words, manners: Manners::Plain };
    let event = events::usual(subject.usual());
    let met = bench.meet(&event).await;
    match (bench.manners, met) {
        (Manners::Plain, Err(broken)) => return report.add("starts", failed(&broken)),
        (Manners::Plain, Ok(())) => report.add("starts", Finding::Passed("plain, one at a time".to_owned())),
        (Manners::Hello { at_once }, early) => {
            report.add("starts", Finding::Passed(format!("says hello, {at_once} at once")));
            report.add("an event before its hello is read", of_early(early));
        }
    }
    bench.every_event(report).await;
    report.add("fields that it does not know", bench.unknown_fields(&event).await);
    report
        .add("nothing but the fields that are always there", bench.one(&events::bare(subject.usual())).await);
    report.add("long and odd texts", bench.odd().await);
    report.add("a line that comes in two halves", bench.halves(&event).await);
    report.add("silence", bench.silence(&event).await);
    if let Manners::Hello { at_once } = bench.manners {
        report.add("many at once, answered in any order", bench.many(&event, at_once).await);
        report.add("cancels", bench.cancels(&event).await);
        report.add("a kind of line that it does not know", bench.unknown_line(&event).await);
    }
    report.add("an empty line between", bench.garbage(&event, b"\n").await);
    report.add("a line that is no JSON between", bench.garbage(&event, b"{\"half\": \n").await);
    report.add("the end of its input", bench.drains(&event).await);
    report.add("SIGTERM", bench.terminates().await);
}

impl Bench<'_> {
    async fn fresh(&self) -> Result<Worker, Broken> {
        let mut worker = Worker::start(self.subject.local, self.words, self.subject.timeout).await?;
        if self.manners != Manners::Plain {
            worker.greeted(HELLO).await?;
        }
        Ok(worker)
    }

    /// Starts one for the first time and sends it an event at once, as the server does: one that says hello does so before
    /// it answers.
    async fn meet(&mut self, event: &Event) -> Result<(), Broken> {
        let mut worker = Worker::start(self.subject.local, self.words, self.subject.timeout).await?;
        let asked = worker.ask(event).await;
        if let Some(at_once) = worker.at_once {
            self.manners = Manners::Hello { at_once };
        }
        asked
    }

    /// Each event in its turn; after one that breaks the conversation a fresh worker goes on.
    async fn every_event(&self, report: &mut Report) {
        const CHECK: &str = "answers each event";
        let (mut worker, mut slowest, mut wrong) = (None, Duration::ZERO, Vec::new());
        for event in self.subject.events.iter().copied() {
            let mut at_work = match worker.take() {
                Some(worker) => worker,
                None => match self.fresh().await {
                    Ok(worker) => worker,
                    Err(broken) => return report.add(CHECK, failed(&broken)),
                },
            };
            let began = clock::now();
            match at_work.ask(&events::usual(event)).await {
                Ok(()) => {
                    slowest = slowest.max(clock::now() - began);
                    worker = Some(at_work);
                }
                Err(broken) => wrong.push((event, broken)),
            }
        }
        report.add(CHECK, summary(&wrong, self.subject.events.len(), slowest));
    }

    async fn one(&self, event: &Event) -> Finding {
        let asked = async { self.fresh().await?.ask(event).await };
        passed_or(asked.await, failed)
    }

    async fn unknown_fields(&self, event: &Event) -> Finding {
        let asked = async {
            let mut worker = self.fresh().await?;
            let change = |request: &mut Value| {
                if request.get("event").is_some() {
                    request["some_later_field"] = json!([1, 2]);
                }
                events::of_the_future(match request.get_mut("event") {
                    Some(envelope) => envelope,
                    None => request,
                });
            };
            let delivery = worker.send_changed(event, change).await?;
            worker.answer(delivery, event).await
        };
        passed_or(asked.await, |broken| Finding::Failed {
            what: broken.told(),
            next: "Later versions add fields: ignore those that you do not know.",
        })
    }

    async fn odd(&self) -> Finding {
        let asked = async {
            let mut worker = self.fresh().await?;
            for event in events::odd(self.subject.usual()) {
                worker.ask(&event).await?;
            }
            Ok::<_, Broken>(())
        };
        passed_or(asked.await, |broken| Finding::Failed {
            what: broken.told(),
            next: "Clients send what they like: read whole lines, however long, and quote what you pass on.",
        })
    }

    async fn halves(&self, event: &Event) -> Finding {
        let asked = async {
            let mut worker = self.fresh().await?;
            // One that waits for its next line reads the first half by itself.
            worker.ask(event).await?;
            let (delivery, request) = worker.begin(event).ok_or(Broken::Silent)?;
            let text = line(&request);
            let (front, rest) = text.split_at(text.len() / 2);
            worker.write(front).await?;
            clock::sleep(HALF_TIME).await;
            worker.write(rest).await?;
            worker.answer(delivery, event).await
        };
        passed_or(asked.await, |broken| Finding::Failed {
            what: broken.told(),
            next: "A pipe hands over any part of a line: read up to the line's end.",
        })
    }

    async fn silence(&self, event: &Event) -> Finding {
        let asked = async {
            let mut worker = self.fresh().await?;
            worker.ask(event).await?;
            clock::sleep(SILENCE).await;
            worker.ask(event).await
        };
        passed_or(asked.await, |broken| Finding::Failed {
            what: broken.told(),
            next: "Between events there may be hours: wait for the next line without a limit.",
        })
    }

    async fn many(&self, event: &Arc<Event>, at_once: usize) -> Finding {
        let count = at_once.min(MOST_AT_ONCE);
        let asked = async {
            let mut worker = self.fresh().await?;
            let mut sent = Vec::new();
            for _ in 0..count {
                sent.push(worker.send(event).await?);
            }
            for delivery in sent {
                worker.answer(delivery, event).await?;
            }
            Ok::<_, Broken>(())
        };
        match asked.await {
            Ok(()) => Finding::Passed(format!("{count} at once")),
            Err(broken) => Finding::Failed {
                what: broken.told(),
                next: "Answer each event once, with its own \"d\", or say \"concurrency\":1 in your hello.",
            },
        }
    }

    async fn cancels(&self, event: &Event) -> Finding {
        let asked = async {
            let mut worker = self.fresh().await?;
            let delivery = worker.send(event).await?;
            worker.cancel(delivery).await?;
            worker.ask(event).await
        };
        passed_or(asked.await, |broken| Finding::Failed {
            what: broken.told(),
            next: "A line with \"t\":\"cancel\" says that nobody waits any more: answer or not, and go on.",
        })
    }

    async fn unknown_line(&self, event: &Event) -> Finding {
        let asked = async {
            let mut worker = self.fresh().await?;
            worker.write(b"{\"t\":\"some_later_kind\",\"x\":1}\n").await?;
            worker.ask(event).await
        };
        passed_or(asked.await, |broken| Finding::Failed {
            what: broken.told(),
            next: "Later versions may say more: ignore a line whose \"t\" you do not know, without an answer.",
        })
    }

    /// Something between two events that the server never says.
    async fn garbage(&self, event: &Event, garbage: &[u8]) -> Finding {
        let asked = async {
            let mut worker = self.fresh().await?;
            worker.ask(event).await?;
            worker.write(garbage).await?;
            worker.ask(event).await
        };
        passed_or(asked.await, |broken| Finding::Advice {
            what: broken.told(),
            next: "The server never says that; a worker that leaves out what it cannot read outlives more.",
        })
    }

    async fn drains(&self, event: &Event) -> Finding {
        const NEXT: &str = "End with exit code 0 when your input ends; the server waits 5 s and then kills.";
        let mut worker = match self.fresh().await {
            Ok(worker) => worker,
            Err(broken) => return failed(&broken),
        };
        if let Err(broken) = worker.ask(event).await {
            return failed(&broken);
        }
        match worker.drain(LEAVE).await {
            Some(ExitStatus::Code(0)) => Finding::Passed(String::new()),
            Some(status) => Finding::Advice { what: format!("it ended with {}", told(status)), next: NEXT },
            None => Finding::Failed { what: "it still runs after 5 s".to_owned(), next: NEXT },
        }
    }

    async fn terminates(&self) -> Finding {
        match self.fresh().await {
            Err(broken) => failed(&broken),
            Ok(worker) => match worker.terminate(GRACE).await {
                ExitStatus::Signal(9) => Finding::Advice {
                    what: "it had to be killed after 2 s".to_owned(),
                    next: "End at SIGTERM: what you have begun is cut off otherwise.",
                },
                status => Finding::Passed(format!("ends with {}", told(status))),
            },
        }
    }
}

fn passed_or(asked: Result<(), Broken>, broken: impl FnOnce(&Broken) -> Finding) -> Finding {
    match asked {
        Ok(()) => Finding::Passed(String::new()),
        Err(why) => broken(&why),
    }
}

fn of_early(asked: Result<(), Broken>) -> Finding {
    passed_or(asked, |broken| Finding::Failed {
        what: broken.told(),
        next: "The server does not wait for the hello: answer a line without \"t\" by a line without \"d\".",
    })
}

/// What to do about a conversation that broke off by itself.
fn failed(broken: &Broken) -> Finding {
    let next = match broken {
        Broken::Unstarted(_) => {
            "Does it exist, may it be executed, does its first line name an interpreter that is there?"
        }
        Broken::Violation(Violation::Unasked) => {
            "Print one line for each event and nothing else to standard output; logs go to standard error."
        }
        Broken::Violation(_) => {
            "Answer a framed event by one line {\"d\":\"dlv_…\",\"decision\":…} with its own \"d\"."
        }
        Broken::Ended(_) => "A worker stays until its input ends; catch what goes wrong with one event.",
        Broken::Silent => "Answer each event, notices too, by one line, and flush after it.",
        Broken::Deaf => "Read the next line as soon as the former is answered.",
        Broken::NoAnswer(_) => "Answer {\"decision\":\"pass\"}, allow, deny, or replace with a value.",
    };
    Finding::Failed { what: broken.told(), next }
}

/// What came of all events.
fn summary(wrong: &[(EventType, Broken)], of: usize, slowest: Duration) -> Finding {
    let Some((_, first)) = wrong.first() else {
        let slowest = milliseconds(Some(slowest.as_secs_f64() * 1e3));
        return Finding::Passed(format!("{}, slowest {slowest}", counted(of)));
    };
    let names: Vec<&str> = wrong.iter().take(MOST_TOLD).map(|(event, _)| event.name()).collect();
    let more = if wrong.len() > MOST_TOLD { ", …" } else { "" };
    let Finding::Failed { what, next } = failed(first) else { return failed(first) };
    let what = format!("{} of {of} ({}{more}): {what}", wrong.len(), names.join(", "));
    Finding::Failed { what, next }
}
