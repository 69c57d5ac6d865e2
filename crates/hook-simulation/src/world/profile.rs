//! What kind of day a seed is: how many hooks, what they want, how often what happens.

use crate::chance::Chance;
use jackfield_events::{EventSet, EventType, OnError};
use jackfield_hooks::{HookSpec, Mode, NoticeShare, Retries, RetryAfter, Selector};
use jackfield_media::Text;
use std::collections::BTreeMap;
use std::time::Duration;

/// Notices of the simulation: with and without a stream, paired and not.
pub(crate) const FACTS: [EventType; 4] = [
    EventType::PublishStart,
    EventType::PublishStop,
    EventType::ConnectionAccept,
    EventType::ConnectionClose,
];
/// Questions of the simulation: each kind, with and without a stream.
pub(super) const QUESTIONS: [EventType; 4] = [
    EventType::AuthorizePublish,
    EventType::ResolvePublish,
    EventType::ResolvePlay,
    EventType::AuthorizeConnection,
];

#[derive(Debug, Clone)]
pub(crate) struct Profile {
    pub(super) steps: usize,
    pub(super) hook_count: usize,
    pub(super) notice_concurrency: usize,
    pub(super) keys: usize,
    pub(super) budget: Duration,
    /// Weights of acts.
    pub(super) due: usize,
    pub(super) tell: usize,
    pub(super) ask: usize,
    pub(super) reload: usize,
    pub(super) jump: usize,
    /// Milliseconds between acts, at most.
    pub(super) pace: usize,
    /// How many calls in a hundred go wrong.
    pub(super) trouble: usize,
    /// How many calls in a hundred are never answered.
    pub(super) silence: usize,
    /// Facts are kept in a log, from which hooks are fed.
    pub(super) logged: bool,
    /// How often the process ends, of a hundred.
    pub(super) crash: usize,
    tight: bool,
    plain: bool,
}

impl Profile {
    pub(crate) fn draw(chance: &mut Chance) -> Self {
        let usual = Self {
            steps: 80 + chance.below(80),
            hook_count: 1 + chance.below(5),
            notice_concurrency: 1 + chance.below(6),
            keys: 1 + chance.below(3),
            budget: chance.millis(500, 6000),
            due: 40,
            tell: 20,
            ask: 20,
            reload: 1,
            jump: 4,
            pace: 40,
            trouble: 25,
            silence: 10,
            logged: chance.percent(50),
            crash: 0,
            tight: false,
            plain: false,
        };
        match chance.below(9) {
            // One hook that fails most of the time, called often: its breaker.
            0 => Self {
                steps: 200,
                hook_count: 1 + chance.below(2),
                due: 50,
                tell: 25,
                ask: 25,
                jump: 3,
                pace: 500,
                trouble: 50 + chance.below(40),
                silence: 2,
                keys: 3,
                plain: true,
                ..usual
            },
            // More than fits: queues overflow, questions wait.
            1 => Self { due: 15, tell: 40, ask: 30, pace: 5, silence: 30, tight: true, ..usual },
            // Mostly questions.
            2 => Self { ask: 50, tell: 5, hook_count: 3 + chance.below(3), ..usual },
            // Mostly notices to many hooks through one door.
            3 => Self {
                notice_concurrency: 1,
                tell: 40,
                ask: 2,
                hook_count: 3 + chance.below(3),
                keys: 3,
                trouble: 10,
                plain: true,
                ..usual
            },
            // Slow retries.
            4 => Self { tell: 30, ask: 4, trouble: 60, silence: 15, jump: 8, keys: 1, ..usual },
            // Nervous operators.
            5 => Self { reload: 12, ..usual },
            // A server that crashes, and hooks that lag in the log.
            6 => Self {
                logged: true,
                crash: 3,
                tell: 40,
                ask: 3,
                keys: 1 + chance.below(2),
                tight: chance.percent(60),
                ..usual
            },
            _ => usual,
        }
    }

    pub(super) fn hooks(&self, chance: &mut Chance) -> Vec<HookSpec> {
        (0..self.hook_count).map(|index| self.hook(index, chance)).collect()
    }

    /// A new configuration: some hooks go, some change, some come, the order changes.
    pub(super) fn rehook(
        &self,
        former: &[HookSpec],
        known: &BTreeMap<Text, (EventSet, Selector)>,
        chance: &mut Chance,
    ) -> Vec<HookSpec> {
        let mut hooks: Vec<HookSpec> = Vec::new();
        for index in 0..=self.hook_count {
            let mut fresh = self.hook(index, chance);
            // What is in the log is for those that wanted it when it was taken from there: the checker leaves that alone.
            if let Some((on, streams)) = known.get(&fresh.name).filter(|_| self.logged) {
                (fresh.on, fresh.streams) = (*on, streams.clone());
            }
            let old = former.iter().find(|hook| hook.name == fresh.name);
            match old {
                Some(_) if chance.percent(15) => {}
                Some(old) if chance.percent(60) => hooks.push(old.clone()),
                Some(_) => hooks.push(fresh),
                None if chance.percent(50) => hooks.push(fresh),
                None => {}
            }
        }
        if chance.percent(30) {
            hooks.reverse();
        }
        hooks
    }

    fn hook(&self, index: usize, chance: &mut Chance) -> HookSpec {
        let mode = if chance.percent(60) { Mode::Decide } else { Mode::Notify };
        let wanted = |chance: &mut Chance, percent| -> EventSet {
            FACTS.iter().chain(&QUESTIONS).copied().filter(|_| chance.percent(percent)).collect()
        };
        let on = wanted(chance, if self.plain { 95 } else { 70 });
        let mut hook = HookSpec::new(&format!("h{index}"), on, mode);
        hook.question_timeout = chance.millis(100, 4000);
        hook.notice_timeout = chance.millis(200, 20_000);
        if chance.percent(40) {
            hook.ending = chance.millis(1, 3000);
        }
        hook.on_error = match chance.below(6) {
            0 | 1 => Some(OnError::Allow),
            2 => Some(OnError::Value("fallback".into())),
            3 => Some(OnError::Value("no/../key".into())),
            4 => Some(OnError::Deny),
            _ => None,
        };
        hook.concurrency = 1 + chance.below(3);
        hook.queue = if self.tight { 1 + chance.below(4) } else { 3 + chance.below(40) };
        let limit = u32::try_from(chance.below(5)).unwrap_or_default();
        let after = chance.weighted(&[(3, RetryAfter::Failure), (1, RetryAfter::Asked)], RetryAfter::Any);
        hook.retries = Retries { limit, after };
        if chance.percent(40) {
            let pauses = 1 + chance.below(4);
            hook.schedule = (0..pauses).map(|_| chance.millis(50, 60_000)).collect();
        }
        if self.plain {
            hook.concurrency = 4;
            return hook;
        }
        hook.rate = chance.percent(20).then(|| u32::try_from(1 + chance.below(6)).unwrap_or(1));
        hook.notice_share = if chance.percent(70) { NoticeShare::Shared } else { NoticeShare::Own };
        hook.lane_group = chance.percent(30).then(|| "flags".into());
        if chance.percent(40) {
            const LISTS: [&[&str]; 5] = [&["k0"], &["!k0"], &["live/*", "!k1"], &["**"], &["vod/*"]];
            let list = chance.pick(&LISTS).copied().unwrap_or_default();
            hook.streams = Selector::parse(list).unwrap_or_default();
        }
        hook
    }
}
