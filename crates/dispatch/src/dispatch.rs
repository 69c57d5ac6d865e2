//! The handle that everything else talks to, and the state behind its lock.

mod asking;

use crate::record::{Heard, Loudness, Record, Timing, is_failure};
use crate::{Call, Reply, Transport};
use asking::{Mail, Mailbox};
use jackfield_bus::Sink;
use jackfield_events::{Event, EventSet, EventType, Masker, Verdict};
use jackfield_hooks::{
    CallId, Core, CoreConfig, DropCause, Failure, HookSpec, HookStatus, Outcome, Output, Owner, QuestionId,
    Request, Retry,
};
use jackfield_media::{Mono, Text};
use jackfield_runtime::{Joining, Tasks, catch, clock, random};
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Notify;

/// How long after its deadline a transport may take to drain: its programs get 2 s between SIGTERM and
/// SIGKILL.
const GRACE: Duration = Duration::from_secs(3);

/// Limits over all hooks.
#[derive(Debug, Clone)]
pub struct DispatchConfig {
    /// Calls of notices at once, over all hooks that share the limit (`--hook-concurrency`).
    pub notice_concurrency: usize,
    /// Longest time from a question to its verdict, whatever its hooks do.
    pub question_budget: Duration,
}

impl Default for DispatchConfig {
    fn default() -> Self {
        Self { notice_concurrency: 10, question_budget: Duration::from_secs(5) }
    }
}

/// The hooks of this server. Clones are the same.
#[derive(Clone)]
pub struct Dispatch(Arc<Inner>);

struct Inner {
    wanted: AtomicU64,
    state: Mutex<State>,
    tasks: Tasks,
    /// The core wants to know the time earlier than the ticker sleeps.
    sooner: Arc<Notify>,
    /// Something has ended: whoever waits for quiet looks again.
    ended: Notify,
}

struct State {
    core: Core<Handler>,
    budget: Duration,
    mailboxes: HashMap<QuestionId, Mailbox>,
    /// Calls of notices that run, to be aborted.
    running: HashMap<CallId, Joining<()>>,
    transports: Vec<Arc<dyn Transport>>,
    /// Taken out by a reload, not told to drain yet.
    retired: Vec<Arc<dyn Transport>>,
    /// Until when the ticker sleeps.
    armed: Option<Mono>,
    loudness: Loudness,
}

/// A hook's transport, as the core carries it.
#[derive(Clone)]
struct Handler(Arc<dyn Transport>);

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handler")
    }
}

impl Dispatch {
    /// A dispatch without hooks. Its tasks are spawned in this group; it must be made inside a runtime.
    /// `masker` masks the secrets of questions that are told as notices.
    #[must_use]
    pub fn new(config: DispatchConfig, masker: Masker, tasks: &Tasks) -> Self {
        let DispatchConfig { notice_concurrency, question_budget } = config;
        let core = CoreConfig { notice_concurrency, seed: random::number() };
        let state = State {
            core: Core::new(&core, masker),
            budget: question_budget,
            mailboxes: HashMap::new(),
            running: HashMap::new(),
            transports: Vec::new(),
            retired: Vec::new(),
            armed: None,
            loudness: Loudness::default(),
        };
        let inner = Arc::new(Inner {
            wanted: AtomicU64::new(0),
            state: Mutex::new(state),
            tasks: tasks.clone(),
            sooner: Arc::new(Notify::new()),
            ended: Notify::new(),
        });
        let ticker = ticker(Arc::downgrade(&inner), Arc::clone(&inner.sooner), tasks.clone());
        drop(tasks.spawn("hooks-ticker", ticker));
        Self(inner)
    }

    /// Puts these hooks in the place of the former ones, at the start and at each reload; their order is
    /// the order of chains. See [`Core::replace_hooks`] for what goes on and what ends. A transport that
    /// is not among them any more is drained once no question can reach it.
    ///
    /// The bus must then be told by [`Dispatch::wanted`].
    pub fn set_hooks(&self, hooks: Vec<(HookSpec, Arc<dyn Transport>)>) {
        let names: Vec<Text> = hooks.iter().map(|(spec, _)| spec.name.clone()).collect();
        let fresh: Vec<Arc<dyn Transport>> =
            hooks.iter().map(|(_, transport)| Arc::clone(transport)).collect();
        let longest = hooks.iter().map(|(spec, _)| spec.notice_timeout).max().unwrap_or_default();
        let hooks = hooks.into_iter().map(|(spec, transport)| (spec, Handler(transport))).collect();
        let (budget, gone) = self.0.input(None, |state, now| {
            state.core.replace_hooks(now, hooks);
            state.loudness.keep(&names);
            self.0.wanted.store(state.core.wanted().bits(), Ordering::Relaxed);
            let former = std::mem::replace(&mut state.transports, fresh);
            let gone: Vec<_> = former
                .into_iter()
                .filter(|old| !state.transports.iter().any(|new| Arc::ptr_eq(old, new)))
                .collect();
            state.retired.extend(gone.iter().map(Arc::clone));
            (state.budget, gone)
        });
        for transport in gone {
            let inner = Arc::downgrade(&self.0);
            drop(self.0.tasks.spawn("hooks-retire", retire(inner, transport, budget, longest)));
        }
    }

    /// Changes the limits over all hooks. Questions that are under way keep their budget.
    pub fn set_config(&self, config: &DispatchConfig) {
        self.0.input(None, |state, now| {
            state.budget = config.question_budget;
            state.core.set_notice_concurrency(now, config.notice_concurrency);
        });
    }

    /// Whether some hook wants events of this type: one relaxed load.
    #[must_use]
    pub fn wants(&self, event: EventType) -> bool {
        self.wanted().contains(event)
    }

    /// All that some hook wants.
    #[must_use]
    pub fn wanted(&self) -> EventSet {
        EventSet::from_bits(self.0.wanted.load(Ordering::Relaxed))
    }

    /// Asks the hooks that decide this question, in order; the verdict is there before the budget ends.
    ///
    /// Cancel-safe: dropping the future cancels the question and the call that runs for it.
    pub async fn ask(&self, event: Event) -> Verdict {
        if !self.wants(event.event_type()) {
            return Verdict::unasked();
        }
        asking::ask(&self.0, Arc::new(event)).await
    }

    /// Returns when nothing runs and nothing waits, not even for a next try. Cancel-safe.
    pub async fn idle(&self) {
        self.0.quiet(Mono::from_origin(Duration::MAX)).await;
    }

    /// Delivers the notices that wait, as far as they can start by then; what is left is given up,
    /// counted. Then lets the transports finish. Facts and questions must have ended before.
    pub async fn drain(&self, deadline: Mono) {
        if clock::until(deadline, self.0.quiet(deadline)).await.is_none() {
            tracing::warn!("Some events could not be delivered before the server stops");
        }
        let transports = self.0.input(None, |state, now| {
            state.core.stop_notices(now);
            let mut all = state.transports.clone();
            all.append(&mut state.retired);
            all
        });
        let drains = transports.iter().map(|transport| catch(async { transport.drain(deadline).await }));
        let drains = futures_util::future::join_all(drains);
        match clock::until(deadline.after(GRACE), drains).await {
            None => tracing::error!("A hook transport does not end"),
            Some(ends) => ends.into_iter().filter_map(Result::err).for_each(|panicked| {
                tracing::error!(error = %panicked, "Hook transport panicked while it drained");
            }),
        }
    }

    /// How every hook stands, in the configured order.
    #[must_use]
    pub fn status(&self) -> Vec<HookStatus> {
        self.0.state().core.status()
    }

    /// Answers that came for calls which were over already: late ones and duplicates.
    #[must_use]
    pub fn stray_answers(&self) -> u64 {
        self.0.state().core.stray_answers()
    }
}

impl Sink for Dispatch {
    fn accept(&self, event: &Arc<Event>) {
        self.0.input(None, |state, now| state.core.notify(now, event));
    }
}

impl fmt::Debug for Dispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatch").field("wanted", &self.wanted()).finish_non_exhaustive()
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One input to the core, and everything that comes out of it.
    fn input<T>(self: &Arc<Self>, timing: Option<Timing>, input: impl FnOnce(&mut State, Mono) -> T) -> T {
        let mut records = Vec::new();
        let result = {
            let mut state = self.state();
            let now = clock::now();
            let result = input(&mut state, now);
            while let Some(output) = state.core.poll_output() {
                self.act(&mut state, now, output, timing, &mut records);
            }
            if let Some(at) = state.core.poll_timeout()
                && state.armed.is_none_or(|armed| at < armed)
            {
                state.armed = Some(at);
                self.sooner.notify_one();
            }
            result
        };
        if records.iter().any(|record| matches!(record, Record::Settled(..) | Record::Dropped(..))) {
            self.ended.notify_waiters();
        }
        // A log that is slow to take its lines must not hold the lock.
        for record in records {
            record.write();
        }
        result
    }

    fn act(
        self: &Arc<Self>,
        state: &mut State,
        now: Mono,
        output: Output<Handler>,
        timing: Option<Timing>,
        records: &mut Vec<Record>,
    ) {
        match output {
            Output::Call(request) => match request.owner {
                Owner::Question(question) => state.post(question, Mail::Call(Box::new(request))),
                Owner::Notice => self.start(state, request),
            },
            Output::Cancel { call, owner: Owner::Question(question) } => {
                state.post(question, Mail::Cancel(call))
            }
            Output::Cancel { call, owner: Owner::Notice } => {
                if let Some(task) = state.running.remove(&call) {
                    task.abort();
                }
            }
            Output::Verdict { question, verdict } => state.post(question, Mail::Verdict(verdict)),
            Output::Settled(settled) => {
                let heard = match is_failure(settled.outcome) {
                    true => state.loudness.hear(now, &settled.hook),
                    false => Heard::Quiet,
                };
                let timing = timing.filter(|timing| timing.call == settled.call);
                records.push(Record::Settled(Box::new(settled), timing, heard));
            }
            Output::Dropped(dropped) => {
                let heard = match dropped.cause {
                    DropCause::QueueFull => state.loudness.hear(now, &dropped.hook),
                    _ => Heard::Quiet,
                };
                records.push(Record::Dropped(dropped, heard));
            }
            Output::Breaker { hook, state } => records.push(Record::Breaker(hook, state)),
            Output::Disabled { hook } => records.push(Record::Disabled(hook)),
        }
    }

    /// Runs the call of a notice in a task of its own.
    fn start(self: &Arc<Self>, state: &mut State, request: Request<Handler>) {
        let (id, inner) = (request.call, Arc::clone(self));
        let task = self.tasks.spawn("hook-notice", async move {
            let reply = make(request).await;
            inner.finished(id, reply);
        });
        state.running.insert(id, task);
    }

    fn finished(self: &Arc<Self>, call: CallId, reply: Reply) {
        let timing = Timing::of(call, &reply);
        self.input(Some(timing), |state, now| {
            state.running.remove(&call);
            state.core.answer(now, call, reply.result);
        });
    }

    async fn quiet(&self, until: Mono) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.state().core.is_quiet(until) {
                return;
            }
            ended.await;
        }
    }
}

impl State {
    fn post(&mut self, question: QuestionId, mail: Mail) {
        if let Some(mailbox) = self.mailboxes.get_mut(&question) {
            mailbox.put(mail);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.sooner.notify_one();
    }
}

/// Makes one call behind a panic boundary.
async fn make(request: Request<Handler>) -> Reply {
    let started = clock::now();
    let Request {
        handler: Handler(transport),
        delivery,
        hook,
        mode,
        event,
        attempt,
        num_dropped,
        deadline,
        ..
    } = request;
    let call = Call { delivery, hook, mode, event, attempt, num_dropped, deadline };
    catch(async move { transport.call(call).await }).await.unwrap_or_else(|panicked| Reply {
        result: Err(Failure { outcome: Outcome::Crashed, detail: panicked.to_string(), retry: Retry::No }),
        connect: Duration::ZERO,
        handler: clock::now() - started,
        pid: None,
    })
}

/// Sleeps until the core wants to know the time, again and again.
async fn ticker(inner: Weak<Inner>, sooner: Arc<Notify>, tasks: Tasks) {
    let stopping = tasks.stopping();
    loop {
        let at = {
            let Some(inner) = inner.upgrade() else { return };
            // Outputs first: they may already need an earlier time than the core has now.
            inner.input(None, |state, now| {
                state.core.tick(now);
                state.armed = Some(Mono::ZERO);
            });
            let mut state = inner.state();
            state.armed = state.core.poll_timeout();
            state.armed
        };
        let wake = at.unwrap_or_else(clock::never);
        tokio::select! {
            () = clock::sleep_until(wake) => {}
            () = sooner.notified() => {}
            () = stopping.cancelled() => return,
        }
    }
}

/// Drains a transport that a reload took out, once the questions that may reach it are over.
async fn retire(inner: Weak<Inner>, transport: Arc<dyn Transport>, budget: Duration, longest: Duration) {
    clock::sleep(budget).await;
    let Some(inner) = inner.upgrade() else { return };
    let waiting = {
        let mut state = inner.state();
        let place = state.retired.iter().position(|retired| Arc::ptr_eq(retired, &transport));
        place.map(|place| state.retired.swap_remove(place))
    };
    // Otherwise the server's own end drains it.
    if let Some(transport) = waiting {
        transport.drain(clock::now().after(longest)).await;
    }
}
