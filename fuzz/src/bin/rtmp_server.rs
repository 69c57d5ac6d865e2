//! Whole sessions against the whole RTMP service: three clients that shake hands, connect, publish, play, misbehave and
//! leave, hooks that answer late or not at all, and time that passes. See `world` for the rules.
#![no_main]

use jackfield_fuzz::live::world;
use jackfield_fuzz::memory::{self, Counting};
use libfuzzer_sys::fuzz_target;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn run(data: &[u8]) -> usize {
    let before = memory::live();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(world::run(data));
    drop(runtime);
    memory::live().saturating_sub(before)
}

fuzz_target!(
    init: {
        // A peer that has gone must not end the process; the main function of Rust would have seen to it.
        // SAFETY: no handler is installed.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    },
    |data: &[u8]| {
        // What is made once stays; what each run leaves behind is lost.
        if run(data) > 0 && run(data) > 0 {
            let lost = run(data);
            assert!(lost == 0, "each run leaves {lost} bytes behind");
        }
    }
);
