//! Following events: live, resumed, filtered, and to the end of the server.

use super::{api, of_prefix, publish};
use anyhow::{Context, Result, ensure};
use jackfield_e2e::{Frame, Receiver, Reply, SOON, Server, all_cases, eventually};
use serde_json::json;

/// The events of a stream of frames, as type and `seq`.
fn told(frames: &[Frame]) -> Vec<(String, u64)> {
    let told = frames.iter().filter(|frame| !frame.data.is_null() && frame.event != "delivery");
    told.filter_map(|frame| Some((frame.event.clone(), frame.id.as_ref()?.parse().ok()?))).collect()
}

#[test]
fn what_happens_is_followed_in_order_and_goes_on_after_a_break() -> Result<()> {
    let server = Server::builder().start()?;
    let api = api(&server)?;
    let live = api.follow("", None)?;
    let client = publish(&server, "live/a")?;
    let started = live.wait("publish_start", SOON, |frame| frame.event == "publish_start")?;
    ensure!(
        started.data["stream_key"] == "live/a"
            && started.data["seq"] == started.id.as_deref().unwrap_or_default()
    );
    drop(client);
    live.wait("connection_close", SOON, |frame| frame.event == "connection_close")?;
    let seen = told(&live.frames().all());
    ensure!(seen.is_sorted_by_key(|(_, seq)| *seq), "{seen:?}");
    drop(live);

    // After the break: what happened meanwhile, once, from where it stopped.
    drop(publish(&server, "live/b")?);
    server.events().wait_for("publish_stop", SOON, |event| event.stream_key() == Some("live/b"))?;
    let last = started.id.clone().context("an id")?;
    let again = api.follow("since=0", Some(&last))?;
    again.wait("publish_stop of live/b", SOON, |frame| {
        frame.event == "publish_stop" && frame.data["stream_key"] == "live/b"
    })?;
    let resumed = told(&again.frames().all());
    let place: u64 = last.parse()?;
    ensure!(resumed.first().is_some_and(|(_, seq)| *seq > place), "{resumed:?}");
    let rest: Vec<_> = seen.iter().filter(|(_, seq)| *seq > place).cloned().collect();
    ensure!(resumed.starts_with(&rest), "{rest:?} begin {resumed:?}");

    // From the beginning, nothing is missing and nothing is said to be.
    let whole = api.follow("since=0", None)?;
    whole.wait("the end", SOON, |frame| {
        frame.event == "publish_stop" && frame.data["stream_key"] == "live/b"
    })?;
    ensure!(!whole.frames().all().iter().any(|frame| frame.event == "gap"));
    ensure!(told(&whole.frames().all()).starts_with(&seen), "the whole begins with what was seen live");
    server.stop()?;
    // The end of the server is the end of the stream, with the last events in it.
    again.frames().wait_closed("the end of the stream", SOON)?;
    Ok(())
}

#[test]
fn filters_and_prefixes_leave_out_what_is_not_asked_for_or_may_not_be_seen() -> Result<()> {
    let server = Server::builder().start()?;
    let admin = api(&server)?;
    let some = of_prefix(&server, "vod", "read")?;
    let of_types = admin.follow("type=publish_*", None)?;
    let of_keys = admin.follow("key=vod/**", None)?;
    let of_token = some.follow("", None)?;
    let _a = publish(&server, "live/a")?;
    let _b = publish(&server, "vod/b")?;
    for stream in [&of_types, &of_keys, &of_token] {
        stream.wait("vod/b", SOON, |f| f.event == "publish_start" && f.data["stream_key"] == "vod/b")?;
    }
    ensure!(of_types.frames().all().iter().all(|f| f.data.is_null() || f.event.starts_with("publish_")));
    ensure!(of_types.frames().all().iter().any(|f| f.data["stream_key"] == "live/a"));
    for stream in [&of_keys, &of_token] {
        let frames = stream.frames().all();
        ensure!(frames.iter().all(|f| f.data.is_null() || f.data["stream_key"] == "vod/b"), "{frames:?}");
    }
    for (query, says) in
        [("tpye=x", "did you mean `type`?"), ("include=all", "include"), ("type=x", "no event")]
    {
        let wrong = admin.get(&format!("events/stream?{query}"))?;
        ensure!(wrong.status == 400 && wrong.text.contains(says), "{query}: {}", wrong.text);
    }
    server.stop()?;
    Ok(())
}

#[test]
fn deliveries_are_followed_beside_events() -> Result<()> {
    let receiver = Receiver::start(|_| Reply::status(204))?;
    let hook = format!("publish_start={}", receiver.url("/h"));
    let server = Server::builder().args(["--hook-webhook", &hook]).start()?;
    let api = api(&server)?;
    let both = api.follow("include=events,deliveries&type=publish_start", None)?;
    let only = api.follow("include=deliveries", None)?;
    let _client = publish(&server, "live/a")?;
    let delivery = both.wait("a delivery", SOON, |frame| frame.event == "delivery")?;
    ensure!(delivery.id.is_none() && delivery.data["outcome"] == "answered", "{delivery:?}");
    ensure!(delivery.data["hook"] == "webhook-1" && delivery.data["key"] == "live/a", "{delivery:?}");
    both.wait("its event", SOON, |frame| frame.event == "publish_start")?;
    only.wait("a delivery", SOON, |frame| frame.event == "delivery")?;
    ensure!(!only.frames().all().iter().any(|frame| frame.event == "publish_start"));
    server.stop()?;
    Ok(())
}

#[test]
fn what_the_log_has_no_more_is_told_as_a_gap() -> Result<()> {
    if !all_cases() {
        // The log looks at its age and size every ten seconds.
        eprintln!("left out: part of `make test-all`");
        return Ok(());
    }
    let server =
        Server::builder().config("[events]\nretain_bytes = \"1MiB\"\nmemory = \"1MiB\"\n").start()?;
    let api = api(&server)?;
    let data = json!({"tc_url": "x".repeat(60_000)});
    let mut last = 0;
    for _ in 0..100 {
        let sent =
            api.post("events/trigger", &json!({"event": "publish_start", "data": data}))?.expect(202)?;
        last = sent.body["seq"].as_str().context("a seq")?.parse::<u64>()?;
    }
    let (gap, first) = eventually("a gap in the place of what is gone", SOON, || {
        let stream = api.follow("since=1", None)?;
        stream.wait("the last event", SOON, |frame| frame.id == Some(last.to_string()))?;
        let frames = stream.frames().all();
        // What goes while it is read is a gap in the middle; this is about one that was there before.
        let gap = frames.iter().find(|frame| frame.event == "gap" && frame.data["from"] == "2");
        let Some(gap) = gap else { return Ok(None) };
        Ok(Some((gap.data.clone(), told(&frames).first().cloned())))
    })?;
    let number = |name: &str| gap[name].as_str().and_then(|text| text.parse::<u64>().ok());
    ensure!(number("from") == Some(2) && number("to") >= Some(2), "{gap}");
    ensure!(first.is_some_and(|(_, seq)| seq > 2), "{gap}");
    server.stop()?;
    Ok(())
}
