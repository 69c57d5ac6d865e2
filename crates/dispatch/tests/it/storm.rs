//! Askers, facts and reloads from many threads at once: nothing may be lost, mixed up or left behind.

use crate::kit::{Played, Script, authorize, created, hook};
use jackfield_bus::Sink;
use jackfield_dispatch::{BoxFuture, Call, Dispatch, DispatchConfig, Reply, Transport};
use jackfield_events::{Answer, Decision, EventType, Masker, Reason, Verdict};
use jackfield_hooks::{HookSpec, Mode};
use jackfield_media::Mono;
use jackfield_runtime::Tasks;
use std::sync::Arc;
use std::time::Duration;

const ASKS: u64 = 2000;

/// Denies with the number of the event as its reason, after giving others their turn.
struct Echo;

impl Transport for Echo {
    fn call(&self, call: Call) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            let seq = call.event.stamp().seq;
            for _ in 0..seq % 4 {
                tokio::task::yield_now().await;
            }
            let reason = Reason { code: Some(seq.to_string().into()), ..Reason::default() };
            let answer = Answer { reason, ..Answer::bare(Decision::Deny) };
            Reply { result: Ok(answer), connect: Duration::ZERO, handler: Duration::ZERO, pid: None }
        })
    }

    fn drain(&self, _deadline: Mono) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_asker_gets_its_own_answer_and_nothing_is_left() {
    let tasks = Tasks::new();
    let dispatch = Dispatch::new(DispatchConfig::default(), Masker::default(), &tasks);
    let told = Played::new(Script::Answer(Decision::Pass));
    let configure = || {
        let echo = HookSpec {
            concurrency: 3,
            queue: 100_000,
            question_timeout: Duration::from_secs(60),
            ..hook("echo", &[EventType::AuthorizePublish], Mode::Decide)
        };
        let told_spec = HookSpec { queue: 100_000, ..hook("told", &[EventType::StreamCreate], Mode::Notify) };
        let told = Arc::clone(&told) as Arc<dyn Transport>;
        dispatch.set_hooks(vec![(echo, Arc::new(Echo)), (told_spec, told)]);
    };
    dispatch.set_config(&DispatchConfig { notice_concurrency: 2, question_budget: Duration::from_secs(60) });
    configure();
    let asks: Vec<_> = (0..ASKS)
        .map(|seq| {
            let dispatch = dispatch.clone();
            let ask = async move { (seq, dispatch.ask(authorize(seq)).await) };
            tasks.spawn("ask", ask)
        })
        .collect();
    for (seq, ask) in (0..).zip(asks) {
        dispatch.accept(&created(seq, if seq % 3 == 0 { "live/a" } else { "live/b" }));
        if seq % 500 == 0 {
            configure();
        }
        // Every seventh asker leaves.
        if seq % 7 == 0 {
            ask.abort();
            continue;
        }
        let (seq, verdict) = ask.join().await.unwrap();
        let Verdict::Deny(denial) = verdict else { unreachable!("the echo denies") };
        assert_eq!(denial.reason.code.unwrap().as_str(), seq.to_string());
    }
    dispatch.idle().await;
    assert_eq!(told.count(), usize::try_from(ASKS).unwrap());
    for status in dispatch.status() {
        let left = status.queued + status.asking + status.notices_running + status.questions_running;
        assert_eq!(left, 0, "{status:?}");
    }
}
