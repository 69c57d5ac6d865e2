//! Names become addresses here and nowhere else.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The system's resolver. URLs of the configuration file and the command line are the operator's: they may
/// lead anywhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses: Addrs = Box::new(addresses.collect::<Vec<_>>().into_iter());
            Ok(addresses)
        })
    }
}
