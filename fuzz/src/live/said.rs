//! What clients say once they are connected.

use super::peer::Peer;
use super::script::Word;
use super::tagged::{self, Tag};
use jackfield_media::TrackKind;
use jackfield_rtmp::amf::{Object, Value};
use jackfield_rtmp::chunk::MessageHeader;
use jackfield_rtmp::message::{UserControl, kind};

/// Names of streams, some with a query.
pub const NAMES: [&str; 4] = ["a", "b", "c?token=t", "d/e"];
/// The key of media that nobody may see, and of media of which nothing is known.
pub const NOBODY: u8 = 255;
pub const UNKNOWN: u8 = 254;

/// One of the message streams that the client has; else any number.
pub fn stream_id(peer: &Peer, choice: u8) -> u32 {
    let choice = usize::from(choice);
    match peer.streams.len() {
        0 => choice as u32,
        count => peer.streams[choice % count],
    }
}

pub fn configure(peer: &mut Peer) {
    let id = stream_id(peer, 0);
    peer.session.send_media(id, TrackKind::Video, peer.now_ms, tagged::VIDEO_CONFIG);
    peer.session.send_media(id, TrackKind::Audio, peer.now_ms, tagged::AUDIO_CONFIG);
}

/// The next tag for what is published on a message stream.
fn next_tag(peer: &Peer, frames: &mut u32, id: u32) -> Tag {
    *frames += 1;
    let (key, session) = match peer.publishing.get(&id) {
        _ if peer.loose => (UNKNOWN, 0),
        Some((key, session)) => (*key, *session),
        None => (NOBODY, 0),
    };
    Tag { key, session, number: *frames }
}

pub fn send_tagged(peer: &mut Peer, frames: &mut u32, stream: u8, framing: u8, size: u16, step: u32) {
    let id = stream_id(peer, stream);
    // Some steps go back, and some far ahead.
    peer.now_ms = match step {
        0..200 => peer.now_ms.wrapping_add(step),
        200..228 => peer.now_ms.wrapping_sub(step),
        _ => peer.now_ms.wrapping_add(step << 22),
    };
    let (kind, body) = tagged::message(framing, next_tag(peer, frames, id), size);
    peer.session.send_media(id, kind, peer.now_ms, &body);
}

/// An aggregate of tagged frames (FLV tags, each with a back pointer).
pub fn aggregate(peer: &mut Peer, frames: &mut u32, stream: u8, framings: &[u8]) {
    let id = stream_id(peer, stream);
    let mut all = Vec::new();
    for framing in framings {
        let (kind, body) = tagged::message(framing & 7, next_tag(peer, frames, id), u16::from(framing >> 3));
        let size = body.len() as u32;
        all.push(if kind == TrackKind::Video { 9 } else { 8 });
        all.extend(&size.to_be_bytes()[1..]);
        all.extend(&peer.now_ms.to_be_bytes()[1..]);
        all.push(peer.now_ms.to_be_bytes()[0]);
        all.extend([0; 3]);
        all.extend(body);
        all.extend((size + 11).to_be_bytes());
        peer.now_ms = peer.now_ms.wrapping_add(20);
    }
    send_raw(peer, id, kind::AGGREGATE, &all);
}

fn send_raw(peer: &mut Peer, message_stream: u32, kind: u8, body: &[u8]) {
    let header = MessageHeader { chunk_stream: 6, message_stream, kind, timestamp: peer.now_ms };
    peer.session.send_raw(header, body);
}

pub fn message(peer: &mut Peer, stream: u8, kind: u8, body: &[u8]) {
    let kind = kind % 24;
    let id = stream_id(peer, stream);
    // These may change what the server understands, or do what is not known here.
    peer.loose |=
        matches!(kind, kind::SET_CHUNK_SIZE | kind::ABORT | kind::COMMAND_AMF0 | kind::COMMAND_AMF3);
    send_raw(peer, id, kind, body);
}

pub fn control(peer: &mut Peer, choice: u8, value: u32) {
    let event = match choice % 10 {
        0 => UserControl::SetBufferLength { message_stream: value, ms: 3000 },
        1 => UserControl::PingRequest(value),
        2 => UserControl::PingResponse(value),
        3 => UserControl::StreamBegin(value),
        4 => UserControl::StreamEof(value),
        5 => UserControl::Other(value as u16),
        6 => return send_raw(peer, 0, kind::ACKNOWLEDGEMENT, &value.to_be_bytes()),
        7 => return send_raw(peer, 0, kind::WINDOW_ACK_SIZE, &value.to_be_bytes()),
        8 => return send_raw(peer, 0, kind::SET_PEER_BANDWIDTH, &[0, 0, 0, value as u8, 2]),
        // Of a chunk stream that has nothing unfinished.
        _ => return send_raw(peer, 0, kind::ABORT, &value.to_be_bytes()),
    };
    peer.session.send_user_control(event);
}

pub fn say(peer: &mut Peer, stream: u8, word: Word) {
    let id = stream_id(peer, stream);
    let name: Value = NAMES[usize::from(stream % 4)].into();
    let number = Value::Number(f64::from(id));
    let session = &mut peer.session;
    match word {
        Word::CloseStream => {
            session.notify(id, "closeStream", &[]);
            peer.end(id);
        }
        Word::DeleteStream => {
            session.notify(0, "deleteStream", &[number]);
            peer.end(id);
            peer.streams.retain(|stream| *stream != id);
        }
        Word::Pause(on) => session.notify(id, "pause", &[Value::Boolean(on), Value::Number(0.0)]),
        Word::Seek => session.notify(id, "seek", &[Value::Number(1000.0)]),
        Word::ReceiveAudio(on) => session.notify(id, "receiveAudio", &[Value::Boolean(on)]),
        Word::ReceiveVideo(on) => session.notify(id, "receiveVideo", &[Value::Boolean(on)]),
        Word::ReleaseStream => session.courtesy("releaseStream", &[name]),
        Word::FcPublish => session.courtesy("FCPublish", &[name]),
        Word::FcUnpublish => session.courtesy("FCUnpublish", &[name]),
        Word::FcSubscribe => session.courtesy("FCSubscribe", &[name]),
        Word::CreateStream => session.create_stream(),
        Word::Metadata => {
            let mut body = Vec::new();
            let meta = Object::new().with("width", 320.0).with("encoder", "fuzz");
            for value in ["@setDataFrame".into(), "onMetaData".into(), Value::Object(meta)] {
                jackfield_rtmp::amf::write(&value, &mut body);
            }
            send_raw(peer, id, kind::DATA_AMF0, &body);
        }
        Word::Connect => {
            session.call(0, "connect", &[]);
        }
        Word::Other(byte) => {
            const OTHERS: [&str; 8] = [
                "getStreamLength",
                "checkBandwidth",
                "_checkbw",
                "play2",
                "onStatus",
                "_result",
                "setPeerInfo",
                "",
            ];
            session.call(id, OTHERS[usize::from(byte / 20) % OTHERS.len()], &[name]);
        }
    }
}
