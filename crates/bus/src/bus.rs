//! The bus itself: stamps, one order, and who gets what.

use crate::OpenPair;
use crate::outbox::{Given, Outbox};
use jackfield_events::notices::EventsLost;
use jackfield_events::{Event, EventSet, EventType, Exposure, Fact, Masker, Scope, Stamp};
use jackfield_media::Text;
use jackfield_runtime::{Tasks, clock, random};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use ulid::Ulid;

/// How often losses are told.
const LOSSES_EVERY: Duration = Duration::from_secs(10);

/// Where events go. Called under the bus's lock, in the order of `seq`: it must queue and return.
pub trait Sink: Send + Sync {
    /// Takes the event, or counts it as dropped.
    fn accept(&self, event: &Arc<Event>);
}

/// The bus. Clones are the same bus.
#[derive(Clone)]
pub struct Bus(Arc<Inner>);

struct Inner {
    node: Text,
    masker: Masker,
    wanted: AtomicU64,
    outbox: OnceLock<Outbox>,
    state: Mutex<State>,
}

struct State {
    next_seq: u64,
    /// The highest number of a session that a question was about.
    session: u64,
    chance: u128,
    sinks: Vec<(&'static str, EventSet, Arc<dyn Sink>)>,
}

impl Bus {
    /// A bus without sinks. `node` names this server in every event.
    #[must_use]
    pub fn new(node: &str, masker: Masker) -> Self {
        let chance = u128::from(random::number()) << 64 | u128::from(random::number());
        Self(Arc::new(Inner {
            node: node.into(),
            masker,
            wanted: AtomicU64::new(0),
            outbox: OnceLock::new(),
            state: Mutex::new(State { next_seq: 1, session: 0, chance, sinks: Vec::new() }),
        }))
    }

    /// The same bus, which stores every notice from now on and numbers on from what is stored. What is lost is told by
    /// a task of `tasks`. A second outbox is not taken.
    #[must_use]
    pub fn with_outbox(self, outbox: Outbox, tasks: &Tasks) -> Self {
        {
            let mut state = self.state();
            state.next_seq = state.next_seq.max(outbox.last() + 1);
            outbox.go_on_above(state.next_seq - 1);
            let _second = self.0.outbox.set(outbox.clone());
            self.set_wanted(&state);
        }
        let (bus, stopping) = (self.clone(), tasks.stopping());
        drop(tasks.spawn("events lost", async move {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = bus.tell_losses(&outbox) => {}
            }
        }));
        self
    }

    /// The outbox, if there is one.
    #[must_use]
    pub fn outbox(&self) -> Option<&Outbox> {
        self.0.outbox.get()
    }

    /// Tells the stops of pairs that the last server left open, in this order, with reason `server_restart`.
    pub fn close_pairs(&self, open: &[OpenPair]) {
        let now = clock::unix_now();
        for pair in open {
            pair.close(self, now);
        }
    }

    /// Ends the outbox, if there is one: all that was told is written, and the next server knows that nothing is
    /// missing. Call it when nothing is told any more.
    pub async fn close(&self) {
        if let Some(outbox) = self.outbox() {
            let given = {
                let state = self.state();
                Given { seq: state.next_seq - 1, session: state.session }
            };
            outbox.close(given).await;
        }
    }

    /// Adds the sink of this name, or puts it in the place of the former one: which events it wants,
    /// and where they go. Events emitted before are not seen.
    pub fn set_sink(&self, name: &'static str, wants: EventSet, sink: Arc<dyn Sink>) {
        let mut state = self.state();
        state.sinks.retain(|(other, ..)| *other != name);
        state.sinks.push((name, wants, sink));
        self.set_wanted(&state);
    }

    fn set_wanted(&self, state: &State) {
        let stored = self.outbox().map_or(EventSet::EMPTY, |_| EventSet::notices());
        let all = state.sinks.iter().fold(stored, |all, (_, wants, _)| all.union(*wants));
        self.0.wanted.store(all.bits(), Ordering::Relaxed);
    }

    /// Whether somebody wants events of this type: a sink, or the outbox.
    #[must_use]
    pub fn wants(&self, event: EventType) -> bool {
        EventSet::from_bits(self.0.wanted.load(Ordering::Relaxed)).contains(event)
    }

    /// A fact: logged, stored, and given to the sinks that want it.
    pub fn emit<F: Fact>(&self, scope: &Scope, fact: &F) {
        self.log(scope, fact);
        if !self.wants(F::TYPE) {
            return;
        }
        let data = fact.data(Exposure::Masked(&self.0.masker));
        let mut state = self.state();
        let event = Arc::new(Event::new(F::TYPE, self.stamp(&mut state), scope.clone(), data));
        self.hand_on(&state, &event);
    }

    /// An event that did not happen, to try hooks with: stamped, marked as a test and handed on as a fact is.
    ///
    /// # Errors
    /// That of `make`; then nothing was handed on.
    pub fn trigger<E>(&self, make: impl FnOnce(Stamp) -> Result<Event, E>) -> Result<Arc<Event>, E> {
        let mut state = self.state();
        let event = Arc::new(make(self.stamp(&mut state))?.as_test());
        self.hand_on(&state, &event);
        drop(state);
        tracing::info!(target: "jackfield::event", event = event.event_type().name(), "Event triggered for a test");
        Ok(event)
    }

    /// A stamp for an event that is handed on by nobody.
    #[must_use]
    pub fn next_stamp(&self) -> Stamp {
        self.stamp(&mut self.state())
    }

    fn hand_on(&self, state: &State, event: &Arc<Event>) {
        if let Some(outbox) = self.outbox().filter(|_| !event.spec().kind.is_question()) {
            outbox.append(event);
        }
        for (_, wants, sink) in &state.sinks {
            if wants.contains(event.event_type()) {
                sink.accept(event);
            }
        }
    }

    async fn tell_losses(&self, outbox: &Outbox) {
        loop {
            for loss in outbox.losses().await {
                let lost = EventsLost {
                    count: loss.count,
                    first_seq: loss.first.to_string().into(),
                    last_seq: loss.last.to_string().into(),
                    cause: loss.cause,
                };
                self.emit(&Scope::default(), &lost);
            }
            clock::sleep(LOSSES_EVERY).await;
        }
    }

    /// A stamped question with its secrets whole.
    pub fn question<F: Fact>(&self, scope: &Scope, fact: &F) -> Event {
        let data = fact.data(Exposure::Whole);
        let stamp = {
            let mut state = self.state();
            state.session = state.session.max(scope.session_id.map_or(0, |id| id.0));
            self.stamp(&mut state)
        };
        Event::new(F::TYPE, stamp, scope.clone(), data)
    }

    /// What masks secrets outside of questions.
    #[must_use]
    pub fn masker(&self) -> &Masker {
        &self.0.masker
    }

    fn stamp(&self, state: &mut State) -> Stamp {
        let time = clock::unix_now();
        let seq = state.next_seq;
        state.next_seq += 1;
        // Ids of one millisecond ascend, as the ULID specification asks of a monotonic source.
        state.chance = state.chance.wrapping_add(1);
        let millis = u64::try_from(time.millis()).unwrap_or_default();
        Stamp { id: Ulid::from_parts(millis, state.chance), seq, node: self.0.node.clone(), time }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log<F: Fact>(&self, scope: &Scope, fact: &F) {
        tracing::info!(
            target: "jackfield::event",
            event = F::TYPE.name(),
            conn = scope.conn_id.map(tracing::field::display),
            session = scope.session_id.map(tracing::field::display),
            stream = scope.stream_key.as_ref().map(tracing::field::display),
            epoch = scope.epoch.map(|epoch| epoch.0),
            data = %Shown { fact, masker: &self.0.masker },
            "{}", F::SPEC.log
        );
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus").field("node", &self.0.node).finish_non_exhaustive()
    }
}

/// `name=value` pairs of a fact, rendered only when the log line is.
struct Shown<'a, F> {
    fact: &'a F,
    masker: &'a Masker,
}

impl<F: Fact> fmt::Display for Shown<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.fact.data(Exposure::Masked(self.masker)).iter().enumerate() {
            let gap = if index > 0 { " " } else { "" };
            match value.as_str() {
                Some(text) => write!(f, "{gap}{name}={text}")?,
                None => write!(f, "{gap}{name}={value}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_events::notices::StreamCreate;

    #[derive(Default)]
    struct Kept(Mutex<Vec<Arc<Event>>>);

    impl Sink for Kept {
        fn accept(&self, event: &Arc<Event>) {
            self.0.lock().unwrap().push(Arc::clone(event));
        }
    }

    #[test]
    fn a_sink_gets_what_it_wants_in_the_order_of_seq() {
        let bus = Bus::new("n", Masker::default());
        let fact = StreamCreate { app: "live".into(), stream_name: "a".into() };
        let kept = Arc::new(Kept::default());
        bus.emit(&Scope::default(), &fact);
        bus.set_sink("kept", EventSet::EMPTY.with(StreamCreate::TYPE), Arc::clone(&kept) as Arc<dyn Sink>);
        bus.emit(&Scope::default(), &fact);
        bus.emit(&Scope::default(), &fact);
        let seen: Vec<u64> = kept.0.lock().unwrap().iter().map(|event| event.stamp().seq).collect();
        assert_eq!(seen, [1, 2]);
        let ids: Vec<Ulid> = kept.0.lock().unwrap().iter().map(|event| event.stamp().id).collect();
        assert!(ids[0] < ids[1]);
        bus.set_sink("kept", EventSet::EMPTY, kept);
        assert!(!bus.wants(StreamCreate::TYPE));
    }
}
