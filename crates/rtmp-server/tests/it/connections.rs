//! Accepting, limits, proxies, and what is left behind.

use crate::kit::{Client, Fact, Server, Setup, Stream, audio, keyframe};
use jackfield_media::TrackKind;
use jackfield_rtmp::PublishKind;
use jackfield_rtmp_server::RtmpConfig;
use jackfield_sessions::ConnectionLimits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn several_listeners_serve_the_same_streams() {
    let mut setup = Setup::default();
    setup.rtmp.listen = vec![":0".parse().unwrap(), "127.0.0.1:0".parse().unwrap()];
    let server = Server::with(setup);
    let [any, local] = *server.running.addrs() else { panic!("two listeners") };
    let (mut publisher, stream) =
        Client::publishing((std::net::Ipv4Addr::LOCALHOST, any.port()).into(), "s").await;
    publisher.send(stream, &Stream::of(1).messages).await;
    let (mut player, _) = Client::playing(local, "s").await;
    while player.message().await.2 != audio(9) {}
    assert_eq!(server.events.first("connection_accept").await.data("client_ip"), "127.0.0.1");
}

#[tokio::test]
async fn a_taken_address_is_an_error_at_the_start() {
    let server = Server::start();
    let listen = vec!["127.0.0.1:0".parse().unwrap(), server.addr().to_string().parse().unwrap()];
    let setup = Setup::default();
    let taken = std::panic::AssertUnwindSafe(|| {
        Server::with(Setup { rtmp: RtmpConfig { listen, ..RtmpConfig::default() }, ..setup })
    });
    assert!(std::panic::catch_unwind(taken).is_err());
}

#[tokio::test]
async fn connections_over_the_limit_are_closed_and_counted() {
    let limits = ConnectionLimits { max_total: 2, ..ConnectionLimits::default() };
    let server = Server::with(Setup { limits, ..Setup::default() });
    let first = Client::connected(server.addr()).await;
    let second = Client::connected(server.addr()).await;
    let mut third = TcpStream::connect(server.addr()).await.unwrap();
    assert_eq!(third.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert_eq!(server.running.counters().over_limit, 1);
    drop(first);
    server.events.first("connection_close").await;
    let fourth = Client::connected(server.addr()).await;
    drop((second, fourth));
    server.quiet().await;
    assert_eq!(server.events.count("connection_accept"), 3);
}

/// A PROXY header that says 203.0.113.7:51234 reached 198.51.100.1:1935.
const PROXY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x07\xc6\x33\x64\x01\xc8\x22\x07\x8f";

#[tokio::test]
async fn the_client_behind_a_trusted_proxy_is_the_one_that_it_names() {
    let mut setup = Setup::default();
    setup.rtmp.trusted_proxies = ["127.0.0.0/8".parse().unwrap()].into_iter().collect();
    let server = Server::with(setup);
    let mut socket = TcpStream::connect(server.addr()).await.unwrap();
    let (first, rest) = PROXY.split_at(20);
    socket.write_all(first).await.unwrap();
    socket.write_all(rest).await.unwrap();
    let mut client = Client::over(socket, "live").await;
    client.is_connected().await;
    let accept = server.events.first("connection_accept").await;
    assert_eq!(
        (accept.data("client_ip"), accept.data("client_port")),
        (&"203.0.113.7".into(), &51_234.into())
    );
    assert_eq!(
        (accept.data("server_ip"), accept.data("server_port")),
        (&"198.51.100.1".into(), &1935.into())
    );
    // Without a header it is the proxy itself.
    let _direct = Client::connected(server.addr()).await;
    assert_eq!(server.events.nth("connection_accept", 2).await.data("client_ip"), "127.0.0.1");
    // One that only looks whether we listen is nobody's client.
    drop(TcpStream::connect(server.addr()).await.unwrap());
    let mut broken = TcpStream::connect(server.addr()).await.unwrap();
    broken.write_all(&PROXY[..15]).await.unwrap();
    broken.shutdown().await.unwrap();
    assert_eq!(broken.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert_eq!(server.running.counters().bad_proxy, 1);
    assert_eq!(server.events.count("connection_accept"), 2);
}

#[tokio::test]
async fn a_header_of_an_untrusted_peer_is_garbage() {
    let server = Server::start();
    let mut socket = TcpStream::connect(server.addr()).await.unwrap();
    socket.write_all(PROXY).await.unwrap();
    assert_eq!(socket.read(&mut [0; 1]).await.unwrap_or(0), 0);
    let close = server.events.first("connection_close").await;
    assert_eq!(
        (close.data("reason"), close.data("client_ip")),
        (&"protocol_error".into(), &"127.0.0.1".into())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_sessions_leave_nothing_behind() {
    let server = Server::start();
    // One whole round first, so that what stays for good is there.
    round(&server, 0).await;
    server.quiet().await;
    let (tasks, descriptors) = (server.tasks.count(), descriptors());
    for number in 0..200 {
        round(&server, number).await;
    }
    server.quiet().await;
    let idle = || server.tasks.count() <= tasks && self::descriptors() <= descriptors;
    crate::kit::soon("tasks and descriptors to go", async {
        while !idle() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(server.events.count("publish_stop"), 201);
}

/// A publisher and a player that leave in one of several ways.
async fn round(server: &Server, number: u32) {
    let name = format!("s{}", number % 7);
    let (mut publisher, stream) = Client::publishing(server.addr(), &name).await;
    publisher.send(stream, &Stream::of(1).messages).await;
    let (mut player, _) = Client::playing(server.addr(), &name).await;
    if number.is_multiple_of(3) {
        while player.message().await.2 != audio(9) {}
    }
    if number.is_multiple_of(2) {
        publisher.session.notify(0, "FCUnpublish", &[name.as_str().into()]);
        publisher.status("NetStream.Unpublish.Success").await;
    }
    if number.is_multiple_of(5) {
        drop(player);
        drop(publisher);
    } else {
        drop(publisher);
        player.status("NetStream.Play.Stop").await;
    }
    server.events.nth("publish_stop", server.events.count("publish_start")).await;
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Whoever leaves while the hub is being asked leaves in order, too.
#[tokio::test]
async fn a_connection_closes_after_its_sessions_have_stopped() {
    let server = Server::start();
    let (mut publisher, stream) = Client::publishing(server.addr(), "show").await;
    publisher.send(stream, &[(TrackKind::Video, 0, keyframe(0, 10))]).await;
    server.events.first("media_start").await;
    for number in 0..20 {
        let mut player = Client::connected(server.addr()).await;
        let stream = player.stream().await;
        player.session.play(stream, "show");
        player.flush().await;
        drop(player);
        let mut publisher = Client::connected(server.addr()).await;
        let stream = publisher.stream().await;
        publisher.session.publish(stream, &format!("show-{number}"), PublishKind::Live);
        publisher.flush().await;
    }
    drop(publisher);
    server.quiet().await;
    let late = server.events.wait("the last event", |all| {
        let of = |fact: &Fact| fact.json["conn_id"].clone();
        let late = |(at, close): (usize, &Fact)| {
            let mut later = all
                .iter()
                .skip(at + 1)
                .filter(|fact| close.name == "connection_close" && of(fact) == of(close));
            later.next().map(|fact| fact.name)
        };
        Some(all.iter().enumerate().filter_map(late).collect::<Vec<_>>())
    });
    assert_eq!(late.await, Vec::<&str>::new(), "after the connection's close");
}
