//! The service behind TLS: the same behaviour, and peers that speak something else.

use crate::kit::{Client, Handler, Server, Setup, Stream, audio, keyframe, later, soon};
use jackfield_events::EventType;
use jackfield_hub::HubConfig;
use jackfield_media::TrackKind;
use jackfield_net::tls::{CertificateFiles, Certificates, ServerTls, TlsMax, Within};
use jackfield_runtime::Tasks;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

/// A server with a listener for clear text and one for TLS.
struct Behind {
    server: Server,
    client: Arc<ClientConfig>,
    tasks: Tasks,
}

impl Behind {
    fn start(setup: Setup) -> Self {
        let (tls, certificate) = listener(TlsMax::Tls13);
        let mut setup = setup;
        setup.rtmp.listen_tls = vec![("127.0.0.1:0".parse().unwrap(), tls)];
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { server: Server::with(setup), client: Arc::new(client), tasks: Tasks::new() }
    }

    fn addr(&self) -> SocketAddr {
        self.server.running.addrs()[1]
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr()).await.unwrap()
    }

    async fn handshake(&self, socket: TcpStream) -> TlsStream<TcpStream> {
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::clone(&self.client)).connect(name, socket).await.unwrap()
    }

    /// An address that leads through TLS to the server, for one client that knows nothing of it.
    async fn tunnel(&self) -> SocketAddr {
        self.tunnel_after(b"").await
    }

    async fn over(&self, over: Over) -> SocketAddr {
        match over {
            Over::Tcp => self.server.addr(),
            Over::Tls => self.tunnel().await,
        }
    }

    /// The same, with these bytes before the handshake.
    async fn tunnel_after(&self, before: &[u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut socket = self.connect().await;
        socket.write_all(before).await.unwrap();
        let mut stream = self.handshake(socket).await;
        drop(self.tasks.spawn("tunnel", async move {
            let (mut client, _) = listener.accept().await.unwrap();
            // An end without close_notify is an error here, and the client finds out by a reset.
            if tokio::io::copy_bidirectional(&mut client, &mut stream).await.is_err() {
                reset_at_close(&client);
            }
        }));
        addr
    }
}

#[derive(Clone, Copy)]
enum Over {
    Tcp,
    Tls,
}

/// Has the close of this socket be a reset.
fn reset_at_close(socket: &TcpStream) {
    rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO)).unwrap();
}

fn listener(max: TlsMax) -> (ServerTls, CertificateDer<'static>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let id = std::process::id();
    let path = |end: &str| std::env::temp_dir().join(format!("jackfield-rtmps-{id}-{:p}.{end}", &key));
    let files = CertificateFiles { certificate: path("pem"), key: path("key") };
    std::fs::write(&files.certificate, certificate.pem()).unwrap();
    std::fs::write(&files.key, key.serialize_pem()).unwrap();
    let certificates = Certificates::load(vec![files.clone()]).unwrap();
    std::fs::remove_file(&files.certificate).unwrap();
    std::fs::remove_file(&files.key).unwrap();
    (ServerTls::new(&certificates, max, Within::Unnamed).unwrap(), certificate.der().clone())
}

#[tokio::test]
async fn media_is_the_same_on_both_sides_of_tls() {
    let behind = Behind::start(Setup::default());
    let stream = Stream::of(2);
    for (publishes, plays) in [(Over::Tls, Over::Tls), (Over::Tls, Over::Tcp), (Over::Tcp, Over::Tls)] {
        let (from, to) = (behind.over(publishes).await, behind.over(plays).await);
        let (mut publisher, id) = Client::publishing(from, "show").await;
        let (first, rest) = stream.messages.split_at(3);
        publisher.send(id, first).await;
        let (mut player, _) = Client::playing(to, "show").await;
        let head = player.messages(first.len()).await;
        publisher.send(id, rest).await;
        let mut got = head;
        got.extend(player.messages(rest.len()).await);
        let bodies = |kind: TrackKind| -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
            let sent = stream.messages.iter().filter(|(of, ..)| *of == kind);
            let got = got.iter().filter(|(of, ..)| *of == kind);
            (sent.map(|(.., body)| body.clone()).collect(), got.map(|(.., body)| body.to_vec()).collect())
        };
        for kind in [TrackKind::Video, TrackKind::Audio] {
            let (sent, got) = bodies(kind);
            assert!(sent == got, "{kind:?}");
        }
        drop((publisher, player));
        behind.server.quiet().await;
    }
}

#[tokio::test]
async fn events_say_that_it_was_tls() {
    let behind = Behind::start(Setup::default());
    let (publisher, _) = Client::publishing(behind.tunnel().await, "show").await;
    let events = &behind.server.events;
    assert_eq!(events.first("connection_accept").await.data("protocol"), "rtmps");
    let handshake = events.first("handshake_complete").await;
    assert_eq!((handshake.data("protocol"), handshake.data("tls")), (&"rtmps".into(), &true.into()));
    assert_eq!(events.first("publish_start").await.data("protocol"), "rtmps");
    drop(publisher);
    behind.server.quiet().await;
}

#[tokio::test]
async fn a_refusal_and_the_end_after_it_reach_the_client() {
    let handler = Handler::new(Handler::deny("Pay first."));
    let behind = Behind::start(Setup::default().decides(EventType::AuthorizePublish, &handler));
    let mut client = Client::connected(behind.tunnel().await).await;
    let stream = client.stream().await;
    let status = client.publish(stream, "show").await;
    assert_eq!((&*status.code, &*status.description), ("NetStream.Publish.BadName", "Pay first."));
    // Cleanly: an end without close_notify would have been a reset.
    assert_eq!(client.socket.read(&mut [0; 1]).await.unwrap(), 0);
    drop(client);
    behind.server.quiet().await;
}

#[tokio::test]
async fn a_stop_says_farewell_through_tls_and_to_handshakes_under_way() {
    let behind = Behind::start(Setup::default());
    let (mut publisher, id) = Client::publishing(behind.tunnel().await, "show").await;
    publisher.send(id, &Stream::of(1).messages).await;
    let mut stalled = behind.connect().await;
    stalled.write_all(&[22, 3, 1]).await.unwrap();
    behind.server.events.nth("connection_accept", 2).await;
    let (left, codes) =
        tokio::join!(behind.server.running.stop(later(Duration::from_secs(10))), publisher.until_closed());
    assert_eq!(left, 0);
    assert_eq!(codes.last().unwrap(), "NetConnection.Connect.Closed");
    assert_eq!(stalled.read(&mut [0; 1]).await.unwrap_or(0), 0);
    behind.server.quiet().await;
}

#[tokio::test]
async fn a_player_that_does_not_read_is_ended_and_slows_nobody() {
    let hub = HubConfig {
        queue_bytes: 256 << 10,
        queue: Duration::from_secs(60),
        slow: Duration::from_millis(50),
        ..HubConfig::default()
    };
    let behind = Behind::start(Setup { hub, ..Setup::default() });
    let server = &behind.server;
    let (mut publisher, stream) = Client::publishing(server.addr(), "show").await;
    publisher.send(stream, &[(TrackKind::Video, 0, keyframe(0, 10))]).await;
    let (mut slow, _) = Client::playing(behind.tunnel().await, "show").await;
    let (mut quick, _) = Client::playing(behind.tunnel().await, "show").await;
    slow.message().await;
    assert_eq!(quick.message().await.2, keyframe(0, 10));
    let mut number = 0;
    let stop = loop {
        number += 1;
        publisher.send(stream, &[(TrackKind::Video, number * 40, keyframe(number, 400_000))]).await;
        let (.., body) = quick.message().await;
        assert!(body == keyframe(number, 400_000), "the quick one misses nothing");
        if server.events.count("play_stop") > 0 {
            break server.events.first("play_stop").await;
        }
    };
    assert_eq!(stop.data("reason"), "slow_subscriber");
    drop(slow);
}

#[tokio::test]
async fn what_is_not_tls_is_closed_at_once_and_counted() {
    let behind = Behind::start(Setup::default());
    let mut rtmp = vec![3; 1537];
    rtmp[5..9].fill(0);
    let cut_off: &[u8] = &[22, 3, 1, 255, 255, 1, 2, 3];
    for (number, input) in [&rtmp[..], b"GET / HTTP/1.1\r\n\r\n", cut_off].into_iter().enumerate() {
        let mut socket = behind.connect().await;
        socket.write_all(input).await.unwrap();
        let mut said = Vec::new();
        drop(soon("the close", socket.read_to_end(&mut said)).await);
        // At most an alert.
        assert!(said.is_empty() || said[0] == 21, "{said:?}");
        let close = behind.server.events.nth("connection_close", number + 1).await;
        assert_eq!(close.data("reason"), "protocol_error");
    }
    assert_eq!(behind.server.running.counters().bad_tls, 3);
    assert_eq!(behind.server.running.counters().garbage, 0);
    // And clear text that is not RTMP behind TLS is garbage, as it is without.
    let socket = behind.connect().await;
    let mut stream = behind.handshake(socket).await;
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    drop(soon("the close", stream.read(&mut [0; 1])).await);
    behind.server.events.nth("connection_close", 4).await;
    assert_eq!(behind.server.running.counters().garbage, 1);
    behind.server.quiet().await;
}

#[tokio::test]
async fn both_handshakes_have_one_deadline() {
    let mut setup = Setup::default();
    setup.rtmp.session.handshake_timeout = Duration::from_millis(300);
    let behind = Behind::start(setup);
    let mut silent = behind.connect().await;
    let mut begun = behind.connect().await;
    begun.write_all(&[22, 3, 1, 2]).await.unwrap();
    let socket = behind.connect().await;
    let mut shaken = behind.handshake(socket).await;
    shaken.write_all(&[3]).await.unwrap();
    for (number, read) in
        [silent.read(&mut [0; 1]).await, begun.read(&mut [0; 1]).await].into_iter().enumerate()
    {
        assert_eq!(read.unwrap_or(0), 0);
        let close = behind.server.events.nth("connection_close", number + 1).await;
        assert_eq!(close.data("reason"), "timeout");
    }
    // S0 and S1 come as soon as C0 has; then nothing more.
    let mut said = Vec::new();
    drop(soon("the close", shaken.read_to_end(&mut said)).await);
    let close = behind.server.events.nth("connection_close", 3).await;
    assert_eq!(close.data("reason"), "timeout");
    behind.server.quiet().await;
}

#[tokio::test]
async fn a_proxys_header_comes_before_the_handshake() {
    let mut setup = Setup::default();
    setup.rtmp.trusted_proxies = ["127.0.0.0/8".parse().unwrap()].into_iter().collect();
    let behind = Behind::start(setup);
    let header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x07\xc6\x33\x64\x01\xc8\x22\x07\x90";
    let (mut publisher, id) = Client::publishing(behind.tunnel_after(header).await, "show").await;
    publisher.send(id, &Stream::of(1).messages).await;
    let accept = behind.server.events.first("connection_accept").await;
    assert_eq!(accept.data("client_ip"), "203.0.113.7");
    assert_eq!(accept.data("protocol"), "rtmps");
    // Without a header the proxy itself is the client.
    let (mut player, _) = Client::playing(behind.tunnel().await, "show").await;
    while player.message().await.2 != audio(9) {}
}
