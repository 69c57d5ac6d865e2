//! What a worker prints, whatever it is: every answer is one to a request that waits for it, a request has one
//! answer, and the pieces in which lines arrive make no difference.
#![no_main]

use jackfield_fuzz::pieces;
use jackfield_hook_transports::worker::line::{Abandon, Form, Heard, Protocol, Violation};
use jackfield_hooks::{ANSWER_CAP, DeliveryId};
use libfuzzer_sys::fuzz_target;
use std::collections::HashMap;

/// What may happen to a worker, decoded from the input.
enum Step<'a> {
    Ask(DeliveryId),
    GiveUp(DeliveryId),
    /// A good answer, which the fuzzer would hardly guess.
    Answer(DeliveryId),
    Hello(u8),
    Print(&'a [u8]),
}

fn steps(mut input: &[u8]) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    while let [kind, number, rest @ ..] = input {
        input = rest;
        let delivery = DeliveryId(u64::from(*number));
        steps.push(match kind % 5 {
            0 => Step::Ask(delivery),
            1 => Step::GiveUp(delivery),
            2 => Step::Answer(delivery),
            3 => Step::Hello(*number),
            _ => {
                let (line, after) = rest.split_at(usize::from(*number).min(rest.len()));
                input = after;
                Step::Print(line)
            }
        });
    }
    steps
}

/// A worker and what is known of it from outside.
#[derive(Default)]
struct Watched {
    protocol: Protocol,
    /// Requests that wait for an answer, and the form in which they were sent.
    waiting: HashMap<DeliveryId, Form>,
    given_up: usize,
    room: usize,
    seen: Vec<String>,
}

impl Watched {
    /// None when the worker has to be replaced.
    fn take(&mut self, pattern: u8, step: &Step<'_>) -> Option<()> {
        match step {
            Step::Ask(delivery) => self.ask(*delivery),
            Step::GiveUp(delivery) => return self.give_up(*delivery),
            Step::Answer(delivery) => {
                return self.print(pattern, format!("{{\"d\":\"{delivery}\"}}\n").as_bytes());
            }
            Step::Hello(room) => {
                let hello = format!("{{\"t\":\"hello\",\"proto\":[1],\"concurrency\":{room}}}\n");
                return self.print(pattern, hello.as_bytes());
            }
            Step::Print(bytes) => return self.print(pattern, bytes),
        }
        Some(())
    }

    fn ask(&mut self, delivery: DeliveryId) {
        let begun = self.protocol.begin(delivery);
        self.seen.push(format!("{begun:?}"));
        if let Some(form) = begun {
            assert_eq!(self.waiting.insert(delivery, form), None, "a request is under way once");
        }
        assert!(self.waiting.len() <= self.room.max(1));
    }

    fn give_up(&mut self, delivery: DeliveryId) -> Option<()> {
        let form = self.waiting.remove(&delivery);
        let expected = match form {
            None => Abandon::Nothing,
            Some(Form::Framed) => Abandon::Tell,
            // Its next line would answer somebody else's question.
            Some(Form::Plain) => Abandon::Replace,
        };
        assert_eq!(self.protocol.abandon(delivery), expected);
        self.given_up += usize::from(expected == Abandon::Tell);
        (expected != Abandon::Replace).then_some(())
    }

    fn print(&mut self, pattern: u8, bytes: &[u8]) -> Option<()> {
        let mut heard = Vec::new();
        let mut end: Result<(), Violation> = Ok(());
        for piece in pieces(pattern, bytes) {
            end = self.protocol.feed(piece, &mut heard);
            if end.is_err() {
                break;
            }
        }
        for heard in heard {
            self.hear(&heard);
            self.seen.push(format!("{heard:?}"));
        }
        self.seen.push(format!("{end:?}"));
        end.ok()
    }

    fn hear(&mut self, heard: &Heard) {
        match heard {
            Heard::Hello { concurrency } => {
                assert!((1..=1024).contains(concurrency) && self.protocol.form() == Form::Framed);
                self.room = *concurrency;
            }
            Heard::Answer { delivery, line } => {
                assert!(line.len() <= ANSWER_CAP && !line.contains(&b'\n'));
                let form = self.waiting.remove(delivery).expect("only who waits is answered");
                if form == Form::Framed {
                    let answer: serde_json::Value = serde_json::from_slice(line).expect("an answer is JSON");
                    assert_eq!(answer["d"], delivery.to_string());
                }
            }
            Heard::Late => {
                self.given_up = self.given_up.checked_sub(1).expect("late is what was given up");
            }
        }
    }
}

fn run(pattern: u8, steps: &[Step<'_>]) -> Vec<String> {
    let mut watched = Watched::default();
    for step in steps {
        if watched.take(pattern, step).is_none() {
            break;
        }
    }
    watched.seen
}

fuzz_target!(|data: &[u8]| {
    let Some((&pattern, rest)) = data.split_first() else { return };
    let steps = steps(rest);
    assert_eq!(run(0, &steps), run(pattern, &steps));
});
