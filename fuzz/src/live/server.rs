//! The service with all its parts, and a handler that answers its questions by a script.

use super::facts::Facts;
use jackfield_bus::{Bus, Sink};
use jackfield_dispatch::{BoxFuture, Call, Dispatch, DispatchConfig, Reply, Transport};
use jackfield_events::{Answer, Decision, EventSet, EventType, Masker, Reason};
use jackfield_gate::Gate;
use jackfield_hooks::{Failure, HookSpec, Mode, Outcome};
use jackfield_hub::{Hub, HubConfig, Takeover};
use jackfield_media::Mono;
use jackfield_rtmp::chunk::ChunkLimits;
use jackfield_rtmp::{Limits, ServerConfig};
use jackfield_rtmp_server::{Deps, HoldLimits, PlayClock, RtmpConfig, RtmpServer, Running};
use jackfield_runtime::Tasks;
use jackfield_sessions::{ConnectionLimits, Connections};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;

/// What one byte of an input sets.
#[derive(Debug, Clone, Copy)]
pub struct Settings(pub u8);

impl Settings {
    fn takeover(self) -> Takeover {
        [Takeover::Stale, Takeover::Replace, Takeover::Refuse, Takeover::Replace][usize::from(self.0 & 3)]
    }

    fn hub(self) -> HubConfig {
        HubConfig {
            queue_bytes: 48 << 10,
            cache_bytes: 64 << 10,
            resume: if self.0 & 4 == 0 { Duration::ZERO } else { Duration::from_secs(5) },
            max_latency: Duration::from_millis(if self.0 & 8 == 0 { 40 } else { 350 }),
            ..HubConfig::default()
        }
    }

    fn rtmp(self) -> RtmpConfig {
        let chunk =
            ChunkLimits { message_bytes: 64 << 10, buffered_bytes: 128 << 10, ..ChunkLimits::default() };
        RtmpConfig {
            session: ServerConfig {
                limits: Limits { chunk, ..Limits::default() },
                ..ServerConfig::default()
            },
            hold: HoldLimits { bytes: 64 << 10, ..HoldLimits::default() },
            play_clock: if self.0 & 16 == 0 { PlayClock::Own } else { PlayClock::Stream },
            ..RtmpConfig::default()
        }
    }

    /// Whether hooks decide; else nobody is asked.
    pub fn is_asked(self) -> bool {
        self.0 & 32 == 0
    }
}

/// What the handler does with a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// Says yes.
    Allow,
    /// Says no.
    Deny,
    /// Fails.
    Fail,
    /// Says yes when it is released, or never.
    Late,
}

/// The handler of all questions.
pub struct Handler {
    /// Taken one after the other; when it is used up, all is allowed.
    plan: Mutex<Vec<Reaction>>,
    /// Keys that are renamed, and to what.
    renames: Vec<(String, String)>,
    late: Semaphore,
    /// Questions so far.
    pub asked: AtomicUsize,
    /// Questions that wait to be released.
    pub waiting: AtomicUsize,
}

impl Handler {
    /// Answers one question that waits.
    pub fn release(&self) {
        self.late.add_permits(1);
    }

    /// From now on everything is allowed.
    pub fn relent(&self) {
        self.plan.lock().unwrap().clear();
        self.late.add_permits(1 << 20);
    }

    async fn answer(&self, call: &Call) -> Result<Answer, Failure> {
        self.asked.fetch_add(1, Relaxed);
        let reaction = self.plan.lock().unwrap().pop().unwrap_or(Reaction::Allow);
        match reaction {
            Reaction::Allow => {}
            Reaction::Deny => {
                let reason = Reason { public: Some("No.".into()), ..Reason::default() };
                return Ok(Answer { reason, ..Answer::bare(Decision::Deny) });
            }
            Reaction::Fail => return Err(Failure::new(Outcome::Crashed, "as the script says")),
            Reaction::Late => {
                let _waiting = Waiting::new(&self.waiting);
                self.late.acquire().await.expect("it stays open").forget();
            }
        }
        let resolves = matches!(call.event.event_type(), EventType::ResolvePublish | EventType::ResolvePlay);
        let key = call.event.scope().stream_key.as_ref().map(ToString::to_string);
        let rename = self.renames.iter().find(|(from, _)| resolves && Some(from) == key.as_ref());
        Ok(Answer::bare(match rename {
            Some((_, to)) => Decision::Replace(to.as_str().into()),
            None => Decision::Allow,
        }))
    }
}

/// Counts a question as long as it waits; a call may be dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Transport for Handler {
    fn call(&self, call: Call) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            let result = self.answer(&call).await;
            Reply { result, connect: Duration::ZERO, handler: Duration::ZERO, pid: None }
        })
    }

    fn drain(&self, _: Mono) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// The running service.
pub struct Server {
    pub running: Arc<Running>,
    pub hub: Hub,
    pub connections: Connections,
    pub facts: Arc<Facts>,
    pub handler: Arc<Handler>,
    pub dispatch: Dispatch,
    pub tasks: Tasks,
}

impl Server {
    /// Starts it within the runtime.
    pub fn start(settings: Settings, mut plan: Vec<Reaction>, renames: Vec<(String, String)>) -> Self {
        plan.reverse();
        let handler = Arc::new(Handler {
            plan: Mutex::new(plan),
            renames,
            late: Semaphore::new(0),
            asked: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
        });
        let tasks = Tasks::new();
        let bus = Bus::new("fuzz", Masker::default());
        let facts = Arc::new(Facts::default());
        let all: EventSet = EventType::ALL.iter().copied().collect();
        bus.set_sink("facts", all, Arc::clone(&facts) as Arc<dyn Sink>);
        let dispatch = Dispatch::new(DispatchConfig::default(), Masker::default(), &tasks);
        if settings.is_asked() {
            let questions = EventType::ALL.iter().copied().filter(|event| event.spec().kind.is_question());
            let spec = HookSpec::new("script", questions.collect(), Mode::Decide);
            dispatch.set_hooks(vec![(spec, Arc::clone(&handler) as Arc<dyn Transport>)]);
        }
        let (hub, minter) = Hub::new(settings.hub(), bus.clone(), tasks.clone());
        let connections = Connections::new(bus.clone(), ConnectionLimits::default());
        let gate = Gate::new(dispatch.clone(), hub.clone(), minter, bus, settings.takeover());
        let deps = Deps { gate, hub: hub.clone(), connections: connections.clone(), tasks: tasks.clone() };
        let running = Arc::new(RtmpServer::start(settings.rtmp(), deps).expect("there is nothing to bind"));
        Self { running, hub, connections, facts, handler, dispatch, tasks }
    }
}
