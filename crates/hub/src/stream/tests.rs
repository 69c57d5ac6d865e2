//! What cannot be seen from outside: a race that lets a publisher speak after it was superseded, timers, spans.

use super::fanout::Fanout;
use crate::inbox::FromPublisher;
use crate::status::Status;
use crate::{Hub, HubConfig, Presence, PublishGrantParts, Stage, Stages, Takeover};
use bytes::Bytes;
use jackfield_bus::{Bus, Sink};
use jackfield_events::notices::PublishStart;
use jackfield_events::{EndReason, Event, EventSet, EventType, Masker, Protocol, PublishType, Scope};
use jackfield_media::{Codec, Epoch, Frame, FrameClass, MediaTime, StreamKey, Track, TrackId, TrackKind};
use jackfield_runtime::{Tasks, clock};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tracing::Instrument;

fn parts(key: &StreamKey) -> PublishGrantParts {
    let start = PublishStart {
        app: key.app().into(),
        stream_name: key.name().into(),
        publish_type: PublishType::Live,
        client_ip: "203.0.113.7".parse().unwrap(),
        client_port: 51234,
        protocol: Protocol::Rtmp,
        tc_url: "".into(),
        query: "".into(),
        failopen: Vec::new(),
    };
    PublishGrantParts { key: key.clone(), scope: Scope::default(), start, takeover: Takeover::Replace }
}

fn sound() -> Frame {
    Frame {
        track: TrackId::AUDIO,
        kind: TrackKind::Audio,
        class: FrameClass::Inter,
        dts: MediaTime::from_ms(0),
        pts: MediaTime::from_ms(0),
        offset_nanos: 0,
        payload: Bytes::from_static(b"sound"),
        origin: None,
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_superseded_publisher_had_on_its_way_is_left_out() {
    let (hub, minter) = Hub::new(HubConfig::default(), Bus::new("n", Masker::default()), Tasks::new());
    let key = StreamKey::parse("show").unwrap();
    let _first = hub.publish(minter.publish(parts(&key))).await.unwrap();
    let second = hub.publish(minter.publish(parts(&key))).await.unwrap();
    let frame = sound();
    let inbox = &hub.0.registry.find(&key).unwrap().inbox;
    let track = Track::bare(TrackId::AUDIO, TrackKind::Audio, Codec::Aac);
    for late in [
        FromPublisher::Track(Epoch(1), Box::new(track)),
        FromPublisher::Frames(Epoch(1), vec![frame.clone()]),
        FromPublisher::Finish(Epoch(1), EndReason::Unpublish),
        FromPublisher::Frames(Epoch(2), vec![frame]),
    ] {
        inbox.media(late).await.unwrap();
    }
    clock::sleep(Duration::from_millis(1)).await;
    let streams = hub.streams();
    assert_eq!((streams[0].counters.refused_frames, streams[0].counters.frames), (1, 1));
    assert!(streams[0].tracks.is_empty());
    assert_eq!(second.ended_now(), None);
}

#[test]
fn sound_waits_for_no_picture_if_nobody_watches() {
    let (mut fanout, status) = (Fanout::new(HubConfig::default()), Status::default());
    let now = clock::now();
    fanout.announce(now, &Track::bare(TrackId::VIDEO, TrackKind::Video, Codec::H264));
    fanout.push(now, sound(), None, &status);
    assert_eq!(fanout.due(), Some(now), "a timer for nothing");
}

/// Tells whose span the stream's task runs in.
struct SpanOfStream(Mutex<Option<&'static str>>);

impl Stages for SpanOfStream {
    fn of(&self, _key: &StreamKey) -> Vec<Box<dyn Stage>> {
        *self.0.lock().unwrap() = tracing::Span::current().metadata().map(tracing::Metadata::name);
        Vec::new()
    }
}

#[tokio::test]
async fn a_stream_logs_as_itself_and_not_as_the_connection_that_began_it() {
    let _log = tracing::subscriber::set_default(tracing_subscriber::registry());
    let (hub, minter) = Hub::new(HubConfig::default(), Bus::new("n", Masker::default()), Tasks::new());
    let seen = Arc::new(SpanOfStream(Mutex::new(None)));
    hub.set_stages(Arc::clone(&seen) as Arc<dyn Stages>);
    let key = StreamKey::parse("show").unwrap();
    let publish = hub.publish(minter.publish(parts(&key)));
    let _publisher = publish.instrument(tracing::info_span!("connection")).await.unwrap();
    assert_eq!(*seen.0.lock().unwrap(), Some("stream"));
}

/// Looks, while a stop is told, whether the key is free.
#[derive(Default)]
struct Eager {
    hub: OnceLock<Hub>,
    found: Mutex<Vec<Presence>>,
}

impl Sink for Eager {
    fn accept(&self, event: &Arc<Event>) {
        let key = event.scope().stream_key.as_ref().unwrap();
        self.found.lock().unwrap().push(self.hub.get().unwrap().presence(key));
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_hears_of_a_stop_finds_the_key_free() {
    let resume = Duration::from_secs(5);
    for (resume, expect) in [(Duration::ZERO, Presence::Absent), (resume, Presence::Resumable)] {
        let bus = Bus::new("n", Masker::default());
        let eager = Arc::new(Eager::default());
        let stop = EventSet::EMPTY.with(EventType::PublishStop);
        bus.set_sink("eager", stop, Arc::clone(&eager) as Arc<dyn Sink>);
        let (hub, minter) = Hub::new(HubConfig { resume, ..HubConfig::default() }, bus, Tasks::new());
        eager.hub.set(hub.clone()).unwrap();
        let key = StreamKey::parse("show").unwrap();
        let publisher = hub.publish(minter.publish(parts(&key))).await.unwrap();
        publisher.finish(EndReason::Unpublish).await;
        let _second = hub.publish(minter.publish(parts(&key))).await.unwrap();
        hub.kick_publisher(&key, EndReason::Kicked).await.unwrap();
        assert_eq!(*eager.found.lock().unwrap(), [expect; 2]);
    }
}
