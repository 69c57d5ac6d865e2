//! Peers of the listeners with TLS that stall, speak something else, or leave without a word.

mod clients;
mod floods;

use super::{Raw, noise};
use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::{Client, configurations, picture};
use jackfield_e2e::tls::Authority;
use jackfield_e2e::{
    Farewell, LogLine, Player, PlayerKind, Program, Publisher, PublisherKind, SOON, Scratch, Server,
    check_pairs, clip, compare, eventually, forget_peak, peak_kib, resident_kib, tunnel,
};
use rustix::process::Signal;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Pictures that the bystanders get.
const PICTURES: usize = 40;
/// What one peer may take of the server's memory, and what many may that do nothing.
const FLAT_KIB: u64 = 8 * 1024;

/// A server that listens with TLS too, with a certificate of our own authority.
struct Secure {
    server: Server,
    rtmps: SocketAddr,
    https: SocketAddr,
    authority: Authority,
    // Last, so that it goes after the server that reads it.
    _folder: Scratch,
}

impl Secure {
    /// `config` must have no table `[http]`.
    fn start(config: &str) -> Result<Self> {
        let folder = Scratch::new()?;
        let authority = Authority::new()?;
        let identity = authority.identity(&["localhost", "127.0.0.1"])?;
        let certificate = folder.file("cert.pem", &identity.certificate_pem())?;
        let key = folder.file("key.pem", &identity.key_pem())?;
        let server = Server::builder()
            .log_level("info")
            .config(format!("{config}\n[http]\ntls_listen = [\"127.0.0.1:0\"]\n"))
            .args(["--rtmps-listen", "127.0.0.1:0"])
            .args(["--tls-cert".into(), certificate.into_os_string()])
            .args(["--tls-key".into(), key.into_os_string()])
            .start()?;
        let address = |proto: &str| {
            let line = server.wait_log(&format!("`Listening` with proto={proto}"), SOON, |line| {
                line.message() == "Listening" && line.field("proto") == Some(proto)
            })?;
            line.field("addr").and_then(|addr| addr.parse().ok()).context("an address")
        };
        let (rtmps, https) = (address("rtmps")?, address("https")?);
        Ok(Self { server, rtmps, https, authority, _folder: folder })
    }

    /// A client over TLS, connected.
    fn client(&self, farewell: Farewell) -> Result<Client> {
        let config = self.authority.client(rustls::ALL_VERSIONS)?;
        Client::connect(tunnel(self.rtmps, config, farewell)?, "live").context("a client over TLS")
    }

    /// Clients like any others publish, with and without TLS.
    fn clients_get_through(&self, name: &str) -> Result<()> {
        self.client(Farewell::CloseNotify)?.publish(&format!("{name}-tls"))?;
        super::a_client_gets_through(&self.server, name).map(drop)
    }

    /// A publisher over TLS and a player, to be undisturbed until [`Bystanders::check`].
    fn bystanders(&self) -> Result<Bystanders> {
        let url = format!("rtmps://{}/live/show", self.rtmps);
        let publisher = PublisherKind::Ffmpeg.start(clip::standard()?.path(), &url)?;
        self.server
            .events()
            .wait_for("publish_start", SOON, |event| event.stream_key() == Some("live/show"))?;
        let player = PlayerKind::Rtmpdump.start(&self.server.url("live/show"))?;
        player.wait_video(1, SOON)?;
        Ok(Bystanders { _publisher: publisher, player })
    }
}

struct Bystanders {
    _publisher: Publisher,
    player: Player,
}

impl Bystanders {
    /// They have missed nothing.
    fn check(self) -> Result<()> {
        self.player.wait_video(PICTURES, SOON)?;
        compare(clip::standard()?.recording(), &self.player.finish()?, PICTURES).map(drop)
    }
}

/// RFC 8446 §4.1.2: the first bytes of a ClientHello that says it has 508 more.
fn half_a_client_hello() -> Vec<u8> {
    [&b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"[..], &noise(1, 100)].concat()
}

/// A third says nothing, a third half a ClientHello, a third a byte a second; half of each to either listener.
const STALLED: usize = 600;

#[test]
fn handshakes_that_stall_hold_up_nobody_and_end_at_the_deadline() -> Result<()> {
    let secure = Secure::start("")?;
    let server = &secure.server;
    secure.clients_get_through("before")?;
    let bystanders = secure.bystanders()?;
    let (descriptors, before) = (server.descriptors()?, resident_kib(server.pid())?);
    forget_peak(server.pid())?;

    let listener = |peer: usize| if peer.is_multiple_of(2) { secure.rtmps } else { secure.https };
    let mut peers = (0..STALLED).map(|peer| Raw::to(listener(peer))).collect::<Result<Vec<_>>>()?;
    for peer in peers.iter_mut().skip(1).step_by(3) {
        peer.say(&half_a_client_hello());
    }
    let (end, ended) = channel::<()>();
    std::thread::scope(|scope| {
        let slow =
            peers.iter().skip(2).step_by(3).map(|peer| peer.0.try_clone()).collect::<Result<Vec<_>, _>>()?;
        scope.spawn(move || {
            for byte in half_a_client_hello() {
                for mut socket in &slow {
                    socket.write_all(&[byte]).unwrap_or_default();
                }
                if ended.recv_timeout(Duration::from_secs(1)) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        secure.clients_get_through("beside")?;
        ensure!(server.descriptors()? > descriptors + STALLED / 2, "the peers had gone before");
        for peer in &mut peers {
            peer.wait_closed()?;
        }
        drop(end);
        anyhow::Ok(())
    })?;
    eventually("descriptors as before", SOON, || Ok((server.descriptors()? <= descriptors).then_some(())))?;
    let grown = peak_kib(server.pid())?.saturating_sub(before);
    ensure!(grown < 2 * FLAT_KIB, "the server grew by {grown} KiB");
    bystanders.check()?;
    check_pairs(&secure.server.stop()?.events.all()?)
}

/// No deadline of the server closes anything before the test has given up.
const PATIENT: &str = "[rtmp]\nhandshake_timeout = \"1m\"\n";

#[test]
fn who_speaks_no_tls_is_closed_at_once_and_a_few_lines_say_so() -> Result<()> {
    let secure = Secure::start(PATIENT)?;
    let server = &secure.server;
    let bystanders = secure.bystanders()?;
    let rtmp = [&b"\x03\0\0\0\0\0\0\0\0"[..], &noise(2, 1528)].concat();
    let http = b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec();
    // A record of 2¹⁶-1 bytes, where 2¹⁴ and a little are allowed (RFC 8446 §5.1).
    let huge = [&b"\x16\x03\x01\xff\xff"[..], &noise(3, 0xffff)].concat();
    // A handshake message of 2²⁴-1 bytes in records as long as may be (§4).
    let record = [&b"\x16\x03\x01\x40\x00"[..], &[0; 0x4000]].concat();
    let mut endless = record.repeat(1024);
    endless.splice(5..9, *b"\x01\xff\xff\xff");
    let peers = [
        ("RTMP", rtmp.clone()),
        ("HTTP", http),
        ("noise", [&b"\xff"[..], &noise(4, 20_000)].concat()),
        ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        ("a huge record", huge),
        ("an endless ClientHello", endless),
        ("records without content", b"\x16\x03\x01\0\0".repeat(100_000)),
        ("changes of the cipher", b"\x14\x03\x03\0\x01\x01".repeat(100_000)),
        ("an alert", b"\x15\x03\x01\0\x02\x02\x28".to_vec()),
        ("application data", b"\x17\x03\x03\0\x05hello".to_vec()),
        ("SSL 3.0", b"\x16\x03\0\0\x2f\x01\0\0\x2b\x03\0".iter().copied().chain(noise(5, 41)).collect()),
        ("SSL 2.0", [&b"\x80\x2e\x01\x03\x01\0\x15\0\0\0\x10"[..], &noise(6, 37)].concat()),
    ];
    for (name, bytes) in &peers {
        for (listener, address) in [("rtmps", secure.rtmps), ("https", secure.https)] {
            forget_peak(server.pid())?;
            let before = resident_kib(server.pid())?;
            let mut peer = Raw::to(address)?;
            peer.say(bytes);
            peer.wait_closed().with_context(|| format!("{name} to {listener}"))?;
            let grown = peak_kib(server.pid())?.saturating_sub(before);
            ensure!(grown < FLAT_KIB, "{name} to {listener}: the server grew by {grown} KiB");
        }
    }
    // The other way round: TLS on the ports without.
    for address in [server.rtmp(), server.http()] {
        let mut peer = Raw::to(address)?;
        peer.say(&half_a_client_hello());
        peer.wait_closed().context("TLS without TLS")?;
    }
    secure.clients_get_through("after")?;
    bystanders.check()?;
    let ended = secure.server.stop()?;
    check_pairs(&ended.events.all()?)?;
    let warnings =
        ended.log.iter().filter_map(|line| LogLine::parse(line)).filter(|line| line.level() == "WARN");
    let warnings: Vec<_> = warnings.collect();
    // One for each way to be wrong, and not one for each peer.
    ensure!((1..=4).contains(&warnings.len()), "{warnings:#?}");
    Ok(())
}

#[test]
fn a_publisher_over_tls_that_vanishes_in_mid_stream_has_stopped() -> Result<()> {
    let secure = Secure::start("")?;
    let clip = clip::standard()?;
    let descriptors = secure.server.descriptors()?;
    // Our client's socket is closed without `close_notify`; ffmpeg is killed while it sends.
    let mut client = secure.client(Farewell::Silence)?;
    let stream = client.publish("silent")?;
    for media in configurations(&clip) {
        client.send(stream, &media)?;
    }
    for number in 0..50 {
        client.send(stream, &picture(number, 1000))?;
    }
    let events = secure.server.events();
    events.wait_for("media_start", SOON, |event| event.stream_key() == Some("live/silent"))?;
    drop(client);
    let publisher =
        PublisherKind::Ffmpeg.start(clip.path(), &format!("rtmps://{}/live/killed", secure.rtmps))?;
    events.wait_for("media_start", SOON, |event| event.stream_key() == Some("live/killed"))?;
    publisher.program().signal(Signal::KILL)?;

    for key in ["live/silent", "live/killed"] {
        let stop = events.wait_for("publish_stop", SOON, |event| event.stream_key() == Some(key))?;
        ensure!(stop.number("video_packets").is_some_and(|packets| packets > 0), "{}", stop.json());
    }
    // Whatever was on its way has come: a cut is no reason to lose what was sent before.
    let stop = events.wait_for("publish_stop", SOON, |event| event.stream_key() == Some("live/silent"))?;
    ensure!(stop.number("video_packets") >= Some(50), "{}", stop.json());
    eventually("descriptors as before", SOON, || {
        Ok((secure.server.descriptors()? <= descriptors).then_some(()))
    })?;
    secure.clients_get_through("after")?;
    check_pairs(&secure.server.stop()?.events.all()?)
}

#[test]
fn who_ends_the_handshake_of_tls_and_says_no_more_is_closed_at_the_deadline() -> Result<()> {
    let secure = Secure::start("[rtmp]\nhandshake_timeout = \"2s\"\n")?;
    let config = secure.authority.client(rustls::ALL_VERSIONS)?;
    let mut peers = vec![];
    for words in [&b""[..], b"\x03", b"\x03\0\0\0\0\0\0\0\0and so on"] {
        let mut peer = Raw::to(tunnel(secure.rtmps, config.clone(), Farewell::CloseNotify)?)?;
        peer.say(words);
        peers.push(peer);
    }
    for peer in &mut peers {
        peer.wait_closed()?;
    }
    let timeouts = |lines: &[String]| {
        let timeout = |line: &&String| line.contains("\"connection_close\"") && line.contains("\"timeout\"");
        (lines.iter().filter(timeout).count() == 3).then_some(())
    };
    secure.server.events().lines().wait("timeout of each", SOON, timeouts)?;
    secure.clients_get_through("after")?;
    check_pairs(&secure.server.stop()?.events.all()?)
}

#[test]
fn an_attempt_to_renegotiate_ends_that_connection_at_most() -> Result<()> {
    let secure = Secure::start(PATIENT)?;
    let bystanders = secure.bystanders()?;
    let mut openssl = Program::new("openssl")
        .args(["s_client", "-tls1_2", "-connect", &secure.rtmps.to_string()])
        .with_stdin()
        .start()?;
    openssl.stdout().wait("end of the handshake", SOON, |lines| {
        lines.iter().any(|line| line.contains("Verify return code")).then_some(())
    })?;
    let mut stdin = openssl.take_stdin().context("standard input")?;
    // A line that is `R` and nothing else has it renegotiate.
    stdin.write_all(b"R\n")?;
    openssl
        .stderr()
        .wait("attempt to renegotiate", SOON, |lines| {
            lines.iter().any(|line| line.contains("RENEGOTIATING")).then_some(())
        })
        .or_else(|_| {
            openssl.stdout().wait("attempt to renegotiate", SOON, |lines| {
                lines.iter().any(|line| line.contains("RENEGOTIATING")).then_some(())
            })
        })?;
    let status = openssl.wait(SOON).context("openssl was let renegotiate, or waits")?;
    ensure!(!status.success(), "openssl ended well");
    secure.clients_get_through("after")?;
    bystanders.check()?;
    check_pairs(&secure.server.stop()?.events.all()?)
}
