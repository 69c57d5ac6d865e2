//! With no hook, an event costs no memory.
#![expect(unsafe_code, reason = "an allocator can only be counted by being one")]

use crate::kit;
use jackfield_bus::Bus;
use jackfield_events::{Masker, Scope, notices::StreamCreate};
use jackfield_media::StreamKey;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; the counter is a thread's own cell without
// a destructor, so counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above, that is from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[tokio::test(start_paused = true)]
async fn without_hooks_an_event_allocates_nothing() {
    let dispatch = kit::dispatch(Vec::new());
    let bus = Bus::new("n", Masker::default());
    bus.set_sink("hooks", dispatch.wanted(), Arc::new(dispatch.clone()));
    let scope = Scope { stream_key: StreamKey::parse("live/a").ok(), ..Scope::default() };
    let fact = StreamCreate { app: "live".into(), stream_name: "a".into() };
    // The first event registers its log line's call site.
    bus.emit(&scope, &fact);
    let before = COUNT.with(Cell::get);
    for _ in 0..100 {
        bus.emit(&scope, &fact);
        assert!(!dispatch.wants(jackfield_events::EventType::AuthorizePublish));
    }
    let after = COUNT.with(Cell::get);
    assert_eq!(after - before, 0);
    drop(Box::new(fact));
    assert_eq!(COUNT.with(Cell::get) - after, 1, "the counter counts");
}
