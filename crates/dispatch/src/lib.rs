//! The one driver of the hooks core.
mod transport;

pub use jackfield_hooks::DeliveryId;
pub use transport::{BoxFuture, Call, Reply, Transport};
