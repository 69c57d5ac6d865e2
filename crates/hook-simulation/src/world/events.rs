//! What happens in the simulated server: connections come and go, publishers take keys over.

use super::profile::{Profile, QUESTIONS};
use crate::chance::Chance;
use jackfield_events::{Event, EventType, OrderedBy, Scope, Stamp};
use jackfield_media::{ConnId, Epoch, Mono, StreamKey, Text, UnixTime};
use serde_json::Value;
use std::sync::Arc;
use ulid::Ulid;

/// A publisher of a key.
#[derive(Debug, Clone, Copy)]
struct Live {
    conn: ConnId,
    epoch: Epoch,
}

#[derive(Debug)]
struct Stream {
    key: StreamKey,
    live: Option<Live>,
    epoch: Epoch,
}

#[derive(Debug)]
pub(super) struct Events {
    node: Text,
    next: u64,
    /// What the clock shows.
    time: UnixTime,
    connections: usize,
    streams: Vec<Stream>,
}

impl Events {
    pub(super) fn new(profile: &Profile) -> Self {
        let keys = (0..profile.keys).filter_map(|index| StreamKey::parse(&format!("k{index}")).ok());
        Self {
            node: "n".into(),
            next: 1,
            time: UnixTime(0),
            connections: profile.keys + 1,
            streams: keys.map(|key| Stream { key, live: None, epoch: Epoch(0) }).collect(),
        }
    }

    /// What happens next, one or two events: a takeover is a stop and a start.
    pub(super) fn fact(&mut self, now: Mono, chance: &mut Chance) -> Vec<Arc<Event>> {
        self.time = clock(now);
        let conn = self.connection(chance);
        if chance.percent(25) {
            let event_type =
                if chance.percent(50) { EventType::ConnectionAccept } else { EventType::ConnectionClose };
            return vec![self.event(event_type, Scope { conn_id: Some(conn), ..Scope::default() })];
        }
        let at = chance.below(self.streams.len());
        let Some(stream) = self.streams.get_mut(at) else { return Vec::new() };
        let key = stream.key.clone();
        let former = stream.live.take();
        let starts = former.is_none() || chance.percent(60);
        if starts {
            stream.epoch = stream.epoch.next();
            stream.live = Some(Live { conn, epoch: stream.epoch });
        }
        let live = stream.live;
        let scope = |live: Live| Scope {
            conn_id: Some(live.conn),
            session_id: None,
            stream_key: Some(key.clone()),
            epoch: Some(live.epoch),
        };
        let stop = former.map(|former| self.event(EventType::PublishStop, scope(former)));
        let start = live.map(|live| self.event(EventType::PublishStart, scope(live)));
        stop.into_iter().chain(start).collect()
    }

    pub(super) fn question(&mut self, now: Mono, chance: &mut Chance) -> Arc<Event> {
        self.time = clock(now);
        let event_type = chance.pick(&QUESTIONS).copied().unwrap_or(EventType::AuthorizePublish);
        let conn = self.connection(chance);
        let at = chance.below(self.streams.len());
        let by_stream = event_type.spec().ordered_by == OrderedBy::Stream;
        let key = self.streams.get(at).filter(|_| by_stream).map(|stream| stream.key.clone());
        self.event(event_type, Scope { conn_id: Some(conn), stream_key: key, ..Scope::default() })
    }

    fn connection(&self, chance: &mut Chance) -> ConnId {
        ConnId(u64::try_from(chance.below(self.connections)).unwrap_or_default())
    }

    fn event(&mut self, event_type: EventType, scope: Scope) -> Arc<Event> {
        let seq = self.next;
        self.next += 1;
        let stamp = Stamp { id: Ulid(u128::from(seq)), seq, node: self.node.clone(), time: self.time };
        let data = if event_type.spec().kind.is_question() {
            let key = scope.stream_key.as_ref();
            vec![
                ("app", Value::from(key.map_or("live", StreamKey::app))),
                ("stream_name", Value::from(key.map_or("", StreamKey::name))),
                ("query", Value::from("token=abc")),
            ]
        } else {
            Vec::new()
        };
        Arc::new(Event::new(event_type, stamp, scope, data))
    }
}

/// Somebody sets it back by an hour now and then.
fn clock(now: Mono) -> UnixTime {
    const HOUR: i64 = 3_600_000_000;
    let micros = i64::try_from((now - Mono::ZERO).as_micros()).unwrap_or_default();
    UnixTime(micros - micros / (5 * HOUR) * HOUR)
}
