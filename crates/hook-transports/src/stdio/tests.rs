//! What is written, in which order, and what happens when nobody reads.

use super::*;
use jackfield_events::{EventType, Scope, Stamp};
use jackfield_media::{StreamKey, UnixTime};
use jackfield_runtime::clock;
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::time::Duration;
use ulid::Ulid;

const LONG: Duration = Duration::from_secs(60);

fn event(seq: u64, key: &str) -> Arc<Event> {
    let stamp =
        Stamp { id: Ulid::from_parts(1, 2), seq, node: "n".into(), time: UnixTime(1_700_000_000_000_000) };
    let scope = Scope { stream_key: Some(StreamKey::parse(key).unwrap()), ..Scope::default() };
    let data = vec![("app", "live".into()), ("stream_name", "it's\u{1b} a".into())];
    Arc::new(Event::new(EventType::parse("stream_create").unwrap(), stamp, scope, data))
}

fn pipe(format: StdioFormat, streams: Selector, tasks: &Tasks) -> (Stdio, OwnedFd) {
    bounded_pipe(format, streams, QUEUE, tasks)
}

fn bounded_pipe(format: StdioFormat, streams: Selector, queue: usize, tasks: &Tasks) -> (Stdio, OwnedFd) {
    let (read, write) = rustix::pipe::pipe().unwrap();
    (Stdio::new(Target::Other(Arc::new(write)), format, streams, queue, tasks), read)
}

async fn lines(stdio: Stdio, read: OwnedFd, tasks: &Tasks) -> Vec<String> {
    stdio.drain(clock::now().after(LONG)).await;
    drop(stdio);
    tasks.stop(clock::now().after(LONG)).await;
    BufReader::new(std::fs::File::from(read)).lines().map(Result::unwrap).collect()
}

async fn check(format: StdioFormat, expect: &str) {
    let tasks = Tasks::new();
    let (stdio, read) = pipe(format, Selector::default(), &tasks);
    stdio.accept(&event(7, "live/show"));
    assert_eq!(lines(stdio, read, &tasks).await, [expect]);
}

#[tokio::test]
async fn each_format_is_as_the_contract_says() {
    let json = event(7, "live/show").json().clone();
    let json = std::str::from_utf8(&json).unwrap();
    check(StdioFormat::Json, &format!("RTMP_EVENT: {json}")).await;
    check(StdioFormat::Ndjson, json).await;
    check(
        StdioFormat::Env,
        "RTMP_EVENT: RTMP_EVENT_TYPE=stream_create RTMP_TIMESTAMP=1700000000 RTMP_STREAM_KEY=live/show \
         RTMP_APP=live RTMP_STREAM_NAME=\"it's\u{fffd} a\" RTMP_ID=00000000010000000000000002 RTMP_SEQ=7 \
         RTMP_NODE=n RTMP_TIME=2023-11-14T22:13:20.000000Z",
    )
    .await;
}

#[tokio::test]
async fn events_of_other_streams_are_not_written() {
    let tasks = Tasks::new();
    let (stdio, read) = pipe(StdioFormat::Ndjson, Selector::parse(&["a*"]).unwrap(), &tasks);
    for (seq, key) in [(1, "live/a"), (2, "live/b"), (3, "live/aa")] {
        stdio.accept(&event(seq, key));
    }
    let lines = lines(stdio, read, &tasks).await;
    assert_eq!(lines.len(), 2);
    assert!(lines[0].contains(r#""seq":"1""#) && lines[1].contains(r#""seq":"3""#));
}

#[tokio::test]
async fn a_stream_that_is_not_read_loses_the_oldest_and_tells_how_many() {
    let tasks = Tasks::new();
    let (stdio, read) = pipe(StdioFormat::Ndjson, Selector::default(), &tasks);
    let count: u64 = 20_000;
    for seq in 1..=count {
        stdio.accept(&event(seq, "live/show"));
        // The writer gets its turn, fills the pipe and is stuck.
        if seq % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let dropped = stdio.dropped();
    assert!(dropped > 10_000, "{dropped}");
    let reader = tasks.blocking("reader", move || {
        BufReader::new(std::fs::File::from(read)).lines().map(Result::unwrap).collect::<Vec<_>>()
    });
    stdio.drain(clock::now().after(LONG)).await;
    drop(stdio);
    let lines = reader.join().await.unwrap();
    let (mut told, mut last) = (0, 0);
    for line in &lines {
        let number = |name: &str| -> Option<u64> {
            let (_, rest) = line.split_once(&format!("\"{name}\":"))?;
            rest.trim_start_matches('"').split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        };
        let (seq, gap) = (number("seq").unwrap(), number("num_dropped").unwrap_or_default());
        assert!(seq > last, "in order");
        told += gap;
        last = seq;
    }
    assert_eq!((last, told), (count, dropped));
    assert_eq!(u64::try_from(lines.len()).unwrap(), count - dropped);
}

#[tokio::test]
async fn as_many_wait_as_was_said_and_no_more() {
    for queue in [1, 10, 5000] {
        let tasks = Tasks::new();
        let (stdio, read) = bounded_pipe(StdioFormat::Ndjson, Selector::default(), queue, &tasks);
        // The writer does not get its turn meanwhile.
        for seq in 1..=5005 {
            stdio.accept(&event(seq, "live/show"));
        }
        let (left, dropped) = (u64::try_from(queue).unwrap(), 5005 - u64::try_from(queue).unwrap());
        assert_eq!(stdio.dropped(), dropped);
        let reader =
            tasks.blocking("reader", move || BufReader::new(std::fs::File::from(read)).lines().count());
        stdio.drain(clock::now().after(LONG)).await;
        drop(stdio);
        assert_eq!(u64::try_from(reader.join().await.unwrap()).unwrap(), left, "{queue}");
    }
}

#[tokio::test]
async fn a_closed_stream_counts_what_it_loses_and_holds_nobody() {
    let tasks = Tasks::new();
    let (stdio, read) = pipe(StdioFormat::Json, Selector::default(), &tasks);
    drop(read);
    for seq in 1..=3 {
        stdio.accept(&event(seq, "live/show"));
    }
    stdio.drain(clock::now().after(LONG)).await;
    while stdio.lost() < 3 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_stream_that_is_never_read_does_not_hold_the_stop() {
    let tasks = Tasks::new();
    let (stdio, _read) = pipe(StdioFormat::Json, Selector::default(), &tasks);
    for seq in 1..=2000 {
        stdio.accept(&event(seq, "live/show"));
    }
    stdio.drain(clock::now()).await;
    assert_eq!(tasks.stop(clock::now().after(LONG)).await, 0);
}
