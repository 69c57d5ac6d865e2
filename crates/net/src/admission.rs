//! How many connections a listener's clients may have, and how fast new ones may come.

mod rate;

pub use rate::ConnectionRate;

use crate::Origin;
use jackfield_media::Mono;
use rate::{Buckets, Taken};
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Says of an address, IPv4 never written as IPv6, whether the limits per address do not hold for it.
pub type Exempt = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// How many connections there may be at once, and how fast new ones may come.
///
/// An address of IPv6 counts as its /64 ([`Origin`]).
#[derive(Clone)]
pub struct ConnectionLimits {
    /// In all. Bounds memory and descriptors.
    pub max_total: usize,
    /// From one address; 0 means no limit.
    pub max_per_address: usize,
    /// New ones from one address; `None` means no limit.
    pub rate_per_address: Option<ConnectionRate>,
    /// Addresses that never count by themselves: the loopback unless told otherwise, and proxies, behind which many clients
    /// look like one.
    pub exempt: Exempt,
}

impl ConnectionLimits {
    /// Under which the limits per address count a client; `None` if they do not hold for it.
    #[must_use]
    pub fn origin(&self, client: IpAddr) -> Option<Origin> {
        let address = client.to_canonical();
        (!(self.exempt)(address)).then(|| Origin::of(address))
    }
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        let exempt = Arc::new(|address: IpAddr| address.is_loopback());
        Self { max_total: 65_536, max_per_address: 0, rate_per_address: None, exempt }
    }
}

impl fmt::Debug for ConnectionLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionLimits")
            .field("max_total", &self.max_total)
            .field("max_per_address", &self.max_per_address)
            .field("rate_per_address", &self.rate_per_address)
            .finish_non_exhaustive()
    }
}

/// A limit is reached: the connection must not be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooMany {
    /// [`ConnectionLimits::max_total`].
    #[error("the limit of {0} connections is reached")]
    Total(usize),
    /// [`ConnectionLimits::max_per_address`].
    #[error("the limit of {0} connections from one address is reached")]
    PerAddress(usize),
    /// [`ConnectionLimits::rate_per_address`].
    #[error("the limit of {0} new connections a second from one address is reached")]
    Rate(u32),
}

/// What the limits count. Its owner asks it before a connection is served, and tells it when that ends.
#[derive(Debug, Default)]
pub struct Admission {
    /// Open connections by client; it remembers only those that are counted and have one now.
    open: HashMap<Origin, usize>,
    buckets: Buckets,
}

impl Admission {
    /// Lets one more in, besides the `open` ones; `origin` is [`ConnectionLimits::origin`] of the client.
    ///
    /// # Errors
    /// [`TooMany`] says which limit is reached.
    pub fn admit(
        &mut self,
        now: Mono,
        origin: Option<Origin>,
        open: usize,
        limits: &ConnectionLimits,
    ) -> Result<(), TooMany> {
        if open >= limits.max_total {
            return Err(TooMany::Total(limits.max_total));
        }
        let Some(origin) = origin else { return Ok(()) };
        let of_origin = self.open.get(&origin).copied().unwrap_or_default();
        if limits.max_per_address > 0 && of_origin >= limits.max_per_address {
            return Err(TooMany::PerAddress(limits.max_per_address));
        }
        if let Some(rate) = limits.rate_per_address
            && self.buckets.take(now, origin, rate) == Taken::No
        {
            return Err(TooMany::Rate(rate.per_second.get()));
        }
        if limits.max_per_address > 0 {
            self.open.insert(origin, of_origin + 1);
        }
        Ok(())
    }

    /// One that was let in has ended.
    pub fn release(&mut self, origin: Option<Origin>) {
        let Some(origin) = origin else { return };
        if let Some(count) = self.open.get_mut(&origin) {
            *count -= 1;
            if *count == 0 {
                self.open.remove(&origin);
            }
        }
    }
}
