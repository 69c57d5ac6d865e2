//! What works: publishing and playing, whatever the pieces that arrive.

use crate::link::Link;
use bytes::Bytes;
use jackfield_media::TrackKind;
use jackfield_rtmp::amf::{self, Object, Value};
use jackfield_rtmp::chunk::HeaderForm;
use jackfield_rtmp::handshake::{DigestScheme, HandshakeKind};
use jackfield_rtmp::{ClientConfig, ClientEvent, Event, Packet, PublishKind, status};

fn config(handshake: HandshakeKind, header_form: HeaderForm) -> ClientConfig {
    let mut config = ClientConfig::new("live?token=t", "rtmp://localhost/live?token=t");
    config.handshake = handshake;
    config.header_form = header_form;
    config.chunk_size = 200;
    config
}

fn body(len: usize, seed: u8) -> Bytes {
    (0..len).map(|i| seed.wrapping_add(u8::try_from(i % 256).unwrap())).collect::<Vec<u8>>().into()
}

/// What the publisher sends: kind, time stamp, body.
fn sent() -> Vec<(TrackKind, u32, Bytes)> {
    vec![
        (TrackKind::Video, 0, body(40, 1)),
        (TrackKind::Audio, 0, body(4, 2)),
        (TrackKind::Video, 40, body(5000, 3)),
        (TrackKind::Audio, 23, body(300, 4)),
        (TrackKind::Audio, 46, body(300, 5)),
        (TrackKind::Audio, 69, body(300, 6)),
        (TrackKind::Video, 80, body(1, 7)),
        (TrackKind::Video, 0xff_ffff, body(700, 8)),
        (TrackKind::Video, 0x1ff_fffe, body(700, 9)),
        (TrackKind::Video, 0x2ff_fffd, body(700, 9)),
        (TrackKind::Video, 0x2ff_ff00, body(700, 9)),
    ]
}

fn metadata() -> Vec<u8> {
    let mut bytes = Vec::new();
    amf::write(&"@setDataFrame".into(), &mut bytes);
    amf::write(&"onMetaData".into(), &mut bytes);
    let object = Object::new()
        .with("width", 1280.0)
        .with("duration", 0.0)
        .with("framerate", f64::NAN)
        .with("encoder", "x\ny")
        .with("title", "A");
    amf::write(&Value::EcmaArray(object), &mut bytes);
    bytes
}

fn publish(handshake: HandshakeKind, form: HeaderForm, piece: usize) {
    let mut link = Link::new(config(handshake, form), piece);
    link.run_accepting();
    link.client.create_stream();
    link.run_accepting();
    assert!(link.client_events.contains(&ClientEvent::StreamCreated { message_stream: 1 }), "piece {piece}");
    link.client.publish(1, "show%31?key=k", PublishKind::Record);
    link.run_accepting();
    let started = link.client_events.iter().any(
        |event| matches!(event, ClientEvent::Status { message_stream: 1, status } if &*status.code == status::PUBLISH_START),
    );
    assert!(started, "{:?}", link.client_events);
    link.client.send_media(1, TrackKind::Data, 0, &metadata());
    for (kind, timestamp, body) in sent() {
        link.client.send_media(1, kind, timestamp, &body);
    }
    link.run_accepting();

    assert_eq!(link.closed, None);
    assert!(link.server_events.contains(&Event::HandshakeDone(handshake)));
    let Some(Event::Publish(publish)) = link.server_events.iter().find(|e| matches!(e, Event::Publish(_)))
    else {
        panic!("no publish in {:?}", link.server_events);
    };
    assert_eq!((publish.key.as_str(), &*publish.query), ("live/show1", "key=k&token=t"));
    assert_eq!(publish.kind, PublishKind::Record);
    let media: Vec<_> = link
        .server_events
        .iter()
        .filter_map(|event| match event {
            Event::Media { kind, timestamp, body, message_stream: 1 } => {
                Some((*kind, u32::try_from(*timestamp).unwrap(), body.clone()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(media, sent(), "piece {piece}");
    let kept = Object::new().with("width", 1280.0).with("title", "A");
    assert!(
        link.server_events
            .iter()
            .any(|e| matches!(e, Event::Metadata { properties, .. } if *properties == kept)),
        "{:?}",
        link.server_events
    );
}

#[test]
fn a_publisher_is_heard_in_every_form_of_handshake_and_header() {
    for handshake in [
        HandshakeKind::Simple,
        HandshakeKind::Digest(DigestScheme::Scheme0),
        HandshakeKind::Digest(DigestScheme::Scheme1),
    ] {
        for form in [HeaderForm::Full, HeaderForm::Shortest] {
            publish(handshake, form, usize::MAX);
        }
    }
}

#[test]
fn a_publisher_is_heard_in_pieces_of_any_size() {
    for piece in (1..40).chain([127, 128, 129, 1535, 1536, 1537, 3073]) {
        publish(HandshakeKind::Digest(DigestScheme::Scheme1), HeaderForm::Shortest, piece);
    }
}

#[test]
fn a_player_gets_the_packets_that_all_viewers_share() {
    for piece in [1, 7, 4096, usize::MAX] {
        let mut link = Link::new(config(HandshakeKind::Simple, HeaderForm::Full), piece);
        link.run_accepting();
        link.client.create_stream();
        link.run_accepting();
        link.client.play(1, "show");
        link.run_accepting();
        let codes: Vec<String> = link
            .client_events
            .iter()
            .filter_map(|event| match event {
                ClientEvent::Status { status, .. } => Some(status.code.to_string()),
                _ => None,
            })
            .collect();
        assert_eq!(codes, [status::PLAY_RESET, status::PLAY_START]);
        link.client_events.clear();
        for (kind, timestamp, body) in sent() {
            let packet = Packet::new(kind, &body, 4096).unwrap();
            let head = packet.head(timestamp, 1);
            let wire: Vec<u8> = packet.slices(&head, 0).flatten().copied().collect();
            wire.chunks(piece).for_each(|p| link.client.handle_input(Bytes::copy_from_slice(p)));
        }
        link.run_accepting();
        let got: Vec<_> = link
            .client_events
            .drain(..)
            .filter_map(|event| match event {
                ClientEvent::Media { kind, timestamp, body, .. } => {
                    Some((kind, u32::try_from(timestamp).unwrap(), body))
                }
                _ => None,
            })
            .collect();
        assert_eq!(got, sent(), "piece {piece}");
    }
}
