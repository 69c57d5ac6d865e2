//! Notices reach their hooks, however long these are away: in order for each key, under the same ids, over stops and crashes
//! of the server; and what a hook never takes is kept as a dead letter.

use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::Client;
use jackfield_e2e::{Api, Journal, Receiver, Reply, Request, SOON, Scratch, Server, eventually, free_port};
use rustix::process::Signal;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Keys that are published, each so many times.
const KEYS: usize = 4;
const TIMES: usize = 6;

/// A hook for all that happens to publishers, with pauses as short as a test needs them.
fn config(url: &str, more: &str) -> String {
    format!(
        "[[hook]]\nname = \"told\"\nurl = \"{url}\"\non = [\"publish_start\", \"publish_stop\"]\n\
         schedule = [\"100ms\", \"400ms\", \"1s\"]\nretries = 1000\n{more}\n"
    )
}

fn start(data: &Path, config: &str) -> Result<Server> {
    Server::builder().data_dir(data).config(config).start()
}

/// Publishes to each key again and again.
fn publish(server: &Server) -> Result<()> {
    for round in 1..=TIMES {
        let mut clients = Vec::new();
        for key in 0..KEYS {
            let name = format!("k{key}");
            let mut client = Client::connect(server.rtmp(), "live")?;
            let stream = client.publish(&name)?;
            clients.push((client, stream, name));
        }
        for (client, stream, name) in &mut clients {
            client.unpublish(*stream, name)?;
        }
        // The stop of each must be told before its key is published again.
        server.events().lines().wait("the ends of the publishers", SOON, |lines| {
            let events = lines.iter().filter_map(|line| jackfield_e2e::Event::parse(line).ok());
            let ends = events.filter(|event| event.kind() == "publish_stop").count();
            (ends == round * KEYS).then_some(())
        })?;
    }
    Ok(())
}

/// What was acknowledged, by key, in the order in which it came: type and epoch.
fn taken(requests: &[Request]) -> BTreeMap<String, Vec<(String, u64)>> {
    let mut seen = BTreeSet::new();
    let mut by_key: BTreeMap<String, Vec<(String, u64)>> = BTreeMap::new();
    for request in requests {
        let event = request.json();
        let text = |field: &str| event.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        // At least once: the same id is the same event.
        if seen.insert(text("id")) {
            let epoch = event.get("epoch").and_then(Value::as_u64).unwrap_or_default();
            by_key.entry(text("stream_key")).or_default().push((text("type"), epoch));
        }
    }
    by_key
}

/// All that was published, in the order of each key.
fn is_whole(by_key: &BTreeMap<String, Vec<(String, u64)>>) -> bool {
    let times = u64::try_from(TIMES).unwrap_or_default();
    let expect: Vec<(String, u64)> = (1..=times)
        .flat_map(|epoch| [("publish_start".to_owned(), epoch), ("publish_stop".to_owned(), epoch)])
        .collect();
    by_key.len() == KEYS && by_key.values().all(|events| *events == expect)
}

/// Waits until a receiver has taken everything, and checks its order.
fn check(requests: &Journal<Request>) -> Result<()> {
    let whole = requests.wait("all that was published", SOON, |requests| {
        let by_key = taken(requests);
        let count: usize = by_key.values().map(Vec::len).sum();
        (count == KEYS * TIMES * 2).then_some(by_key)
    })?;
    ensure!(is_whole(&whole), "not in order: {whole:#?}");
    Ok(())
}

/// A receiver that is away in its way, and then there.
fn comes_back(away: impl Fn() -> Reply + Send + Sync + 'static, more: &str) -> Result<()> {
    let folder = Scratch::new()?;
    let there = Arc::new(AtomicBool::new(false));
    // What came before it was there, even a moment before, was not taken.
    let (back, taken) = (Arc::clone(&there), Journal::default());
    let took = taken.clone();
    let receiver = Receiver::start(move |request| {
        if !back.load(Ordering::SeqCst) {
            return away();
        }
        took.push(request.clone());
        Reply::status(204)
    })?;
    let server = start(folder.path(), &config(&receiver.url("/hook"), more))?;
    publish(&server)?;
    receiver.requests().wait("that it is tried", SOON, |requests| (requests.len() >= KEYS).then_some(()))?;
    there.store(true, Ordering::SeqCst);
    // By now its circuit breaker may be open, the sooner the slower the publishers were: then nothing is tried for 5 s.
    check(&taken)?;
    server.stop()?;
    Ok(())
}

#[test]
fn what_a_receiver_missed_that_said_it_is_not_there_arrives_in_order() -> Result<()> {
    comes_back(|| Reply::status(503), "")
}

#[test]
fn what_a_receiver_missed_that_hung_arrives_in_order() -> Result<()> {
    comes_back(|| Reply::Silence, "timeout = \"100ms\"\nconcurrency = 8")
}

#[test]
fn what_a_receiver_missed_that_broke_its_connections_arrives_in_order() -> Result<()> {
    comes_back(|| Reply::Reset, "")
}

#[test]
fn what_a_receiver_missed_that_was_not_started_arrives_in_order() -> Result<()> {
    let (folder, port) = (Scratch::new()?, free_port()?);
    let server = start(folder.path(), &config(&format!("http://127.0.0.1:{port}/hook"), ""))?;
    publish(&server)?;
    server.wait_log("a refused call", SOON, |line| line.field("outcome") == Some("connect_error"))?;
    let receiver = Receiver::start_at(port, |_| Reply::status(204))?;
    check(receiver.requests())?;
    server.stop()?;
    Ok(())
}

#[test]
fn what_was_under_way_when_the_server_was_killed_is_told_again_under_the_same_id() -> Result<()> {
    let folder = Scratch::new()?;
    let hangs = Arc::new(AtomicBool::new(true));
    let hung = Arc::clone(&hangs);
    let receiver = Receiver::start(move |_| match hung.load(Ordering::SeqCst) {
        true => Reply::Silence,
        false => Reply::status(204),
    })?;
    let config = config(&receiver.url("/hook"), "");
    let server = start(folder.path(), &config)?;
    let mut client = Client::connect(server.rtmp(), "live")?;
    client.publish("a")?;
    let id = |request: &Request| request.json().get("id").cloned();
    let first = receiver
        .wait("the first try", SOON, |request| request.event().as_deref() == Some("publish_start"))?;
    server.signal(Signal::KILL)?;
    server.wait(SOON)?;
    hangs.store(false, Ordering::SeqCst);
    let from = receiver.requests().len();
    let server = start(folder.path(), &config)?;
    let again = receiver.requests().wait("it and its end", SOON, |requests| {
        let after: Vec<&Request> = requests.iter().skip(from).collect();
        (after.len() >= 2).then(|| after.into_iter().cloned().collect::<Vec<_>>())
    })?;
    let kinds: Vec<Option<String>> = again.iter().map(Request::event).collect();
    ensure!(kinds == [Some("publish_start".to_owned()), Some("publish_stop".to_owned())], "{kinds:?}");
    ensure!(again.first().and_then(id) == id(&first), "another id");
    let reason = again.last().map(|request| request.json()["data"]["reason"].clone());
    ensure!(reason == Some("server_restart".into()), "{reason:?}");
    server.stop()?;
    Ok(())
}

#[test]
fn what_a_stop_left_is_told_after_the_next_start_and_what_was_taken_is_not() -> Result<()> {
    let folder = Scratch::new()?;
    let there = Arc::new(AtomicBool::new(true));
    let back = Arc::clone(&there);
    let receiver = Receiver::start(move |request| match request.event().as_deref() {
        Some("publish_stop") if !back.load(Ordering::SeqCst) => Reply::status(503),
        _ => Reply::status(204),
    })?;
    // A long pause, and no time to drain: nothing is waited for.
    let config = format!("[server]\ndrain_timeout = \"0s\"\n{}", config(&receiver.url("/hook"), ""))
        .replace("\"100ms\"", "\"1h\"");
    let server = start(folder.path(), &config)?;
    there.store(false, Ordering::SeqCst);
    let mut client = Client::connect(server.rtmp(), "live")?;
    let stream = client.publish("a")?;
    receiver.wait("the start", SOON, |request| request.event().as_deref() == Some("publish_start"))?;
    client.unpublish(stream, "a")?;
    receiver.wait("the stop", SOON, |request| request.event().as_deref() == Some("publish_stop"))?;
    server.stop()?;
    there.store(true, Ordering::SeqCst);
    let from = receiver.requests().len();
    // Renamed, it is the same hook by its id.
    let renamed = config.replace("name = \"told\"", "name = \"renamed\"\nid = \"told\"");
    let server = start(folder.path(), &renamed)?;
    let again = receiver.requests().wait("what is left", SOON, |requests| requests.get(from).cloned())?;
    ensure!(again.event().as_deref() == Some("publish_stop"), "{again:?}");
    let mut client = Client::connect(server.rtmp(), "live")?;
    client.publish("b")?;
    let next = receiver.requests().wait("what comes", SOON, |requests| requests.get(from + 1).cloned())?;
    ensure!(next.json()["stream_key"] == "live/b", "{next:?}");
    server.stop()?;
    Ok(())
}

#[test]
fn a_new_hook_begins_now_and_another_where_it_says() -> Result<()> {
    let folder = Scratch::new()?;
    let receiver = Receiver::start(|_| Reply::status(204))?;
    let server = start(folder.path(), "")?;
    let mut client = Client::connect(server.rtmp(), "live")?;
    client.publish("before")?;
    server.stop()?;
    let hook = |name: &str, more: &str| {
        let url = receiver.url(&format!("/{name}"));
        format!("[[hook]]\nname = \"{name}\"\nurl = \"{url}\"\non = [\"publish_start\"]\n{more}\n")
    };
    let config = [
        hook("now", ""),
        hook("all", "from = \"beginning\""),
        hook("since", "from = \"2020-01-01T00:00:00Z\""),
    ];
    let server = start(folder.path(), &config.concat())?;
    let mut client = Client::connect(server.rtmp(), "live")?;
    client.publish("after")?;
    let told = receiver.requests().wait("both to two hooks, one to the other", SOON, |requests| {
        (requests.len() >= 5).then(|| requests.to_vec())
    })?;
    let of = |path: &str| -> Vec<String> {
        let own = told.iter().filter(|request| request.path == path);
        let mut keys: Vec<String> =
            own.map(|request| request.json()["stream_key"].as_str().unwrap_or_default().to_owned()).collect();
        // Each is a key of its own: nothing orders them.
        keys.sort_unstable();
        keys
    };
    ensure!(of("/now") == ["live/after"], "{:?}", of("/now"));
    ensure!(of("/all") == ["live/after", "live/before"], "{:?}", of("/all"));
    ensure!(of("/since") == ["live/after", "live/before"], "{:?}", of("/since"));
    server.stop()?;
    Ok(())
}

#[test]
fn a_webhook_that_is_gone_is_disabled_over_restarts_until_its_configuration_changes() -> Result<()> {
    let folder = Scratch::new()?;
    let gone = Arc::new(AtomicBool::new(true));
    let is_gone = Arc::clone(&gone);
    let receiver =
        Receiver::start(move |_| Reply::status(if is_gone.load(Ordering::SeqCst) { 410 } else { 204 }))?;
    let config = config(&receiver.url("/hook"), "");
    let server = start(folder.path(), &config)?;
    let mut client = Client::connect(server.rtmp(), "live")?;
    client.publish("a")?;
    let told = server.events().wait_for("hook_disabled", SOON, |event| event.data("hook") == Some("told"))?;
    ensure!(told.data("reason") == Some("gone"), "{told:?}");
    server.stop()?;
    gone.store(false, Ordering::SeqCst);

    // The same hook at the next start is still disabled.
    let from = receiver.requests().len();
    let server = start(folder.path(), &config)?;
    let mut client = Client::connect(server.rtmp(), "live")?;
    client.publish("b")?;
    server.events().wait_for("publish_start", SOON, |event| event.stream_key() == Some("live/b"))?;
    server.stop()?;
    ensure!(receiver.requests().len() == from, "it was called");

    // With another configuration it goes on where it stood.
    let changed = config.replace("retries = 1000", "retries = 999");
    let server = start(folder.path(), &changed)?;
    for key in ["live/a", "live/b"] {
        receiver.requests().wait("what it did not take", SOON, |requests| {
            let told = |request: &Request| request.json()["stream_key"] == key;
            requests.iter().skip(from).any(told).then_some(())
        })?;
    }
    server.stop()?;
    Ok(())
}

/// Seconds from the only try of this hook's delivery to the next.
fn pause(api: &Api, hook: &str) -> Result<f64> {
    let delivery = eventually("its first try", SOON, || {
        let list = api.get(&format!("deliveries?hook={hook}"))?.expect(200)?;
        Ok(list.body["items"].get(0).cloned())
    })?;
    ensure!(delivery["detail"] == "status 429" && delivery["next"] == "again", "{delivery}");
    let time = |field: &str| -> Result<jiff::Timestamp> {
        Ok(delivery[field].as_str().with_context(|| format!("`{field}` in {delivery}"))?.parse()?)
    };
    Ok(time("again_at")?.duration_since(time("at")?).as_secs_f64())
}

#[test]
fn a_receiver_says_when_it_is_tried_again_from_the_pause_of_the_schedule_to_twice_that() -> Result<()> {
    let receiver = Receiver::start(|request| {
        let seconds = request.path.trim_start_matches('/').to_owned();
        Reply::Full { status: 429, headers: vec![("Retry-After".to_owned(), seconds)], body: vec![] }
    })?;
    // What it says, and what comes of it; without a word of its own it would be 80 to 120 s.
    let wishes = [("1", 100.0), ("150", 150.0), ("86400", 200.0)];
    let hook = |(seconds, _): &(&str, f64)| {
        let url = receiver.url(&format!("/{seconds}"));
        format!(
            "[[hook]]\nname = \"after-{seconds}\"\nurl = \"{url}\"\non = [\"publish_start\"]\nschedule = [\"100s\"]\n"
        )
    };
    let hooks: String = wishes.iter().map(hook).collect();
    let server = Server::builder().config(format!("[server]\ndrain_timeout = \"0s\"\n{hooks}")).start()?;
    let api = Api::admin(&server)?;
    let mut client = Client::connect(server.rtmp(), "live")?;
    client.publish("a")?;
    for (seconds, expect) in wishes {
        let pause = pause(&api, &format!("after-{seconds}"))?;
        ensure!((expect..expect + 5.0).contains(&pause), "Retry-After: {seconds} makes a pause of {pause} s");
    }
    server.stop()?;
    Ok(())
}

/// A receiver that answers one key so, and takes all others.
fn others_go_on(status: u16) -> Result<()> {
    let folder = Scratch::new()?;
    let receiver = Receiver::start(move |request| match request.json()["stream_key"].as_str() {
        Some("live/k0") => Reply::status(status),
        _ => Reply::status(204),
    })?;
    let config = config(&receiver.url("/hook"), "queue = 4").replace("\"100ms\"", "\"10m\"");
    let server = start(folder.path(), &config)?;
    publish(&server)?;
    let others = receiver.requests().wait("all of the other keys", SOON, |requests| {
        let mut by_key = taken(requests);
        by_key.remove("live/k0");
        let count: usize = by_key.values().map(Vec::len).sum();
        (count == (KEYS - 1) * TIMES * 2).then_some(by_key)
    });
    others.context("they wait for the one that fails")?;
    server.stop()?;
    Ok(())
}

#[test]
fn a_key_that_is_refused_holds_up_no_other() -> Result<()> {
    others_go_on(500)
}

#[test]
fn a_key_whose_receiver_is_away_holds_up_no_other() -> Result<()> {
    others_go_on(503)
}
