//! Certificates and keys from files, and their replacement while the server runs.

use super::names::Names;
use super::validity::not_after;
use jackfield_runtime::{Tasks, clock};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{Error as TlsError, InconsistentKeys, RootCertStore};
use std::fmt;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

/// Bytes of a PEM file; what is larger is not one.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// A certificate that ends sooner than this is worth a warning: renewals are due well before.
const EXPIRES_SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);
const DAY: u64 = 24 * 60 * 60;

/// A certificate and its key, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate and those between it and its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl CertificateFiles {
    /// Reads them only to see whether they can be used, and for how long.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn check(&self) -> Result<Lasts, CertificateError> {
        read(self).map(|read| read.lasts)
    }

    /// Who may read the key, as far as its file says; of a file that is not there, nobody.
    #[must_use]
    pub fn key_readers(&self) -> Readers {
        let mode = std::fs::metadata(&self.key).map_or(0, |found| found.mode());
        if mode & 0o004 == 0 { Readers::Some } else { Readers::Everybody }
    }
}

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Its owner, and its group perhaps.
    Some,
    /// Every user of the machine.
    Everybody,
}

/// Reads authorities only to see whether they can be used.
///
/// # Errors
/// [`CertificateError`].
pub fn check_authorities(path: &Path) -> Result<(), CertificateError> {
    let pem = read_file(path, Blame::Certificate)?;
    let mut roots = RootCertStore::empty();
    for certificate in chain(path, &pem)? {
        roots.add(certificate).map_err(|source| CertificateError::Unusable {
            path: path.to_owned(),
            blame: Blame::Certificate,
            source,
        })?;
    }
    Ok(())
}

/// For how long a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasts {
    /// For long enough.
    Long,
    /// For fewer than 14 days; so many whole ones.
    Days(u64),
    /// It has expired.
    Expired,
}

/// Which of the two files is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The certificate's.
    Certificate,
    /// The key's.
    Key,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Which of the two.
        blame: Blame,
        /// What the kernel said.
        source: io::Error,
    },
    /// The file has no certificate, or a broken one.
    #[error("{} has no certificate that can be read{hint}", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
        /// What may be the matter; empty or with a colon before it.
        hint: &'static str,
    },
    /// The file has no private key, or a broken one.
    #[error("{} has no private key that can be read{hint}", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// What may be the matter; empty or with a colon before it.
        hint: &'static str,
    },
    /// The key belongs to another certificate.
    #[error("the key {} does not fit the certificate {}", files.key.display(), files.certificate.display())]
    Mismatch {
        /// The two.
        files: CertificateFiles,
    },
    /// Of a kind that is not supported.
    #[error("{} cannot be used: {source}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Which of the two.
        blame: Blame,
        /// Why.
        source: TlsError,
    },
}

impl CertificateError {
    /// Which of the two files is to blame.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::Unreadable { blame, .. } | Self::Unusable { blame, .. } => *blame,
            Self::NoCertificate { .. } => Blame::Certificate,
            Self::NoKey { .. } | Self::Mismatch { .. } => Blame::Key,
        }
    }
}

/// What reading the files again came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// Other certificates are shown from now on.
    Yes,
    /// They are the same.
    Same,
}

/// Certificates of one or more listeners. Clones are the same.
///
/// A client gets the one for the name that it asks for (SNI), and the first if it asks for none or for one that
/// nobody has. Replacing touches no connection that is there.
#[derive(Clone)]
pub struct Certificates(Arc<Inner>);

struct Inner {
    shown: RwLock<Arc<Shown>>,
    sources: Mutex<Sources>,
}

/// What clients see.
struct Shown {
    names: Names,
    all: Vec<Arc<CertifiedKey>>,
    /// Of each, when it was read.
    lasts: Vec<Lasts>,
}

/// Where it came from.
struct Sources {
    files: Vec<CertificateFiles>,
    /// How the files looked when they were last read, whatever came of it.
    read: Marks,
}

impl Certificates {
    /// Reads them. The first is the default.
    ///
    /// # Errors
    /// [`CertificateError`] of the first that cannot be used.
    pub fn load(files: Vec<CertificateFiles>) -> Result<Self, CertificateError> {
        let read = marks(&files);
        let shown = RwLock::new(Arc::new(Shown::load(&files)?));
        Ok(Self(Arc::new(Inner { shown, sources: Mutex::new(Sources { files, read }) })))
    }

    /// Reads the files again.
    ///
    /// # Errors
    /// [`CertificateError`]; then the former certificates stay.
    pub fn reload(&self) -> Result<Replaced, CertificateError> {
        let files = self.sources().files.clone();
        self.replace(files)
    }

    /// Reads these files in the place of the former ones.
    ///
    /// # Errors
    /// [`CertificateError`]; then the former certificates and files stay.
    pub fn replace(&self, files: Vec<CertificateFiles>) -> Result<Replaced, CertificateError> {
        // Before reading, so that a change in between is seen by the next look.
        let read = marks(&files);
        let mut sources = self.sources();
        if sources.files == files {
            sources.read.clone_from(&read);
        }
        let shown = Shown::load(&files)?;
        *sources = Sources { files, read };
        let mut current = self.0.shown.write().unwrap_or_else(PoisonError::into_inner);
        let same = current.chains().eq(shown.chains());
        *current = Arc::new(shown);
        Ok(if same { Replaced::Same } else { Replaced::Yes })
    }

    /// Looks at the files so often, and reads them again when they have changed and then stayed the same from one
    /// look to the next: a certificate and its key are never replaced in the same moment. Bad files leave the
    /// former certificates and are told once. Ends with the tasks.
    pub fn watch(&self, every: Duration, tasks: &Tasks) {
        let (certificates, tasks) = (self.clone(), tasks.clone());
        let watching = tasks.clone();
        drop(tasks.spawn("certificates", async move {
            let stopping = watching.stopping();
            let mut changed = None;
            while stopping.run_until_cancelled(clock::sleep(every)).await.is_some() {
                let (seen, before) = (certificates.clone(), changed.take());
                // The disk may be slow, or a network.
                let look = watching.blocking("certificates", move || seen.look(before));
                changed = look.join().await.flatten();
            }
        }));
    }

    /// One look; returns how the files are if they have changed and are to be looked at once more.
    fn look(&self, before: Option<Marks>) -> Option<Marks> {
        let (files, read) = {
            let sources = self.sources();
            (sources.files.clone(), sources.read.clone())
        };
        let now = marks(&files);
        if now == read {
            return None;
        }
        if before.as_ref() != Some(&now) {
            return Some(now);
        }
        match self.reload() {
            Ok(Replaced::Yes) => {
                tracing::info!("The certificates have been replaced");
                self.warn_of_ends();
            }
            Ok(Replaced::Same) => {}
            Err(error) => tracing::error!(%error, "A certificate cannot be read, the former ones stay"),
        }
        None
    }

    /// Logs which of them have expired or will soon.
    fn warn_of_ends(&self) {
        let files = self.sources().files.clone();
        for (files, lasts) in files.iter().zip(&self.shown().lasts) {
            let path = files.certificate.display();
            match lasts {
                Lasts::Long => {}
                Lasts::Days(days) => tracing::warn!(%path, days, "A certificate expires soon"),
                Lasts::Expired => tracing::warn!(%path, "A certificate has expired"),
            }
        }
    }

    fn shown(&self) -> Arc<Shown> {
        Arc::clone(&self.0.shown.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.0.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("files", &self.sources().files).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.shown();
        let named = hello.server_name().and_then(|name| shown.names.find(name));
        named.or(shown.all.first()).cloned()
    }
}

impl Shown {
    fn load(files: &[CertificateFiles]) -> Result<Self, CertificateError> {
        let (mut names, mut all, mut lasts) = (Names::default(), Vec::new(), Vec::new());
        for files in files {
            let read = read(files)?;
            let key = Arc::new(read.key);
            names.add(&read.names, &key);
            all.push(key);
            lasts.push(read.lasts);
        }
        Ok(Self { names, all, lasts })
    }

    fn chains(&self) -> impl Iterator<Item = &[CertificateDer<'static>]> {
        self.all.iter().map(|key| &*key.cert)
    }
}

/// A certificate as it was read.
struct Found {
    key: CertifiedKey,
    /// Its host names, lower-case.
    names: Vec<String>,
    lasts: Lasts,
}

fn read(files: &CertificateFiles) -> Result<Found, CertificateError> {
    let certificate_pem = read_file(&files.certificate, Blame::Certificate)?;
    let key_pem = read_file(&files.key, Blame::Key)?;
    let chain = chain(&files.certificate, &certificate_pem)?;
    let key = PrivateKeyDer::from_pem_slice(&key_pem)
        .map_err(|_broken| CertificateError::NoKey { path: files.key.clone(), hint: hint(&key_pem) })?;
    let key = ring::sign::any_supported_type(&key).map_err(|source| CertificateError::Unusable {
        path: files.key.clone(),
        blame: Blame::Key,
        source,
    })?;
    let unusable = |source| CertificateError::Unusable {
        path: files.certificate.clone(),
        blame: Blame::Certificate,
        source,
    };
    let key = CertifiedKey::new(chain, key);
    match key.keys_match() {
        Ok(()) | Err(TlsError::InconsistentKeys(InconsistentKeys::Unknown)) => {}
        Err(TlsError::InconsistentKeys(_)) => {
            return Err(CertificateError::Mismatch { files: files.clone() });
        }
        Err(source) => return Err(unusable(source)),
    }
    let own = key.end_entity_cert().map_err(unusable)?;
    let lasts = lasts(own);
    // It was parsed before, when the key was compared.
    let parsed = webpki::EndEntityCert::try_from(own);
    let names = parsed.iter().flat_map(|parsed| parsed.valid_dns_names());
    let names = names.map(str::to_ascii_lowercase).collect();
    Ok(Found { key, names, lasts })
}

/// The certificates of a file, at least one.
fn chain(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    chain.ok_or_else(|| CertificateError::NoCertificate { path: path.to_owned(), hint: hint(pem) })
}

/// What may be the matter with a file in which nothing was found.
fn hint(pem: &[u8]) -> &'static str {
    let has = |label: &str| pem.windows(label.len()).any(|window| window == label.as_bytes());
    if has("ENCRYPTED") {
        ": the key is encrypted, and there is nobody to ask for its password"
    } else if has("-----BEGIN CERTIFICATE-----") {
        ": it has a certificate; are the two files swapped?"
    } else if has("PRIVATE KEY-----") {
        ": it has a private key; are the two files swapped?"
    } else if !has("-----BEGIN ") {
        ": it is not PEM"
    } else {
        ""
    }
}

fn lasts(certificate: &[u8]) -> Lasts {
    // What does not say its end is left to the clients.
    let Some(end) = not_after(certificate) else { return Lasts::Long };
    let now = Duration::from_micros(u64::try_from(clock::unix_now().0).unwrap_or_default());
    match end.checked_sub(now) {
        None => Lasts::Expired,
        Some(left) if left < EXPIRES_SOON => Lasts::Days(left.as_secs() / DAY),
        Some(_) => Lasts::Long,
    }
}

fn read_file(path: &Path, blame: Blame) -> Result<Vec<u8>, CertificateError> {
    let read = || -> io::Result<Vec<u8>> {
        // A pipe would wait at its opening, a device never end.
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(io::Error::other("it is larger than 1 MiB"));
        }
        Ok(bytes)
    };
    read().map_err(|source| CertificateError::Unreadable { path: path.to_owned(), blame, source })
}

/// How files look from outside: enough to see that one was written, replaced or linked to another.
type Marks = Vec<Option<Mark>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

fn marks(files: &[CertificateFiles]) -> Marks {
    let paths = files.iter().flat_map(|files| [&files.certificate, &files.key]);
    paths.map(|path| std::fs::metadata(path).ok().map(|found| Mark::of(&found))).collect()
}

impl Mark {
    fn of(found: &std::fs::Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
        }
    }
}
