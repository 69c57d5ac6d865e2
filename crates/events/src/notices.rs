//! Facts. Every `_start` has exactly one `_stop` with the same ids.

mod connection;
mod node;
mod play;
mod publish;
mod stream;

pub use connection::{AuthFailed, ConnectionAccept, ConnectionClose, ConnectionRefused, HandshakeComplete};
pub use node::{EventsLost, HookDisabled};
pub use play::{PlayStart, PlayStop};
pub use publish::{CodecDetected, MediaStart, MediaStop, PublishStart, PublishStop};
pub use stream::{StreamCreate, StreamDelete};
