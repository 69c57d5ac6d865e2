//! The certificates of the listeners: made once, replaced by a reload and when their files change.

use crate::config::{Config, RtmpsTable, TlsVersionWord};
use crate::start::StartError;
use jackfield_net::ListenAddr;
use jackfield_net::tls::{
    CertificateError, CertificateFiles, Certificates, Replaced, ServerTls, TlsMax, Within,
};
use jackfield_runtime::Tasks;

/// What the listeners under TLS are made of.
#[derive(Debug)]
pub(crate) struct Tls {
    /// Of each `[[rtmps]]` and of `[http]`; `None` where no listener shows any.
    certificates: Vec<Option<Certificates>>,
    /// RTMPS.
    pub(crate) rtmps: Vec<(ListenAddr, ServerTls)>,
    /// HTTPS.
    pub(crate) https: Vec<(ListenAddr, ServerTls)>,
}

impl Tls {
    /// Reads the certificates and watches their files.
    pub(crate) fn start(config: &Config, tasks: &Tasks) -> Result<Self, StartError> {
        let mut tls = Self { certificates: Vec::new(), rtmps: Vec::new(), https: Vec::new() };
        for table in &config.rtmps {
            let max = match table.tls_max {
                TlsVersionWord::Tls12 => TlsMax::Tls12,
                TlsVersionWord::Tls13 => TlsMax::Tls13,
            };
            let certificates = load(&table.listen, config.rtmps_certificates(table))?;
            for (addr, certificates) in pairs(&table.listen, certificates.as_ref()) {
                tls.rtmps.push((addr, ServerTls::new(certificates, max, Within::Unnamed)?));
            }
            tls.certificates.push(certificates);
        }
        let listen = &config.http.tls_listen;
        let certificates = load(listen, config.http_certificates())?;
        for (addr, certificates) in pairs(listen, certificates.as_ref()) {
            tls.https.push((addr, ServerTls::new(certificates, TlsMax::Tls13, Within::Http)?));
        }
        tls.certificates.push(certificates);
        for certificates in tls.certificates.iter().flatten() {
            certificates.watch(config.security.certificate_check, tasks);
        }
        Ok(tls)
    }

    /// Reads the certificates that the configuration names now. Those that cannot be read stay as they were.
    pub(crate) fn reload(&self, config: &Config) {
        let rtmps = config.rtmps.iter().map(|table: &RtmpsTable| config.rtmps_certificates(table));
        let files: Vec<_> = rtmps.chain([config.http_certificates()]).collect();
        // Another number of tables needs a restart, and is told elsewhere.
        if files.len() == self.certificates.len() {
            for (certificates, files) in self.certificates.iter().zip(files) {
                if let Some(certificates) = certificates.as_ref().filter(|_| !files.is_empty()) {
                    tell(certificates.replace(files));
                }
            }
        }
    }

    /// Reads the same files again: what else is wrong with the configuration is no reason to show old certificates.
    pub(crate) fn read_again(&self) {
        for certificates in self.certificates.iter().flatten() {
            // If one of these is what is wrong, it has been told.
            if let Ok(replaced) = certificates.reload() {
                tell(Ok(replaced));
            }
        }
    }
}

fn load(
    listen: &[ListenAddr],
    files: Vec<CertificateFiles>,
) -> Result<Option<Certificates>, CertificateError> {
    if listen.is_empty() { Ok(None) } else { Certificates::load(files).map(Some) }
}

fn pairs<'a>(
    listen: &'a [ListenAddr],
    certificates: Option<&'a Certificates>,
) -> impl Iterator<Item = (ListenAddr, &'a Certificates)> {
    listen.iter().copied().zip(std::iter::repeat(certificates)).filter_map(|(addr, some)| Some((addr, some?)))
}

fn tell(replaced: Result<Replaced, CertificateError>) {
    match replaced {
        Ok(Replaced::Yes) => tracing::info!("The certificates have been replaced"),
        Ok(Replaced::Same) => {}
        Err(error) => tracing::error!(%error, "A certificate cannot be read, the former ones stay"),
    }
}
