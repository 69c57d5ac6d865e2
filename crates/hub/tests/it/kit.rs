//! Publishers, viewers and a witness of all events.

use bytes::Bytes;
use jackfield_bus::{Bus, Sink};
use jackfield_events::notices::{PlayStart, PublishStart};
use jackfield_events::{EndReason, Event, EventSet, EventType, Masker, Protocol, PublishType, Scope};
use jackfield_hub::{
    Backlog, Busy, Hub, HubConfig, Minter, NotFound, Outlet, Packaged, Packager, Packet, PlayGrantParts,
    PublishGrantParts, Publisher, Subscriber, Takeover, Workbench,
};
use jackfield_media::{
    Codec, ConnId, Frame, FrameClass, MediaTime, Mono, Part, SessionId, StreamKey, Track, TrackId, TrackKind,
};
use jackfield_runtime::{Tasks, clock};
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Keeps all events.
#[derive(Default)]
pub(crate) struct Witness(Mutex<Vec<Arc<Event>>>);

impl Sink for Witness {
    fn accept(&self, event: &Arc<Event>) {
        self.0.lock().unwrap().push(Arc::clone(event));
    }
}

/// A hub and its surroundings.
pub(crate) struct Kit {
    pub(crate) hub: Hub,
    pub(crate) tasks: Tasks,
    minter: Minter,
    witness: Arc<Witness>,
    sessions: AtomicU64,
    pub(crate) packager: Arc<CountingPackager>,
}

impl Kit {
    pub(crate) fn new(config: HubConfig) -> Self {
        let bus = Bus::new("n", Masker::default());
        let witness = Arc::new(Witness::default());
        let all: EventSet = EventType::ALL.iter().copied().collect();
        bus.set_sink("witness", all, Arc::clone(&witness) as Arc<dyn Sink>);
        let tasks = Tasks::new();
        let (hub, minter) = Hub::new(config, bus, tasks.clone());
        let packager = Arc::new(CountingPackager::default());
        Self { hub, tasks, minter, witness, sessions: AtomicU64::new(1), packager }
    }

    fn scope(&self) -> Scope {
        let number = self.sessions.fetch_add(1, Ordering::Relaxed);
        Scope { conn_id: Some(ConnId(number)), session_id: Some(SessionId(number)), ..Scope::default() }
    }

    pub(crate) async fn try_publish(&self, key: &StreamKey, takeover: Takeover) -> Result<Publisher, Busy> {
        let start = PublishStart {
            app: key.app().into(),
            stream_name: key.name().into(),
            publish_type: PublishType::Live,
            client_ip: "203.0.113.7".parse().unwrap(),
            client_port: 51234,
            protocol: Protocol::Rtmp,
            tc_url: "rtmp://h/live".into(),
            query: "".into(),
            failopen: Vec::new(),
        };
        let parts = PublishGrantParts { key: key.clone(), scope: self.scope(), start, takeover };
        self.hub.publish(self.minter.publish(parts)).await
    }

    pub(crate) async fn publish(&self, key: &StreamKey) -> Publisher {
        self.try_publish(key, Takeover::Stale).await.unwrap()
    }

    pub(crate) async fn try_play(&self, key: &StreamKey, viewer: &Viewer) -> Result<Subscriber, NotFound> {
        let packager = Arc::clone(&self.packager) as Arc<dyn Packager>;
        self.play_as(key, viewer, packager).await
    }

    pub(crate) async fn play_as(
        &self,
        key: &StreamKey,
        viewer: &Viewer,
        packager: Arc<dyn Packager>,
    ) -> Result<Subscriber, NotFound> {
        let start = PlayStart {
            app: key.app().into(),
            stream_name: key.name().into(),
            client_ip: "203.0.113.9".parse().unwrap(),
            protocol: Protocol::Rtmp,
            query: "".into(),
            failopen: Vec::new(),
        };
        let parts = PlayGrantParts { key: key.clone(), scope: self.scope(), start };
        let outlet = FakeOutlet { packager, seen: Arc::clone(&viewer.0) };
        self.hub.play(self.minter.play(parts), Box::new(outlet)).await
    }

    pub(crate) async fn play(&self, key: &StreamKey, viewer: &Viewer) -> Subscriber {
        self.try_play(key, viewer).await.unwrap()
    }

    pub(crate) fn events(&self) -> Vec<Arc<Event>> {
        self.witness.0.lock().unwrap().clone()
    }

    /// `name epoch reason`, what is there of it.
    pub(crate) fn told(&self) -> Vec<String> {
        let line = |event: &Arc<Event>| {
            let mut line = event.event_type().to_string();
            if let Some(epoch) = event.scope().epoch {
                line.push_str(&format!(" {epoch}"));
            }
            for field in ["kind", "reason"] {
                if let Some(value) = event.field(field) {
                    line.push_str(&format!(" {}", value.as_str().unwrap()));
                }
            }
            line
        };
        self.events().iter().map(line).collect()
    }

    /// The only event of this name.
    pub(crate) fn only(&self, name: &str) -> Arc<Event> {
        let mut found = self.events().into_iter().filter(|event| event.event_type().name() == name);
        let event = found.next().unwrap_or_else(|| panic!("no {name} in {:?}", self.told()));
        assert!(found.next().is_none(), "more than one {name}");
        event
    }

    /// Checks that every start has its one stop, in order, and that nothing is left open.
    pub(crate) fn check_pairs(&self) {
        let mut book = Book::default();
        for event in self.events() {
            book.enter(&event);
        }
        assert!(book.streams.is_empty() && book.plays.is_empty(), "left open: {book:?}");
    }
}

/// What is open while the events are read.
#[derive(Debug, Default)]
struct Book {
    streams: HashMap<String, Open>,
    last_epoch: HashMap<String, u64>,
    plays: HashMap<SessionId, String>,
}

#[derive(Debug, Default)]
struct Open {
    epoch: Option<u64>,
    media: Vec<u64>,
}

impl Book {
    fn enter(&mut self, event: &Event) {
        let key = event.scope().stream_key.as_ref().unwrap().to_string();
        let epoch = event.scope().epoch.map(|epoch| epoch.0);
        let track = event.field("track").and_then(number);
        let open = self.streams.get_mut(&key);
        match (event.event_type().name(), open) {
            ("stream_create", None) => drop(self.streams.insert(key, Open::default())),
            ("stream_delete", Some(open)) => {
                assert!(open.epoch.is_none() && !self.plays.values().any(|played| *played == key));
                self.streams.remove(&key);
            }
            ("publish_start", Some(open)) => {
                assert_eq!(open.epoch, None, "the former stop comes before the next start");
                open.epoch = epoch;
                let last = self.last_epoch.insert(key, epoch.unwrap()).unwrap_or(0);
                assert!(epoch.unwrap() > last, "epochs only go up");
            }
            ("publish_stop", Some(open)) => {
                assert_eq!(open.epoch.take(), epoch);
                assert!(open.media.is_empty());
            }
            ("media_start", Some(open)) => {
                assert_eq!(open.epoch, epoch);
                open.media.push(track.unwrap());
            }
            ("media_stop", Some(open)) => {
                let at = open.media.iter().position(|held| Some(*held) == track).unwrap();
                open.media.remove(at);
            }
            ("codec_detected", Some(open)) => assert_eq!(open.epoch, epoch),
            ("play_start", Some(_)) => {
                assert!(self.plays.insert(event.scope().session_id.unwrap(), key).is_none());
            }
            ("play_stop", Some(_)) => {
                assert_eq!(self.plays.remove(&event.scope().session_id.unwrap()), Some(key));
            }
            (name, _) => panic!("{name} of {key} is out of place"),
        }
    }
}

fn number(value: &impl fmt::Display) -> Option<u64> {
    value.to_string().parse().ok()
}

/// Packages a frame as its number of calls, and counts them.
#[derive(Default)]
pub(crate) struct CountingPackager {
    pub(crate) calls: AtomicUsize,
}

impl Packager for CountingPackager {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn package(&self, frame: &Frame, _track: Option<&Track>) -> Option<Packaged> {
        // As services do: the message of several frames goes with the first of them.
        if frame.origin.as_ref().is_some_and(|origin| origin.part == Part::Rest) {
            return None;
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        Some(Packaged::new(frame.payload.clone(), frame.payload.len()))
    }
}

/// What a viewer got, seen from the test.
#[derive(Clone, Default)]
pub(crate) struct Viewer(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    /// Milliseconds of the earliest media that it was told to expect.
    begun: Vec<i64>,
    batches: Vec<Vec<String>>,
    sent_bytes: u64,
    /// What the outlet says waits; a test sets it.
    waiting: (usize, Duration),
    panics: bool,
    ended: Vec<EndReason>,
}

impl Viewer {
    /// All batches; a packet is its kind and time stamp: `V100` a key frame, `v133`, `a120`, `d0`, and
    /// `Vc` and so on for configurations, `Vm` and `Am` for what else is to be known of a track; `V100/1` is of
    /// track 1.
    pub(crate) fn batches(&self) -> Vec<String> {
        self.0.lock().unwrap().batches.iter().map(|batch| batch.join(" ")).collect()
    }

    /// The same, once.
    pub(crate) fn take(&self) -> Vec<String> {
        let batches = self.batches();
        self.0.lock().unwrap().batches.clear();
        batches
    }

    pub(crate) fn begun(&self) -> Vec<i64> {
        self.0.lock().unwrap().begun.clone()
    }

    pub(crate) fn ended(&self) -> Vec<EndReason> {
        self.0.lock().unwrap().ended.clone()
    }

    pub(crate) fn set_backlog(&self, bytes: usize, waiting: Duration) {
        self.0.lock().unwrap().waiting = (bytes, waiting);
    }

    pub(crate) fn panic_from_now_on(&self) {
        self.0.lock().unwrap().panics = true;
    }
}

struct FakeOutlet {
    packager: Arc<dyn Packager>,
    seen: Arc<Mutex<Seen>>,
}

impl Outlet for FakeOutlet {
    fn packager(&self) -> &Arc<dyn Packager> {
        &self.packager
    }

    fn begin(&mut self, earliest: MediaTime) {
        self.seen.lock().unwrap().begun.push(earliest.as_ms());
    }

    fn deliver(&mut self, now: Mono, batch: &[Packet], _bench: &mut Workbench) -> Backlog {
        let panics = self.seen.lock().unwrap().panics;
        assert!(!panics, "an outlet that panics");
        {
            let mut seen = self.seen.lock().unwrap();
            seen.batches.push(batch.iter().map(|packet| shown(&packet.frame)).collect());
            seen.sent_bytes += batch.iter().map(|packet| packet.packaged.bytes() as u64).sum::<u64>();
        }
        self.backlog(now)
    }

    fn backlog(&self, _now: Mono) -> Backlog {
        let seen = self.seen.lock().unwrap();
        let (bytes, waiting) = seen.waiting;
        Backlog { bytes, waiting, sent_bytes: seen.sent_bytes }
    }

    fn end(&mut self, reason: EndReason) {
        self.seen.lock().unwrap().ended.push(reason);
    }
}

fn shown(frame: &Frame) -> String {
    let ms = frame.dts.as_ms();
    let name = match (frame.kind, frame.class) {
        (TrackKind::Video, FrameClass::Config) => "Vc",
        (TrackKind::Audio, FrameClass::Config) => "Ac",
        (TrackKind::Data, FrameClass::Config) => "Dc",
        (TrackKind::Video, FrameClass::TrackMetadata) => "Vm",
        (TrackKind::Audio, FrameClass::TrackMetadata) => "Am",
        (TrackKind::Video, FrameClass::Keyframe) => "V",
        (TrackKind::Video, _) => "v",
        (TrackKind::Audio, _) => "a",
        (TrackKind::Data, _) => "d",
    };
    // Tracks after the first have ids of a kind and a number.
    match frame.track.0.to_be_bytes() {
        [0, _] => format!("{name}{ms}"),
        [_, number] => format!("{name}{ms}/{number}"),
    }
}

pub(crate) fn key() -> StreamKey {
    StreamKey::parse("show").unwrap()
}

fn frame(kind: TrackKind, class: FrameClass, ms: i64, payload: &'static [u8]) -> Frame {
    let track = match kind {
        TrackKind::Video => TrackId::VIDEO,
        TrackKind::Audio => TrackId::AUDIO,
        TrackKind::Data => TrackId::DATA,
    };
    let payload = Bytes::from_static(payload);
    let dts = MediaTime::from_ms(ms);
    Frame { track, kind, class, dts, pts: dts, offset_nanos: 0, payload, origin: None }
}

/// A key frame of 100 bytes.
pub(crate) fn keyframe(ms: i64) -> Frame {
    frame(TrackKind::Video, FrameClass::Keyframe, ms, &[1; 100])
}

/// Another picture, of 10 bytes.
pub(crate) fn picture(ms: i64) -> Frame {
    frame(TrackKind::Video, FrameClass::Inter, ms, &[2; 10])
}

/// Sound, of 5 bytes.
pub(crate) fn sound(ms: i64) -> Frame {
    frame(TrackKind::Audio, FrameClass::Inter, ms, &[3; 5])
}

/// A data message of one byte.
pub(crate) fn data(ms: i64) -> Frame {
    frame(TrackKind::Data, FrameClass::Inter, ms, &[4])
}

/// A configuration, or metadata.
pub(crate) fn config(kind: TrackKind, ms: i64, payload: &'static [u8]) -> Frame {
    frame(kind, FrameClass::Config, ms, payload)
}

pub(crate) fn video_track() -> Track {
    Track::bare(TrackId::VIDEO, TrackKind::Video, Codec::H264)
}

/// Returns when nothing but time can move the stream on; a millisecond passes.
pub(crate) async fn settle() {
    clock::sleep(Duration::from_millis(1)).await;
}

/// Sends frames and lets them arrive.
pub(crate) async fn send(publisher: &Publisher, frames: Vec<Frame>) {
    publisher.send(frames).await.unwrap();
    settle().await;
}
