//! Which certificate belongs to which name.

use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::sync::Arc;

/// Certificates by the host names in them.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Lower-case; a wildcard with its star.
    by_name: HashMap<String, Arc<CertifiedKey>>,
}

impl Names {
    /// Adds a certificate; a name that another has already stays with that one.
    pub(super) fn add(&mut self, names: &[String], key: &Arc<CertifiedKey>) {
        for name in names {
            self.by_name.entry(name.clone()).or_insert_with(|| Arc::clone(key));
        }
    }

    /// The certificate of this host: by its whole name, else by a wildcard for its first label (RFC 9525 §6.3).
    pub(super) fn find(&self, host: &str) -> Option<&Arc<CertifiedKey>> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.by_name.get(&host).or_else(|| {
            let (_, domain) = host.split_once('.')?;
            self.by_name.get(&format!("*.{domain}"))
        })
    }
}
