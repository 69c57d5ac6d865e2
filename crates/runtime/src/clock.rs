//! Local time, the wall clock, and waiting until a point in local time.
//!
//! Local time follows tokio's clock, so that a test with paused time moves it.

use jackfield_media::{Mono, UnixTime};
use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, Sleep};

/// One second before the first call, so that "a moment ago" can always be written.
fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(|| {
        let now = Instant::now();
        now.checked_sub(Duration::from_secs(1)).unwrap_or(now)
    })
}

/// Local time now.
#[must_use]
pub fn now() -> Mono {
    Mono::from_origin(Instant::now().saturating_duration_since(origin()))
}

/// The wall clock now.
#[must_use]
pub fn unix_now() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Sleeps until then; returns at once if it is past. Cancel-safe.
pub async fn sleep_until(at: Mono) {
    tokio::time::sleep_until(instant(at)).await;
}

/// Sleeps this long. Cancel-safe.
pub async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// The future's output, or `None` when it is not done by then.
pub async fn until<F: Future>(at: Mono, future: F) -> Option<F::Output> {
    tokio::time::timeout_at(instant(at), future).await.ok()
}

/// A deadline that moves all the time, and mostly to later, as one of a peer does that must say something now
/// and then. Moving it there costs nothing; a sleep of its own for each wait would enter and leave the
/// runtime's table of timers.
#[derive(Debug, Default)]
pub struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    /// When `sleep` ends: at the deadline or before.
    rings: Option<Mono>,
}

impl Alarm {
    /// Sleeps until then, or for ever without a deadline; returns at once if it is past. Cancel-safe.
    pub async fn wait_until(&mut self, deadline: Option<Mono>) {
        let Some(deadline) = deadline else { return std::future::pending().await };
        loop {
            if self.rings.is_none_or(|rings| rings > deadline) {
                match &mut self.sleep {
                    Some(sleep) => sleep.as_mut().reset(instant(deadline)),
                    None => self.sleep = Some(Box::pin(tokio::time::sleep_until(instant(deadline)))),
                }
                self.rings = Some(deadline);
            }
            if let Some(sleep) = &mut self.sleep {
                sleep.as_mut().await;
            }
            self.rings = None;
            if deadline <= now() {
                return;
            }
        }
    }
}

/// A point so far ahead that it is never reached: for `select!` arms without a deadline.
#[must_use]
pub fn never() -> Mono {
    now().after(Duration::from_secs(60 * 60 * 24 * 365))
}

fn instant(at: Mono) -> Instant {
    let origin = origin();
    origin.checked_add(at.since_origin()).unwrap_or_else(|| origin + Duration::from_secs(60 * 60 * 24 * 365))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_alarm_rings_at_its_deadline_wherever_it_was_moved() {
        let start = now();
        let at = |seconds| Some(start.after(Duration::from_secs(seconds)));
        let mut alarm = Alarm::default();
        // Later, earlier, later again, none: each time something else was faster.
        for deadline in [at(10), at(30), at(2), at(40), None] {
            let other = start.after(Duration::from_secs(1));
            assert_eq!(until(other, alarm.wait_until(deadline)).await, None);
        }
        alarm.wait_until(at(5)).await;
        assert_eq!(now() - start, Duration::from_secs(5));
        // What is past rings at once, and again.
        alarm.wait_until(at(5)).await;
        alarm.wait_until(at(4)).await;
        alarm.wait_until(at(7)).await;
        assert_eq!(now() - start, Duration::from_secs(7));
    }
}
