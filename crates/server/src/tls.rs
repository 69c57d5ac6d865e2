//! The certificates of the listeners: made once, replaced by a reload and when their files change.

use crate::config::{Config, TlsVersionWord};
use crate::start::StartError;
use jackfield_net::ListenAddr;
use jackfield_net::tls::{
    CertificateError, CertificateFiles, Certificates, Replaced, ServerTls, TlsMax, Within,
};
use jackfield_runtime::Tasks;

/// What the listeners under TLS are made of.
#[derive(Debug, Default)]
pub(crate) struct Tls {
    /// One for all listeners that show the same, so that each file is read, and complained of, once.
    certificates: Vec<Certificates>,
    /// Which of them each `[[rtmps]]` shows, and `[http]` after them; `None` where nobody listens.
    shows: Vec<Option<usize>>,
    /// RTMPS.
    pub(crate) rtmps: Vec<(ListenAddr, ServerTls)>,
    /// HTTPS.
    pub(crate) https: Vec<(ListenAddr, ServerTls)>,
}

impl Tls {
    /// Reads the certificates and watches their files.
    pub(crate) fn start(config: &Config, tasks: &Tasks) -> Result<Self, StartError> {
        let mut tls = Self::default();
        let mut all = Vec::new();
        for table in &config.rtmps {
            let max = match table.tls_max {
                TlsVersionWord::Tls12 => TlsMax::Tls12,
                TlsVersionWord::Tls13 => TlsMax::Tls13,
            };
            let files = config.rtmps_certificates(table);
            let listeners = tls.listeners(&mut all, &table.listen, files, max, Within::Unnamed)?;
            tls.rtmps.extend(listeners);
        }
        let (listen, files) = (&config.http.tls_listen, config.http_certificates());
        tls.https = tls.listeners(&mut all, listen, files, TlsMax::Tls13, Within::Http)?;
        for certificates in &tls.certificates {
            certificates.watch(config.security.certificate_check, tasks);
        }
        Ok(tls)
    }

    /// The listeners of one table; `all` are the files of `certificates`.
    fn listeners(
        &mut self,
        all: &mut Vec<Vec<CertificateFiles>>,
        listen: &[ListenAddr],
        files: Vec<CertificateFiles>,
        max: TlsMax,
        within: Within,
    ) -> Result<Vec<(ListenAddr, ServerTls)>, StartError> {
        if listen.is_empty() {
            self.shows.push(None);
            return Ok(Vec::new());
        }
        let index = match all.iter().position(|known| *known == files) {
            Some(index) => index,
            None => {
                self.certificates.push(Certificates::load(files.clone())?);
                all.push(files);
                all.len() - 1
            }
        };
        self.shows.push(Some(index));
        let certificates = self.certificates.get(index).expect("invariant: one for each list of files");
        let tls = ServerTls::new(certificates, max, within)?;
        Ok(listen.iter().map(|addr| (*addr, tls.clone())).collect())
    }

    /// Reads the certificates that the configuration names now. Those that cannot be read stay as they were.
    pub(crate) fn reload(&self, config: &Config) {
        let rtmps = config.rtmps.iter().map(|table| config.rtmps_certificates(table));
        let named: Vec<_> = rtmps.chain([config.http_certificates()]).collect();
        // Another number of tables needs a restart, and is told elsewhere.
        if named.len() != self.shows.len() {
            return self.read_again();
        }
        for (index, certificates) in self.certificates.iter().enumerate() {
            let shown = self.shows.iter().zip(&named).filter(|(shows, _)| **shows == Some(index));
            let mut files = shown.map(|(_, files)| files);
            let Some(first) = files.next() else { continue };
            if files.any(|files| files != first) {
                tracing::warn!("Listeners that showed the same certificates need a restart to show others");
                tell(certificates.reload());
            } else if !first.is_empty() {
                tell(certificates.replace(first.clone()));
            }
        }
    }

    /// Reads the same files again: what else is wrong with the configuration is no reason to show old certificates.
    pub(crate) fn read_again(&self) {
        for certificates in &self.certificates {
            // If one of these is what is wrong, it has been told.
            if let Ok(replaced) = certificates.reload() {
                tell(Ok(replaced));
            }
        }
    }
}

fn tell(replaced: Result<Replaced, CertificateError>) {
    match replaced {
        Ok(Replaced::Yes) => tracing::info!("The certificates have been replaced"),
        Ok(Replaced::Same) => {}
        Err(error) => tracing::error!(%error, "A certificate cannot be read, the former ones stay"),
    }
}
