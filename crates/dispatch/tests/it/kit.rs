//! A transport whose calls the test answers, and the events that it is called with.

use jackfield_dispatch::{BoxFuture, Call, Dispatch, DispatchConfig, Reply, Transport, TransportCounters};
use jackfield_events::questions::{AuthorizePublish, ResolvePublish};
use jackfield_events::{
    Answer, Decision, Event, EventSet, EventType, Exposure, Fact, Masker, Scope, Stamp, notices,
};
use jackfield_events::{Protocol, PublishType};
use jackfield_hooks::{Failure, HookSpec, Mode, Outcome, Retry};
use jackfield_media::{Mono, StreamKey, UnixTime};
use jackfield_runtime::{Tasks, clock};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use ulid::Ulid;

/// What a transport does with a call.
#[derive(Clone)]
pub(crate) enum Script {
    Answer(Decision),
    /// An answer with all that belongs to one.
    Say(Box<Answer>),
    Fail(Outcome, Retry),
    Panic,
    Never,
    /// Answers after this long.
    After(Duration, Decision),
}

#[derive(Default)]
pub(crate) struct Played {
    script: Mutex<Option<Script>>,
    pub(crate) calls: Mutex<Vec<Call>>,
    pub(crate) dropped: AtomicUsize,
    pub(crate) drained: AtomicUsize,
    pub(crate) restarts: AtomicU64,
    called: Notify,
}

/// Counts calls whose future was dropped before its end.
struct Watch<'a>(&'a Played, bool);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if !self.1 {
            self.0.dropped.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Played {
    pub(crate) fn new(script: Script) -> Arc<Self> {
        let played = Self::default();
        *played.script.lock().unwrap() = Some(script);
        Arc::new(played)
    }

    pub(crate) fn play(&self, script: Script) {
        *self.script.lock().unwrap() = Some(script);
    }

    pub(crate) fn count(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    pub(crate) fn last(&self) -> Call {
        self.calls.lock().unwrap().last().unwrap().clone()
    }

    /// Returns when there were so many calls.
    pub(crate) async fn called(&self, times: usize) {
        while self.count() < times {
            self.called.notified().await;
        }
    }
}

impl Transport for Played {
    fn call(&self, call: Call) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            self.calls.lock().unwrap().push(call);
            self.called.notify_one();
            let mut watch = Watch(self, false);
            let script = self.script.lock().unwrap().clone().unwrap();
            let result = match script {
                Script::Answer(decision) => Ok(Answer::bare(decision)),
                Script::Say(answer) => Ok(*answer),
                Script::Fail(outcome, retry) => Err(Failure { retry, ..Failure::new(outcome, "played") }),
                Script::Panic => panic!("played"),
                Script::Never => std::future::pending().await,
                Script::After(pause, decision) => {
                    clock::sleep(pause).await;
                    Ok(Answer::bare(decision))
                }
            };
            watch.1 = true;
            Reply { result, connect: Duration::ZERO, handler: Duration::ZERO, pid: None }
        })
    }

    fn drain(&self, _deadline: Mono) -> BoxFuture<'_, ()> {
        self.drained.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::ready(()))
    }

    fn counters(&self) -> TransportCounters {
        TransportCounters { restarts: self.restarts.load(Ordering::SeqCst) }
    }
}

pub(crate) fn hook(name: &str, on: &[EventType], mode: Mode) -> HookSpec {
    HookSpec::new(name, on.iter().copied().collect::<EventSet>(), mode)
}

pub(crate) fn dispatch(hooks: Vec<(HookSpec, &Arc<Played>)>) -> Dispatch {
    let dispatch = Dispatch::new(DispatchConfig::default(), Masker::default(), &Tasks::new());
    set(&dispatch, hooks);
    dispatch
}

pub(crate) fn set(dispatch: &Dispatch, hooks: Vec<(HookSpec, &Arc<Played>)>) {
    let hooks = hooks.into_iter().map(|(spec, played)| (spec, Arc::clone(played) as Arc<dyn Transport>));
    dispatch.set_hooks(hooks.collect());
}

fn stamped<F: Fact>(seq: u64, key: &str, fact: &F) -> Event {
    let stamp = Stamp { id: Ulid::from_parts(1, u128::from(seq)), seq, node: "n".into(), time: UnixTime(0) };
    let scope = Scope { stream_key: Some(StreamKey::parse(key).unwrap()), ..Scope::default() };
    Event::new(F::TYPE, stamp, scope, fact.data(Exposure::Whole))
}

pub(crate) fn authorize(seq: u64) -> Event {
    let fact = AuthorizePublish {
        app: "live".into(),
        stream_name: "show".into(),
        publish_type: PublishType::Live,
        client_ip: "192.0.2.1".parse().unwrap(),
        client_port: 1,
        protocol: Protocol::Rtmp,
        tc_url: "rtmp://h/live".into(),
        page_url: "".into(),
        flash_ver: None,
        query: "token=abc".into(),
        failopen: Vec::new(),
    };
    stamped(seq, "live/show", &fact)
}

pub(crate) fn resolve(seq: u64) -> Event {
    let fact = ResolvePublish {
        app: "live".into(),
        stream_name: "secret".into(),
        publish_type: PublishType::Live,
        client_ip: "192.0.2.1".parse().unwrap(),
        client_port: 1,
        protocol: Protocol::Rtmp,
        tc_url: "rtmp://h/live".into(),
        page_url: "".into(),
        flash_ver: None,
        query: "token=abc".into(),
        failopen: Vec::new(),
    };
    stamped(seq, "live/secret", &fact)
}

pub(crate) fn created(seq: u64, key: &str) -> Arc<Event> {
    Arc::new(stamped(seq, key, &notices::StreamCreate { app: "live".into(), stream_name: "a".into() }))
}
