//! How many clients are let in, as configured and as there is room for.

use crate::config::Config;
use jackfield_net::proxy::Networks;
use jackfield_sessions::{ConnectionLimits, ConnectionRate, Exempt};
use std::num::NonZeroU32;
use std::sync::Arc;

/// Connections to the listener of metrics, and those of one address: there are few who scrape.
const MAX_SCRAPES: usize = 64;
const MAX_SCRAPES_PER_ADDRESS: usize = 16;
/// Descriptors for all that is no connection of a client.
const SPARE_DESCRIPTORS: u64 = 2048;

/// Raises the descriptor limit, and says how many connections fit under it: one that finds no descriptor
/// would wait in the kernel, unseen.
pub(crate) fn room_for_connections(config: &Config) -> usize {
    let wanted = config.server.max_connections;
    let limit = match jackfield_net::raise_descriptor_limit() {
        Ok(None) => return wanted,
        Ok(Some(limit)) => limit,
        Err(error) => {
            tracing::warn!(%error, "Cannot raise the descriptor limit");
            return wanted;
        }
    };
    let room = usize::try_from(limit - SPARE_DESCRIPTORS.min(limit / 4)).unwrap_or(usize::MAX);
    if room < wanted {
        tracing::info!(limit, connections = room, "The descriptor limit bounds the connections");
    }
    room.min(wanted)
}

/// Of media, of which there is room for so many.
pub(crate) fn media(config: &Config, max_total: usize) -> ConnectionLimits {
    ConnectionLimits {
        max_total,
        max_per_address: config.server.max_connections_per_address,
        rate_per_address: rate(config.server.max_connection_rate_per_address),
        exempt: exempt(config),
    }
}

/// Of the API and the console.
pub(crate) fn http(config: &Config) -> ConnectionLimits {
    ConnectionLimits {
        max_total: config.http.max_connections,
        max_per_address: config.http.max_connections_per_address,
        rate_per_address: rate(config.http.max_connection_rate_per_address),
        exempt: exempt(config),
    }
}

/// Of metrics on a listener of their own.
pub(crate) fn metrics(config: &Config) -> ConnectionLimits {
    ConnectionLimits { max_total: MAX_SCRAPES, max_per_address: MAX_SCRAPES_PER_ADDRESS, ..http(config) }
}

fn rate(per_second: u32) -> Option<ConnectionRate> {
    NonZeroU32::new(per_second).map(ConnectionRate::per_second)
}

/// Behind these many clients look like one.
fn exempt(config: &Config) -> Exempt {
    let proxies = proxies(config);
    Arc::new(move |address| address.is_loopback() || proxies.contains(address))
}

/// The networks whose connections begin with a PROXY header.
pub(crate) fn proxies(config: &Config) -> Networks {
    config.security.trusted_proxies.iter().map(|proxy| proxy.network).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flags, ProxyNetwork};

    #[test]
    fn one_address_takes_not_all_connections_of_http_and_proxies_and_the_loopback_may() {
        let mut config = Config::load(&Flags::default(), []).expect("the defaults are valid");
        config.security.trusted_proxies = vec![ProxyNetwork {
            text: "10.0.0.0/8".to_owned(),
            network: "10.0.0.0/8".parse().expect("a network"),
        }];
        for limits in [http(&config), metrics(&config)] {
            assert!((1..limits.max_total).contains(&limits.max_per_address), "{limits:?}");
            assert!(limits.rate_per_address.is_some(), "{limits:?}");
            for (address, counts) in
                [("203.0.113.7", true), ("127.0.0.1", false), ("::1", false), ("10.1.2.3", false)]
            {
                let counted = limits.origin(address.parse().expect("an address"));
                assert_eq!(counted.is_some(), counts, "{address}");
            }
        }
    }
}
