//! RTMP as a format of the hub: each frame is cut into chunks once for all players that can take the same.
//!
//! Players that told nothing of enhanced RTMP share one packager and get what the publisher sent. Those that told what
//! they can take share one for each such set; which frames those get, and in which form, is [`taste`]'s.

pub(crate) mod taste;

use bytes::Bytes;
use jackfield_containers::flv;
use jackfield_hub::{Packaged, Packager};
use jackfield_media::{Format, Frame, Origin, Part, Track};
use jackfield_rtmp::{Capabilities, Packet};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use taste::Taste;

/// About what the head of a message adds to its body.
const HEAD_BYTES: usize = 12;

/// Sets of capabilities that are served at a time. Real players have a handful; whoever comes with yet another one gets
/// what there is. Each may hold a copy of the cached group of a stream: bounds what invented sets cost.
const MAX_SETS: usize = 32;

/// The packagers of one chunk size.
#[derive(Debug)]
pub(crate) struct Packagers {
    chunk_size: u32,
    /// For all who can take everything, as far as they told.
    plain: Arc<RtmpPackager>,
    /// For the others. One that nobody uses any more goes.
    shared: Mutex<Vec<(Taste, Weak<RtmpPackager>)>>,
}

impl Packagers {
    pub(crate) fn new(chunk_size: u32) -> Self {
        let plain = Arc::new(RtmpPackager::new(chunk_size, None));
        Self { chunk_size, plain, shared: Mutex::default() }
    }

    /// The packager of players with these capabilities, the same object for equal ones; and what they take, unless
    /// they get what there is.
    pub(crate) fn of(&self, capabilities: Capabilities) -> (Arc<dyn Packager>, Option<Taste>) {
        let plain = || (Arc::clone(&self.plain) as Arc<dyn Packager>, None);
        let Some(taste) = Taste::of(capabilities) else { return plain() };
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let known =
            shared.iter().find(|(other, _)| *other == taste).and_then(|(_, packager)| packager.upgrade());
        if let Some(packager) = known {
            return (packager, Some(taste));
        }
        shared.retain(|(_, packager)| packager.strong_count() > 0);
        if shared.len() >= MAX_SETS {
            return plain();
        }
        let packager = Arc::new(RtmpPackager::new(self.chunk_size, Some(taste)));
        shared.push((taste, Arc::downgrade(&packager)));
        (packager, Some(taste))
    }
}

/// Makes [`Packet`]s of one chunk size.
#[derive(Debug)]
pub(crate) struct RtmpPackager {
    chunk_size: u32,
    /// `None` for players that get what there is.
    taste: Option<Taste>,
}

impl RtmpPackager {
    pub(crate) fn new(chunk_size: u32, taste: Option<Taste>) -> Self {
        Self { chunk_size: chunk_size.clamp(128, 65_536), taste }
    }
}

impl Packager for RtmpPackager {
    fn name(&self) -> &'static str {
        "rtmp"
    }

    fn package(&self, frame: &Frame, track: Option<&Track>) -> Option<Packaged> {
        let body = match self.taste {
            None => as_sent(frame, track),
            Some(taste) => taste.body(frame, track),
        }?;
        let packet = Packet::new(frame.kind, &body, self.chunk_size)?;
        let bytes = packet.payload().len() + HEAD_BYTES;
        Some(Packaged::new(packet, bytes))
    }
}

/// The message body: the publisher's own, untouched, if it was RTMP or FLV.
fn as_sent(frame: &Frame, track: Option<&Track>) -> Option<Bytes> {
    match &frame.origin {
        // The whole message went out with the first of its frames.
        Some(Origin { format: Format::Flv, part: Part::Rest, .. }) => None,
        Some(origin) if origin.format == Format::Flv => Some(origin.body.clone()),
        _ => flv::pack(frame, track?.codec),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_rtmp::amf::{Object, Value};

    fn listing(four_ccs: &[&str]) -> Capabilities {
        let list = four_ccs.iter().map(|four_cc| Value::from(*four_cc)).collect();
        Capabilities::parse(&Object::new().with("fourCcList", Value::StrictArray(list)))
    }

    fn is_same(a: &Arc<dyn Packager>, b: &Arc<dyn Packager>) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(a), Arc::as_ptr(b))
    }

    #[test]
    fn players_with_equal_capabilities_share_a_packager() {
        let packagers = Packagers::new(4096);
        let of = |four_ccs: &[&str]| packagers.of(listing(four_ccs)).0;
        let hevc = of(&["hvc1", "Opus"]);
        assert!(is_same(&hevc, &of(&["Opus", "hvc1", "zzzz"])));
        assert!(!is_same(&hevc, &of(&["hvc1"])));
        let (plain, taste) = packagers.of(Capabilities::default());
        assert!(taste.is_none() && !is_same(&hevc, &plain));
        assert!(is_same(&plain, &of(&["*"])), "whoever takes all gets what there is");
    }

    #[test]
    fn sets_that_nobody_uses_are_forgotten_and_too_many_are_not_served() {
        let packagers = Packagers::new(4096);
        let names = ["avc1", "hvc1", "vvc1", "av01", "vp08", "vp09"];
        let of = |set: u32| {
            let list = names.into_iter().enumerate().filter(|(bit, _)| set & 1 << bit != 0);
            packagers.of(listing(&list.map(|(_, name)| name).collect::<Vec<_>>()))
        };
        let all: Vec<_> = (1..=50).map(of).collect();
        assert_eq!(all.iter().filter(|(_, taste)| taste.is_some()).count(), MAX_SETS);
        assert!(is_same(&all[49].0, &packagers.of(Capabilities::default()).0));
        assert!(is_same(&all[0].0, &of(1).0), "those that are served still are");
        drop(all);
        let _last = of(50);
        assert_eq!(packagers.shared.lock().unwrap().len(), 1);
    }
}
