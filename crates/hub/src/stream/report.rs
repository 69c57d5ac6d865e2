//! Tells the operator what had to be repaired or left out: counted each time, told now and then.

use crate::status::{Counters, StreamCounters};
use jackfield_media::Mono;
use std::time::Duration;

/// Time between two log lines of one stream.
const PAUSE: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Report {
    next: Mono,
    told: StreamCounters,
}

impl Report {
    /// Logs what has grown since the last line, if it is time for another one. The stream's span names it.
    pub(super) fn tell(&mut self, now: Mono, counters: &Counters) {
        if now < self.next {
            return;
        }
        let counted = counters.read();
        let grown = [
            counted.time_repairs - self.told.time_repairs,
            counted.refused_frames - self.told.refused_frames,
            counted.uncached_groups - self.told.uncached_groups,
        ];
        if grown == [0; 3] {
            return;
        }
        let [time_repairs, refused_frames, uncached_groups] = grown;
        tracing::warn!(time_repairs, refused_frames, uncached_groups, "Publisher is unsteady");
        (self.next, self.told) = (now.after(PAUSE), counted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_grown_is_told_at_once_and_then_at_a_pace() {
        let at = |seconds| Mono::from_origin(Duration::from_secs(seconds));
        let (mut report, counters) = (Report::default(), Counters::default());
        // How many of the repairs so far have been told.
        let mut told = |seconds| {
            report.tell(at(seconds), &counters);
            report.told.time_repairs
        };
        assert_eq!(told(0), 0);
        counters.time_repairs.add(2);
        assert_eq!(told(5), 2);
        counters.time_repairs.add(1);
        assert_eq!([told(6), told(14), told(15)], [2, 2, 3]);
        // Nothing has grown, so nothing delays the next line.
        assert_eq!(told(30), 3);
        counters.time_repairs.add(1);
        assert_eq!(told(31), 4);
    }
}
