//! Tests of the built server with real clients: the kit they are written with.
//!
//! A test starts a [`Server`], lets real programs publish and play ([`PublisherKind`], [`PlayerKind`]), answers its hooks
//! ([`Receiver`]), and waits for what should happen:
//!
//! ```no_run
//! use jackfield_e2e::{PlayerKind, PublisherKind, SOON, Server, clip, compare};
//!
//! fn main() -> anyhow::Result<()> {
//!     let server = Server::builder().start()?;
//!     let clip = clip::standard()?;
//!     let _publisher = PublisherKind::Ffmpeg.start(clip.path(), &server.url("live/a"))?;
//!     server.events().wait_for("publish_start", SOON, |event| event.stream_key() == Some("live/a"))?;
//!     let player = PlayerKind::Rtmpdump.start(&server.url("live/a"))?;
//!     player.wait_video(50, SOON)?;
//!     compare(clip.recording(), &player.finish()?, 50)?;
//!     server.stop()?;
//!     Ok(())
//! }
//! ```
//!
//! What holds for all of it:
//!
//! - **Every wait has a deadline** and says at its end what it waited for and what it saw. Nothing sleeps to let something
//!   happen: what a program prints, sends or plays goes into a [`Journal`], and tests wait for an entry.
//! - **Nothing outlives its test**: every program is the leader of a process group that is killed when its handle goes.
//! - **Ports are free ones** (port 0), folders are under the target directory, so that tests run side by side.
//! - Media is judged by a demuxer of our own ([`flv`]), never by the server's: a defect in one does not hide in the other.
//! - Programs are Debian's, but for a newer ffmpeg ([`newer_ffmpeg`]) and npm's packages, which `scripts/setup test` brings
//!   into `.tools/`. A [`Browser`] is Debian's Chromium, which `scripts/setup browser` brings.
//!
//! The server is `JACKFIELD_BIN`, or the `jackfield` beside the test in the target directory. With
//! `E2E_PEER=rtmp://host/app` the tables of clients run against that server instead, to see whose fault a failure is.
//! With `E2E_ALL=1`, which `make test-all` sets, tests take the long forms of their cases ([`all_cases`]).
//!
//! It does not simulate anything (the hook engine has its own simulation), and it measures nothing (`bench/` does).

#![expect(
    clippy::disallowed_methods,
    reason = "this is the outside world: it starts programs and threads, and reads the clock for its deadlines"
)]

pub mod clip;
pub mod flv;
pub mod link;
pub mod receiver;
pub mod rtmp;
pub mod tls;

mod api;
mod broadcast;
mod browser;
mod clients;
mod clock_shift;
mod events;
mod front;
mod journal;
mod limits;
mod matrix;
mod node_media_server;
mod obs;
mod pairs;
mod pause;
mod place;
mod process;
mod program;
mod server;
mod tunnel;

pub use api::{Api, ApiAnswer, EventStream, Frame};
pub use broadcast::{Broadcast, PICTURE_EVERY};
pub use browser::Browser;
pub use clients::{Address, Player, PlayerKind, Publisher, PublisherKind, TlsVersion};
pub use clip::{Clip, Codecs};
pub use clock_shift::ClockShift;
pub use events::{Event, Events};
pub use flv::{Recording, compare};
pub use front::Front;
pub use journal::Journal;
pub use limits::{cpu_time, limit_descriptors, raise_own_descriptors};
pub use matrix::Matrix;
pub use node_media_server::NodeMediaServer;
pub use obs::Obs;
pub use pairs::{Pairs, check_pairs};
pub use pause::Paused;
pub use place::{Scratch, example, fixture, free_port, hook_fixture, newer_ffmpeg, server};
pub use process::{Processes, forget_peak, peak_kib, resident_kib, wait_end};
pub use program::{BytesFn, Finished, Program, Running, Stdout};
pub use receiver::{Receiver, Reply, Request};
pub use server::{Ended, LogLine, Server, ServerBuilder, peer};
pub use tunnel::{Farewell, tunnel};

use anyhow::{Result, ensure};
use std::time::{Duration, Instant};

/// The deadline of what happens at once on an idle machine; generous, because machines are shared.
pub const SOON: Duration = Duration::from_secs(20);

/// Whether the long forms of the cases are wanted, and not only those that fit into every change's tests.
pub fn all_cases() -> bool {
    std::env::var("E2E_ALL").is_ok_and(|value| value == "1")
}

/// Tries until something is found: for what cannot be waited on, such as a file that a script writes.
///
/// # Errors
/// When nothing was found `within` that time, or a try fails.
pub fn eventually<T>(what: &str, within: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(Instant::now() < deadline, "no {what} within {within:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
