//! How often it is told that connections are turned away: a flood must not become a flood of events.

use jackfield_events::ConnectionRefusal;
use jackfield_media::Mono;
use jackfield_net::TooMany;
use std::time::Duration;

/// The shortest time between two events for one reason.
const GAP: Duration = Duration::from_secs(10);

/// Says when it is told: the first time at once, then at most every 10 s, for each reason.
#[derive(Debug, Default)]
pub(crate) struct RefusalPace([Pace; ConnectionRefusal::ALL.len()]);

#[derive(Debug, Default)]
struct Pace {
    told: Option<Mono>,
    untold: u64,
    all: u64,
}

impl RefusalPace {
    /// One was turned away. `Some` if it is to be told: how many since it was told last, this one included.
    pub(crate) fn one(&mut self, now: Mono, reason: ConnectionRefusal) -> Option<u64> {
        let pace = self.0.get_mut(reason as usize)?;
        pace.untold += 1;
        pace.all += 1;
        if pace.told.is_some_and(|told| now.since(told) < GAP) {
            return None;
        }
        pace.told = Some(now);
        Some(std::mem::take(&mut pace.untold))
    }

    /// How many were turned away, by reason.
    pub(crate) fn all(&self) -> Vec<(ConnectionRefusal, u64)> {
        ConnectionRefusal::ALL.iter().copied().zip(self.0.iter().map(|pace| pace.all)).collect()
    }
}

/// The word for it in events.
pub(crate) fn reason(error: TooMany) -> ConnectionRefusal {
    match error {
        TooMany::Total(_) => ConnectionRefusal::MaxConnections,
        TooMany::PerAddress(_) => ConnectionRefusal::MaxConnectionsPerAddress,
        TooMany::Rate(_) => ConnectionRefusal::ConnectionRate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_told_at_once_and_then_at_a_pace() {
        let mut pace = RefusalPace::default();
        let at = |seconds| Mono::from_origin(Duration::from_secs(seconds));
        assert_eq!(pace.one(at(0), ConnectionRefusal::ConnectionRate), Some(1));
        assert_eq!(pace.one(at(9), ConnectionRefusal::ConnectionRate), None);
        assert_eq!(pace.one(at(9), ConnectionRefusal::MaxConnections), Some(1));
        assert_eq!(pace.one(at(10), ConnectionRefusal::ConnectionRate), Some(2));
        let all: u64 = pace.all().into_iter().map(|(_, times)| times).sum();
        assert_eq!((all, pace.all().contains(&(ConnectionRefusal::ConnectionRate, 3))), (4, true));
    }
}
