//! RTMPS and HTTPS of the built server: certificates that are replaced while streams go on, names, versions.

use anyhow::{Context, Result, ensure};
use jackfield_e2e::tls::{Authority, Identity};
use jackfield_e2e::{
    Address, LogLine, Player, PlayerKind, Program, Publisher, PublisherKind, SOON, Scratch, Server,
    check_pairs, clip, compare, eventually,
};
use rustix::process::Signal;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConnection, ProtocolVersion, SupportedProtocolVersion};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;

/// An authority, and a folder with its certificate and those of the server.
struct Certificates {
    authority: Authority,
    folder: Scratch,
}

impl Certificates {
    fn new() -> Result<Self> {
        let (authority, folder) = (Authority::new()?, Scratch::new()?);
        folder.file("ca.pem", &authority.pem())?;
        Ok(Self { authority, folder })
    }

    /// Makes a new certificate for these names and puts it in the place of the former, as programs that renew them do.
    fn write(&self, name: &str, names: &[&str]) -> Result<CertificateDer<'static>> {
        let identity = self.authority.identity(names)?;
        self.put(&format!("{name}.pem"), &identity.certificate_pem())?;
        self.put(&format!("{name}.key"), &identity.key_pem())?;
        der(&identity)
    }

    fn put(&self, file: &str, text: &str) -> Result<()> {
        let new = self.folder.file("new", text)?;
        Ok(std::fs::rename(new, self.path(file))?)
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn url(&self, address: SocketAddr, key: &str) -> Address {
        Address::tls(format!("rtmps://{address}/{key}"), self.path("ca.pem"))
    }

    /// The certificate that a new client gets when it asks for this name, and the version.
    fn shown(
        &self,
        address: SocketAddr,
        name: &str,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Result<(CertificateDer<'static>, ProtocolVersion)> {
        // A client of its own for each, so that nothing is resumed.
        let name = ServerName::try_from(name.to_owned())?;
        let mut tls = ClientConnection::new(self.authority.client(versions)?, name)?;
        let mut socket = TcpStream::connect_timeout(&address, SOON)?;
        socket.set_read_timeout(Some(SOON))?;
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        let certificate =
            tls.peer_certificates().and_then(|chain| chain.first()).context("no certificate")?;
        Ok((certificate.clone().into_owned(), tls.protocol_version().context("no version")?))
    }
}

fn der(identity: &Identity) -> Result<CertificateDer<'static>> {
    Ok(CertificateDer::from_pem_slice(identity.certificate_pem().as_bytes())?)
}

/// A server whose certificate is `own`, and which looks at its files so often.
fn server(certificates: &Certificates, check: &str) -> Result<Server> {
    let table = |path: &str| certificates.path(path).display().to_string();
    let config = format!(
        "[rtmps]\nlisten = \"127.0.0.1:0\"\ncert = {:?}\nkey = {:?}\n\
         [http]\ntls_listen = \"127.0.0.1:0\"\n\
         [security]\ncertificate_check = {check:?}\n",
        table("own.pem"),
        table("own.key")
    );
    Server::builder().config(config).start()
}

const OWN: [&str; 2] = ["localhost", "127.0.0.1"];

/// What tells the server that files have changed.
#[derive(Clone, Copy, PartialEq)]
enum Told {
    BySighup,
    NotAtAll,
}

#[test]
fn certificates_are_replaced_under_load_on_sighup() -> Result<()> {
    replaced_under_load("1h", Told::BySighup)
}

#[test]
fn certificates_are_replaced_under_load_when_their_files_change() -> Result<()> {
    replaced_under_load("100ms", Told::NotAtAll)
}

fn replaced_under_load(check: &str, told: Told) -> Result<()> {
    let certificates = Certificates::new()?;
    let mut current = certificates.write("own", &OWN)?;
    let server = server(&certificates, check)?;
    let address = server.address("rtmps")?;
    let https = server.address("https")?;
    let clip = clip::standard()?;
    let keys = ["live/a", "live/b"];
    let publish = |key| PublisherKind::Ffmpeg.start(clip.path(), certificates.url(address, key));
    let publishers: Vec<Publisher> = keys.into_iter().map(publish).collect::<Result<_>>()?;
    for key in keys {
        server.events().wait_for("publish_start", SOON, |event| event.stream_key() == Some(key))?;
    }
    let play = |kind: PlayerKind, key: &str| kind.start(certificates.url(address, key));
    let mut players: Vec<Player> = vec![
        play(PlayerKind::Ffmpeg, "live/a")?,
        play(PlayerKind::Rtmp2Src, "live/a")?,
        play(PlayerKind::Rtmp2Src, "live/b")?,
    ];
    for player in &players {
        player.wait_video(5, SOON)?;
    }

    for _round in 0..3 {
        let former = std::mem::replace(&mut current, certificates.write("own", &OWN)?);
        if told == Told::BySighup {
            ensure!(certificates.shown(address, "localhost", &[&TLS13])?.0 == former, "replaced too early");
            server.signal(Signal::HUP)?;
        }
        for listener in [address, https] {
            eventually("new certificate", SOON, || {
                Ok((certificates.shown(listener, "localhost", &[&TLS13])?.0 == current).then_some(()))
            })?;
        }
        // Who comes now is served under the new one.
        let newcomer = play(PlayerKind::Rtmp2Src, "live/b")?;
        newcomer.wait_video(5, SOON)?;
        players.push(newcomer);
    }

    // A pair that does not fit leaves the last good one, and is told once.
    certificates.put("own.key", &certificates.authority.identity(&OWN)?.key_pem())?;
    let complaint = |line: &LogLine| {
        let text = format!("{line:?}");
        line.level() == "ERROR" && text.contains("does not fit the certificate")
    };
    if told == Told::BySighup {
        server.signal(Signal::HUP)?;
    }
    server.wait_log("the complaint", SOON, complaint)?;
    ensure!(certificates.shown(address, "localhost", &[&TLS13])?.0 == current);
    let last = certificates.write("own", &OWN)?;
    if told == Told::BySighup {
        server.signal(Signal::HUP)?;
    }
    eventually("last certificate", SOON, || {
        Ok((certificates.shown(address, "localhost", &[&TLS13])?.0 == last).then_some(()))
    })?;
    let complaints = server.log().read(|lines| {
        lines.iter().filter_map(|line| LogLine::parse(line)).filter(|line| complaint(line)).count()
    });
    ensure!(complaints == 1, "told {complaints} times");

    // Nobody was dropped, and nothing is missing.
    for player in players {
        let so_far = player.so_far().video.units.len();
        player.wait_video(so_far + 5, SOON)?;
        compare(clip.recording(), &player.finish()?, 10)?;
    }
    let stops = server.events().kinds(|event| event.kind() == "publish_stop")?;
    ensure!(stops.is_empty(), "a publisher was dropped");
    drop(publishers);
    check_pairs(&server.stop()?.events.all()?)
}

#[test]
fn the_certificate_is_that_of_the_name_asked_for() -> Result<()> {
    let certificates = Certificates::new()?;
    let first = certificates.write("first", &OWN)?;
    let second = certificates.write("second", &["live.example.org", "*.media.example.org"])?;
    let list = |end: &str| {
        let paths = ["first", "second"].map(|name| certificates.path(&format!("{name}.{end}")));
        format!("{paths:?}")
    };
    let server = Server::builder()
        .config(format!("[rtmps]\nlisten = \"127.0.0.1:0\"\ncert = {}\nkey = {}\n", list("pem"), list("key")))
        .start()?;
    let address = server.address("rtmps")?;
    for (name, expect) in [
        ("localhost", &first),
        ("live.example.org", &second),
        ("one.media.example.org", &second),
        // No name is sent for an address.
        ("127.0.0.1", &first),
    ] {
        ensure!(certificates.shown(address, name, &[&TLS13])?.0 == *expect, "{name}");
    }
    server.stop()?;
    Ok(())
}

#[test]
fn a_reload_takes_other_files_and_whatever_else_is_wrong_the_new_certificate() -> Result<()> {
    let certificates = Certificates::new()?;
    let before = certificates.write("own", &OWN)?;
    let other = certificates.write("other", &OWN)?;
    let server = server(&certificates, "1h")?;
    let (address, file) = (server.address("rtmps")?, server.folder().join("jackfield.toml"));
    let shows = |expect: &CertificateDer<'static>| {
        eventually("the certificate", SOON, || {
            Ok((certificates.shown(address, "localhost", &[&TLS13])?.0 == *expect).then_some(()))
        })
    };
    shows(&before)?;
    let config = std::fs::read_to_string(&file)?;
    std::fs::write(&file, config.replace("own.", "other."))?;
    server.signal(Signal::HUP)?;
    shows(&other)?;
    // What is wrong with a hook is no reason to go on with the old certificate.
    let renewed = certificates.write("other", &OWN)?;
    std::fs::write(&file, "[[hook]]\non = \"publsh_start\"\nrun = \"true\"\n")?;
    server.signal(Signal::HUP)?;
    shows(&renewed)?;
    server.wait_log("the problem", SOON, |line| line.message().contains("former hooks stay"))?;
    let restarts = server.log().read(|lines| lines.iter().any(|line| line.contains("need a restart")));
    ensure!(!restarts, "paths of certificates need no restart");
    server.stop()?;
    Ok(())
}

#[test]
fn old_programs_are_served_by_a_listener_that_stops_at_tls_1_2() -> Result<()> {
    let certificates = Certificates::new()?;
    certificates.write("own", &OWN)?;
    let path = |file: &str| certificates.path(file).display().to_string();
    let server = Server::builder()
        .args(["--rtmps-listen", "127.0.0.1:0"])
        .args(["--tls-cert", &path("own.pem"), "--tls-key", &path("own.key")])
        .config("[[rtmps]]\n[[rtmps]]\nlisten = \"127.0.0.1:0\"\ntls_max = \"1.2\"\n")
        .start()?;
    let addresses = server.log().wait("both listeners", SOON, |lines| {
        let lines = lines.iter().filter_map(|line| LogLine::parse(line));
        let listening = lines.filter(|line| line.field("proto") == Some("rtmps"));
        let addresses: Vec<SocketAddr> =
            listening.filter_map(|line| line.field("addr")?.parse().ok()).collect();
        <[SocketAddr; 2]>::try_from(addresses).ok()
    })?;
    let both = [&TLS13, &TLS12];
    let versions = addresses.map(|address| certificates.shown(address, "localhost", &both));
    let [newer, older] = versions.map(|shown| shown.map(|(_, version)| version));
    ensure!((newer?, older?) == (ProtocolVersion::TLSv1_3, ProtocolVersion::TLSv1_2));
    ensure!(certificates.shown(addresses[1], "localhost", &[&TLS13]).is_err(), "1.3 on the listener of 1.2");

    let clip = clip::standard()?;
    let _publisher =
        PublisherKind::RtmpSink.start(clip.path(), certificates.url(addresses[1], "live/show"))?;
    server.events().wait_for("publish_start", SOON, |event| event.data("protocol") == Some("rtmps"))?;
    let play = |kind: PlayerKind, address| kind.start(certificates.url(address, "live/show"));
    // gstreamer misplaces the very first picture: who comes after the first group does not see it.
    play(PlayerKind::Rtmpdump, addresses[1])?.wait_video(30, SOON)?;
    let player = play(PlayerKind::Rtmpdump, addresses[1])?;
    let other = play(PlayerKind::Ffmpeg, addresses[0])?;
    for player in [player, other] {
        player.wait_video(25, SOON)?;
        compare(clip.recording(), &player.finish()?, 25)?;
    }
    server.stop()?;
    Ok(())
}

#[test]
fn an_attempt_to_renegotiate_ends_that_connection_only() -> Result<()> {
    let certificates = Certificates::new()?;
    certificates.write("own", &OWN)?;
    let server = server(&certificates, "1h")?;
    let address = server.address("rtmps")?;
    // A line that is `R` alone has it renegotiate.
    let command = format!("printf 'R\\n' | openssl s_client -connect {address} -tls1_2");
    let finished = Program::new("bash").args(["-c", &command]).run(SOON)?;
    let said = format!("{finished:?}");
    ensure!(said.contains("RENEGOTIATING"), "{said}");
    server.events().wait_for("connection_close", SOON, |_| true)?;
    certificates.shown(address, "localhost", &[&TLS12])?;
    server.stop()?;
    Ok(())
}

#[test]
fn https_speaks_both_versions_of_http() -> Result<()> {
    let certificates = Certificates::new()?;
    certificates.write("own", &OWN)?;
    let server = server(&certificates, "1h")?;
    let url = format!("https://{}/api/v1/health", server.address("https")?);
    let ca = certificates.path("ca.pem").display().to_string();
    for (flag, version) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let finished = Program::new("curl")
            .args(["-sS", flag, "--cacert", &ca, "-w", "\n%{http_version} %{http_code}\n", &url])
            .run(SOON)?;
        ensure!(finished.stdout == format!("{{\"status\":\"ok\"}}\n{version} 200"), "{finished:?}");
    }
    server.stop()?;
    Ok(())
}
