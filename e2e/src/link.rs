//! Bad links between a client and the server.
//!
//! Two kinds, because a network fails in two ways:
//!
//! - [`Lab`] is a place of its own: two network namespaces with a router of ours between them that loses, delays,
//!   reorders, doubles and swallows IP packets by a seed ([`Weather`]). What TCP makes of it is the kernel's own work, on
//!   both sides. It needs root and TUN; where they are missing, [`Lab::or_skip`] says so and the test is left out.
//! - [`Proxy`] forwards TCP connections and needs nothing. Both ends see a healthy TCP whose peer is slow, silent or gone:
//!   a cap, a stall, single bytes, a reset, an end of one direction.
//!
//! Neither sleeps in a test: a link does its work on threads of its own, and a test waits for what becomes of it.

mod emulator;
mod lab;
mod namespace;
mod proxy;

pub use emulator::{Counts, Weather};
pub use lab::{Lab, Way};
pub use proxy::{Flow, Proxy};
