//! A player's sink: the hub's packets, with heads of its own, on its socket.

mod flat;

use crate::config::PlayClock;
use bytes::Bytes;
use flat::Flat;
use jackfield_events::EndReason;
use jackfield_hub::{Backlog, Outlet, Packager, Packet, Workbench};
use jackfield_media::{Frame, FrameClass, MediaTime, Mono};
use jackfield_net::writer::{self, Class, Piece, SocketWriter};
use jackfield_rtmp::{Head, wire_timestamp};
use smallvec::SmallVec;
use std::sync::Arc;

/// One player on one message stream.
pub(crate) struct RtmpOutlet {
    packager: Arc<dyn Packager>,
    writer: SocketWriter,
    message_stream: u32,
    base: Base,
    /// Bytes handed to the writer.
    handed: u64,
    /// Its socket took all of the last batch.
    keeps_up: bool,
}

/// Packets of a usual batch, a picture with the sound before it: for so many nothing is allocated, nor kept for each player.
const USUAL: usize = 8;

/// Where the player's time line begins on the stream's.
#[derive(Debug, Clone, Copy)]
enum Base {
    /// At this time stamp of the stream; `None` before the first access unit.
    Own(Option<i64>),
    /// They are the same. What lies before 0 is on the wire what the publisher had there: time stamps that begin beyond
    /// 2³¹ after a header at 0 are taken for negative ones.
    Stream,
}

impl RtmpOutlet {
    pub(crate) fn new(
        packager: Arc<dyn Packager>,
        writer: SocketWriter,
        message_stream: u32,
        clock: PlayClock,
    ) -> Self {
        let base = match clock {
            PlayClock::Own => Base::Own(None),
            PlayClock::Stream => Base::Stream,
        };
        Self { packager, writer, message_stream, base, handed: 0, keeps_up: true }
    }

    /// The player's time line begins with the earliest access unit of its first batch: sound that was sent
    /// after a picture may belong before it.
    fn set_base(&mut self, packets: &[Packet]) {
        if let Base::Own(base_ms @ None) = &mut self.base {
            let media = packets.iter().filter(|packet| is_media(&packet.frame));
            *base_ms = media.map(|packet| packet.frame.dts.as_ms()).min();
        }
    }

    /// Whether the frame belongs on this player's time line: sound from before its beginning does not.
    fn takes(&self, frame: &Frame) -> bool {
        match self.base {
            Base::Own(Some(base_ms)) => !is_media(frame) || frame.dts.as_ms() >= base_ms,
            Base::Own(None) | Base::Stream => true,
        }
    }

    /// The time stamp on this player's time line, modulo 2³² as the wire has it.
    fn timestamp(&self, frame: &Frame) -> u32 {
        let ms = frame.dts.as_ms();
        wire_timestamp(match self.base {
            Base::Own(Some(base_ms)) => ms.saturating_sub(base_ms).max(0),
            // Configuration that comes before all media has no time of its own.
            Base::Own(None) => 0,
            Base::Stream => ms,
        })
    }
}

fn is_media(frame: &Frame) -> bool {
    matches!(frame.class, FrameClass::Keyframe | FrameClass::Inter)
}

impl Outlet for RtmpOutlet {
    fn packager(&self) -> &Arc<dyn Packager> {
        &self.packager
    }

    fn begin(&mut self, earliest: MediaTime) {
        if let Base::Own(base_ms @ None) = &mut self.base {
            *base_ms = Some(earliest.as_ms());
        }
    }

    fn deliver(&mut self, now: Mono, batch: &[Packet], bench: &mut Workbench) -> Backlog {
        self.set_base(batch);
        let packets = batch.iter().filter(|packet| self.takes(&packet.frame)).filter_map(|packet| {
            let body: &jackfield_rtmp::Packet = packet.packaged.body()?;
            Some((body, body.head(self.timestamp(&packet.frame), self.message_stream)))
        });
        let packets: SmallVec<[(&jackfield_rtmp::Packet, Head); USUAL]> = packets.collect();
        let mut flat = bench.take::<Flat>();
        let whole = if self.keeps_up && flat.is_made(batch) {
            flat.with_heads(packets.iter().map(|(_, head)| head))
        } else {
            None
        };
        let waiting = match whole {
            Some(bytes) => self.send(now, &[Piece::Own(bytes)]),
            None => self.send_slices(now, &packets),
        };
        bench.lay(flat);
        self.keeps_up = waiting.bytes == 0;
        self.of(now, waiting)
    }

    fn backlog(&self, now: Mono) -> Backlog {
        self.of(now, self.writer.backlog())
    }

    fn end(&mut self, _reason: EndReason) {
        // The connection's own task hears of the end and says farewell.
    }
}

impl RtmpOutlet {
    /// Without a copy of any payload: what must be queued stays shared with all other players.
    fn send_slices(&mut self, now: Mono, packets: &[(&jackfield_rtmp::Packet, Head)]) -> writer::Backlog {
        if packets.iter().any(|(_, head)| head.is_extended()) {
            // Time stamps stand between the chunks as well: many slices.
            let mut bytes: Vec<Bytes> = Vec::new();
            for (body, head) in packets {
                body.push_bytes(head, &mut bytes);
            }
            let pieces: Vec<Piece<'_>> = bytes.iter().map(Piece::Shared).collect();
            return self.send(now, &pieces);
        }
        let mut pieces: SmallVec<[Piece<'_>; 2 * USUAL]> = SmallVec::new();
        for (body, head) in packets {
            pieces.push(Piece::Own(head.as_slice()));
            pieces.push(Piece::Shared(body.payload()));
        }
        self.send(now, &pieces)
    }

    fn send(&mut self, now: Mono, pieces: &[Piece<'_>]) -> writer::Backlog {
        self.handed += pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
        self.writer.send(now, Class::Media, pieces)
    }

    /// What waits of this player's media, by what waits for its socket.
    fn of(&self, now: Mono, waiting: writer::Backlog) -> Backlog {
        Backlog {
            bytes: waiting.bytes,
            waiting: waiting.since.map(|since| now - since).unwrap_or_default(),
            sent_bytes: self.handed.saturating_sub(waiting.bytes as u64),
        }
    }
}

#[cfg(test)]
mod tests;
