//! The hub's configuration.

use std::time::Duration;

/// Bounds and times of all streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubConfig {
    /// A viewer whose socket leaves more bytes than this waiting is over its queue.
    pub queue_bytes: usize,
    /// A viewer whose oldest waiting byte is older than this is over its queue.
    pub queue: Duration,
    /// A viewer that is over its queue for this long is ended with `slow_subscriber`.
    pub slow: Duration,
    /// How long sound may wait to ride with the next picture, so that viewers cost fewer writes. Above
    /// 100 ms pictures wait as well: larger batches, for thousands of viewers.
    pub max_latency: Duration,
    /// How long a player waits for a stream that is not there; for the services, which pass it to
    /// [`crate::Hub::wait_live`].
    pub wait: Duration,
    /// How long a stream keeps its players when its publisher has gone; zero: not at all.
    pub resume: Duration,
    /// A publisher that sent nothing for this long may be replaced under [`crate::Takeover::Stale`].
    pub stale: Duration,
    /// A group of pictures over this size is not kept for late joiners. Each frame counts with what it takes to hold
    /// it, too.
    pub cache_bytes: usize,
    /// A group of pictures longer than this, in media time, is not kept for late joiners.
    pub cache: Duration,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            queue_bytes: 4 << 20,
            queue: Duration::from_secs(5),
            slow: Duration::from_secs(15),
            max_latency: Duration::from_millis(40),
            wait: Duration::from_secs(10),
            resume: Duration::ZERO,
            stale: Duration::from_secs(3),
            cache_bytes: 16 << 20,
            cache: Duration::from_secs(20),
        }
    }
}
