//! Sockets: listening, writing to peers that may be slow, and the clients that reach out.
//!
//! - [`Listener`] binds a [`ListenAddr`] and accepts; [`raise_descriptor_limit`] makes room for many.
//! - [`proxy`] reads PROXY protocol headers of trusted load balancers.
//! - [`writer`] is the sending side of a socket that several tasks share and none waits for.
//! - [`outbound`] makes HTTP clients.
//! - [`Seldom`] keeps log lines that peers cause few.
//!
//! | specification | version | module |
//! |---|---|---|
//! | PROXY protocol | 2 | [`proxy`] |
//!
//! What it does not do: speak a media protocol, count connections (that is `sessions`), or spawn tasks.

mod descriptors;
mod listen;
pub mod outbound;
pub mod proxy;
mod seldom;
pub mod writer;

pub use descriptors::raise_descriptor_limit;
pub use listen::{Accepted, BindError, ListenAddr, ListenAddrError, Listener, acknowledge_at_once};
pub use seldom::Seldom;
