//! Who counts as one client.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// Bits of an IPv6 address that one customer of a provider has at least: with the other 64 it does as it likes, so
/// that a limit per address would limit nobody.
const CUSTOMER_BITS: u32 = 64;

/// Who counts as one client: an IPv4 address, or the /64 of an IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Origin(IpAddr);

impl Origin {
    /// Of this address; IPv4 written as IPv6 is IPv4.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = u128::MAX << (u128::BITS - CUSTOMER_BITS);
                Ipv6Addr::from_bits(address.to_bits() & network).into()
            }
            v4 => v4,
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(network) => write!(f, "{network}/{CUSTOMER_BITS}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_address_and_a_64_of_ipv6_count_as_one() {
        let check = |address: &str, expect: &str| {
            assert_eq!(Origin::of(address.parse().unwrap()).to_string(), expect);
        };
        check("203.0.113.7", "203.0.113.7");
        check("::ffff:203.0.113.7", "203.0.113.7");
        check("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64");
        check("2001:db8:1:2::", "2001:db8:1:2::/64");
        check("2001:db8:1:3::1", "2001:db8:1:3::/64");
    }
}
