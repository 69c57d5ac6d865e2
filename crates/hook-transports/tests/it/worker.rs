//! `worker` with real programs.

use crate::log::Log;
use crate::{Folder, LONG, decision, host, nothing_runs, notice, outcome, question, within};
use jackfield_dispatch::{Call, DeliveryId, Reply, Transport};
use jackfield_events::Decision;
use jackfield_hook_transports::{Host, ProgramConfig, WorkerConfig, worker};
use jackfield_hooks::Outcome;
use jackfield_runtime::clock;
use std::sync::Arc;
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(300);

/// Answers each line by what `answer(e)` says of it; `say` prints a line, `e` is the event, `n` the number
/// of the request.
const PYTHON: &str = r#"
import sys, json, os, time
def say(line): print(line, flush=True)
def allow(): say('{"decision":"allow"}')
START
n = 0
for line in sys.stdin:
    n += 1
    e = json.loads(line)
    ANSWER
"#;

fn python(start: &str, answer: &str) -> WorkerConfig {
    let code = PYTHON.replace("START", start).replace("ANSWER", answer);
    single(vec!["python3".to_owned(), "-c".to_owned(), code])
}

fn single(words: Vec<String>) -> WorkerConfig {
    WorkerConfig { max: 1, ..WorkerConfig::new(ProgramConfig::new("test", words, "/".into())) }
}

struct Asked {
    host: Host,
    transport: Arc<dyn Transport>,
}

async fn start(config: WorkerConfig) -> Asked {
    let host = host().await;
    let transport = worker(config, &host).unwrap();
    Asked { host, transport }
}

impl Asked {
    async fn ask(&self) -> Reply {
        self.transport.call(question()).await
    }

    async fn ask_within(&self, timeout: Duration) -> Reply {
        self.transport.call(within(question(), timeout)).await
    }

    async fn end(self) {
        self.transport.drain(clock::now().after(LONG)).await;
        nothing_runs(&self.host).await;
    }
}

fn numbered(number: u64, call: Call) -> Call {
    Call { delivery: DeliveryId(number), ..call }
}

#[tokio::test]
async fn a_plain_worker_answers_one_event_after_the_other() {
    let asked = start(python("", r#"assert e["hook"] == "test"; allow()"#)).await;
    let first = asked.ask().await;
    assert_eq!(decision(&first), Ok(Decision::Allow));
    for _ in 0..50 {
        let reply = asked.ask().await;
        assert_eq!((decision(&reply), reply.pid), (Ok(Decision::Allow), first.pid));
    }
    asked.end().await;
}

#[tokio::test]
async fn the_echoed_event_is_no_opinion() {
    let asked = start(python("", r#"say(line.strip())"#)).await;
    assert_eq!(decision(&asked.ask().await), Ok(Decision::Pass));
    let replies = [asked.transport.call(notice()).await, asked.ask().await];
    assert_eq!(replies.each_ref().map(decision), [Ok(Decision::Pass), Ok(Decision::Pass)]);
}

#[tokio::test]
async fn workers_of_any_language_work() {
    let node = "const r=require('readline').createInterface({input:process.stdin}); r.on('line',l=>{const e=JSON.parse(l); console.log(JSON.stringify({decision:e.type==='authorize_publish'?'deny':'allow'}))})";
    let shell = r#"while read -r line; do case $line in *authorize_publish*) echo '{"decision":"deny"}';; esac; done"#;
    for words in [["node", "-e", node], ["bash", "-c", shell], ["dash", "-c", shell]] {
        let asked = start(single(words.map(str::to_owned).to_vec())).await;
        for _ in 0..3 {
            assert_eq!(decision(&asked.ask().await), Ok(Decision::Deny), "{words:?}");
        }
        asked.end().await;
    }
}

fn rust_worker() -> WorkerConfig {
    let deps = std::env::current_exe().unwrap();
    let file = deps.parent().unwrap().parent().unwrap().join("examples/worker");
    single(vec![file.to_str().unwrap().to_owned()])
}

#[tokio::test]
async fn a_worker_with_a_hello_answers_many_at_once() {
    let asked = start(rust_worker()).await;
    // The hello is read before the first request is sent, or after it: both are fine.
    assert_eq!(decision(&asked.ask().await), Ok(Decision::Allow));
    for _ in 0..20 {
        let calls = (0..16).map(|number| asked.transport.call(numbered(number, question())));
        let replies = futures_util::future::join_all(calls).await;
        assert!(replies.iter().all(|reply| decision(reply) == Ok(Decision::Allow)));
        assert!(replies.iter().all(|reply| reply.pid == replies[0].pid));
    }
    asked.end().await;
}

const HELLO: &str = r#"say('{"t":"hello","proto":[1],"concurrency":4}')"#;

/// Speaks frames; `m` is what came. What comes before the hello is read is plain, and answered so.
async fn greeted(start_with: &str, answer: &str) -> Asked {
    let code = PYTHON
        .replace("START", &format!("{HELLO}; {start_with}"))
        .replace("ANSWER", &format!("m = e\n    'd' in m and ({answer}) or 't' not in m and say('{{}}')"));
    let asked = start(single(vec!["python3".to_owned(), "-c".to_owned(), code])).await;
    // Its answer comes after the hello.
    assert_eq!(decision(&asked.ask().await), Ok(Decision::Pass));
    asked
}

#[tokio::test]
async fn framed_answers_find_their_callers_in_any_order() {
    let answer = r#"q.append(m["d"]) or len(q) == 3 and [say(json.dumps({"d": d, "decision": "deny", "reason": d})) for d in (q[2], q[0], q[1])]"#;
    let asked = greeted("q = []", answer).await;
    let calls = (1..=3).map(|number| asked.transport.call(numbered(number, question())));
    for (reply, number) in futures_util::future::join_all(calls).await.iter().zip(1..) {
        let answer = reply.result.as_ref().unwrap();
        assert_eq!(answer.reason.public.as_deref(), Some(DeliveryId(number).to_string().as_str()));
    }
    asked.end().await;
}

#[tokio::test]
async fn a_framed_request_has_all_that_the_contract_names() {
    let check = r#"say(json.dumps({"d": m["d"], "decision": "deny", "reason": json.dumps([list(m), m["hook"], m["mode"], m["attempt"], list(m["event"])[:2]])}))"#;
    let asked = greeted("", check).await;
    let answer = asked.ask().await.result.unwrap();
    assert_eq!(
        answer.reason.public.as_deref(),
        Some(
            r#"[["t", "d", "hook", "mode", "attempt", "deadline_ms", "event"], "test", "decide", 1, ["type", "timestamp"]]"#
        )
    );
    let told = r#"m["mode"] == "notify" and say(json.dumps({"d": m["d"]}))"#;
    let asked = greeted("", told).await;
    assert_eq!(decision(&asked.transport.call(notice()).await), Ok(Decision::Pass));
}

/// What a plain worker must never be trusted with again, and what its caller gets.
async fn replaced(config: WorkerConfig, expect: Outcome) {
    start(config).await.expect_replaced(expect).await;
}

impl Asked {
    async fn expect_replaced(self, expect: Outcome) {
        let timeout = if expect == Outcome::Timeout { SHORT } else { LONG };
        let bad = self.ask_within(timeout).await;
        assert_eq!(outcome(&bad), expect, "{:?}", bad.result);
        let good = self.ask().await;
        assert_eq!(decision(&good), Ok(Decision::Allow), "{:?}", good.result);
        assert_ne!(good.pid, bad.pid, "the child was replaced");
        assert_eq!(self.transport.counters().restarts, 1);
        self.end().await;
    }
}

/// Misbehaves in its first life only.
fn at_first(folder: &Folder, bad: &str) -> WorkerConfig {
    let file = folder.path().join("lives");
    let start = format!(
        "path = {:?}; first = not os.path.exists(path); open(path, 'a').write('x')",
        file.to_str().unwrap()
    );
    python(&start, &format!("{bad} if first else allow()"))
}

#[tokio::test]
async fn an_answer_after_its_time_is_never_anothers() {
    let folder = Folder::new();
    let late = "(time.sleep(0.4), say('{\"decision\":\"deny\"}'))";
    let asked = start(at_first(&folder, late)).await;
    // A worker that is asked before it has come so far would leave its bad answer to the next one.
    folder.file("lives").await;
    asked.expect_replaced(Outcome::Timeout).await;
}

#[tokio::test]
async fn json_over_several_lines_is_no_answer() {
    let folder = Folder::new();
    replaced(at_first(&folder, "say(json.dumps({'decision': 'deny'}, indent=2))"), Outcome::ProtocolError)
        .await;
}

#[tokio::test]
async fn a_huge_line_is_no_answer_and_no_memory() {
    for line in ["say('x' * 70000)", "[sys.stdout.write('x' * 65536) for _ in range(16000)]"] {
        let folder = Folder::new();
        replaced(at_first(&folder, line), Outcome::ProtocolError).await;
    }
}

#[tokio::test]
async fn a_worker_that_dies_in_mid_answer_has_not_answered() {
    for death in [
        "(sys.stdout.write('{\"decision\":\"de'), sys.stdout.flush(), os._exit(0))",
        "os.kill(os.getpid(), 9)",
    ] {
        let folder = Folder::new();
        replaced(at_first(&folder, death), Outcome::Crashed).await;
    }
}

#[tokio::test]
async fn a_second_answer_is_never_anothers() {
    let asked = start(python("", r#"say(json.dumps({"decision": "deny", "reason": e["data"]["query"]}) + "\n" + json.dumps({"decision": "allow"}))"#)).await;
    for _ in 0..5 {
        let reply = asked.ask().await;
        assert_eq!(decision(&reply), Ok(Decision::Deny), "{:?}", reply.result);
    }
    asked.end().await;
}

#[tokio::test]
async fn a_banner_is_never_an_answer() {
    let folder = Folder::new();
    let file = folder.path().join("lives");
    let start_with = format!(
        "path = {:?}; first = not os.path.exists(path); open(path, 'a').write('x'); first and say('Ready to serve!')",
        file.to_str().unwrap()
    );
    let asked = start(python(&start_with, "allow()")).await;
    let reply = asked.ask().await;
    // It was read before the request was sent, or taken for its answer: never for a decision.
    assert!(matches!(outcome(&reply), Outcome::Answered | Outcome::ProtocolError), "{:?}", reply.result);
    assert_eq!(decision(&asked.ask().await), Ok(Decision::Allow));
    assert!(std::fs::read_to_string(file).unwrap().len() >= 2, "it was replaced");
    asked.end().await;
}

#[tokio::test]
async fn a_framed_answer_to_the_wrong_id_reaches_nobody() {
    let wrong = r#"say(json.dumps({"d": "dlv_99999999", "decision": "allow"}))"#;
    let asked = greeted("", wrong).await;
    let reply = asked.ask().await;
    assert_eq!(outcome(&reply), Outcome::ProtocolError, "{:?}", reply.result);
    asked.end().await;
}

#[tokio::test]
async fn a_framed_request_that_is_given_up_is_cancelled_and_its_late_answer_dropped() {
    let log = Log::start();
    // It answers the cancelled one when it is told so, then all others.
    let answer = r#"m["t"] == "cancel" and (say(json.dumps({"d": m["d"], "decision": "deny"})), print("told", m["d"], file=sys.stderr, flush=True)) or m["t"] == "event" and m["d"] != "dlv_00000001" and say(json.dumps({"d": m["d"], "decision": "allow"}))"#;
    let asked = greeted("", answer).await;
    let reply = asked.transport.call(numbered(1, within(question(), SHORT))).await;
    assert_eq!(outcome(&reply), Outcome::Timeout);
    log.has("told dlv_00000001").await;
    let next = asked.transport.call(numbered(2, question())).await;
    assert_eq!((decision(&next), next.pid), (Ok(Decision::Allow), reply.pid), "the same worker goes on");
    asked.end().await;
}

#[tokio::test]
async fn a_plain_request_that_nobody_waits_for_costs_that_worker_only() {
    let asked = start(WorkerConfig {
        min: 2,
        max: 2,
        ..python("", "e['attempt'] == 9 and time.sleep(1000) or allow()")
    })
    .await;
    let mut pids = std::collections::HashSet::new();
    while pids.len() < 2 {
        let replies = tokio::join!(asked.ask(), asked.ask());
        pids = [replies.0.pid, replies.1.pid].into_iter().collect();
    }
    {
        let stuck = asked.transport.call(Call { attempt: 9, ..question() });
        tokio::pin!(stuck);
        assert!(futures_util::poll!(&mut stuck).is_pending());
    }
    let mut after = std::collections::HashSet::new();
    while after.len() < 2 {
        let replies = tokio::join!(asked.ask(), asked.ask());
        assert_eq!((decision(&replies.0), decision(&replies.1)), (Ok(Decision::Allow), Ok(Decision::Allow)));
        after = [replies.0.pid, replies.1.pid].into_iter().collect();
    }
    assert_eq!(pids.intersection(&after).count(), 1);
}

#[tokio::test]
async fn workers_that_are_slow_to_end_do_not_pile_up_behind_clients_that_leave() {
    let asked = start(single(
        ["sh", "-c", "trap '' TERM; while read -r line; do sleep 1; done"].map(str::to_owned).into(),
    ))
    .await;
    for _ in 0..12 {
        drop(clock::until(clock::now().after(SHORT / 3), asked.ask()).await);
        let running = asked.host.launcher.running().await.unwrap().programs;
        assert!(running <= 4, "{running} processes of a pool of one");
    }
    assert_ne!(outcome(&asked.ask_within(SHORT).await), Outcome::Answered);
    asked.end().await;
}

#[tokio::test]
async fn waiting_for_a_worker_counts_against_the_deadline() {
    let asked =
        start(WorkerConfig { queue: 1, ..python("", "e['attempt'] == 9 and time.sleep(1000) or allow()") })
            .await;
    assert_eq!(decision(&asked.ask().await), Ok(Decision::Allow));
    let slow = asked.transport.call(Call { attempt: 9, ..question() });
    let waits = asked.transport.call(within(question(), SHORT));
    let too_many = asked.transport.call(question());
    tokio::pin!(slow, waits);
    assert!(futures_util::poll!(&mut slow).is_pending());
    assert!(futures_util::poll!(&mut waits).is_pending());
    assert_eq!(outcome(&too_many.await), Outcome::Overload);
    assert_eq!(outcome(&waits.await), Outcome::Overload);
}

#[tokio::test]
async fn more_workers_start_when_requests_wait_and_never_more_than_max() {
    let config = WorkerConfig { min: 0, max: 3, ..python("", "time.sleep(0.1) or allow()") };
    let asked = start(config).await;
    assert_eq!(asked.host.launcher.running().await.unwrap().programs, 0);
    let calls = (0..12).map(|number| asked.transport.call(numbered(number, question())));
    let replies = futures_util::future::join_all(calls).await;
    assert!(replies.iter().all(|reply| decision(reply) == Ok(Decision::Allow)));
    let pids: std::collections::HashSet<_> = replies.iter().map(|reply| reply.pid).collect();
    assert_eq!(pids.len(), 3);
    asked.end().await;
}

#[tokio::test]
async fn a_worker_is_followed_by_a_fresh_one_after_its_requests() {
    let config = WorkerConfig { max_requests: Some(3.try_into().unwrap()), ..python("", "allow()") };
    let asked = start(config).await;
    let mut pids = Vec::new();
    for _ in 0..9 {
        let reply = asked.ask().await;
        assert_eq!(decision(&reply), Ok(Decision::Allow));
        pids.push(reply.pid);
    }
    for life in pids.chunks(3) {
        assert!(life.iter().all(|pid| *pid == life[0]));
    }
    pids.dedup();
    assert_eq!(pids.len(), 3);
    assert_eq!(asked.transport.counters().restarts, 0, "a planned end is no failure");
    asked.end().await;
}

#[tokio::test]
async fn a_worker_that_cannot_live_fails_its_callers_in_time() {
    let asked = start(python("sys.exit(3)", "allow()")).await;
    let reply = asked.ask().await;
    assert_eq!(outcome(&reply), Outcome::Crashed, "{:?}", reply.result);
    // The pause before the next start is longer than this deadline: nobody is made to wait for nothing.
    let reply = asked.ask_within(Duration::from_millis(20)).await;
    assert_eq!((outcome(&reply), reply.pid), (Outcome::Crashed, None), "{:?}", reply.result);
    asked.end().await;
}

#[tokio::test]
async fn drained_workers_are_told_and_may_finish() {
    let log = Log::start();
    let code = format!(
        "{}\nprint('saved', file=sys.stderr, flush=True)",
        PYTHON.replace("START", "").replace("ANSWER", "time.sleep(0.2); allow()")
    );
    let asked = start(single(vec!["python3".to_owned(), "-c".to_owned(), code])).await;
    let (reply, ()) = tokio::join!(asked.ask(), async {
        tokio::task::yield_now().await;
        asked.transport.drain(clock::now().after(LONG)).await;
    });
    assert_eq!(decision(&reply), Ok(Decision::Allow));
    assert!(log.text().contains("saved"), "{}", log.text());
    nothing_runs(&asked.host).await;
}

#[tokio::test]
async fn a_worker_that_ignores_the_drain_is_ended() {
    let log = Log::start();
    let asked =
        start(python("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)", "allow()")).await;
    asked.ask().await.result.unwrap();
    let stubborn = start(single(vec![
        "sh".into(),
        "-c".into(),
        "trap '' TERM; echo ready >&2; while :; do sleep 0.1; done".into(),
    ]))
    .await;
    log.has("ready").await;
    stubborn.transport.drain(clock::now()).await;
    nothing_runs(&stubborn.host).await;
    drop(asked.transport);
    nothing_runs(&asked.host).await;
}

#[tokio::test]
async fn stderr_goes_to_the_log_and_never_blocks_the_worker() {
    let log = Log::start();
    let asked = start(python(
        "",
        "sys.stderr.write('x' * 1000000 + chr(10) + 'said so' + chr(10)) and sys.stderr.flush() or allow()",
    ))
    .await;
    for _ in 0..3 {
        assert_eq!(decision(&asked.ask().await), Ok(Decision::Allow));
    }
    log.has("said so").await;
    asked.end().await;
}
