//! What the listeners with TLS agree to: every version and every suite that there has been is offered alone, by bytes of
//! our own, since clients of today cannot offer the old ones any more.

use anyhow::{Context, Result, ensure};
use jackfield_e2e::tls::Authority;
use jackfield_e2e::{SOON, Scratch, Server};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// RFC 8446 §4.2.1: versions as they are on the wire.
const SSL_3: u16 = 0x0300;
const TLS_1_0: u16 = 0x0301;
const TLS_1_1: u16 = 0x0302;
const TLS_1_2: u16 = 0x0303;
const TLS_1_3: u16 = 0x0304;

/// TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, …AES_256_GCM_SHA384 (RFC 5289), …CHACHA20_POLY1305_SHA256 (RFC 7905).
const SUITES_OF_1_2: [u16; 3] = [0xc02b, 0xc02c, 0xcca9];
/// TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256 (RFC 8446 §B.4).
const SUITES_OF_1_3: [u16; 3] = [0x1301, 0x1302, 0x1303];
/// Alerts (RFC 8446 §6): handshake_failure and protocol_version.
const REFUSALS: [u8; 2] = [40, 70];

/// What a server said first.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// It goes on, with this suite.
    Hello(u16),
    /// It refuses.
    Alert(u8),
}

/// A ClientHello (RFC 8446 §4.1.2) of this version, with these suites; 1.3 is asked for by an extension.
fn hello(version: u16, suites: &[u16]) -> Vec<u8> {
    let words = |list: &[u16]| list.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    let counted =
        |list: Vec<u8>| [&u16::try_from(list.len()).unwrap_or(u16::MAX).to_be_bytes()[..], &list].concat();
    let extension = |kind: u16, body: Vec<u8>| [&kind.to_be_bytes()[..], &counted(body)].concat();
    let mut extensions = [
        // supported_groups: x25519 and secp256r1; ec_point_formats: uncompressed.
        extension(10, counted(words(&[29, 23]))),
        extension(11, vec![1, 0]),
        // signature_algorithms: ecdsa_secp256r1_sha256, rsa_pss_rsae_sha256, rsa_pkcs1_sha256.
        extension(13, counted(words(&[0x0403, 0x0804, 0x0401]))),
    ]
    .concat();
    if version == TLS_1_3 {
        // supported_versions, and a key_share of x25519: the base point, which is as good as any.
        extensions.extend(extension(43, [&[2][..], &words(&[TLS_1_3])].concat()));
        let point = [&[9][..], &[0; 31]].concat();
        extensions.extend(extension(51, counted([words(&[29]), counted(point)].concat())));
    }
    let legacy = version.min(TLS_1_2).to_be_bytes();
    let body = [&legacy[..], &[7; 32], &[0], &counted(words(suites)), &[1, 0], &counted(extensions)].concat();
    let handshake = [&[1, 0][..], &counted(body)].concat();
    [&[0x16, 3, 1][..], &counted(handshake)].concat()
}

fn offer(server: SocketAddr, version: u16, suites: &[u16]) -> Result<Said> {
    let mut socket = TcpStream::connect_timeout(&server, SOON)?;
    socket.set_read_timeout(Some(SOON))?;
    socket.write_all(&hello(version, suites))?;
    let mut head = [0; 7];
    socket.read_exact(&mut head).with_context(|| format!("an answer to {version:04x} {suites:04x?}"))?;
    if head[0] == 0x15 {
        return Ok(Said::Alert(head[6]));
    }
    ensure!(head[0] == 0x16 && head[5] == 2, "neither ServerHello nor alert: {head:02x?}");
    // Two more bytes of the length, version, random, session id, suite.
    let mut rest = [0; 2 + 2 + 32 + 1];
    socket.read_exact(&mut rest)?;
    let mut after = vec![0; usize::from(rest[36]) + 2];
    socket.read_exact(&mut after)?;
    let suite = after.last_chunk::<2>().context("the suite")?;
    Ok(Said::Hello(u16::from_be_bytes(*suite)))
}

/// All suites that have had a number: those of SSL and TLS up to 1.2, of elliptic curves, of ChaCha20, and of 1.3.
fn all_suites() -> impl Iterator<Item = u16> {
    let classes = [0x0001..=0x00ff, 0x1301..=0x1305, 0xc001..=0xc0ff, 0xcca8..=0xccae];
    // The two that mean something else: renegotiation and fallback (RFC 5746, RFC 7507).
    classes.into_iter().flatten().filter(|suite| ![0x00ff, 0x5600].contains(suite))
}

fn secure() -> Result<(Server, Scratch)> {
    let folder = Scratch::new()?;
    let identity = Authority::new()?.identity(&["localhost"])?;
    let certificate = folder.file("cert.pem", &identity.certificate_pem())?;
    let key = folder.file("key.pem", &identity.key_pem())?;
    let server = Server::builder()
        .log_level("info")
        .config("[http]\ntls_listen = [\"127.0.0.1:0\"]\n")
        .args(["--rtmps-listen", "127.0.0.1:0"])
        .args(["--tls-cert".into(), certificate.into_os_string()])
        .args(["--tls-key".into(), key.into_os_string()])
        .start()?;
    Ok((server, folder))
}

#[test]
fn nothing_before_tls_1_2_is_agreed_to() -> Result<()> {
    let (server, _folder) = secure()?;
    let all: Vec<u16> = all_suites().collect();
    for proto in ["rtmps", "https"] {
        let address = server.address(proto)?;
        for version in [SSL_3, TLS_1_0, TLS_1_1] {
            let said = offer(address, version, &all)?;
            ensure!(
                matches!(said, Said::Alert(alert) if REFUSALS.contains(&alert)),
                "{version:04x}: {said:?}"
            );
        }
        for (version, suites) in [(TLS_1_2, SUITES_OF_1_2), (TLS_1_3, SUITES_OF_1_3)] {
            let said = offer(address, version, &all)?;
            ensure!(matches!(said, Said::Hello(suite) if suites.contains(&suite)), "{version:04x}: {said:?}");
        }
    }
    server.stop().map(drop)
}

#[test]
fn only_suites_with_forward_secrecy_and_authenticated_encryption_are_agreed_to() -> Result<()> {
    let (server, _folder) = secure()?;
    let address = server.address("rtmps")?;
    for (version, expect) in [(TLS_1_2, SUITES_OF_1_2), (TLS_1_3, SUITES_OF_1_3)] {
        let mut agreed = vec![];
        for suite in all_suites() {
            match offer(address, version, &[suite])? {
                Said::Hello(chosen) => {
                    ensure!(chosen == suite, "{chosen:04x} in the place of {suite:04x}");
                    agreed.push(suite);
                }
                Said::Alert(alert) => ensure!(REFUSALS.contains(&alert), "{suite:04x}: alert {alert}"),
            }
        }
        ensure!(agreed == expect, "{version:04x}: {agreed:04x?}");
    }
    server.stop().map(drop)
}
