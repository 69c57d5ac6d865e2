//! A server without sockets: bus, hub, gate, one connection, and hooks as closures.

use jackfield_bus::{Bus, Sink};
use jackfield_dispatch::{BoxFuture, Call, Dispatch, DispatchConfig, Reply, Transport};
use jackfield_events::{
    Answer, Decision, Event, EventSet, EventType, Masker, OnError, Protocol, PublishType, Reason,
};
use jackfield_gate::{ConnectionAsk, Gate, PlayAsk, PublishAsk};
use jackfield_hooks::{Failure, HookSpec, Mode, Outcome, Retry};
use jackfield_hub::{Hub, HubConfig, Takeover};
use jackfield_media::{Mono, StreamKey};
use jackfield_runtime::{Tasks, clock};
use jackfield_sessions::{Connection, ConnectionLimits, Connections, Peer};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Handler = Box<dyn Fn(&Event) -> Option<Decision> + Send + Sync>;

/// A hook that answers what its closure says; `None` is a failure. It keeps what it was asked.
struct Scripted {
    handler: Handler,
    /// How long each answer takes.
    takes: Duration,
    asked: Arc<Mutex<Vec<Arc<Event>>>>,
}

impl Transport for Scripted {
    fn call(&self, call: Call) -> BoxFuture<'_, Reply> {
        self.asked.lock().unwrap().push(Arc::clone(&call.event));
        let failure = || Failure { retry: Retry::No, ..Failure::new(Outcome::HandlerError, "scripted") };
        let result = (self.handler)(&call.event).map(answer).ok_or_else(failure);
        let reply = Reply { result, connect: Duration::ZERO, handler: Duration::ZERO, pid: None };
        let takes = self.takes;
        Box::pin(async move {
            if !takes.is_zero() {
                clock::sleep(takes).await;
            }
            reply
        })
    }

    fn drain(&self, _deadline: Mono) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// Every refusal has a reason for the client and one for the log.
fn answer(decision: Decision) -> Answer {
    let mut answer = Answer::bare(decision);
    if answer.decision == Decision::Deny {
        let [code, text, public] = ["no_ticket", "ticket 7 is used", "No ticket."].map(|t| Some(t.into()));
        answer.reason = Reason { code, text, public };
    }
    answer
}

#[derive(Default)]
struct Witness(Mutex<Vec<Arc<Event>>>);

impl Sink for Witness {
    fn accept(&self, event: &Arc<Event>) {
        self.0.lock().unwrap().push(Arc::clone(event));
    }
}

pub(crate) struct Kit {
    pub(crate) gate: Gate,
    pub(crate) hub: Hub,
    pub(crate) connection: Connection,
    asked: Arc<Mutex<Vec<Arc<Event>>>>,
    witness: Arc<Witness>,
}

impl Kit {
    /// One hook of this name on all questions of `on`, which lets through when it fails if `on_error`
    /// says so.
    pub(crate) fn new(
        takeover: Takeover,
        on: &[EventType],
        on_error: Option<OnError>,
        handler: impl Fn(&Event) -> Option<Decision> + Send + Sync + 'static,
    ) -> Self {
        Self::slow(takeover, on, on_error, Duration::ZERO, handler)
    }

    /// The same with a hook that takes its time for each answer, and any number of questions at once.
    pub(crate) fn slow(
        takeover: Takeover,
        on: &[EventType],
        on_error: Option<OnError>,
        takes: Duration,
        handler: impl Fn(&Event) -> Option<Decision> + Send + Sync + 'static,
    ) -> Self {
        let (bus, tasks) = (Bus::new("n", Masker::default()), Tasks::new());
        let witness = Arc::new(Witness::default());
        let all: EventSet = EventType::ALL.iter().copied().collect();
        bus.set_sink("witness", all, Arc::clone(&witness) as Arc<dyn Sink>);
        let dispatch = Dispatch::new(DispatchConfig::default(), Masker::default(), &tasks);
        let asked = Arc::default();
        let mut spec = HookSpec::new("auth", on.iter().copied().collect(), Mode::Decide);
        spec.on_error = on_error;
        spec.concurrency = 10_000;
        let scripted = Scripted { handler: Box::new(handler), takes, asked: Arc::clone(&asked) };
        dispatch.set_hooks(vec![(spec, Arc::new(scripted))]);
        let (hub, minter) = Hub::new(HubConfig::default(), bus.clone(), tasks);
        let gate = Gate::new(dispatch, hub.clone(), minter, bus.clone(), takeover);
        let connection = Connections::new(bus, ConnectionLimits::default()).open(peer()).unwrap();
        Self { gate, hub, connection, asked, witness }
    }

    /// The names of the questions that the hook was asked.
    pub(crate) fn asked(&self) -> Vec<&'static str> {
        self.questions().iter().map(|event| event.event_type().name()).collect()
    }

    pub(crate) fn questions(&self) -> Vec<Arc<Event>> {
        self.asked.lock().unwrap().clone()
    }

    /// The last event of this name.
    pub(crate) fn told(&self, name: &str) -> Option<Arc<Event>> {
        let all = self.witness.0.lock().unwrap();
        all.iter().rev().find(|event| event.event_type().name() == name).map(Arc::clone)
    }
}

fn peer() -> Peer {
    Peer {
        client: "203.0.113.7:51234".parse().unwrap(),
        server: "198.51.100.1:1935".parse().unwrap(),
        protocol: Protocol::Rtmp,
    }
}

pub(crate) fn key(text: &str) -> StreamKey {
    StreamKey::parse(text).unwrap()
}

pub(crate) fn connect_ask() -> ConnectionAsk {
    ConnectionAsk {
        app: "live".into(),
        tc_url: "rtmp://h/live?token=abc".into(),
        page_url: "https://page".into(),
        flash_ver: Some("LNX".into()),
        query: "token=abc".into(),
    }
}

pub(crate) fn publish_ask(key_text: &str) -> PublishAsk {
    PublishAsk {
        key: key(key_text),
        publish_type: PublishType::Live,
        tc_url: "rtmp://h/live".into(),
        page_url: "".into(),
        flash_ver: None,
        query: "token=abc&camera=2".into(),
    }
}

pub(crate) fn play_ask(key_text: &str) -> PlayAsk {
    PlayAsk {
        key: key(key_text),
        tc_url: "rtmp://h/live".into(),
        page_url: "".into(),
        flash_ver: None,
        query: "token=abc".into(),
    }
}

/// A field of an event as text.
pub(crate) fn field(event: &Event, name: &str) -> String {
    event.field(name).map_or_else(String::new, |value| match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    })
}
