//! Sockets: listening, writing to peers that may be slow, and the clients that reach out.
//!
//! - [`Listener`] binds a [`ListenAddr`] and accepts; [`raise_descriptor_limit`] makes room for many.
//! - [`Admission`] says whether one more client is let in: in all, of one address, and how fast ([`ConnectionLimits`]).
//! - [`proxy`] reads PROXY protocol headers of trusted load balancers.
//! - [`tls`] has the certificates of listeners, replaced while they run, and encrypted sockets.
//! - [`writer`] is the sending side of a [`Socket`] that several tasks share and none waits for.
//! - [`outbound`] makes HTTP clients.
//! - [`sse`] reads server-sent events.
//! - [`Seldom`] keeps log lines that peers cause few.
//!
//! | specification | version | module |
//! |---|---|---|
//! | PROXY protocol | 2 | [`proxy`] |
//! | TLS | 1.2 (RFC 5246), 1.3 (RFC 8446), by rustls | [`tls`] |
//! | Server name indication | RFC 6066 §3 | [`tls`] |
//! | Server-sent events | HTML Living Standard 9.2 | [`sse`] |
//!
//! What it does not do: speak a media protocol, keep the connections that are open (that is `sessions`), or spawn
//! tasks.

mod admission;
mod descriptors;
mod listen;
mod low_water;
mod origin;
pub mod outbound;
pub mod proxy;
mod seldom;
mod socket;
pub mod sse;
pub mod tls;
pub mod writer;

pub use admission::{Admission, ConnectionLimits, ConnectionRate, Exempt, TooMany};
pub use descriptors::raise_descriptor_limit;
pub use listen::{
    Accepted, BindError, ListenAddr, ListenAddrError, Listener, acknowledge_at_once, has_unread,
};
pub use low_water::set_low_water;
pub use origin::Origin;
pub use seldom::Seldom;
pub use socket::Socket;
