//! Starts and stops: whether each start in a list of events has its one stop, in order.

use crate::Event;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;

/// Checks the events of a server that has ended, in the order in which it told them.
///
/// Each connection, stream, publish session, track and play session that started stopped, once, afterwards, and with the
/// same ids. A key's publish sessions do not overlap and have epochs that grow. What happens inside another pair is told
/// inside it: media inside its publish session, publish sessions and players inside their stream.
///
/// # Errors
/// The first event that is out of place, or what never stopped.
pub fn check_pairs(events: &[Event]) -> Result<()> {
    let mut pairs = Pairs::default();
    for event in events {
        pairs.tell(event)?;
    }
    pairs.finish()
}

/// The same check for events that are not kept: each is told as it comes.
#[derive(Debug, Default)]
pub struct Pairs {
    seq: u64,
    /// What has started: its name, and the event that said so.
    pairs: BTreeMap<String, Event>,
    /// The last epoch of each key.
    epochs: BTreeMap<String, u64>,
}

impl Pairs {
    /// Takes the next event.
    ///
    /// # Errors
    /// When it is out of place.
    pub fn tell(&mut self, event: &Event) -> Result<()> {
        self.place(event).with_context(|| format!("at {}", event.json()))
    }

    /// The server has ended.
    ///
    /// # Errors
    /// What never stopped.
    pub fn finish(&self) -> Result<()> {
        let left: Vec<&String> = self.pairs.keys().collect();
        ensure!(left.is_empty(), "these never stopped: {left:?}");
        Ok(())
    }

    fn place(&mut self, event: &Event) -> Result<()> {
        let seq = text(event, "seq")?.parse().context("`seq` is no number")?;
        ensure!(seq > self.seq, "`seq` {seq} after {}", self.seq);
        self.seq = seq;
        match event.kind() {
            "connection_accept" => self.start(connection(event)?, event),
            "handshake_complete" | "auth_failed" => self.inside(&connection(event)?),
            "connection_close" => {
                let mine = |start: &&Event| text(start, "conn_id").ok() == text(event, "conn_id").ok();
                let open = self.pairs.values().filter(|start| start.kind() != "connection_accept").find(mine);
                ensure!(open.is_none(), "its {} is not stopped", open.map(Event::kind).unwrap_or_default());
                self.stop(&connection(event)?, event, &["conn_id"])
            }
            "stream_create" => self.start(stream(event)?, event),
            "stream_delete" => {
                let (publish, play) = (publish(event)?, format!("play of {} ", text(event, "stream_key")?));
                let open = self.pairs.keys().find(|name| **name == publish || name.starts_with(&play));
                ensure!(open.is_none(), "{open:?} is not stopped");
                self.stop(&stream(event)?, event, &["stream_key"])
            }
            "publish_start" => {
                self.inside(&stream(event)?)?;
                let epoch = event.json().get("epoch").and_then(Value::as_u64).context("no `epoch`")?;
                let last = self.epochs.insert(text(event, "stream_key")?.to_owned(), epoch);
                ensure!(last.is_none_or(|last| last < epoch), "epoch {epoch} after {last:?}");
                self.start(publish(event)?, event)
            }
            "publish_stop" => {
                let media = format!("media of {} ", text(event, "stream_key")?);
                let open = self.pairs.keys().find(|name| name.starts_with(&media));
                ensure!(open.is_none(), "{open:?} is not stopped");
                self.stop(&publish(event)?, event, &["conn_id", "epoch", "session_id"])
            }
            "media_start" => {
                self.inside(&publish(event)?)?;
                self.start(media(event)?, event)
            }
            "media_stop" => self.stop(&media(event)?, event, &["conn_id", "epoch", "session_id"]),
            "codec_detected" => self.inside(&publish(event)?),
            // It never was a connection.
            "connection_refused" => Ok(()),
            // They are of the server itself.
            "events_lost" | "hook_disabled" => Ok(()),
            "play_start" => {
                self.inside(&stream(event)?)?;
                self.start(play(event)?, event)
            }
            "play_stop" => self.stop(&play(event)?, event, &["conn_id", "stream_key"]),
            other => anyhow::bail!("the checker does not know {other}"),
        }
    }

    fn start(&mut self, name: String, event: &Event) -> Result<()> {
        ensure!(!self.pairs.contains_key(&name), "{name} has started already");
        self.pairs.insert(name, event.clone());
        Ok(())
    }

    fn stop(&mut self, name: &str, event: &Event, same: &[&str]) -> Result<()> {
        let start = self.pairs.remove(name).with_context(|| format!("{name} has not started"))?;
        for field in same {
            let (was, is) = (start.json().get(field), event.json().get(field));
            ensure!(was == is, "`{field}` was {was:?}, is {is:?}");
        }
        let reason = event.data("reason").context("no `reason`")?;
        ensure!(REASONS.contains(&reason), "`{reason}` is no reason");
        Ok(())
    }

    fn inside(&self, name: &str) -> Result<()> {
        ensure!(self.pairs.contains_key(name), "{name} has not started");
        Ok(())
    }
}

/// All that a reason may be.
const REASONS: [&str; 10] = [
    "client_disconnect",
    "unpublish",
    "timeout",
    "kicked",
    "denied",
    "superseded",
    "protocol_error",
    "server_shutdown",
    "server_restart",
    "slow_subscriber",
];

fn text<'a>(event: &'a Event, field: &str) -> Result<&'a str> {
    event.json().get(field).and_then(Value::as_str).with_context(|| format!("no `{field}`"))
}

fn connection(event: &Event) -> Result<String> {
    Ok(format!("connection {}", text(event, "conn_id")?))
}

fn stream(event: &Event) -> Result<String> {
    Ok(format!("stream {}", text(event, "stream_key")?))
}

fn publish(event: &Event) -> Result<String> {
    Ok(format!("publish of {}", text(event, "stream_key")?))
}

fn play(event: &Event) -> Result<String> {
    Ok(format!("play of {} {}", text(event, "stream_key")?, text(event, "session_id")?))
}

fn media(event: &Event) -> Result<String> {
    let track = event.number("track").context("no `track`")?;
    let kind = event.data("kind").context("no `kind`")?;
    Ok(format!("media of {} {kind} {track}", text(event, "stream_key")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// One publish session with a player: names of events, and what differs.
    fn life() -> Vec<Value> {
        let event = |kind: &str, conn: &str, data: Value| {
            let mut event = json!({ "type": kind, "conn_id": conn, "data": data });
            if !kind.starts_with("connection") {
                event["stream_key"] = json!("live/a");
            }
            if kind.starts_with("publish") || kind.starts_with("media") {
                event["epoch"] = json!(1);
            }
            if !kind.starts_with("connection") && !kind.starts_with("stream") {
                event["session_id"] = json!(conn);
            }
            event
        };
        let reason = json!({ "reason": "unpublish" });
        let track = |reason: Option<&str>| json!({ "kind": "video", "track": 1, "reason": reason });
        vec![
            event("connection_accept", "c1", json!({})),
            event("connection_accept", "c2", json!({})),
            event("stream_create", "c1", json!({})),
            event("publish_start", "c1", json!({})),
            event("media_start", "c1", track(None)),
            event("play_start", "c2", json!({})),
            event("media_stop", "c1", track(Some("unpublish"))),
            event("publish_stop", "c1", reason.clone()),
            event("play_stop", "c2", reason.clone()),
            event("stream_delete", "c1", reason.clone()),
            event("connection_close", "c1", reason.clone()),
            event("connection_close", "c2", reason),
        ]
    }

    fn check(life: Vec<Value>) -> Result<()> {
        let number = |(at, mut event): (usize, Value)| {
            event["seq"] = json!((at + 1).to_string());
            Event::new(event)
        };
        check_pairs(&life.into_iter().enumerate().map(number).collect::<Vec<_>>())
    }

    #[test]
    fn a_life_in_order_passes() {
        check(life()).unwrap();
    }

    #[test]
    fn a_denial_belongs_to_its_connection() {
        let denial = json!({ "type": "auth_failed", "conn_id": "c1", "data": {} });
        for (at, is_right) in [(0, false), (1, true), (10, true), (12, false)] {
            let mut life = life();
            life.insert(at, denial.clone());
            assert_eq!(check(life).is_ok(), is_right, "at {at}");
        }
    }

    #[test]
    fn what_is_missing_or_twice_or_out_of_order_is_found() {
        for at in 0..life().len() {
            let mut missing = life();
            let gone = missing.remove(at);
            assert!(check(missing).is_err(), "without {gone}");
            let mut twice = life();
            twice.insert(at, gone.clone());
            assert!(check(twice).is_err(), "twice {gone}");
        }
        // A stop that comes before what it encloses has stopped, and one with another's ids.
        for (from, to) in [(6, 7), (7, 9), (8, 9), (9, 2), (10, 7)] {
            let mut moved = life();
            let event = moved.remove(from);
            moved.insert(to, event.clone());
            assert!(check(moved).is_err(), "{event} at {to}");
        }
        for (field, value) in [("conn_id", json!("c9")), ("epoch", json!(2))] {
            let mut changed = life();
            changed[7][field] = value;
            assert!(check(changed).is_err(), "another {field}");
        }
        let mut again: Vec<Value> = life();
        let second: Vec<Value> = life().drain(2..10).filter(|event| event["conn_id"] == "c1").collect();
        for (at, event) in second.into_iter().enumerate() {
            again.insert(10 + at, event);
        }
        assert!(check(again).is_err(), "the same epoch again");
    }
}
