//! The table of media connections: their numbers, counters, limits, and the way to make one leave.
//!
//! A service opens a [`Connection`] for each peer that it accepts and keeps it as long as the peer is
//! there. `connection_accept` is told when it opens, `connection_close` exactly once when it is closed
//! or dropped, on whatever way. Everybody else sees connections through [`Connections`]: their list,
//! and [`Connections::kick`], which the connection's own task hears in [`Connection::kicked`].
//!
//! ```
//! use jackfield_bus::Bus;
//! use jackfield_events::{EndReason, Masker, Protocol};
//! use jackfield_sessions::{ConnectionLimits, Connections, Kick, Peer};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let connections = Connections::new(Bus::new("node", Masker::default()), ConnectionLimits::default());
//! let peer = Peer {
//!     client: "203.0.113.7:51234".parse().unwrap(),
//!     server: "198.51.100.1:1935".parse().unwrap(),
//!     protocol: Protocol::Rtmp,
//! };
//! let connection = connections.open(peer).expect("the table is empty");
//! assert_eq!(connection.id().to_string(), "c000001");
//!
//! connections.kick(connection.id(), Kick::by_operator("maintenance")).expect("it is there");
//! let kick = connection.kicked().await; // its own task waits for this beside its socket
//! connection.close(kick.reason);
//! assert_eq!(connections.count(), 0);
//! # });
//! ```
//!
//! Who is over a limit, on all connections or on those of one address, is not served and has no number; that it
//! happens is told by `connection_refused`, at most every 10 s.
//!
//! What it does not do: it owns no socket, closes none, and asks nobody.

mod connection;
mod connections;
mod refusals;

pub use connection::{Connection, Counters, Kick, Peer, Phase, Tls};
pub use connections::{ConnectionSnapshot, ConnectionTotals, Connections, Unknown};
pub use jackfield_net::{ConnectionLimits, ConnectionRate, Exempt, Origin, TooMany};
