//! A receiver is away for five minutes of real time, and everything has the value that it has unless told otherwise. Nothing
//! new happens once it is back: nobody but the server itself can find that out.

#![expect(
    clippy::disallowed_methods,
    reason = "how long a receiver is away, and what follows, is the case itself"
)]

use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::Client;
use jackfield_e2e::{Event, Journal, Receiver, Reply, Request, SOON, Server, free_port};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// Connections are refused for as long as the first half, answered by 503 for a quarter, and not at all for the last.
const AWAY: Duration = Duration::from_secs(300);
/// A stream begins or ends this often.
const PAUSE: Duration = Duration::from_secs(3);
/// Keys that are published in turn, each again when it comes round.
const KEYS: usize = 5;
/// What must have arrived this long after the return. A call that hung when it came back ends after 30 s, and a receiver
/// that is away is looked for every 36 s at most.
const BACK_WITHIN: Duration = Duration::from_secs(120);

/// What the receiver does.
const UNAVAILABLE: u8 = 0;
const HANGS: u8 = 1;
const TAKES: u8 = 2;

/// Publishes to the keys in turn, until then; all have ended at the end. Returns the number of publishes.
fn come_and_go(server: &Server, until: Instant) -> Result<usize> {
    let mut live: BTreeMap<usize, (Client, u32)> = BTreeMap::new();
    let mut count = 0;
    for turn in 0.. {
        let key = turn % KEYS;
        match live.remove(&key) {
            Some((mut client, stream)) => client.unpublish(stream, &format!("k{key}"))?,
            None if Instant::now() >= until => {}
            None => {
                let mut client = Client::connect(server.rtmp(), "live")?;
                let stream = client.publish(&format!("k{key}"))?;
                live.insert(key, (client, stream));
                count += 1;
            }
        }
        if Instant::now() >= until && live.is_empty() {
            break;
        }
        std::thread::sleep(PAUSE.min(until.saturating_duration_since(Instant::now())));
    }
    server.events().lines().wait("the end of each publish", SOON, |lines| {
        let events = lines.iter().filter_map(|line| Event::parse(line).ok());
        (events.filter(|event| event.kind() == "publish_stop").count() == count).then_some(())
    })?;
    Ok(count)
}

/// Each event once, in the order in which it was taken first; and when the last of them came.
fn taken(requests: &[Request]) -> (Vec<Event>, Option<Instant>) {
    let (mut seen, mut events, mut last) = (BTreeSet::new(), Vec::new(), None);
    for request in requests {
        if let Ok(event) = Event::parse(&String::from_utf8_lossy(&request.body))
            && seen.insert(event.json()["id"].to_string())
        {
            events.push(event);
            last = Some(request.at);
        }
    }
    (events, last)
}

/// Of each key: start and stop of each of its epochs, one after the other.
fn check_order(events: &[Event]) -> Result<()> {
    let mut by_key: BTreeMap<&str, Vec<(&str, u64)>> = BTreeMap::new();
    for event in events {
        let epoch = event.json()["epoch"].as_u64().context("an epoch")?;
        by_key.entry(event.stream_key().context("a key")?).or_default().push((event.kind(), epoch));
    }
    ensure!(by_key.len() == KEYS, "{by_key:?}");
    for (key, told) in by_key {
        let epochs = 1..=u64::try_from(told.len() / 2)?;
        let expect: Vec<_> =
            epochs.flat_map(|epoch| [("publish_start", epoch), ("publish_stop", epoch)]).collect();
        ensure!(told == expect, "{key}: {told:?}");
    }
    Ok(())
}

#[test]
#[ignore = "takes six minutes: `cargo nextest run -p jackfield-e2e --profile e2e --run-ignored only -E 'test(/^outage::/)'`"]
fn what_a_receiver_missed_in_five_minutes_arrives_in_order_though_nothing_new_happens() -> Result<()> {
    let port = free_port()?;
    let config = format!(
        "[[hook]]\nname = \"told\"\nurl = \"http://127.0.0.1:{port}/\"\non = [\"publish_start\", \"publish_stop\"]\n"
    );
    let server = Server::builder().config(config).start()?;
    let began = Instant::now();
    let accepted = Journal::default();
    let (count, receiver, manner) = std::thread::scope(|scope| -> Result<_> {
        let load = scope.spawn(|| come_and_go(&server, began + AWAY));
        std::thread::sleep(AWAY / 2);
        let manner = Arc::new(AtomicU8::new(UNAVAILABLE));
        let (now, accepted) = (Arc::clone(&manner), accepted.clone());
        let receiver = Receiver::start_at(port, move |request| match now.load(Ordering::SeqCst) {
            UNAVAILABLE => Reply::status(503),
            HANGS => Reply::Silence,
            _ => {
                accepted.push(request.clone());
                Reply::status(204)
            }
        })?;
        std::thread::sleep(AWAY / 4);
        manner.store(HANGS, Ordering::SeqCst);
        let count = load.join().ok().context("the clients panicked")??;
        Ok((count, receiver, manner))
    })?;
    let missed = receiver.requests().len();
    manner.store(TAKES, Ordering::SeqCst);
    let back = Instant::now();
    println!(
        "{count} publishes to {KEYS} keys in {:?}; {missed} calls that were not taken came",
        began.elapsed()
    );
    let (events, last) = accepted.wait("all that was missed", BACK_WITHIN, |requests| {
        let (events, last) = taken(requests);
        (events.len() == 2 * count).then_some((events, last))
    })?;
    let first = accepted.read(|requests| requests.first().map(|request| request.at.duration_since(back)));
    let last = last.context("a last one")?.duration_since(back);
    println!("{} events: the first {first:?} after its return, the last {last:?}", events.len());
    check_order(&events)?;
    server.stop()?;
    Ok(())
}
