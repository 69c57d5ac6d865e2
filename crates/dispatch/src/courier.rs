//! Couriers: each reads on in the log of events for one feed (a hook, or a group of hooks that share lanes) and hands
//! over what the engine's core has room for. A feed that is full holds up its own courier and no other.

use crate::dispatch::Inner;
use futures_util::FutureExt;
use jackfield_bus::{Outbox, Read};
use jackfield_events::Event;
use jackfield_hooks::{FeedId, Hunger, Stretch};
use jackfield_journal::Limit;
use jackfield_media::Text;
use jackfield_runtime::clock;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Notify;

/// What is read at once.
const AT_ONCE: Limit = Limit { records: 512, bytes: 1 << 20 };
/// What is handed over under one lock.
const UNDER_ONE_LOCK: usize = 64;
/// How long a courier waits after the log gave nothing for a position that it must have, or have passed.
const AFTER_NOTHING: Duration = Duration::from_millis(200);

/// A stretch of the log that was read and is not handed over yet.
struct Rest {
    after: u64,
    read: Read,
    taken: usize,
}

/// Serves a feed until the server stops or the feed is gone. `called` tells that there may be something to do.
pub(crate) async fn serve(inner: Weak<Inner>, feed: FeedId, called: Arc<Notify>, outbox: Outbox) {
    let mut rest: Option<Rest> = None;
    loop {
        if let Some(left) = rest.take() {
            match hand_over(&inner, &feed, left) {
                None => return,
                Some(None) => {}
                Some(Some(left)) => {
                    rest = Some(left);
                    let Some(hunger) = inner.upgrade().map(|inner| inner.state().core.hunger(&feed)) else {
                        return;
                    };
                    // What waits beside may have to go first, before there is room for this.
                    match hunger {
                        Hunger::At(hook_id, positions) => fetch(&inner, &hook_id, &positions, &outbox).await,
                        Hunger::Nobody | Hunger::Full | Hunger::After(_) => called.notified().await,
                    }
                }
            }
            // Others have their turn, however much there is.
            tokio::task::yield_now().await;
            continue;
        }
        let Some(hunger) = inner.upgrade().map(|inner| inner.state().core.hunger(&feed)) else { return };
        match hunger {
            Hunger::Nobody | Hunger::Full => called.notified().await,
            Hunger::At(hook_id, positions) => fetch(&inner, &hook_id, &positions, &outbox).await,
            Hunger::After(after) => {
                let read = outbox.read(after, AT_ONCE).await;
                if read.events.is_empty() && read.up_to <= after {
                    // It is there, and nobody could read it.
                    if outbox.more_than(after).now_or_never().is_some()
                        && let Some(inner) = inner.upgrade()
                    {
                        inner.read_in_vain(after);
                    }
                    tokio::select! {
                        () = outbox.more_than(after) => {}
                        () = called.notified() => {}
                    }
                } else {
                    if read.skipped > 0 {
                        let Some(inner) = inner.upgrade() else { return };
                        inner.skipped(after, &read);
                        tracing::warn!(
                            feed = %name(&feed),
                            after,
                            lost = read.skipped,
                            "Events are not in the log any more that a hook did not get"
                        );
                    }
                    rest = Some(Rest { after, read, taken: 0 });
                }
            }
        }
    }
}

fn name(feed: &FeedId) -> &Text {
    match feed {
        FeedId::Hook(name) | FeedId::Group(name) => name,
    }
}

/// Hands over as much as there is room for. What is left comes back; `None` if there is nobody any more.
fn hand_over(inner: &Weak<Inner>, feed: &FeedId, mut rest: Rest) -> Option<Option<Rest>> {
    let inner = inner.upgrade()?;
    loop {
        let left = rest.read.events.get(rest.taken..).unwrap_or_default();
        let some = left.get(..UNDER_ONE_LOCK).unwrap_or(left);
        let is_last = some.len() == left.len();
        let end = some.last().map_or(rest.after, |event| event.stamp().seq);
        let first = rest.taken == 0;
        let stretch = Stretch {
            after: rest.after,
            events: some,
            up_to: if is_last { rest.read.up_to.max(end) } else { end },
            lost: if first { rest.read.skipped } else { 0 },
            lost_by_type: if first { &rest.read.skipped_volatile } else { &[] },
        };
        let taken = inner.input(None, |state, now| state.core.feed(now, feed, &stretch));
        let whole = taken == some.len();
        if let Some(last) = taken.checked_sub(1).and_then(|last| some.get(last)) {
            rest.after = last.stamp().seq;
        }
        rest.taken += taken;
        if taken == 0 && !whole {
            // What was lost before it is told of by now.
            rest.read.skipped = 0;
            rest.read.skipped_volatile.clear();
        }
        if !whole {
            return Some(Some(rest));
        }
        if is_last {
            inner.moved();
            return Some(None);
        }
    }
}

/// Reads what stands at these positions and hands it over.
async fn fetch(inner: &Weak<Inner>, hook_id: &Text, positions: &[u64], outbox: &Outbox) {
    let mut sorted = positions.to_vec();
    sorted.sort_unstable();
    let mut found: Vec<(u64, Option<Arc<Event>>)> = Vec::new();
    let mut at = 0;
    while let Some(first) = sorted.get(at).copied() {
        let read =
            outbox.read(first.saturating_sub(1), Limit { records: sorted.len() - at, ..AT_ONCE }).await;
        let Some(strong) = inner.upgrade() else { return };
        if read.up_to < first {
            // The disk does not answer: nothing is known of it.
            strong.read_in_vain(first.saturating_sub(1));
            drop(strong);
            clock::sleep(AFTER_NOTHING).await;
            break;
        }
        strong.skipped(first.saturating_sub(1), &read);
        drop(strong);
        while let Some(position) = sorted.get(at).copied().filter(|position| *position <= read.up_to) {
            let event = read.events.iter().find(|event| event.stamp().seq == position);
            found.push((position, event.cloned()));
            at += 1;
        }
    }
    let Some(inner) = inner.upgrade() else { return };
    inner.input(None, |state, now| {
        // In the order of each lane, which is that of the positions.
        for (position, event) in &found {
            state.core.fetched(now, hook_id, *position, event.as_ref());
        }
    });
    inner.moved();
}
