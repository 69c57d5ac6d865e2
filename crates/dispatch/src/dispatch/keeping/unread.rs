//! What the disk cannot read of the log: passed over in the end, and told once, however many hooks miss it.

use super::super::Inner;
use jackfield_bus::Read;
use jackfield_events::notices::EventsLost;
use jackfield_events::{LossCause, Scope};
use jackfield_hooks::Cursor;
use std::collections::BTreeSet;

/// Places that are remembered; there is one for each hook at most.
const MOST_PLACES: usize = 1000;

/// What is known of it.
#[derive(Debug, Default)]
pub(super) struct Unread {
    /// Positions after which nothing could be read.
    in_vain: BTreeSet<u64>,
    /// What is told to be lost.
    told: Cursor,
}

impl Unread {
    /// The log goes on after a stretch in which something is missing: its first and last position, if that is because it
    /// could not be read, and nobody was told.
    fn gap(&mut self, after: u64, read: &Read) -> Option<(u64, u64)> {
        let failed: Vec<u64> = self.in_vain.range(after..read.up_to.max(after)).copied().collect();
        for position in &failed {
            self.in_vain.remove(position);
        }
        let first = after + 1;
        let next = read.events.first().map_or(read.up_to + 1, |event| event.stamp().seq);
        // Where more is missing than before its first event, it may be anywhere.
        let last = if next - first >= read.skipped { next - 1 } else { read.up_to };
        if failed.is_empty() || read.skipped == 0 || last < first || self.told.is_done(first) {
            return None;
        }
        self.told.done(first, last);
        Some((first, last))
    }
}

impl Inner {
    /// What stands after this position could not be read.
    pub(crate) fn read_in_vain(&self, after: u64) {
        if let Some(keep) = &mut self.state().keep
            && keep.unread.in_vain.len() < MOST_PLACES
        {
            keep.unread.in_vain.insert(after);
        }
    }

    /// What stands after this position was read; something may be missing.
    pub(crate) fn skipped(&self, after: u64, read: &Read) {
        let gap = {
            let mut state = self.state();
            let Some(keep) = &mut state.keep else { return };
            // What retention has removed is no fault of the disk.
            let retired = keep.outbox.first() > after + 1;
            keep.unread.gap(after, read).filter(|_| !retired)
        };
        let (Some((first, last)), Some(bus)) = (gap, self.bus.get()) else { return };
        let (first_seq, last_seq) = (first.to_string().into(), last.to_string().into());
        let lost = EventsLost { count: read.skipped, first_seq, last_seq, cause: LossCause::DiskError };
        bus.emit(&Scope::default(), &lost);
    }
}
