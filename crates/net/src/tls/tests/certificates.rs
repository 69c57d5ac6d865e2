//! Which certificate a client gets, and what becomes of files that change.

use super::*;
use jackfield_runtime::{Tasks, clock};
use std::time::Duration;

/// The certificate that a client gets under this name, whatever it thinks of it.
async fn shown(tls: &ServerTls, all: &[CertificateDer<'static>], name: &str) -> CertificateDer<'static> {
    #[derive(Debug)]
    struct Any(Arc<rustls::crypto::CryptoProvider>);
    impl rustls::client::danger::ServerCertVerifier for Any {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: rustls::pki_types::UnixTime,
        ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
            Ok(rustls::client::danger::ServerCertVerified::assertion())
        }
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            rustls::crypto::verify_tls12_signature(
                message,
                cert,
                dss,
                &self.0.signature_verification_algorithms,
            )
        }
        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            rustls::crypto::verify_tls13_signature(
                message,
                cert,
                dss,
                &self.0.signature_verification_algorithms,
            )
        }
        fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }
    let mut client = ClientConfig::clone(&trusting(all));
    client.dangerous().set_certificate_verifier(Arc::new(Any(Arc::new(ring::default_provider()))));
    // A resumed session shows none.
    client.resumption = rustls::client::Resumption::disabled();
    let (client, _server) = shaken(tls, &Arc::new(client), name).await.unwrap();
    client.get_ref().1.peer_certificates().unwrap()[0].clone()
}

fn tls(certificates: &Certificates) -> ServerTls {
    ServerTls::new(certificates, TlsMax::Tls13, Within::Unnamed).unwrap()
}

#[tokio::test]
async fn the_certificate_is_that_of_the_name_asked_for_and_else_the_first() {
    let folder = Folder::new("names");
    let (first, first_der) = folder.certificate("first", &["localhost", "127.0.0.1"]);
    let (wild, wild_der) = folder.certificate("wild", &["*.example.org", "Example.com"]);
    let (exact, exact_der) = folder.certificate("exact", &["live.example.org", "localhost"]);
    let all = [first_der.clone(), wild_der.clone(), exact_der.clone()];
    let tls = tls(&Certificates::load(vec![first, wild, exact]).unwrap());
    for (name, expect) in [
        ("localhost", &first_der),
        ("live.example.org", &exact_der),
        ("LIVE.Example.org", &exact_der),
        ("other.example.org", &wild_der),
        ("example.com", &wild_der),
        ("a.b.example.org", &first_der),
        ("example.org", &first_der),
        ("elsewhere.net", &first_der),
        // An address is no name: clients send none.
        ("127.0.0.1", &first_der),
    ] {
        assert_eq!(&shown(&tls, &all, name).await, expect, "{name}");
    }
}

#[tokio::test]
async fn new_connections_see_the_replaced_certificate_and_old_ones_go_on() {
    let folder = Folder::new("replaced");
    let (files, before) = folder.certificate("c", &["localhost"]);
    let certificates = Certificates::load(vec![files]).unwrap();
    let tls = tls(&certificates);
    let (mut client, server) = shaken(&tls, &trusting(&[before]), "localhost").await.unwrap();
    assert_eq!(certificates.reload().unwrap(), Replaced::Same);
    let (_files, after) = folder.certificate("c", &["localhost"]);
    assert_eq!(certificates.reload().unwrap(), Replaced::Yes);
    assert_eq!(shown(&tls, &[], "localhost").await, after);
    socket::exchange(&mut client, &server, b"still here").await;
}

#[tokio::test]
async fn a_bad_file_leaves_the_former_certificates() {
    let folder = Folder::new("bad");
    let (files, before) = folder.certificate("c", &["localhost"]);
    let certificates = Certificates::load(vec![files.clone()]).unwrap();
    folder.put("c.pem", "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n");
    let error = certificates.reload().unwrap_err();
    assert!(matches!(error, CertificateError::Unusable { blame: Blame::Certificate, .. }), "{error}");
    assert_eq!(shown(&tls(&certificates), &[], "localhost").await, before);
    std::fs::remove_file(&files.key).unwrap();
    certificates.reload().unwrap_err();
    assert_eq!(shown(&tls(&certificates), &[], "localhost").await, before);
}

#[test]
fn each_thing_that_can_be_wrong_is_named_with_its_file() {
    let folder = Folder::new("wrong");
    let (good, _) = folder.certificate("good", &["localhost"]);
    let (other, _) = folder.certificate("other", &["localhost"]);
    let empty = folder.put("empty", "");
    let locked = folder
        .put("locked", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    let weird = folder.put("weird", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    let check = |certificate: &Path, key: &Path, blame: Blame, expect: &str| {
        let files = CertificateFiles { certificate: certificate.to_owned(), key: key.to_owned() };
        let error = files.check().unwrap_err();
        let text = error.to_string().replace(&folder.0.display().to_string(), "@");
        assert!(text.starts_with(expect), "{text}");
        assert_eq!(error.blame(), blame, "{text}");
    };
    let (cert, key) = (&good.certificate, &good.key);
    use Blame::{Certificate, Key};
    check(&folder.path("none"), key, Certificate, "cannot read @/none: No such file");
    check(cert, &folder.0, Key, "cannot read @: it is not a file");
    check(&empty, key, Certificate, "@/empty has no certificate that can be read: it is not PEM");
    check(
        key,
        cert,
        Certificate,
        "@/good.key has no certificate that can be read: it has a private key; are",
    );
    check(cert, cert, Key, "@/good.pem has no private key that can be read: it has a certificate; are");
    check(cert, &locked, Key, "@/locked has no private key that can be read: the key is encrypted");
    check(cert, &weird, Key, "@/weird cannot be used: ");
    check(cert, &other.key, Key, "the key @/other.key does not fit the certificate @/good.pem");
    assert_eq!(good.check().unwrap(), Lasts::Long);
    check_authorities(cert).unwrap();
    assert!(matches!(check_authorities(key), Err(CertificateError::NoCertificate { .. })));
    let garbled = folder.put("garbled", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert!(matches!(check_authorities(&garbled), Err(CertificateError::Unusable { .. })));
}

#[test]
fn a_certificate_says_how_long_it_lasts() {
    let folder = Folder::new("lasts");
    let check = |days: i64, expect: Lasts| {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let now = Duration::from_micros(u64::try_from(clock::unix_now().0).unwrap());
        let start = rcgen::date_time_ymd(1970, 1, 1);
        params.not_after = start + now + Duration::from_secs(3600);
        params.not_after = match u64::try_from(days) {
            Ok(days) => params.not_after + Duration::from_secs(days * 86_400),
            Err(_) => params.not_after - Duration::from_secs(days.unsigned_abs() * 86_400),
        };
        let key = rcgen::KeyPair::generate().unwrap();
        let files = CertificateFiles {
            certificate: folder.put("c", &params.self_signed(&key).unwrap().pem()),
            key: folder.put("k", &key.serialize_pem()),
        };
        assert_eq!(files.check().unwrap(), expect, "{days}");
    };
    check(90, Lasts::Long);
    check(14, Lasts::Long);
    check(13, Lasts::Days(13));
    check(0, Lasts::Days(0));
    check(-1, Lasts::Expired);
}

#[tokio::test]
async fn files_that_change_are_read_without_being_told() {
    let folder = Folder::new("watched");
    let (files, _) = folder.certificate("c", &["localhost"]);
    let certificates = Certificates::load(vec![files]).unwrap();
    let tasks = Tasks::new();
    certificates.watch(Duration::from_millis(5), &tasks);
    let tls = tls(&certificates);
    // Half of a pair first, as it is when somebody copies one after the other.
    let (_files, after) = folder.certificate("c", &["localhost"]);
    let seen = async { while shown(&tls, &[], "localhost").await != after {} };
    assert!(clock::until(clock::now().after(Duration::from_secs(20)), seen).await.is_some());
    assert_eq!(tasks.stop(clock::now().after(Duration::from_secs(5))).await, 0);
}
