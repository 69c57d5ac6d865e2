//! The laws, checked from nothing but what goes into the core and what comes out of it.
//!
//! The checker shares no code with the core that decides anything: it keeps its own books of questions
//! ([`questions`]), notices ([`notices`]) and of what each hook may be given ([`limits`]), and compares.

mod limits;
mod logged;
mod notices;
mod questions;

use crate::input::Input;
use jackfield_events::{Event, OrderedBy};
use jackfield_hooks::{
    BreakerState, CallId, Concluded, Cursor, DeliveryId, HookSpec, Output, Owner, QuestionId, Request,
    Settled, Why,
};
use jackfield_media::{ConnId, Mono, StreamKey, Text, UnixTime};
use limits::Limits;
use logged::Logged;
use notices::{Lane, Told};
use questions::Asked;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// Fails with a message unless the condition holds.
macro_rules! rule {
    ($condition:expr, $($message:tt)*) => {
        if !$condition {
            return Err(format!($($message)*));
        }
    };
}
use rule;

pub(crate) type Checked = Result<(), String>;

/// A hook from when its name appears in a configuration until it is gone from one.
pub(crate) type Hid = u32;

/// A hook in one configuration.
#[derive(Debug, Clone)]
pub(crate) struct Configured {
    hid: Hid,
    spec: Rc<HookSpec>,
}

/// A call that was sent and is not settled.
#[derive(Debug)]
pub(crate) struct Open {
    hid: Hid,
    owner: Owner,
    /// The event's place in the node's order.
    seq: u64,
    deadline: Mono,
    /// When it must be closed, whatever its transport does.
    over: Mono,
    /// Which time of the breaker's life it belongs to.
    era: u64,
    shared: bool,
    /// The core has stopped it in this step.
    cancelled: bool,
}

#[derive(Debug)]
pub(crate) struct Checker {
    now: Mono,
    /// When the step before was.
    before: Mono,
    current: Input,
    /// Facts are in a log.
    log: Option<Logged>,
    /// Calls of notices at once over all hooks.
    limit: usize,
    shared_running: usize,
    config: Rc<[Configured]>,
    /// Taken out in this step.
    gone: Vec<Configured>,
    hooks: BTreeMap<Hid, Limits>,
    next_hid: Hid,
    questions: BTreeMap<QuestionId, Asked>,
    calls: BTreeMap<CallId, Open>,
    closed: BTreeSet<CallId>,
    /// Deliveries of open questions that are settled.
    settled: BTreeMap<QuestionId, Vec<DeliveryId>>,
    told: BTreeMap<(Hid, u64), Told>,
    pausing: BTreeSet<(Mono, Hid, u64)>,
    lanes: Vec<Lane>,
    /// The newest publish session of a key that a hook was told of.
    epochs: BTreeMap<(Hid, StreamKey), u64>,
    order: u64,
    /// What a breaker was said to become, until the call that made it so is told.
    breakers: Vec<(Text, BreakerState)>,
    /// A hook that must be disabled in this step.
    disabling: Option<Hid>,
}

impl Checker {
    /// `logged` says whether facts are in a log, from which hooks are fed.
    pub(crate) fn new(limit: usize, logged: bool) -> Self {
        Self {
            log: logged.then(Logged::default),
            now: Mono::ZERO,
            before: Mono::ZERO,
            current: Input::Tick,
            limit,
            shared_running: 0,
            config: Rc::new([]),
            gone: Vec::new(),
            hooks: BTreeMap::new(),
            next_hid: 0,
            questions: BTreeMap::new(),
            calls: BTreeMap::new(),
            closed: BTreeSet::new(),
            settled: BTreeMap::new(),
            told: BTreeMap::new(),
            pausing: BTreeSet::new(),
            lanes: Vec::new(),
            epochs: BTreeMap::new(),
            order: 0,
            breakers: Vec::new(),
            disabling: None,
        }
    }

    /// What goes in, before anything comes out of it.
    pub(crate) fn input(&mut self, now: Mono, input: &Input) -> Checked {
        self.before = self.now;
        self.now = self.now.max(now);
        self.current = input.clone();
        self.gone.clear();
        match input {
            Input::Notify(event) => self.must_tell(&About::of(event), notices::Audience::All),
            Input::Append(event) => self.appended(&About::of(event)),
            Input::Fed => self.hooks.values_mut().for_each(|limits| limits.passed_over = None),
            Input::Disable(hook, by) => self.switched(hook, *by),
            Input::Crash(places) => return self.crashed(places),
            Input::Ask { question, event, budget } => self.asked(*question, event, *budget),
            Input::Reload(hooks, places) => self.reloaded(hooks, places),
            Input::Limit(limit) => self.limit = (*limit).max(1),
            Input::Cancel(question) => self.left(*question),
            Input::Answer { .. } | Input::Tick | Input::Stop => {}
        }
        Ok(())
    }

    /// One thing that comes out.
    pub(crate) fn output(&mut self, output: &Output<()>) -> Checked {
        match output {
            Output::Call(request) => self.called(request),
            Output::Cancel { call, owner } => {
                let open = self.calls.get_mut(call);
                let open = open.ok_or_else(|| format!("law 5: {call:?} is cancelled but not open"))?;
                rule!(open.owner == *owner, "law 5: {call:?} is cancelled for {owner:?}, who has it not");
                open.cancelled = true;
                Ok(())
            }
            Output::Verdict { question, verdict } => self.verdict(*question, verdict),
            Output::Settled(settled) => self.settled(settled),
            Output::Concluded(concluded) => self.concluded(concluded),
            Output::Dropped(dropped) => self.dropped(dropped),
            Output::Breaker { hook, state } => self.breaker_said(hook, *state),
            Output::Hungry(_) => Ok(()),
            Output::Disabled { hook, .. } => {
                let hid = self.configured(hook)?.hid;
                rule!(
                    self.disabling == Some(hid),
                    "policies: {hook} is disabled without having asked for it"
                );
                self.disabling = None;
                if let Some(limits) = self.hooks.get_mut(&hid) {
                    limits.disabled = true;
                }
                Ok(())
            }
        }
    }

    /// All that came out of one step has been seen.
    pub(crate) fn step_over(&mut self) -> Checked {
        if let Some((call, open)) = self.calls.iter().find(|(_, open)| open.cancelled) {
            return Err(format!("law 5: {call:?} of {:?} was cancelled and has no outcome", open.owner));
        }
        if let Some((hook, state)) = self.breakers.first() {
            return Err(format!("breaker: that of {hook} became {state:?} without a call"));
        }
        rule!(self.disabling.is_none(), "policies: a hook that wants no more calls is not disabled");
        if let Some((call, _)) = self.calls.iter().find(|(_, open)| open.over <= self.now) {
            return Err(format!("law 1: {call:?} is open after its deadline"));
        }
        self.questions_go_on()?;
        self.shelve_disabled();
        match self.log {
            // Only when the couriers have done what they can is it plain what should run.
            Some(_) => Ok(()),
            None => self.notices_go_on(),
        }
    }

    /// Every courier has done what it can.
    pub(crate) fn all_fed(&mut self) -> Checked {
        self.notices_go_on()
    }

    /// The run is over: nothing may be left.
    pub(crate) fn finish(&self) -> Checked {
        rule!(self.calls.is_empty(), "law 5: calls without an outcome: {:?}", self.calls.keys());
        rule!(self.questions.is_empty(), "law 1: no verdict for {:?}", self.questions.keys());
        rule!(self.told.is_empty(), "law 6: never settled: {:?}", self.told.keys());
        Ok(())
    }

    fn called(&mut self, request: &Request<()>) -> Checked {
        let call = request.call;
        let fresh = !self.calls.contains_key(&call) && !self.closed.contains(&call);
        rule!(fresh, "law 5: {call:?} is made twice");
        rule!(request.deadline > self.now, "law 1: {call:?} is made after its deadline");
        let (hid, shared) = match request.owner {
            Owner::Question(question) => (self.question_calls(question, request)?, false),
            Owner::Notice => self.notice_calls(request)?,
        };
        let limits = self.hooks.get_mut(&hid).ok_or("a call of an unknown hook")?;
        let turned = self.breakers.iter().position(|(hook, _)| *hook == request.hook);
        if let Some(turned) = turned {
            let (_, state) = self.breakers.remove(turned);
            limits.breaker.reopens(self.now, state)?;
        }
        rule!(!limits.disabled, "policies: {} is disabled and gets {call:?}", request.hook);
        limits.start(self.now).map_err(|broken| format!("{broken} ({})", request.hook))?;
        let era = limits.breaker.enter()?;
        let seq = request.event.stamp().seq;
        let (owner, deadline) = (request.owner, request.deadline);
        let ending = match owner {
            Owner::Question(_) => Duration::ZERO,
            Owner::Notice => limits.spec.ending,
        };
        let over = deadline.after(ending);
        self.calls.insert(call, Open { hid, owner, seq, deadline, over, era, shared, cancelled: false });
        Ok(())
    }

    fn settled(&mut self, settled: &Settled) -> Checked {
        let call = settled.call;
        rule!(self.closed.insert(call), "law 5: {call:?} is settled twice");
        let open = self.calls.remove(&call);
        rule!(open.is_some() == settled.sent.is_some(), "law 5: {call:?} is said to have been sent or not");
        if let Some(open) = &open {
            rule!(open.owner == settled.owner, "law 5: {call:?} changed its owner");
            rule!(open.seq == settled.event.stamp().seq, "law 5: {call:?} changed its event");
            let limits = self.hooks.get_mut(&open.hid).ok_or("an outcome of an unknown hook")?;
            limits.end(settled.owner);
            limits.shared_running -= usize::from(open.shared);
            self.shared_running -= usize::from(open.shared);
            let turned = self.breakers.iter().position(|(hook, _)| *hook == settled.hook);
            let turned = turned.map(|turned| self.breakers.remove(turned).1);
            limits.breaker.leave(self.now, open.era, settled.outcome, turned)?;
            let answered = matches!(&self.current, Input::Answer { call: answered, .. } if *answered == call);
            rule!(answered != open.cancelled, "law 5: {call:?} is neither answered nor cancelled, or both");
        }
        match settled.owner {
            Owner::Question(question) => {
                self.settled.entry(question).or_default().push(settled.delivery);
                self.question_settled(question, settled, open.as_ref())
            }
            Owner::Notice => self.notice_settled(settled, open.as_ref()),
        }
    }

    /// The trace of a question names every hook that was asked, and no other as asked.
    fn concluded(&mut self, concluded: &Concluded) -> Checked {
        let id = concluded.question;
        let settled = self.settled.remove(&id).unwrap_or_default();
        let asked: Vec<DeliveryId> = concluded.chain.iter().filter_map(|step| step.delivery).collect();
        rule!(asked == settled, "trace: {id:?} is said to have made {asked:?}, and made {settled:?}");
        let marked = concluded.chain.iter().all(|step| (step.why == Why::Asked) == step.delivery.is_some());
        rule!(marked, "trace: a hook of {id:?} is said to be asked, or not, against its delivery");
        Ok(())
    }

    fn breaker_said(&mut self, hook: &Text, state: BreakerState) -> Checked {
        let twice = self.breakers.iter().any(|(other, _)| other == hook);
        rule!(!twice, "breaker: that of {hook} turned twice at once");
        self.breakers.push((hook.clone(), state));
        Ok(())
    }

    fn reloaded(&mut self, hooks: &[HookSpec], places: &[(Text, Cursor)]) {
        let former = Rc::clone(&self.config);
        let mut config = Vec::new();
        for spec in hooks {
            let known = former.iter().find(|known| known.spec.id == spec.id).map(|known| known.hid);
            let spec = Rc::new(spec.clone());
            let hid = known.unwrap_or_else(|| {
                self.next_hid += 1;
                self.next_hid
            });
            match self.hooks.get_mut(&hid) {
                Some(limits) => limits.configure(&spec),
                None => drop(self.hooks.insert(hid, Limits::new(&spec))),
            }
            config.push(Configured { hid, spec });
        }
        self.gone =
            former.iter().filter(|old| config.iter().all(|new| new.hid != old.hid)).cloned().collect();
        self.config = config.into();
        // How long one has to wait depends on how many there are.
        self.hooks.values_mut().for_each(|limits| limits.passed_over = None);
        self.relane();
        self.follow(places);
        self.unshelve();
    }

    fn configured(&self, hook: &Text) -> Result<Configured, String> {
        let found = self.config.iter().chain(&self.gone).find(|configured| configured.spec.name == *hook);
        found.cloned().ok_or_else(|| format!("policies: the hook {hook} is not configured"))
    }
}

/// What the laws need to know of an event.
#[derive(Debug, Clone)]
pub(crate) struct About {
    seq: u64,
    event_type: jackfield_events::EventType,
    key: Option<StreamKey>,
    conn: Option<ConnId>,
    epoch: Option<u64>,
    time: UnixTime,
    failopen: Vec<Text>,
}

impl About {
    pub(crate) fn of(event: &Event) -> Self {
        let scope = event.scope();
        let failopen = match event.field("failopen") {
            Some(serde_json::Value::Array(names)) => {
                names.iter().filter_map(|name| name.as_str().map(Text::from)).collect()
            }
            _ => Vec::new(),
        };
        Self {
            seq: event.stamp().seq,
            event_type: event.event_type(),
            key: scope.stream_key.clone(),
            conn: scope.conn_id,
            epoch: scope.epoch.map(|epoch| epoch.0),
            time: event.stamp().time,
            failopen,
        }
    }

    /// What keeps it in order with others.
    fn orders(&self) -> Option<String> {
        match self.event_type.spec().ordered_by {
            OrderedBy::Connection => self.conn.map(|conn| conn.to_string()),
            OrderedBy::Stream => self.key.as_ref().map(|key| key.as_str().to_owned()),
        }
    }

    fn check_seen(&self, event: &Event, secret: Secret) -> Checked {
        let seen = Self::of(event);
        rule!(seen.seq == self.seq, "law 3: a hook sees event {} in the place of {}", seen.seq, self.seq);
        rule!(seen.key == self.key, "law 4: a hook sees {:?} instead of {:?}", seen.key, self.key);
        rule!(
            seen.failopen == self.failopen,
            "law 3: failopen is {:?} and should be {:?}",
            seen.failopen,
            self.failopen
        );
        if self.event_type.spec().kind.is_question() {
            let query = event.field("query").and_then(|query| query.as_str()).unwrap_or_default();
            let expect = match secret {
                Secret::Whole => "token=abc",
                Secret::Masked => "token=***",
            };
            rule!(query == expect, "law 2: the query reads {query}");
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Secret {
    Whole,
    Masked,
}
