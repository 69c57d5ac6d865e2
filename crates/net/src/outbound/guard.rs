//! Where a request may go whose URL is not the operator's own: to public addresses, and to the networks that the
//! operator names. It keeps whoever may set a URL from reaching what only this machine can (server-side request
//! forgery): other services of the loopback and the local network, and the metadata of a cloud.
//!
//! The check sits where names become addresses, so that the address that was checked is the one dialled; a name that
//! changes its address between check and use gains nothing. A literal address never reaches a resolver and is
//! checked in the URL, whose parser knows every spelling of it (`0x7f.1`, `2130706433`, `[::ffff:127.0.0.1]`).
//!
//! | | specification |
//! |---|---|
//! | addresses that are not public | IANA special-purpose address registries (RFC 6890 and its successors) |
//! | spellings of IPv4 addresses | WHATWG URL, host parsing |

use crate::proxy::Networks;
use reqwest::Url;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where the requests of a client may go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Reach {
    /// Anywhere: the URL is the operator's.
    #[default]
    Anywhere,
    /// To public addresses.
    Public {
        /// And to these networks.
        besides: Networks,
    },
}

/// A host that may not be reached. It does not say which address a name has: that may be nobody's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host has no public address, and no network that is allowed has it")]
pub struct OutOfReach;

impl Reach {
    /// Whether this address may be dialled.
    #[must_use]
    pub fn allows(&self, ip: IpAddr) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Public { besides } => is_public(ip) || besides.contains(ip),
        }
    }

    /// Checks the host of a URL if it is a literal address. A name is checked when it is resolved.
    ///
    /// # Errors
    /// [`OutOfReach`].
    pub fn check(&self, url: &Url) -> Result<(), OutOfReach> {
        match literal(url) {
            Some(ip) if !self.allows(ip) => Err(OutOfReach),
            _ => Ok(()),
        }
    }

    /// Those of a name's addresses that may be dialled.
    ///
    /// # Errors
    /// [`OutOfReach`] if there is none among them.
    pub(super) fn filter<A>(
        &self,
        addresses: impl Iterator<Item = A>,
        ip: impl Fn(&A) -> IpAddr,
    ) -> Result<Vec<A>, OutOfReach> {
        let mut refused = false;
        let allowed: Vec<A> = addresses
            .filter(|address| {
                let allows = self.allows(ip(address));
                refused |= !allows;
                allows
            })
            .collect();
        if allowed.is_empty() && refused { Err(OutOfReach) } else { Ok(allowed) }
    }
}

/// The address that stands in the URL itself.
fn literal(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Whether everybody can reach the address.
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => !NOT_PUBLIC_V4.iter().any(|(network, prefix)| lies_in_v4(ip, *network, *prefix)),
        IpAddr::V6(ip) => {
            lies_in_v6(ip, GLOBAL_UNICAST.0, GLOBAL_UNICAST.1)
                && !NOT_PUBLIC_V6.iter().any(|(network, prefix)| lies_in_v6(ip, *network, *prefix))
        }
    }
}

const NOT_PUBLIC_V4: [(Ipv4Addr, u32); 16] = [
    // "This network"; Linux takes 0.0.0.0 for the loopback.
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    // Private.
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    // Shared by the clients of a carrier.
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    // Loopback.
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Link-local, and the metadata of clouds.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    // Private.
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    // Protocol assignments.
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    // Documentation.
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    // Relays of 6to4.
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    // Private.
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    // Benchmarks.
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    // Documentation.
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // The address that answers for a cloud's own services at some providers.
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    // Multicast.
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    // Reserved, and broadcast.
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// All that is assigned for everybody. Outside of it lie the loopback, unique local, link-local, multicast, NAT64
/// (64:ff9b::/96 and 64:ff9b:1::/48), discard-only, and SRv6 (5f00::/16).
const GLOBAL_UNICAST: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

const NOT_PUBLIC_V6: [(Ipv6Addr, u32); 4] = [
    // Protocol assignments: Teredo, which carries an IPv4 address, benchmarks, ORCHID.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    // Documentation.
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
    // 6to4, which carries an IPv4 address.
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
];

fn lies_in_v4(ip: Ipv4Addr, network: Ipv4Addr, prefix: u32) -> bool {
    (ip.to_bits() ^ network.to_bits()).leading_zeros() >= prefix
}

fn lies_in_v6(ip: Ipv6Addr, network: Ipv6Addr, prefix: u32) -> bool {
    (ip.to_bits() ^ network.to_bits()).leading_zeros() >= prefix
}

#[cfg(test)]
mod tests;
