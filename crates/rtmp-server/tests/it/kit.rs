//! A server with all its parts and a client, both in this process.

mod client;
mod handler;
mod media;

pub(crate) use client::Client;
pub(crate) use handler::Handler;
pub(crate) use media::{AUDIO_CONFIG, Stream, VIDEO_CONFIG, audio, inter, keyframe};

use jackfield_bus::{Bus, Sink};
use jackfield_dispatch::{Dispatch, DispatchConfig};
use jackfield_events::{Event, EventSet, EventType, Masker};
use jackfield_gate::Gate;
use jackfield_hooks::{HookSpec, Mode};
use jackfield_hub::{Hub, HubConfig, Takeover};
use jackfield_media::Mono;
use jackfield_rtmp_server::{Deps, RtmpConfig, RtmpServer, Running};
use jackfield_runtime::{Tasks, clock};
use jackfield_sessions::{ConnectionLimits, Connections};
use serde_json::Value;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

/// No wait of a test is longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The future's output; a test that waits in vain fails with these words.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match clock::until(later(PATIENCE), future).await {
        Some(output) => output,
        None => panic!("waited in vain for {what}"),
    }
}

pub(crate) fn later(by: Duration) -> Mono {
    clock::now().after(by)
}

/// What a server is made of.
pub(crate) struct Setup {
    pub(crate) rtmp: RtmpConfig,
    pub(crate) hub: HubConfig,
    pub(crate) takeover: Takeover,
    pub(crate) limits: ConnectionLimits,
    pub(crate) hooks: Vec<(HookSpec, Arc<Handler>)>,
}

impl Default for Setup {
    fn default() -> Self {
        let rtmp = RtmpConfig { listen: vec!["127.0.0.1:0".parse().unwrap()], ..RtmpConfig::default() };
        Self {
            rtmp,
            hub: HubConfig::default(),
            takeover: Takeover::default(),
            limits: ConnectionLimits::default(),
            hooks: Vec::new(),
        }
    }
}

impl Setup {
    /// A handler that decides this question.
    pub(crate) fn decides(mut self, question: EventType, handler: &Arc<Handler>) -> Self {
        let name = format!("hook-{}", self.hooks.len() + 1);
        let mut spec = HookSpec::new(&name, EventSet::EMPTY.with(question), Mode::Decide);
        spec.question_timeout = 3 * PATIENCE;
        self.hooks.push((spec, Arc::clone(handler)));
        self
    }
}

/// A running server.
pub(crate) struct Server {
    pub(crate) running: Running,
    pub(crate) hub: Hub,
    pub(crate) connections: Connections,
    pub(crate) events: Arc<Events>,
    pub(crate) tasks: Tasks,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(Setup::default())
    }

    pub(crate) fn with(setup: Setup) -> Self {
        let tasks = Tasks::new();
        let bus = Bus::new("test", Masker::default());
        let events = Arc::new(Events::default());
        let all = EventType::ALL.iter().copied().collect();
        bus.set_sink("test", all, Arc::clone(&events) as Arc<dyn Sink>);
        // Held answers are released by the tests, not by a clock.
        let config = DispatchConfig { question_budget: 3 * PATIENCE, ..DispatchConfig::default() };
        let dispatch = Dispatch::new(config, Masker::default(), &tasks);
        dispatch.set_hooks(setup.hooks.into_iter().map(|(spec, handler)| (spec, handler as _)).collect());
        let (hub, minter) = Hub::new(setup.hub, bus.clone(), tasks.clone());
        let connections = Connections::new(bus.clone(), setup.limits);
        let gate = Gate::new(dispatch, hub.clone(), minter, bus, setup.takeover);
        let deps = Deps { gate, hub: hub.clone(), connections: connections.clone(), tasks: tasks.clone() };
        let running = RtmpServer::start(setup.rtmp, deps).unwrap();
        Self { running, hub, connections, events, tasks }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.running.addrs()[0]
    }

    /// Waits until every connection is closed and every stream gone, and checks that each start has its stop.
    pub(crate) async fn quiet(&self) {
        self.events
            .wait("all pairs to close", |events| {
                let closed = count(events, "connection_accept") == count(events, "connection_close");
                let deleted = count(events, "stream_create") == count(events, "stream_delete");
                (closed && deleted).then_some(())
            })
            .await;
        self.events.check_pairs();
        assert_eq!(self.connections.count(), 0);
        assert!(self.hub.streams().is_empty());
    }
}

/// All facts, in the order of the bus.
#[derive(Default)]
pub(crate) struct Events {
    all: Mutex<Vec<Fact>>,
    came: Notify,
}

/// A fact as a hook would get it.
#[derive(Debug, Clone)]
pub(crate) struct Fact {
    pub(crate) name: &'static str,
    pub(crate) json: Value,
}

impl Fact {
    pub(crate) fn data(&self, field: &str) -> &Value {
        &self.json["data"][field]
    }
}

impl Sink for Events {
    fn accept(&self, event: &Arc<Event>) {
        let json = serde_json::from_slice(event.json()).unwrap();
        self.all.lock().unwrap().push(Fact { name: event.event_type().name(), json });
        self.came.notify_waiters();
    }
}

impl Events {
    /// Waits until the facts so far satisfy this.
    pub(crate) async fn wait<T>(&self, what: &str, mut satisfied: impl FnMut(&[Fact]) -> Option<T>) -> T {
        soon(what, async {
            loop {
                let mut came = std::pin::pin!(self.came.notified());
                came.as_mut().enable();
                if let Some(answer) = satisfied(&self.all.lock().unwrap()) {
                    return answer;
                }
                came.await;
            }
        })
        .await
    }

    /// Waits for the n-th fact of this name, from 1.
    pub(crate) async fn nth(&self, name: &str, n: usize) -> Fact {
        let what = format!("{name} number {n}");
        self.wait(&what, |all| all.iter().filter(|fact| fact.name == name).nth(n - 1).cloned()).await
    }

    pub(crate) async fn first(&self, name: &str) -> Fact {
        self.nth(name, 1).await
    }

    /// The names so far, in order.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.all.lock().unwrap().iter().map(|fact| fact.name).collect()
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        count(&self.all.lock().unwrap(), name)
    }

    /// Every start has exactly one stop with the same ids, after it.
    fn check_pairs(&self) {
        let all = self.all.lock().unwrap();
        for (start, stop, id) in [
            ("connection_accept", "connection_close", "conn_id"),
            ("publish_start", "publish_stop", "session_id"),
            ("play_start", "play_stop", "session_id"),
        ] {
            let ids = |name: &str| -> Vec<String> {
                let mut ids: Vec<_> =
                    all.iter().filter(|f| f.name == name).map(|f| f.json[id].to_string()).collect();
                ids.sort();
                ids
            };
            assert_eq!(ids(start), ids(stop), "{start} and {stop}");
        }
        assert_eq!(count(&all, "media_start"), count(&all, "media_stop"));
    }
}

fn count(events: &[Fact], name: &str) -> usize {
    events.iter().filter(|fact| fact.name == name).count()
}
