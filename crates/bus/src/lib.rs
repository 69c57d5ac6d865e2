//! Facts meet here: an event is built once, stamped once and handed to every sink in one order.
//!
//! [`Bus::emit`] writes the event's own log line and, if some sink wants events of this type, builds
//! the [`Event`] and hands it over. With no sink it costs one relaxed atomic load and allocates nothing.
//! A sink never blocks: it queues by its own policy, or counts what it had to drop.
//!
//! [`Bus::question`] stamps a question in the same order of `seq`, for the gate to ask.

use jackfield_events::{Event, EventSet, EventType, Exposure, Fact, Masker, Scope, Stamp};
use jackfield_media::Text;
use jackfield_runtime::{clock, random};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use ulid::Ulid;

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
    state: Mutex<State>,
}

struct State {
    next_seq: u64,
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
            state: Mutex::new(State { next_seq: 1, chance, sinks: Vec::new() }),
        }))
    }

    /// Adds the sink of this name, or puts it in the place of the former one: which events it wants,
    /// and where they go. Events emitted before are not seen.
    pub fn set_sink(&self, name: &'static str, wants: EventSet, sink: Arc<dyn Sink>) {
        let mut state = self.state();
        state.sinks.retain(|(other, ..)| *other != name);
        state.sinks.push((name, wants, sink));
        let all = state.sinks.iter().fold(EventSet::EMPTY, |all, (_, wants, _)| all.union(*wants));
        self.0.wanted.store(all.bits(), Ordering::Relaxed);
    }

    /// Whether some sink wants events of this type.
    #[must_use]
    pub fn wants(&self, event: EventType) -> bool {
        EventSet::from_bits(self.0.wanted.load(Ordering::Relaxed)).contains(event)
    }

    /// A fact: logged, and given to the sinks that want it.
    pub fn emit<F: Fact>(&self, scope: &Scope, fact: &F) {
        self.log(scope, fact);
        if !self.wants(F::TYPE) {
            return;
        }
        let data = fact.data(Exposure::Masked(&self.0.masker));
        let mut state = self.state();
        let event = Arc::new(Event::new(F::TYPE, self.stamp(&mut state), scope.clone(), data));
        for (_, wants, sink) in &state.sinks {
            if wants.contains(F::TYPE) {
                sink.accept(&event);
            }
        }
    }

    /// A stamped question with its secrets whole.
    pub fn question<F: Fact>(&self, scope: &Scope, fact: &F) -> Event {
        let data = fact.data(Exposure::Whole);
        let stamp = self.stamp(&mut self.state());
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
