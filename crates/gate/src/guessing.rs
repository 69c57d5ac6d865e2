//! Guessing slowed down: who was denied often waits before it is asked about again.
//!
//! Each denial that a hook answered counts against the client's address, and leaks away after a while. From the limit on,
//! the next question about that address waits 1 s, then 2 s, 4 s and so on, and questions wait one after the other, so that
//! a thousand connections guess no faster than one; what they ask before the first denial is known has few
//! [places](crate::places). What would have to wait longer than the longest delay is refused without being asked.
//!
//! Guesses that come from many addresses count against what they have in common, the key without its last part: when
//! that has had many denials, an address waits after its first. One without a denial of its own never waits, whatever
//! others do: nobody can lock the true publisher out, except from its own address.

mod leak;

use jackfield_media::{Mono, StreamKey};
use jackfield_sessions::Origin;
use leak::{Leak, Leaks};
use std::num::NonZeroU32;
use std::time::Duration;

/// The time over which denials leak away.
const WINDOW: Duration = Duration::from_secs(60);
/// The shortest delay; each further denial doubles it.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// No question waits longer: clients give up after about as long.
pub(crate) const LONGEST_DELAY: Duration = Duration::from_secs(10);
/// Denials beyond the limit that change the delay: with the fourth it is the longest.
const STEPS: u32 = 4;
/// How many times the denials of one address those of a prefix may be.
const PREFIX_SHARE: u32 = 10;
/// Addresses that are remembered at once. Whoever finds no room does not wait.
const MAX_ORIGINS: usize = 65_536;
/// Prefixes that are remembered at once; clients choose them. One that finds no room counts nothing.
const MAX_PREFIXES: usize = 4096;

/// When a question may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Now, or at this later time.
    At(Mono),
    /// Too many wait already.
    Never,
}

/// What a denial came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Denials that count against the address now.
    pub(crate) denials: u32,
    /// How long the next question about it will wait.
    pub(crate) delay: Duration,
    /// Questions that were refused unasked since this was told last.
    pub(crate) unasked: u64,
}

/// The denials of the last minute.
#[derive(Debug)]
pub(crate) struct Guesses {
    /// Denials a minute without a delay.
    free: NonZeroU32,
    origins: Leaks<Origin, Waiting>,
    prefixes: Leaks<Box<str>, ()>,
}

/// What waits of one address.
#[derive(Debug, Default)]
struct Waiting {
    /// When the last one that waits will be asked.
    last: Mono,
    unasked: u64,
}

impl Guesses {
    /// `free` denials a minute make nobody wait.
    pub(crate) fn new(free: NonZeroU32) -> Self {
        let most = free.saturating_add(STEPS);
        let of_prefix = free.saturating_mul(NonZeroU32::MIN.saturating_add(PREFIX_SHARE - 1));
        Self {
            free,
            origins: Leaks::new(MAX_ORIGINS, Leak { step: WINDOW / free.get(), most: most.get() }),
            prefixes: Leaks::new(
                MAX_PREFIXES,
                Leak {
                    step: WINDOW / of_prefix.get(),
                    most: of_prefix.saturating_add(of_prefix.get()).get(),
                },
            ),
        }
    }

    /// When the next question about this address may be asked.
    pub(crate) fn turn(&mut self, now: Mono, origin: Origin, prefix: &str) -> Turn {
        let delay = self.delay(now, origin, prefix);
        // Whoever is not to wait has never been denied, or not often: it stands behind nobody.
        let Some(waiting) = self.origins.value(&origin).filter(|_| !delay.is_zero()) else {
            return Turn::At(now);
        };
        let at = waiting.last.max(now).after(delay);
        if at.since(now) > LONGEST_DELAY {
            waiting.unasked += 1;
            return Turn::Never;
        }
        waiting.last = at;
        Turn::At(at)
    }

    /// A hook denied a question about this address.
    pub(crate) fn denied(&mut self, now: Mono, origin: Origin, prefix: &str) -> Counted {
        self.origins.add(now, origin);
        // One address alone does not make others wait.
        if self.origins.level(now, &origin) <= self.free.get() {
            self.prefixes.add(now, Box::from(prefix));
        }
        let unasked = self.origins.value(&origin).map(|waiting| std::mem::take(&mut waiting.unasked));
        Counted {
            denials: self.origins.level(now, &origin),
            delay: self.delay(now, origin, prefix),
            unasked: unasked.unwrap_or_default(),
        }
    }

    fn delay(&self, now: Mono, origin: Origin, prefix: &str) -> Duration {
        let own = self.origins.level(now, &origin);
        let free = self.free.get();
        let common = self.prefixes.level(now, prefix) >= free.saturating_mul(PREFIX_SHARE);
        let level = if own > 0 && common { own.saturating_add(free - 1) } else { own };
        match level.checked_sub(free) {
            None => Duration::ZERO,
            Some(beyond) => (FIRST_DELAY * (1 << beyond.min(STEPS))).min(LONGEST_DELAY),
        }
    }
}

/// What guesses of one stream have in common: its key without the last part, which is what is guessed.
pub(crate) fn prefix(key: &StreamKey) -> &str {
    key.as_str().rsplit_once('/').map_or("", |(prefix, _)| prefix)
}

#[cfg(test)]
mod tests;
