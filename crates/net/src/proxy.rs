//! PROXY protocol version 2: how a load balancer tells whom it stands for.
//!
//! Only peers within [`Networks`] that the operator trusts are believed; for anybody else the bytes are
//! the protocol's own, and refused by it. A trusted peer may leave the header out: the signature cannot
//! be the beginning of anything that a media listener speaks.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// Specification §2.2: what every header begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
const FIXED_BYTES: usize = 16;
/// The longest header that is read. Addresses have 36 bytes at most, and what balancers add, such as
/// names of certificates, some hundred. Bounds what a connection holds before it is counted.
pub const MAX_HEADER_BYTES: usize = 4096;

/// What the first bytes of a connection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Too few bytes to tell, or the header is not complete.
    Partial,
    /// No header: the protocol has begun.
    Absent,
    /// A header.
    Header {
        /// The addresses; `None` if the proxy speaks for itself (a health check), or of something that is
        /// not TCP.
        addresses: Option<Addresses>,
        /// Bytes of the header; the protocol begins after them.
        length: usize,
    },
}

/// The two ends of the connection that the proxy accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// The client.
    pub client: SocketAddr,
    /// The address that the client reached.
    pub server: SocketAddr,
}

/// A header that breaks the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// §2.2: version 2 only, and commands LOCAL and PROXY.
    #[error("a PROXY header of version and command {0:#04x}")]
    Version(u8),
    /// More bytes than are read.
    #[error("a PROXY header of {0} bytes is too long")]
    TooLong(usize),
    /// Fewer bytes than the addresses of its family need.
    #[error("a PROXY header that is too short for its addresses")]
    Short,
}

/// Looks at the first bytes of a connection from a trusted peer.
///
/// # Errors
/// [`ProxyError`]: the connection is to be closed.
pub fn read(input: &[u8]) -> Result<Start, ProxyError> {
    let known = input.len().min(SIGNATURE.len());
    if input.get(..known) != SIGNATURE.get(..known) {
        return Ok(Start::Absent);
    }
    let Some(fixed) = input.first_chunk::<FIXED_BYTES>() else {
        return Ok(Start::Partial);
    };
    let [.., command, family, high, low] = *fixed;
    if !matches!(command, 0x20 | 0x21) {
        return Err(ProxyError::Version(command));
    }
    let length = FIXED_BYTES + usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_HEADER_BYTES {
        return Err(ProxyError::TooLong(length));
    }
    let Some(rest) = input.get(FIXED_BYTES..length) else {
        return Ok(Start::Partial);
    };
    let addresses = if command == 0x21 { addresses(family, rest)? } else { None };
    Ok(Start::Header { addresses, length })
}

/// §2.2: addresses of TCP over IPv4 and IPv6; others are skipped.
fn addresses(family: u8, rest: &[u8]) -> Result<Option<Addresses>, ProxyError> {
    match family {
        0x11 => {
            let [a, b, c, d, e, f, g, h, ports @ ..] = *rest.first_chunk::<12>().ok_or(ProxyError::Short)?;
            let client = Ipv4Addr::new(a, b, c, d).into();
            let server = Ipv4Addr::new(e, f, g, h).into();
            Ok(Some(with_ports(client, server, ports)))
        }
        0x21 => {
            let (client, rest) = rest.split_first_chunk::<16>().ok_or(ProxyError::Short)?;
            let (server, rest) = rest.split_first_chunk::<16>().ok_or(ProxyError::Short)?;
            let ports = *rest.first_chunk::<4>().ok_or(ProxyError::Short)?;
            let ip = |bytes: &[u8; 16]| IpAddr::from(Ipv6Addr::from(*bytes)).to_canonical();
            Ok(Some(with_ports(ip(client), ip(server), ports)))
        }
        _ => Ok(None),
    }
}

fn with_ports(client: IpAddr, server: IpAddr, [a, b, c, d]: [u8; 4]) -> Addresses {
    Addresses {
        client: SocketAddr::new(client, u16::from_be_bytes([a, b])),
        server: SocketAddr::new(server, u16::from_be_bytes([c, d])),
    }
}

/// A set of networks, such as those of trusted proxies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

impl Networks {
    /// Whether the address lies in one of them.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|network| network.contains(ip))
    }
}

impl FromIterator<Network> for Networks {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        Self(networks.into_iter().collect())
    }
}

/// A network in the notation of RFC 4632: `10.0.0.0/8`, `fd00::/8`; a single address without a slash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    ip: IpAddr,
    prefix: u8,
}

/// RFC 4291 §2.5.5.2: the bits that an IPv6 address has before the IPv4 address mapped in it.
const V4_MAPPED_BITS: u8 = 96;

/// A text that is no [`Network`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a network: write `10.0.0.0/8`, `192.0.2.1` or `fd00::/8`")]
pub struct NetworkError(String);

impl Network {
    fn contains(&self, ip: IpAddr) -> bool {
        match (self.ip, ip) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                (own.to_bits() ^ other.to_bits()) & mask == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                (own.to_bits() ^ other.to_bits()) & mask == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let bad = || NetworkError(text.to_owned());
        let (ip, prefix) = match text.split_once('/') {
            Some((ip, prefix)) => (ip, Some(prefix)),
            None => (text, None),
        };
        let ip: IpAddr = ip.parse().map_err(|_source| bad())?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().ok().filter(|prefix| *prefix <= most).ok_or_else(bad)?
            }
            Some(_) => return Err(bad()),
        };
        // Addresses are compared in their own family (`Networks::contains`), so networks must stand in it too. One that
        // begins before the mapped address would lie in both.
        match ip.to_canonical() {
            v4 @ IpAddr::V4(_) if ip.is_ipv6() => {
                let prefix = u8::checked_sub(prefix, V4_MAPPED_BITS).ok_or_else(bad)?;
                Ok(Self { ip: v4, prefix })
            }
            _ => Ok(Self { ip, prefix }),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut header = SIGNATURE.to_vec();
        header.extend([command, family]);
        header.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
        header.extend(rest);
        header
    }

    const V4: [u8; 12] = [203, 0, 113, 7, 198, 51, 100, 1, 0xc8, 0x22, 0x07, 0x8f];

    #[test]
    fn a_header_tells_both_ends() {
        let mut input = header(0x21, 0x11, &V4);
        input.extend(b"\x03more");
        let addresses = Addresses {
            client: "203.0.113.7:51234".parse().unwrap(),
            server: "198.51.100.1:1935".parse().unwrap(),
        };
        assert_eq!(read(&input), Ok(Start::Header { addresses: Some(addresses), length: 28 }));
        let mut v6 = [0; 36];
        v6[..16].copy_from_slice(&Ipv6Addr::LOCALHOST.octets());
        v6[10..12].copy_from_slice(&[0, 0]);
        v6[32..].copy_from_slice(&[0, 1, 0, 2]);
        // TLVs after the addresses are skipped.
        let mut rest = v6.to_vec();
        rest.extend([4, 0, 1, 0]);
        let Ok(Start::Header { addresses: Some(addresses), length: 56 }) = read(&header(0x21, 0x21, &rest))
        else {
            panic!("no header");
        };
        assert_eq!(addresses.client, "[::1]:1".parse().unwrap());
    }

    #[test]
    fn every_beginning_of_a_header_is_partial_and_anything_else_no_header() {
        let whole = header(0x21, 0x11, &V4);
        for cut in 0..whole.len() {
            assert_eq!(read(&whole[..cut]), Ok(Start::Partial), "{cut}");
        }
        assert_eq!(read(b"\x03"), Ok(Start::Absent));
        assert_eq!(read(b"\r\n\r\nGET"), Ok(Start::Absent));
    }

    #[test]
    fn health_checks_and_other_families_keep_the_sockets_addresses() {
        for input in [header(0x20, 0x00, &[]), header(0x21, 0x00, &[]), header(0x21, 0x31, &[0; 216])] {
            let length = input.len();
            assert_eq!(read(&input), Ok(Start::Header { addresses: None, length }));
        }
    }

    #[test]
    fn a_bad_header_is_an_error_before_it_is_complete() {
        assert_eq!(read(&header(0x11, 0x11, &V4)), Err(ProxyError::Version(0x11)));
        assert_eq!(read(&header(0x21, 0x11, &V4[..8])), Err(ProxyError::Short));
        let long = header(0x21, 0x11, &[0; 5000]);
        assert_eq!(read(&long[..16]), Err(ProxyError::TooLong(5016)));
    }

    #[test]
    fn networks_contain_what_their_prefix_says() {
        let networks: Networks =
            ["10.0.0.0/8", "192.0.2.1", "fd00::/8"].iter().map(|text| text.parse().unwrap()).collect();
        let contains = |ip: &str| networks.contains(ip.parse().unwrap());
        assert!(contains("10.255.0.1") && contains("192.0.2.1") && contains("fd12::1"));
        assert!(contains("::ffff:10.0.0.1"));
        assert!(!contains("11.0.0.1") && !contains("192.0.2.2") && !contains("fe80::1"));
        let mapped: Networks = ["::ffff:192.0.2.0/120".parse().unwrap()].into_iter().collect();
        assert!(
            mapped.contains("192.0.2.7".parse().unwrap()) && !mapped.contains("192.0.3.7".parse().unwrap())
        );
        assert!("0.0.0.0/0".parse::<Network>().unwrap().contains("1.2.3.4".parse().unwrap()));
        for nonsense in
            ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/+8", "10.0.0.0/", "host", "::ffff:10.0.0.1/0"]
        {
            assert!(nonsense.parse::<Network>().is_err(), "{nonsense:?}");
        }
    }
}
