//! What the bus told, and the rules about it: each start has its stop, and nothing happens outside of its frame.

use jackfield_bus::Sink;
use jackfield_events::{Event, EventType};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// All facts, in the order of the bus.
#[derive(Default)]
pub struct Facts(Mutex<Vec<Arc<Event>>>);

impl Sink for Facts {
    fn accept(&self, event: &Arc<Event>) {
        self.0.lock().unwrap().push(Arc::clone(event));
    }
}

/// What is open while the facts are read in order.
#[derive(Default)]
struct Open {
    connections: BTreeMap<String, ()>,
    /// By key: the publish session, if there is one.
    streams: BTreeMap<String, Option<String>>,
    /// Tracks by publish session.
    publishing: BTreeMap<String, Vec<String>>,
    /// Keys by play session.
    playing: BTreeMap<String, String>,
    epochs: BTreeMap<String, u64>,
}

impl Facts {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// How many there are of a type.
    pub fn count_of(&self, event_type: EventType) -> usize {
        self.0.lock().unwrap().iter().filter(|event| event.event_type() == event_type).count()
    }

    /// Prints them; for people who look into an input.
    pub fn print(&self) {
        for event in self.0.lock().unwrap().iter() {
            eprintln!("{}", String::from_utf8_lossy(event.json()));
        }
    }

    /// Panics if something began that did not end, ended twice, or came where it cannot.
    pub fn check(&self) {
        let mut open = Open::default();
        for event in self.0.lock().unwrap().iter() {
            open.take(event);
            // The form that hooks get can be made of every event.
            assert!(serde_json::from_slice::<serde_json::Value>(event.json()).is_ok());
        }
        let Open { connections, streams, publishing, playing, .. } = open;
        assert!(connections.is_empty(), "connections without a close: {connections:?}");
        assert!(streams.is_empty(), "streams without a delete: {streams:?}");
        assert!(publishing.is_empty(), "publish sessions without a stop: {publishing:?}");
        assert!(playing.is_empty(), "play sessions without a stop: {playing:?}");
    }
}

impl Open {
    fn take(&mut self, event: &Event) {
        let scope = event.scope();
        let conn = || scope.conn_id.expect("it has a connection").to_string();
        let session = || scope.session_id.expect("it has a session").to_string();
        let key = || scope.stream_key.as_ref().expect("it has a key").to_string();
        match event.event_type() {
            EventType::ConnectionAccept => {
                assert_eq!(self.connections.insert(conn(), ()), None, "accepted twice");
            }
            EventType::HandshakeComplete => assert!(self.connections.contains_key(&conn())),
            EventType::ConnectionClose => {
                assert!(self.connections.remove(&conn()).is_some(), "closed without being open: {}", conn());
            }
            EventType::StreamCreate => assert_eq!(self.streams.insert(key(), None), None, "created twice"),
            EventType::StreamDelete => {
                assert_eq!(self.streams.remove(&key()), Some(None), "deleted while published, or twice");
                assert!(!self.playing.values().any(|played| *played == key()), "deleted while played");
            }
            EventType::PublishStart => self.publish_start(&conn(), session(), &key(), event),
            EventType::PublishStop => {
                let publisher = self.streams.get_mut(&key()).expect("the stream exists");
                assert_eq!(publisher.take(), Some(session()), "stopped without being on");
                assert_eq!(self.publishing.remove(&session()), Some(vec![]), "tracks without a stop");
            }
            EventType::MediaStart => {
                let tracks = self.publishing.get_mut(&session()).expect("media of a publisher that is on");
                let track = event.field("track").expect("it names its track").to_string();
                assert!(!tracks.contains(&track), "a track begins twice");
                tracks.push(track);
            }
            EventType::MediaStop => {
                let tracks = self.publishing.get_mut(&session()).expect("media of a publisher that is on");
                let track = event.field("track").expect("it names its track").to_string();
                let at = tracks.iter().position(|open| *open == track).expect("a track that began");
                tracks.remove(at);
            }
            EventType::CodecDetected => assert!(self.publishing.contains_key(&session())),
            EventType::PlayStart => {
                assert!(self.connections.contains_key(&conn()) && self.streams.contains_key(&key()));
                assert_eq!(self.playing.insert(session(), key()), None, "played twice");
            }
            EventType::PlayStop => assert_eq!(self.playing.remove(&session()), Some(key())),
            _ => {}
        }
    }

    fn publish_start(&mut self, conn: &str, session: String, key: &str, event: &Event) {
        assert!(self.connections.contains_key(conn), "who publishes is connected");
        let publisher = self.streams.get_mut(key).expect("the stream exists");
        assert_eq!(*publisher, None, "two publishers at once");
        *publisher = Some(session.clone());
        assert_eq!(self.publishing.insert(session, Vec::new()), None, "published twice");
        let epoch = event.scope().epoch.expect("it has an epoch").0;
        let last = self.epochs.insert(key.to_owned(), epoch).unwrap_or(0);
        assert!(epoch > last, "epochs of {key}: {last}, then {epoch}");
    }
}
