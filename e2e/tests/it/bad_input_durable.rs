//! What the server keeps on disk, damaged, hostile, removed or without room: whatever can be told is told, to the right
//! ones, and nothing panics or hangs.

mod disk;
mod files;
mod log;

use anyhow::{Context, Result};
use jackfield_e2e::rtmp::Client;
use jackfield_e2e::{Receiver, SOON, Server, eventually};
use serde_json::Value;

/// Publishes under this name and leaves again.
fn publish(server: &Server, name: &str) -> Result<()> {
    let mut client = Client::connect(server.rtmp(), "live")?;
    let stream = client.publish(name).with_context(|| name.to_owned())?;
    client.unpublish(stream, name)?;
    let key = format!("live/{name}");
    server.events().wait_for("publish_stop", SOON, |event| event.stream_key() == Some(&key))?;
    Ok(())
}

/// A configuration with one hook that is told of the starts of publishers, from where `more` says.
fn told_of_starts(receiver: &Receiver, more: &str) -> String {
    let url = receiver.url("/hook");
    format!("[[hook]]\nname = \"starts\"\non = [\"publish_start\"]\nurl = \"{url}\"\n{more}\n")
}

/// The keys that the receiver was told of, in the order of the events, once it knows of so many and of `last` among them.
/// Each has but one start here, and the order of different keys is nobody's promise.
fn starts(receiver: &Receiver, count: usize, last: &str) -> Result<Vec<String>> {
    let last = format!("live/{last}");
    eventually(&format!("{count} starts, {last} among them"), SOON, || {
        let mut told: Vec<Value> =
            receiver.requests().all().iter().map(jackfield_e2e::Request::json).collect();
        told.sort_by_key(|event| event["seq"].as_str().and_then(|seq| seq.parse::<u64>().ok()));
        let keys = told.iter().filter_map(|event| event["stream_key"].as_str().map(str::to_owned));
        let keys: Vec<String> = keys.collect();
        Ok((keys.len() >= count && keys.contains(&last)).then_some(keys))
    })
}
