//! Names become addresses here and nowhere else.

use super::guard::Reach;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::SocketAddr;
use std::sync::Arc;

/// The system's resolver. What a client may not reach is left out of what a name means.
#[derive(Debug, Clone)]
pub(super) struct Resolver(pub(super) Arc<Reach>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = Arc::clone(&self.0);
        Box::pin(async move {
            let addresses = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses: Addrs = Box::new(reach.filter(addresses, SocketAddr::ip)?.into_iter());
            Ok(addresses)
        })
    }
}
