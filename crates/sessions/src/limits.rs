//! How many connections there may be.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// Says of an address whether the limit per address does not hold for it.
pub type Exempt = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// How many connections there may be at once.
#[derive(Clone)]
pub struct ConnectionLimits {
    /// In all. Bounds memory and descriptors.
    pub max_total: usize,
    /// From one address; 0 means no limit. Loopback never counts.
    pub max_per_address: usize,
    /// Further addresses that never count: proxies, behind which many clients look like one.
    pub exempt: Exempt,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { max_total: 65_536, max_per_address: 0, exempt: Arc::new(|_| false) }
    }
}

impl fmt::Debug for ConnectionLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionLimits")
            .field("max_total", &self.max_total)
            .field("max_per_address", &self.max_per_address)
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
}

/// Connections by address; it remembers only addresses that are counted and have one now.
#[derive(Debug, Default)]
pub(crate) struct ByAddress(HashMap<IpAddr, usize>);

impl ByAddress {
    pub(crate) fn admit(
        &mut self,
        client: IpAddr,
        open: usize,
        limits: &ConnectionLimits,
    ) -> Result<(), TooMany> {
        if open >= limits.max_total {
            return Err(TooMany::Total(limits.max_total));
        }
        if let Some(address) = counted(client, limits) {
            let count = self.0.entry(address).or_default();
            if *count >= limits.max_per_address {
                return Err(TooMany::PerAddress(limits.max_per_address));
            }
            *count += 1;
        }
        Ok(())
    }

    pub(crate) fn release(&mut self, client: IpAddr, limits: &ConnectionLimits) {
        let Some(address) = counted(client, limits) else { return };
        if let Some(count) = self.0.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&address);
            }
        }
    }
}

/// The address under which the limit counts, if it does.
fn counted(client: IpAddr, limits: &ConnectionLimits) -> Option<IpAddr> {
    let address = client.to_canonical();
    let free = limits.max_per_address == 0 || address.is_loopback() || (limits.exempt)(address);
    (!free).then_some(address)
}
