//! The world around the core: it asks and tells, plays the handlers, reloads, lets time jump, and hands
//! all that goes in and comes out to the checker.

mod events;
mod handlers;
mod log;
mod profile;

use crate::chance::Chance;
use crate::checker::Checker;
use crate::input::Input;
use crate::trace::Trace;
use events::Events;
use handlers::Handlers;
use jackfield_events::{EventSet, Masker};
use jackfield_hooks::{Core, CoreConfig, HookSpec, Mutation, Output, Owner, QuestionId, Selector};
use jackfield_media::{Mono, Text};
use log::Log;
pub(crate) use profile::FACTS;
use profile::Profile;
use std::collections::BTreeMap;
use std::time::Duration;

/// After the world has stopped to act, everything must come to an end within so many steps.
const LAST_STEPS: usize = 4000;

pub(crate) struct World<'a> {
    chance: Chance,
    profile: Profile,
    mutation: Option<Mutation>,
    core: Core<()>,
    checker: Checker,
    events: Events,
    handlers: Handlers,
    hooks: Vec<HookSpec>,
    /// What each hook wants, once it was there.
    known: BTreeMap<Text, (EventSet, Selector)>,
    log: Log,
    open: Vec<QuestionId>,
    now: Mono,
    steps: u64,
    trace: Option<&'a mut Trace>,
}

/// What the world does next.
#[derive(Debug, Clone, Copy)]
enum Act {
    Due,
    Tell,
    Ask,
    Leave,
    Reload,
    Limit,
    Jump,
    Switch,
    Crash,
}

impl<'a> World<'a> {
    pub(crate) fn new(seed: u64, mutation: Option<Mutation>, trace: Option<&'a mut Trace>) -> Self {
        let mut chance = Chance::new(seed);
        let profile = Profile::draw(&mut chance);
        let core = new_core(&profile, mutation, &mut chance);
        Self {
            checker: Checker::new(profile.notice_concurrency, profile.logged),
            events: Events::new(&profile),
            handlers: Handlers::new(&profile),
            hooks: Vec::new(),
            known: BTreeMap::new(),
            log: Log::default(),
            open: Vec::new(),
            now: Mono::from_origin(chance.millis(0, 100_000)),
            steps: 0,
            chance,
            profile,
            mutation,
            core,
            trace,
        }
    }

    /// Plays the seed to its end; the number of steps, or the law that was broken.
    pub(crate) fn run(mut self) -> Result<u64, String> {
        self.hooks = self.profile.hooks(&mut self.chance);
        self.reload()?;
        for _ in 0..self.profile.steps {
            self.act()?;
            self.serve()?;
        }
        self.come_to_an_end()?;
        self.checker.finish()?;
        Ok(self.steps)
    }

    fn act(&mut self) -> Result<(), String> {
        let (logged, crash) = (usize::from(self.profile.logged), self.profile.crash);
        let choices = [
            (self.profile.due, Act::Due),
            (self.profile.tell, Act::Tell),
            (self.profile.ask, Act::Ask),
            (2, Act::Leave),
            (self.profile.reload, Act::Reload),
            (self.profile.reload / 2, Act::Limit),
            (self.profile.jump, Act::Jump),
            (logged, Act::Switch),
            (crash, Act::Crash),
        ];
        match self.chance.weighted(&choices, Act::Due) {
            Act::Due => self.next_due(),
            Act::Tell => self.tell(),
            Act::Ask => self.ask(),
            Act::Leave => {
                let Some(question) = self.chance.pick(&self.open).copied() else { return Ok(()) };
                self.pass(self.profile.pace);
                self.step(Input::Tick)?;
                if !self.open.contains(&question) {
                    return Ok(());
                }
                self.open.retain(|open| *open != question);
                self.step(Input::Cancel(question))
            }
            Act::Reload => {
                self.pass(self.profile.pace);
                // What is due is due under the old configuration.
                self.step(Input::Tick)?;
                self.hooks = self.profile.rehook(&self.hooks, &self.known, &mut self.chance);
                self.reload()
            }
            Act::Limit => {
                let limit = 1 + self.chance.below(6);
                self.step(Input::Tick)?;
                self.step(Input::Limit(limit))
            }
            Act::Jump => {
                let longest = self.chance.weighted(&[(6, 3000), (3, 12_000), (2, 90_000), (1, 8_000_000)], 0);
                self.now = self.now.after(self.chance.millis(0, longest));
                self.step(Input::Tick)
            }
            Act::Switch => self.switch(),
            Act::Crash => self.crash(),
        }
    }

    fn tell(&mut self) -> Result<(), String> {
        self.pass(self.profile.pace);
        self.step(Input::Tick)?;
        for event in self.events.fact(self.now, &mut self.chance) {
            if self.profile.logged {
                self.append(event)?;
            } else {
                self.step(Input::Notify(event))?;
            }
        }
        Ok(())
    }

    fn ask(&mut self) -> Result<(), String> {
        self.pass(self.profile.pace);
        // What is due comes before this question: then its place among others is plain to see.
        self.step(Input::Tick)?;
        let event = self.events.question(self.now, &mut self.chance);
        let budget = self.profile.budget;
        let question = self.core.ask(self.now, std::sync::Arc::clone(&event), budget);
        self.open.push(question);
        self.observe(&Input::Ask { question, event, budget })
    }

    fn reload(&mut self) -> Result<(), String> {
        for hook in &self.hooks {
            self.known.entry(hook.name.clone()).or_insert_with(|| (hook.on, hook.streams.clone()));
        }
        self.remember();
        self.core.replace_hooks(self.now, self.hooks.iter().map(|hook| (hook.clone(), ())).collect());
        let places = if self.profile.logged { self.find_places() } else { Vec::new() };
        self.observe(&Input::Reload(self.hooks.clone(), places))
    }

    /// A moment goes by; what became due in it stays undone until the core is called.
    fn pass(&mut self, most: usize) {
        self.now = self.now.after(self.chance.millis(0, most));
    }

    /// Time goes on to what comes first, an answer or the core's own wish, and that happens.
    fn next_due(&mut self) -> Result<(), String> {
        let (answer, timeout) = (self.handlers.next(), self.core.poll_timeout());
        match (answer, timeout) {
            (Some(at), timeout) if timeout.is_none_or(|timeout| at <= timeout) => {
                self.now = self.now.max(at);
                match self.handlers.take() {
                    Some((call, result)) => self.step(Input::Answer { call, result }),
                    None => Ok(()),
                }
            }
            (_, Some(at)) => {
                self.now = self.now.max(at);
                self.step(Input::Tick)
            }
            (_, None) => Ok(()),
        }
    }

    fn step(&mut self, input: Input) -> Result<(), String> {
        let now = self.now;
        match &input {
            Input::Notify(event) => self.core.notify(now, event),
            Input::Answer { call, result } => self.core.answer(now, *call, result.clone()),
            Input::Cancel(question) => self.core.cancel_question(now, *question),
            Input::Limit(limit) => self.core.set_notice_concurrency(now, *limit),
            Input::Disable(hook, by) => self.core.set_disabled(now, hook, *by),
            Input::Stop => self.core.stop_notices(now),
            // What goes in is in already, or nothing.
            Input::Tick
            | Input::Append(_)
            | Input::Fed
            | Input::Crash(_)
            | Input::Reload(..)
            | Input::Ask { .. } => self.core.tick(now),
        }
        self.observe(&input)
    }

    /// Lets the checker see the step, and the handlers the calls that came of it.
    fn observe(&mut self, input: &Input) -> Result<(), String> {
        self.steps += 1;
        if let Some(trace) = &mut self.trace {
            trace.input(self.now, input);
        }
        self.checker.input(self.now, input)?;
        while let Some(output) = self.core.poll_output() {
            if let Some(trace) = &mut self.trace {
                trace.output(&output);
            }
            self.checker.output(&output)?;
            match output {
                Output::Call(request) => self.handlers.call(self.now, &request, &mut self.chance),
                Output::Cancel { call, owner } => self.handlers.cancel(call, owner, &mut self.chance),
                Output::Verdict { question, .. } => self.open.retain(|open| *open != question),
                Output::Hungry(feed) => self.log.call(feed),
                _ => {}
            }
        }
        self.checker.step_over()
    }

    /// No more is told or asked, handlers answer: everything must settle.
    fn come_to_an_end(&mut self) -> Result<(), String> {
        if self.profile.logged {
            self.enable_all()?;
        } else if self.chance.percent(10) {
            self.step(Input::Stop)?;
        }
        self.handlers.become_healthy();
        let end = Mono::from_origin(Duration::MAX);
        for _ in 0..LAST_STEPS {
            self.serve()?;
            if self.core.is_quiet(end) && self.core.is_fed_up_to(self.log.newest(), end) {
                return self.look_at_cursors();
            }
            if self.handlers.next().is_none() && self.core.poll_timeout().is_none() {
                return Err("law 6: the core waits for nothing although it is not done".to_owned());
            }
            self.next_due()?;
        }
        Err("law 6: the core does not come to an end".to_owned())
    }
}

fn new_core(profile: &Profile, mutation: Option<Mutation>, chance: &mut Chance) -> Core<()> {
    let config = CoreConfig { notice_concurrency: profile.notice_concurrency, seed: chance.number() };
    let core = Core::new(&config, Masker::default());
    match mutation {
        Some(mutation) => core.with_mutation(mutation),
        None => core,
    }
}

/// Whether a call is a question's.
pub(crate) fn is_question(owner: Owner) -> bool {
    matches!(owner, Owner::Question(_))
}
