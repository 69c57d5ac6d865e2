//! The handle that everything else talks to, and the state behind its lock.

mod asking;
mod driving;
mod keeping;
mod trial;

use crate::record::Loudness;
use crate::trace::Tracing;
use crate::{Deliveries, HookRecord, Transport, TransportCounters};
use asking::Mailbox;
use driving::{retire, ticker};
use jackfield_bus::{Bus, Sink};
use jackfield_events::{Event, EventSet, EventType, Masker, Verdict};
use jackfield_hooks::{CallId, Core, CoreConfig, HookSpec, HookStatus, QuestionId};
use jackfield_media::{Mono, Text};
use jackfield_runtime::{Joining, Tasks, catch, clock, random};
use keeping::Keep;
pub use keeping::{Enabled, KeepConfig, KeepCounters, KeepError, Lag, ReplayError, SwitchError};
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;
pub use trial::{Trial, TrialError};

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

pub(crate) struct Inner {
    wanted: AtomicU64,
    state: Mutex<State>,
    pub(crate) tasks: Tasks,
    /// Where notices are read and delivered. Facts may come from threads that are no runtime's, such as a drop at the end
    /// of `main`.
    notices: Handle,
    /// The core wants to know the time earlier than the ticker sleeps.
    sooner: Arc<Notify>,
    /// Something has ended: whoever waits for quiet looks again.
    ended: Notify,
    /// Cursors or dead letters may have to be written.
    pub(crate) changed: Arc<Notify>,
    /// Held while they are. Taken before `state`.
    saving: Mutex<()>,
    /// Where it is told that a hook was disabled.
    bus: OnceLock<Bus>,
}

pub(crate) struct State {
    pub(crate) core: Core<Handler>,
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
    keep: Option<Keep>,
    trace: Tracing,
}

/// A hook's transport, as the core carries it.
#[derive(Clone)]
pub(crate) struct Handler(Arc<dyn Transport>);

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handler")
    }
}

impl Dispatch {
    /// A dispatch without hooks. Its tasks are spawned in this group, in the runtime that it is made in.
    /// `masker` masks the secrets of questions that are told as notices.
    #[must_use]
    pub fn new(config: DispatchConfig, masker: Masker, tasks: &Tasks) -> Self {
        Self::with_notices_on(Handle::current(), config, masker, tasks)
    }

    /// The same, with a runtime for notices: however many there are, their tasks hold up none of the one that it is made in,
    /// which asks the questions. A connection or a worker that a hook is both asked and told through lives where it was
    /// begun, and there may wait its turn among notices.
    #[must_use]
    pub fn with_notices_on(notices: Handle, config: DispatchConfig, masker: Masker, tasks: &Tasks) -> Self {
        let DispatchConfig { notice_concurrency, question_budget } = config;
        let core = CoreConfig { notice_concurrency, seed: random::number() };
        let state = State {
            trace: Tracing::new(Deliveries::in_memory(masker.clone())),
            core: Core::new(&core, masker),
            budget: question_budget,
            mailboxes: HashMap::new(),
            running: HashMap::new(),
            transports: Vec::new(),
            retired: Vec::new(),
            armed: None,
            loudness: Loudness::default(),
            keep: None,
        };
        let inner = Arc::new(Inner {
            wanted: AtomicU64::new(0),
            state: Mutex::new(state),
            tasks: tasks.clone(),
            notices,
            sooner: Arc::new(Notify::new()),
            ended: Notify::new(),
            changed: Arc::new(Notify::new()),
            saving: Mutex::new(()),
            bus: OnceLock::new(),
        });
        let ticker = ticker(Arc::downgrade(&inner), Arc::clone(&inner.sooner), tasks.clone());
        drop(tasks.spawn("hooks-ticker", ticker));
        Self(inner)
    }

    /// Puts these hooks in the place of the former ones, at the start and at each reload; their order is
    /// the order of chains. See [`Core::replace_hooks`] for what goes on and what ends. A transport that
    /// is not among them any more is drained once no question can reach it.
    ///
    /// The bus must then be told by [`Dispatch::wanted`], unless hooks are fed from the log ([`Dispatch::keep_notices`]).
    pub fn set_hooks(&self, hooks: Vec<(HookSpec, Arc<dyn Transport>)>) {
        let names: Vec<Text> = hooks.iter().map(|(spec, _)| spec.name.clone()).collect();
        let fresh: Vec<Arc<dyn Transport>> =
            hooks.iter().map(|(_, transport)| Arc::clone(transport)).collect();
        let longest =
            hooks.iter().map(|(spec, _)| spec.notice_timeout + spec.ending).max().unwrap_or_default();
        let specs: Vec<HookSpec> = hooks.iter().map(|(spec, _)| spec.clone()).collect();
        let hooks = hooks.into_iter().map(|(spec, transport)| (spec, Handler(transport))).collect();
        let (budget, gone) = self.0.input(None, |state, now| {
            state.remember();
            state.core.replace_hooks(now, hooks);
            state.loudness.keep(&names);
            state.trace.keep(&names);
            self.0.wanted.store(state.core.wanted().bits(), Ordering::Relaxed);
            let former = std::mem::replace(&mut state.transports, fresh);
            let gone: Vec<_> = former
                .into_iter()
                .filter(|old| !state.transports.iter().any(|new| Arc::ptr_eq(old, new)))
                .collect();
            state.retired.extend(gone.iter().map(Arc::clone));
            (state.budget, gone)
        });
        self.0.feed_hooks(&specs);
        for transport in gone {
            let inner = Arc::downgrade(&self.0);
            let stopping = self.0.tasks.stopping();
            drop(self.0.tasks.spawn("hooks-retire", retire(inner, transport, budget, longest, stopping)));
        }
    }

    /// Changes the limits over all hooks. Questions that are under way keep their budget.
    pub fn set_config(&self, config: &DispatchConfig) {
        self.0.input(None, |state, now| {
            state.budget = config.question_budget;
            state.core.set_notice_concurrency(now, config.notice_concurrency);
        });
    }

    /// Keeps from now on what becomes of deliveries there, and not in memory only. To be called at the start, before there
    /// are hooks: what was kept before is forgotten.
    pub fn keep_deliveries(&self, deliveries: Deliveries) {
        let first = deliveries.first_number();
        self.0.input(None, |state, _now| {
            state.core.number_from(first);
            state.trace.deliveries = deliveries;
        });
    }

    /// What became of deliveries and questions.
    #[must_use]
    pub fn deliveries(&self) -> Deliveries {
        self.0.state().trace.deliveries.clone()
    }

    /// How long the calls of every hook take and how it failed last, in the configured order, as [`Dispatch::status`] has
    /// it.
    #[must_use]
    pub fn hook_records(&self) -> Vec<HookRecord> {
        let mut state = self.0.state();
        let names: Vec<Text> = state.core.status().into_iter().map(|status| status.name).collect();
        state.trace.hooks(clock::now(), names.into_iter())
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

    /// Delivers the notices that wait, as far as they can start by then. What is left stays in the log for the next
    /// start; what is in memory only is given up, counted. Then lets the transports finish. Facts and questions must
    /// have ended before.
    pub async fn drain(&self, deadline: Mono) {
        if clock::until(deadline, self.0.quiet(deadline)).await.is_none() {
            match self.0.state().keep {
                Some(_) => {
                    tracing::info!("Some events are not delivered yet: they will be after the next start")
                }
                None => tracing::warn!("Some events could not be delivered before the server stops"),
            }
        }
        self.0.recall_couriers();
        let transports = self.0.input(None, |state, now| {
            state.core.stop_notices(now);
            let mut all = state.transports.clone();
            all.append(&mut state.retired);
            all
        });
        if clock::until(clock::now().after(GRACE), self.0.save()).await.is_none() {
            tracing::error!("The hooks' places in the log could not be written in time");
        }
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

    /// What the transport of every hook has counted, in the configured order, as [`Dispatch::status`] has it. A hook that a
    /// reload gave another transport begins at zero.
    #[must_use]
    pub fn transport_counters(&self) -> Vec<TransportCounters> {
        self.0.state().transports.iter().map(|transport| transport.counters()).collect()
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
