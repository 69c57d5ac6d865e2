//! The handlers: they answer in time, on the very deadline, late, twice, wrongly, or not at all.

use super::is_question;
use super::profile::Profile;
use crate::chance::Chance;
use jackfield_events::{Answer, Decision, Event, Reason};
use jackfield_hooks::{CallId, Failure, Outcome, Owner, Request, Retry, parse_answer};
use jackfield_media::Mono;
use std::collections::BTreeMap;
use std::time::Duration;

type Reply = Result<Answer, Failure>;

#[derive(Debug)]
pub(super) struct Handlers {
    trouble: usize,
    silence: usize,
    /// What will come back, and when.
    planned: BTreeMap<(Mono, u64), (CallId, Reply)>,
    next: u64,
}

impl Handlers {
    pub(super) fn new(profile: &Profile) -> Self {
        Self { trouble: profile.trouble, silence: profile.silence, planned: BTreeMap::new(), next: 0 }
    }

    /// From now on everything is answered at once, and well.
    pub(super) fn become_healthy(&mut self) {
        self.trouble = 0;
        self.silence = 0;
    }

    /// Nobody waits for any of them any more.
    pub(super) fn forget(&mut self) {
        self.planned.clear();
    }

    pub(super) fn next(&self) -> Option<Mono> {
        self.planned.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn take(&mut self) -> Option<(CallId, Reply)> {
        self.planned.pop_first().map(|(_, reply)| reply)
    }

    pub(super) fn call(&mut self, now: Mono, request: &Request<()>, chance: &mut Chance) {
        if chance.percent(self.silence) {
            return;
        }
        let reply = match is_question(request.owner) {
            true if chance.percent(10) => said(&request.event, chance),
            true => self.decide(chance),
            false => self.acknowledge(chance),
        };
        let at = self.moment(now, request.deadline, chance);
        self.plan(at, request.call, reply.clone());
        if chance.percent(3) {
            let again = at.after(chance.millis(0, 100));
            self.plan(again, request.call, reply);
        }
    }

    /// A cancelled call mostly ends in silence; sometimes its answer was under way.
    pub(super) fn cancel(&mut self, call: CallId, _owner: Owner, chance: &mut Chance) {
        if chance.percent(80) {
            self.planned.retain(|_, (planned, _)| *planned != call);
        }
    }

    fn plan(&mut self, at: Mono, call: CallId, reply: Reply) {
        self.planned.insert((at, self.next), (call, reply));
        self.next += 1;
    }

    fn moment(&self, now: Mono, deadline: Mono, chance: &mut Chance) -> Mono {
        let left = deadline - now;
        match chance.below(if self.trouble == 0 { 6 } else { 12 }) {
            0..=2 => now.after(chance.millis(0, 20)),
            3..=5 => now.after(chance.millis(0, 200)),
            6..=8 => now.after(left.mul_f64(0.5)),
            9 => deadline,
            10 if chance.percent(50) => deadline.after(chance.millis(0, 3000)),
            10 => now.after(left.saturating_sub(Duration::from_millis(1))),
            _ => deadline.after(chance.millis(0, 50)),
        }
    }

    fn decide(&self, chance: &mut Chance) -> Reply {
        if chance.percent(self.trouble) {
            return Err(self.failure(Retry::No, chance));
        }
        let decision = match chance.below(20) {
            0..=5 => Decision::Allow,
            6..=9 => Decision::Pass,
            10..=12 => Decision::Deny,
            13..=15 => Decision::Replace("k1".into()),
            16 | 17 => Decision::Replace("other/k9".into()),
            18 => Decision::Replace("../etc".into()),
            _ => Decision::Replace("k0".into()),
        };
        let mut answer = Answer::bare(decision);
        if chance.percent(20) {
            answer.tags.insert("tag".into(), chance.below(9).to_string().into());
        }
        if answer.decision == Decision::Deny {
            answer.reason = Reason { code: Some(chance.below(9).to_string().into()), ..Reason::default() };
        }
        Ok(answer)
    }

    fn acknowledge(&self, chance: &mut Chance) -> Reply {
        if !chance.percent(self.trouble) {
            return Ok(Answer::bare(Decision::Pass));
        }
        let retry = match chance.below(40) {
            0 => Retry::Disable,
            1..=7 => Retry::No,
            8..=13 => Retry::After(chance.millis(0, 90_000)),
            _ => Retry::Scheduled,
        };
        Err(self.failure(retry, chance))
    }

    fn failure(&self, retry: Retry, chance: &mut Chance) -> Failure {
        const OUTCOMES: [Outcome; 9] = [
            Outcome::Timeout,
            Outcome::ConnectError,
            Outcome::TransportError,
            Outcome::ProtocolError,
            Outcome::HandlerError,
            Outcome::Overload,
            Outcome::Crashed,
            Outcome::Crashed,
            // A transport that breaks the rules: it says that it was answered, and gives no answer.
            Outcome::Answered,
        ];
        let outcome = chance.pick(&OUTCOMES).copied().unwrap_or(Outcome::Crashed);
        Failure { retry, ..Failure::new(outcome, "") }
    }
}

/// What a handler wrote, well formed or not, read as a transport reads it.
fn said(event: &Event, chance: &mut Chance) -> Reply {
    const WORDS: [&str; 10] = [
        "",
        "{}",
        r#"{"decision":"allow","tags":{"a":1}}"#,
        r#"{"decision":"deny","reason":"No."}"#,
        r#"{"decision":"replace","value":"k2"}"#,
        r#"{"decision":"replace","value":"/"}"#,
        r#"{"decision":"maybe"}"#,
        r#"{"record":true}"#,
        "<html>502 Bad Gateway</html>",
        r#"{"decision":"allow""#,
    ];
    let words = chance.pick(&WORDS).copied().unwrap_or_default();
    parse_answer(event.spec().kind, event.stamp().id, words.as_bytes())
}
