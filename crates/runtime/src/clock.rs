//! Local time, the wall clock, and waiting until a point in local time.
//!
//! Local time follows tokio's clock, so that a test with paused time moves it.

use jackfield_media::{Mono, UnixTime};
use std::future::Future;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

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

/// A point so far ahead that it is never reached: for `select!` arms without a deadline.
#[must_use]
pub fn never() -> Mono {
    now().after(Duration::from_secs(60 * 60 * 24 * 365))
}

fn instant(at: Mono) -> Instant {
    let origin = origin();
    origin.checked_add(at.since_origin()).unwrap_or_else(|| origin + Duration::from_secs(60 * 60 * 24 * 365))
}
