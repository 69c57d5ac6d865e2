//! Checks of the listeners under TLS: that each has certificates, and that they can be used.

use super::problem::Severity;
use super::program;
use super::source::{At, Node, Raw};
use super::table::Given;
use super::tables::{HookTable, HttpTable, RtmpsTable};
use super::value::{Reading, split_commas};
use jackfield_net::tls::{Blame, CertificateError, CertificateFiles, Lasts, Readers, check_authorities};
use std::path::{Path, PathBuf};

impl RtmpsTable {
    /// Its certificates; none where it has those of the first table.
    fn own_certificates(&self) -> Vec<CertificateFiles> {
        pairs(&self.cert, &self.key)
    }
}

impl super::Config {
    /// The certificates of an `[[rtmps]]`.
    #[must_use]
    pub fn rtmps_certificates(&self, table: &RtmpsTable) -> Vec<CertificateFiles> {
        let own = table.own_certificates();
        if own.is_empty() { self.default_certificates() } else { own }
    }

    /// The certificates of HTTPS.
    #[must_use]
    pub fn http_certificates(&self) -> Vec<CertificateFiles> {
        let own = pairs(&self.http.cert, &self.http.key);
        if own.is_empty() { self.default_certificates() } else { own }
    }

    fn default_certificates(&self) -> Vec<CertificateFiles> {
        self.rtmps.first().map(RtmpsTable::own_certificates).unwrap_or_default()
    }
}

fn pairs(cert: &[PathBuf], key: &[PathBuf]) -> Vec<CertificateFiles> {
    let files = |(certificate, key): (&PathBuf, &PathBuf)| CertificateFiles {
        certificate: certificate.clone(),
        key: key.clone(),
    };
    cert.iter().zip(key).map(files).collect()
}

/// Checks the last of these `[[rtmps]]`.
pub(super) fn check_rtmps(given: &Given, tables: &[RtmpsTable], cx: &mut Reading) {
    let Some((table, before)) = tables.split_last() else { return };
    let fallback = before.first().is_some_and(|first| !first.cert.is_empty());
    let listener = (!table.listen.is_empty()).then_some("listen");
    check(given, &Shown { listener, cert: &table.cert, key: &table.key, fallback }, cx);
}

/// Checks `[http]`.
pub(super) fn check_http(given: &Given, table: &HttpTable, rtmps: &[RtmpsTable], cx: &mut Reading) {
    let fallback = rtmps.first().is_some_and(|first| !first.cert.is_empty());
    let listener = (!table.tls_listen.is_empty()).then_some("tls_listen");
    check(given, &Shown { listener, cert: &table.cert, key: &table.key, fallback }, cx);
}

/// What one table shows to its clients.
struct Shown<'a> {
    /// The key with its addresses, if it has any.
    listener: Option<&'static str>,
    cert: &'a [PathBuf],
    key: &'a [PathBuf],
    /// Whether another table's certificates stand in.
    fallback: bool,
}

fn check(given: &Given, shown: &Shown<'_>, cx: &mut Reading) {
    let keys = [("cert", "key", shown.cert, shown.key), ("key", "cert", shown.key, shown.cert)];
    for (there, missing, some, none) in keys {
        if let (false, true, Some(at)) = (some.is_empty(), none.is_empty(), given.key_at(there).cloned()) {
            let label = "a certificate and its key belong together";
            let _none: Option<()> = cx.refuse(&at, format!("`{there}` without `{missing}`"), label);
            return;
        }
    }
    if shown.cert.len() != shown.key.len() {
        if let Some(at) = given.key_at("key").cloned() {
            let title = format!("{} certificates and {} keys", shown.cert.len(), shown.key.len());
            let _none: Option<()> = cx.refuse(&at, title, "must be as many, in the same order");
        }
        return;
    }
    if let (Some(listener), true, false) = (shown.listener, shown.cert.is_empty(), shown.fallback)
        && let Some(at) = given.value(listener).map(|value| value.at.clone())
    {
        let help = "set `cert` and `key` of [rtmps] (`--tls-cert`, `--tls-key`)".to_owned();
        let title = "a TLS listener without a certificate";
        cx.note(Severity::Error, &at, title, "has nothing to show to its clients", Some(help));
    }
    for (index, files) in pairs(shown.cert, shown.key).iter().enumerate() {
        check_files(given, index, files, cx);
    }
}

/// Checks what a webhook trusts and shows.
pub(super) fn check_webhook(given: &Given, keys: &HookTable, cx: &mut Reading) {
    let ca = keys.ca.as_deref().zip(given.value("ca"));
    if let Some((path, at)) = ca.map(|(path, value)| (path, value.at.clone()))
        && let Err(error) = check_authorities(path)
    {
        refuse_files(&error, &at, cx);
    }
    match (&keys.cert, &keys.key) {
        (Some(cert), Some(key)) => {
            let files = CertificateFiles { certificate: cert.clone(), key: key.clone() };
            check_files(given, 0, &files, cx);
        }
        (Some(path), None) | (None, Some(path)) => {
            let (there, missing) = if keys.cert.is_some() { ("cert", "key") } else { ("key", "cert") };
            let at = |at: Option<&At>| at.cloned();
            if let (Some(key_at), Some(at)) =
                (at(given.key_at(there)), at(given.value(there).map(|value| &value.at)))
            {
                // Noted; all that is wrong is to be told at once.
                let _readable = program::check_readable(path, &at, cx);
                let title = format!("`{there}` without `{missing}`");
                let _none: Option<()> = cx.refuse(&key_at, title, "both or neither");
            }
        }
        (None, None) => {}
    }
}

fn check_files(given: &Given, index: usize, files: &CertificateFiles, cx: &mut Reading) {
    let Some(cert_at) = place(given, "cert", index) else { return };
    let Some(key_at) = place(given, "key", index) else { return };
    match files.check() {
        Ok(Lasts::Long) => {}
        Ok(Lasts::Days(days)) => {
            let title = format!("the certificate expires in {days} days");
            cx.note(Severity::Warning, &cert_at, title, "is to be renewed", None);
        }
        Ok(Lasts::Expired) => {
            let label = "clients will not believe it";
            cx.note(Severity::Warning, &cert_at, "the certificate has expired", label, None);
        }
        Err(error) => {
            let at = if error.blame() == Blame::Key { key_at } else { cert_at };
            return refuse_files(&error, &at, cx);
        }
    }
    if files.key_readers() == Readers::Everybody {
        let help = format!("chmod o-r {}", files.key.display());
        let label = "is to be kept from everybody but the server";
        cx.note(Severity::Warning, &key_at, "every user of this machine can read the key", label, Some(help));
    }
}

fn refuse_files(error: &CertificateError, at: &At, cx: &mut Reading) {
    let unreadable = |path: &Path, cx: &mut Reading| program::check_readable(path, at, cx).is_none();
    if let CertificateError::Unreadable { path, .. } = error
        && unreadable(path, cx)
    {
        return;
    }
    let label = match error {
        CertificateError::Mismatch { .. } => "belongs to another certificate",
        CertificateError::NoKey { .. } => "must be a private key as PEM, without a password",
        CertificateError::NoCertificate { .. } => "must be a certificate as PEM",
        CertificateError::Unusable { blame: Blame::Key, .. } => {
            "must be a key of ECDSA (P-256 or P-384), Ed25519 or RSA (2048 to 4096 bits)"
        }
        CertificateError::Unreadable { .. } | CertificateError::Unusable { .. } => "cannot be used",
    };
    let _none: Option<()> = cx.refuse(at, error.to_string(), label);
}

/// Where the n-th value of a list stands.
fn place(given: &Given, key: &str, index: usize) -> Option<At> {
    let node = given.value(key)?;
    let parts: Vec<Node> = match &node.raw {
        Raw::List(nodes) => nodes.clone(),
        _ => split_commas(node),
    };
    Some(parts.get(index).unwrap_or(node).at.clone())
}
