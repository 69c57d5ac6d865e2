//! Listeners under TLS and their certificates.

use super::*;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

/// A folder with certificates: `a` and `b` with their keys, `old` that has expired, and files that are none.
struct Pems(Folder);

impl Pems {
    fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        let put = |file: &str, text: &str| std::fs::write(folder.0.join(file), text).unwrap();
        for (name, year) in [("a", 2999), ("b", 2999), ("old", 2001)] {
            let key = rcgen::KeyPair::generate().unwrap();
            let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.not_before = rcgen::date_time_ymd(2000, 1, 1);
            params.not_after = rcgen::date_time_ymd(year, 1, 1);
            put(&format!("{name}.pem"), &params.self_signed(&key).unwrap().pem());
            put(&format!("{name}.key"), &key.serialize_pem());
        }
        put("none.pem", "nothing");
        let pems = Self(folder);
        for name in ["a", "b", "old"] {
            pems.permit(&format!("{name}.key"), 0o640);
        }
        pems
    }

    fn permit(&self, file: &str, mode: u32) {
        std::fs::set_permissions(self.path(file), Permissions::from_mode(mode)).unwrap();
    }

    fn load(&self, text: &str, given: &[(&str, &str)]) -> Result<Config, Problems> {
        load_with(text, &self.0.0, &[], given)
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.0.join(file)
    }

    /// Each problem as `line:column: title (label)`.
    fn check(&self, text: &str, expect: &[&str]) {
        let problems = match self.load(text, &[]) {
            Ok(config) => config.warnings,
            Err(problems) => problems,
        };
        let folder = format!("{}/", self.0.0.display());
        let lines: Vec<String> =
            problems.lines().map(|line| line.replace(&folder, "").replace("j.toml:", "")).collect();
        assert_eq!(lines, expect, "{text}");
    }
}

#[test]
fn a_listener_under_tls_shows_its_own_certificates_or_those_of_the_first() {
    let pems = Pems::new("tls-own");
    let text = "[server]\ndata_dir = \"/d\"\n[[rtmps]]\nlisten = \":1936\"\ncert = [\"a.pem\", \"b.pem\"]\nkey = [\"a.key\", \"b.key\"]\n\
                [[rtmps]]\nlisten = \":1937\"\ntls_max = \"1.2\"\n\
                [[rtmps]]\nlisten = \":1938\"\ncert = \"b.pem\"\nkey = \"b.key\"\n\
                [http]\ntls_listen = \":8443\"\n";
    let config = pems.load(text, &[]).unwrap();
    let shown = |files: Vec<jackfield_net::tls::CertificateFiles>| -> Vec<PathBuf> {
        files.into_iter().map(|files| files.certificate).collect()
    };
    let both = vec![pems.path("a.pem"), pems.path("b.pem")];
    let of = |index: usize| shown(config.rtmps_certificates(&config.rtmps[index]));
    assert_eq!((of(0), of(1), of(2)), (both.clone(), both.clone(), vec![pems.path("b.pem")]));
    assert_eq!(shown(config.http_certificates()), both);
    assert_eq!(config.rtmps[1].tls_max, TlsVersionWord::Tls12);
    // The print-out of several reads back as itself.
    let again = config.to_toml();
    assert_eq!(pems.load(&again, &[]).unwrap().to_toml(), again);
}

#[test]
fn flags_give_rtmps_and_https_their_certificate() {
    let pems = Pems::new("tls-flags");
    let (cert, key) = (pems.path("a.pem"), pems.path("a.key"));
    let given = [
        ("rtmps-listen", "127.0.0.1:0"),
        ("tls-cert", cert.to_str().unwrap()),
        ("tls-key", key.to_str().unwrap()),
    ];
    let config = pems.load("[http]\ntls_listen = \":0\"\n", &given).unwrap();
    assert_eq!(config.rtmps.len(), 1);
    assert_eq!(config.rtmps[0].listen.len(), 1);
    assert_eq!(config.http_certificates()[0].certificate, cert);
}

#[test]
fn what_is_wrong_with_certificates_is_told_at_its_place() {
    let pems = Pems::new("tls-wrong");
    let needs = "a TLS listener without a certificate (has nothing to show to its clients)";
    pems.check("[rtmps]\nlisten = \":1936\"\n", &[&format!("2:10: {needs}")]);
    pems.check("[http]\ntls_listen = \":8443\"\n", &[&format!("2:14: {needs}")]);
    let together = "(a certificate and its key belong together)";
    pems.check("[rtmps]\ncert = \"a.pem\"\n", &[&format!("2:1: `cert` without `key` {together}")]);
    pems.check("[http]\nkey = \"a.key\"\n", &[&format!("2:1: `key` without `cert` {together}")]);
    pems.check(
        "[rtmps]\ncert = [\"a.pem\", \"b.pem\"]\nkey = \"a.key\"\n",
        &["3:1: 2 certificates and 1 keys (must be as many, in the same order)"],
    );
    pems.check(
        "[rtmps]\ncert = [\"a.pem\", \"none.pem\"]\nkey = [\"b.key\", \"b.key\"]\n",
        &[
            "2:18: none.pem has no certificate that can be read: it is not PEM (must be a certificate as PEM)",
            "3:8: the key b.key does not fit the certificate a.pem (belongs to another certificate)",
        ],
    );
    pems.check(
        "[rtmps]\ncert = \"a.pen\"\nkey = \"none.pem\"\n",
        &["2:8: a.pen does not exist (no such file)"],
    );
    pems.check(
        "[rtmps]\ncert = \"a.key\"\nkey = \"a.pem\"\n",
        &["2:8: a.key has no certificate that can be read: it has a private key; are the two files swapped? \
           (must be a certificate as PEM)"],
    );
    pems.check(
        "[rtmps]\ncert = \"old.pem\"\nkey = \"old.key\"\n",
        &["2:8: the certificate has expired (clients will not believe it)"],
    );
    pems.check("rtmps = [3]\n", &["1:10: expected a table, found an integer (write [[rtmps]])"]);
    pems.check(
        "[[rtmps]]\n[[rtmps]]\nlisen = \":1\"\n",
        &["3:1: unknown key `lisen` ([rtmps] has no such key)"],
    );
    // A pipe that nobody writes to holds up nothing.
    rustix::fs::mkfifoat(rustix::fs::CWD, pems.path("pipe"), 0o600.into()).unwrap();
    pems.check("[rtmps]\ncert = \"a.pem\"\nkey = \"pipe\"\n", &["3:7: pipe is not a file (must be a file)"]);
    let near = pems.load("[rtmps]\ncert = \"a.pen\"\nkey = \"a.key\"\n", &[]).unwrap_err();
    assert!(near.to_string().contains("did you mean `a.pem`?"), "{near}");
}

#[test]
fn a_key_that_everybody_can_read_is_warned_of_and_one_that_is_not_supported_told() {
    let pems = Pems::new("tls-keys");
    pems.permit("b.key", 0o644);
    let text = "[rtmps]\ncert = [\"a.pem\", \"b.pem\"]\nkey = [\"a.key\", \"b.key\"]\n";
    let open = "every user of this machine can read the key (is to be kept from everybody but the server)";
    pems.check(text, &[&format!("3:17: {open}")]);
    let warned = pems.load(text, &[]).unwrap().warnings.to_string();
    assert!(warned.contains("chmod o-r "), "{warned}");

    // Of X25519, which signs nothing.
    let other = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VuBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n\
                 -----END PRIVATE KEY-----\n";
    std::fs::write(pems.path("b.key"), other).unwrap();
    pems.permit("b.key", 0o600);
    let problem = pems.load(text, &[]).unwrap_err().to_string();
    assert!(
        problem.contains("b.key cannot be used") && problem.contains("Ed25519 or RSA (2048"),
        "{problem}"
    );
}

#[test]
fn the_pem_files_of_a_webhook_are_read_too() {
    let pems = Pems::new("tls-webhook");
    let hook = "[[hook]]\non = \"publish_start\"\nurl = \"https://h\"\n";
    pems.check(&format!("{hook}ca = \"a.pem\"\ncert = \"b.pem\"\nkey = \"b.key\"\n"), &[]);
    pems.check(
        &format!("{hook}ca = \"none.pem\"\ncert = \"b.pem\"\nkey = \"a.key\"\n"),
        &[
            "4:6: none.pem has no certificate that can be read: it is not PEM (must be a certificate as PEM)",
            "6:7: the key a.key does not fit the certificate b.pem (belongs to another certificate)",
        ],
    );
}
