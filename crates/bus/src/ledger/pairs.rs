//! Starts and their stops.

use crate::Bus;
use jackfield_events::notices::{ConnectionClose, MediaStop, PlayStop, PublishStop, StreamDelete};
use jackfield_events::{EndReason, Event, EventType, Protocol, Scope};
use jackfield_media::{ConnId, Epoch, SessionId, StreamKey, TrackKind, UnixTime};
use std::net::IpAddr;

/// What of an open pair is the same in its start and its stop. In the order in which pairs are closed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PairKey {
    Media(StreamKey, Epoch, u16),
    Publish(StreamKey, Epoch),
    Play(SessionId),
    Stream(StreamKey),
    Connection(ConnId),
}

/// What of a start its stop must tell too.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Opened {
    Media { kind: TrackKind, track: u16, first_ms: i64 },
    Publish { client_ip: IpAddr, protocol: Protocol },
    Play { client_ip: IpAddr, protocol: Protocol },
    Stream,
    Connection { client_ip: IpAddr, protocol: Protocol },
}

/// A start whose stop was not told when the server ended.
#[derive(Debug, Clone)]
pub struct OpenPair {
    pub(crate) scope: Scope,
    pub(crate) started_at: UnixTime,
    pub(crate) opened: Opened,
}

/// Which end of a pair an event is.
pub(crate) enum End {
    Start(OpenPair),
    Stop,
}

/// The pair that an event opens or closes. One without the ids that pairs have is none.
pub(crate) fn pair_of(event: &Event) -> Option<(PairKey, End)> {
    let opened = match event.event_type() {
        EventType::MediaStart => Some(Opened::Media {
            kind: kind_of(event.field("kind")?.as_str()?)?,
            track: track(event)?,
            first_ms: event.field("first_ms")?.as_i64()?,
        }),
        EventType::PublishStart => {
            let (client_ip, protocol) = client(event)?;
            Some(Opened::Publish { client_ip, protocol })
        }
        EventType::PlayStart => {
            let (client_ip, protocol) = client(event)?;
            Some(Opened::Play { client_ip, protocol })
        }
        EventType::StreamCreate => Some(Opened::Stream),
        EventType::ConnectionAccept => {
            let (client_ip, protocol) = client(event)?;
            Some(Opened::Connection { client_ip, protocol })
        }
        _ => None,
    };
    let scope = event.scope();
    let key = match event.event_type() {
        EventType::MediaStart | EventType::MediaStop => {
            PairKey::Media(scope.stream_key.clone()?, scope.epoch?, track(event)?)
        }
        EventType::PublishStart | EventType::PublishStop => {
            PairKey::Publish(scope.stream_key.clone()?, scope.epoch?)
        }
        EventType::PlayStart | EventType::PlayStop => PairKey::Play(scope.session_id?),
        EventType::StreamCreate | EventType::StreamDelete => PairKey::Stream(scope.stream_key.clone()?),
        EventType::ConnectionAccept | EventType::ConnectionClose => PairKey::Connection(scope.conn_id?),
        _ => return None,
    };
    let started_at = event.stamp().time;
    let start = |opened| End::Start(OpenPair { scope: scope.clone(), started_at, opened });
    Some((key, opened.map_or(End::Stop, start)))
}

fn client(event: &Event) -> Option<(IpAddr, Protocol)> {
    let word = event.field("protocol")?.as_str()?;
    Some((event.field("client_ip")?.as_str()?.parse().ok()?, protocol_of(word)?))
}

fn track(event: &Event) -> Option<u16> {
    event.field("track")?.as_u64()?.try_into().ok()
}

pub(crate) fn protocol_of(word: &str) -> Option<Protocol> {
    Protocol::ALL.iter().copied().find(|protocol| protocol.as_str() == word)
}

pub(crate) fn kind_of(word: &str) -> Option<TrackKind> {
    [TrackKind::Video, TrackKind::Audio, TrackKind::Data].into_iter().find(|kind| kind.as_str() == word)
}

impl OpenPair {
    /// The key under which the pair is open.
    pub(crate) fn key(&self) -> Option<PairKey> {
        let scope = &self.scope;
        Some(match &self.opened {
            Opened::Media { track, .. } => PairKey::Media(scope.stream_key.clone()?, scope.epoch?, *track),
            Opened::Publish { .. } => PairKey::Publish(scope.stream_key.clone()?, scope.epoch?),
            Opened::Play { .. } => PairKey::Play(scope.session_id?),
            Opened::Stream => PairKey::Stream(scope.stream_key.clone()?),
            Opened::Connection { .. } => PairKey::Connection(scope.conn_id?),
        })
    }

    /// Tells the stop of the pair: the server was gone. What was counted is lost with it.
    pub(crate) fn close(&self, bus: &Bus, now: UnixTime) {
        let reason = EndReason::ServerRestart;
        let duration_ms = u64::try_from(now.millis() - self.started_at.millis()).unwrap_or(0);
        let duration_seconds = duration_ms / 1000;
        let part = |part: fn(&StreamKey) -> &str| self.scope.stream_key.as_ref().map_or("", part).into();
        let (app, stream_name) = (part(StreamKey::app), part(StreamKey::name));
        let scope = &self.scope;
        match self.opened {
            Opened::Media { kind, track, first_ms } => {
                bus.emit(scope, &MediaStop { kind, track, first_ms, reason, frames: 0, bytes: 0 });
            }
            Opened::Publish { client_ip, protocol } => {
                let (bytes_received, video_packets, audio_packets) = (0, 0, 0);
                let stop = PublishStop {
                    app,
                    stream_name,
                    client_ip,
                    protocol,
                    reason,
                    duration_seconds,
                    duration_ms,
                    bytes_received,
                    video_packets,
                    audio_packets,
                };
                bus.emit(scope, &stop);
            }
            Opened::Play { client_ip, protocol } => {
                let (bytes_sent, dropped_frames) = (0, 0);
                let stop = PlayStop {
                    app,
                    stream_name,
                    client_ip,
                    protocol,
                    reason,
                    duration_seconds,
                    duration_ms,
                    bytes_sent,
                    dropped_frames,
                };
                bus.emit(scope, &stop);
            }
            Opened::Stream => {
                bus.emit(scope, &StreamDelete { app, stream_name, duration_seconds, duration_ms, reason });
            }
            Opened::Connection { client_ip, protocol } => {
                let (bytes_received, bytes_sent) = (0, 0);
                let close = ConnectionClose {
                    client_ip,
                    protocol,
                    reason,
                    duration_seconds,
                    duration_ms,
                    bytes_received,
                    bytes_sent,
                };
                bus.emit(scope, &close);
            }
        }
    }
}
