//! A server is killed at any moment under load and started again. Whatever a client saw before, by the clock of the
//! test and what came over the wire, is told; in order for each key, every start stopped, no epoch back.

#![expect(
    clippy::disallowed_methods,
    reason = "clients run beside the test, and its own clock says what was seen when"
)]

use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::{Client, Media, configurations, picture};
use jackfield_e2e::{Event, Receiver, Reply, SOON, Scratch, Server, all_cases, check_pairs, clip};
use rustix::process::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The end of a connection that was seen so long before the server's must be told: it is seen a moment before it is told.
/// The beginning of a publish is told before it is seen, and so without any margin.
const MARGIN: Duration = Duration::from_millis(50);
/// What is told. Questions are not: nobody stores them, and so they overtake what is stored.
const NOTICES: &str =
    r#"["connection_*", "handshake_complete", "stream_*", "publish_*", "media_*", "codec_detected"]"#;
/// After so long without a notice it is looked whether all are there.
const PAUSE: Duration = Duration::from_millis(250);
/// Clients at once, each with a key of its own.
const CLIENTS: u64 = 4;

/// What a client saw: a publish session begin, or its connection end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    /// `NetStream.Publish.Start` of the publish with this number.
    Started(u64),
    /// The end of the connection of that publish, after the client had ended its part.
    Closed(u64),
}

/// What the clients of one server saw, and when.
#[derive(Debug, Default)]
struct Sights(Mutex<Vec<(Seen, Instant)>>);

impl Sights {
    fn add(&self, seen: Seen) {
        let at = Instant::now();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((seen, at));
    }

    /// What must be told if the server was killed then.
    fn before(&self, end: Instant) -> Vec<Seen> {
        let sights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let must = |(seen, at): &&(Seen, Instant)| match seen {
            Seen::Started(_) => *at < end,
            Seen::Closed(_) => *at < end - MARGIN,
        };
        sights.iter().filter(must).map(|(seen, _)| seen.clone()).collect()
    }
}

/// What the clients of one server share.
#[derive(Debug)]
struct Load {
    /// What a publisher sends first.
    first: Vec<Media>,
    /// The number of the next publish, over all servers.
    publishes: Arc<AtomicU64>,
    /// Whether the server was killed.
    over: AtomicBool,
    sights: Sights,
}

/// Publishes, sends a little, and ends, again and again, until the server is gone.
fn client(server: SocketAddr, number: u64, load: &Load) {
    let name = format!("k{number}");
    while !load.over.load(Ordering::Relaxed) {
        let publish = load.publishes.fetch_add(1, Ordering::Relaxed);
        // Whatever goes wrong, the server was killed; what was seen before is what counts.
        let _ended = one_publish(server, &name, publish, load);
    }
}

fn one_publish(server: SocketAddr, name: &str, publish: u64, load: &Load) -> Result<()> {
    let sights = &load.sights;
    let mut client = Client::connect(server, "live")?;
    let stream = client.publish(&format!("{name}?n={publish}"))?;
    sights.add(Seen::Started(publish));
    for media in &load.first {
        client.send(stream, media)?;
    }
    for number in 0..(publish % 7) as u32 {
        client.send(stream, &picture(number, 100))?;
    }
    if publish.is_multiple_of(3) {
        client.unpublish(stream, name)?;
    }
    client.shut_down();
    client.wait_closed(SOON)?;
    sights.add(Seen::Closed(publish));
    Ok(())
}

/// Events by `seq`, each once, whatever came how often in which order.
fn told(events: &[Event]) -> Result<BTreeMap<u64, Event>> {
    let seq = |event: &Event| event.json()["seq"].as_str().and_then(|seq| seq.parse().ok());
    events.iter().map(|event| Ok((seq(event).context("an event without `seq`")?, event.clone()))).collect()
}

/// What the events say that clients must have seen.
fn said(events: &BTreeMap<u64, Event>) -> BTreeSet<Seen> {
    let mut said = BTreeSet::new();
    let mut publish_of = BTreeMap::new();
    for event in events.values() {
        let number = event.data("query").and_then(|query| query.strip_prefix("n=")?.parse().ok());
        match (event.kind(), number) {
            ("publish_start", Some(number)) => {
                publish_of.insert(event.conn_id().map(str::to_owned), number);
                said.insert(Seen::Started(number));
            }
            ("connection_close", _) if event.data("reason") != Some("server_restart") => {
                let number = publish_of.get(&event.conn_id().map(str::to_owned));
                said.extend(number.copied().map(Seen::Closed));
            }
            _ => {}
        }
    }
    said
}

/// The first time that each came, events of one key came in the order of `seq`.
fn check_order(events: &[Event]) -> Result<()> {
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for event in events {
        let seq: u64 = event.json()["seq"].as_str().context("no `seq`")?.parse()?;
        let key = event.stream_key().or(event.conn_id()).unwrap_or("node").to_owned();
        if seen.insert(seq) {
            let before = last.insert(key.clone(), seq);
            let of_key = |event: &&Event| event.stream_key().or(event.conn_id()).unwrap_or("node") == key;
            let all =
                || events.iter().filter(of_key).map(|event| event.json().to_string()).collect::<Vec<_>>();
            ensure!(
                before.is_none_or(|before| before < seq),
                "{seq} of {key} after {before:?}; they came like this:\n{}",
                all().join("\n")
            );
        }
    }
    Ok(())
}

#[test]
fn what_was_seen_before_the_server_was_killed_is_told_in_order_and_nothing_stays_open() -> Result<()> {
    let rounds = if all_cases() { 200 } else { 6 };
    let (folder, receiver) = (Scratch::new()?, Receiver::start(|_| Reply::status(204))?);
    let data = folder.path().join("data");
    let config = format!("[[hook]]\nname = \"all\"\non = {NOTICES}\nurl = \"{}\"\n", receiver.url("/"));
    let start = || {
        let server = Server::builder().data_dir(&data).config(&config).log_level("info");
        server.stdio_format(None).start()
    };
    let (publishes, first) = (Arc::new(AtomicU64::new(1)), configurations(&clip::standard()?));
    let mut must_be_told = BTreeSet::new();
    for round in 0..rounds {
        let server = start()?;
        let load = Arc::new(Load {
            first: first.clone(),
            publishes: Arc::clone(&publishes),
            over: AtomicBool::new(false),
            sights: Sights::default(),
        });
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (load, address) = (Arc::clone(&load), server.rtmp());
                std::thread::spawn(move || client(address, number, &load))
            })
            .collect();
        std::thread::sleep(moment(round));
        let killed_at = Instant::now();
        server.signal(Signal::KILL)?;
        load.over.store(true, Ordering::Relaxed);
        server.wait(SOON)?;
        for client in clients {
            ensure!(client.join().is_ok(), "a client panicked");
        }
        must_be_told.extend(load.sights.before(killed_at));
    }
    ensure!(must_be_told.len() as u64 > rounds, "the clients saw only {must_be_told:?}");

    let server = start()?;
    let came = || -> Result<Vec<Event>> {
        let bodies = receiver.requests().all();
        bodies.iter().map(|request| Event::parse(&String::from_utf8_lossy(&request.body))).collect()
    };
    let missing = |events: &[Event]| -> Result<Vec<Seen>> {
        let said = said(&told(events)?);
        Ok(must_be_told.iter().filter(|seen| !said.contains(seen)).cloned().collect())
    };
    // The servers had no time to tell it all: the last one does, and has the time for it as long as it goes on.
    let mut told_at = Instant::now();
    loop {
        let count = receiver.requests().len();
        let more = |requests: &[jackfield_e2e::Request]| (requests.len() > count).then_some(());
        if receiver.requests().wait("another notice", PAUSE, more).is_ok() {
            told_at = Instant::now();
            continue;
        }
        let missing = missing(&came()?)?;
        if missing.is_empty() {
            break;
        }
        ensure!(
            told_at.elapsed() < SOON,
            "{} were seen, and these not told: {missing:?}",
            must_be_told.len()
        );
    }
    server.stop()?;
    let events = came()?;
    println!("{rounds} kills; {} sights before them, {} requests", must_be_told.len(), events.len());
    check_order(&events)?;
    check_pairs(&told(&events)?.into_values().collect::<Vec<_>>())
}

/// When the server of a round is killed: a different moment each time, the same in each run.
fn moment(round: u64) -> Duration {
    // Weyl's sequence fills the interval evenly.
    Duration::from_millis(60 + round.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 1000 * 390 / 1000)
}
