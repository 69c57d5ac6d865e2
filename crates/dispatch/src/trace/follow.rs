//! Following deliveries as they end.

use super::delivery::Delivery;
use std::sync::Arc;
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// What a follower gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// One attempt has ended.
    Delivery(Arc<Delivery>),
    /// The follower was too slow and missed so many.
    Missed(u64),
}

/// Gets every delivery from when it was made.
#[derive(Debug)]
pub struct Follower(pub(super) Receiver<Arc<Delivery>>);

impl Follower {
    /// The next one; `None` once nothing is kept any more. Cancel-safe.
    pub async fn next(&mut self) -> Option<Followed> {
        match self.0.recv().await {
            Ok(delivery) => Some(Followed::Delivery(delivery)),
            Err(RecvError::Lagged(missed)) => Some(Followed::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }
}
