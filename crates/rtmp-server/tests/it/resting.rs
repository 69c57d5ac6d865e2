//! A publisher that nobody watches, whose socket is looked at now and then only.

use crate::kit::{AUDIO_CONFIG, Client, Server, Setup, VIDEO_CONFIG, audio, inter, keyframe, soon};
use jackfield_media::TrackKind::{Audio, Video};
use jackfield_net::Accepted;
use jackfield_runtime::clock;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, recv};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// A publisher, with the server's end of its socket.
async fn publishing(server: &Server) -> (Client, u32, OwnedFd) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let local = listener.local_addr().unwrap();
    let socket = TcpStream::connect(local).await.unwrap();
    let (stream, peer) = listener.accept().await.unwrap();
    let servers_end = stream.as_fd().try_clone_to_owned().unwrap();
    server.running.serve(Accepted { stream, peer, local });
    let mut client = Client::over(socket, "live").await;
    client.is_connected().await;
    let message_stream = client.stream().await;
    assert_eq!(&*client.publish(message_stream, "show").await.code, "NetStream.Publish.Start");
    (client, message_stream, servers_end)
}

/// Whether something lies in the socket for which its reader is not woken.
fn rests(socket: &OwnedFd) -> bool {
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let woken = poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&at_once)).unwrap() > 0;
    // Nobody else sends or reads between the two.
    !woken && recv(socket, &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT).is_ok()
}

/// Publishes a key frame and then pictures, until the socket rests with the last of them; returns its number.
async fn until_it_rests(client: &mut Client, stream: u32, socket: &OwnedFd) -> u32 {
    client.send(stream, &[(Video, 0, VIDEO_CONFIG.to_vec()), (Video, 0, keyframe(0, 5000))]).await;
    soon("rest", async {
        for number in 1.. {
            client.send(stream, &[(Video, number * 40, inter(number, 100))]).await;
            if rests(socket) {
                return number;
            }
            clock::sleep(Duration::from_millis(40)).await;
        }
        unreachable!("invariant: the time is up before the numbers are")
    })
    .await
}

#[tokio::test]
async fn what_a_publisher_sends_that_nobody_watches_is_heard_and_none_of_it_is_missing() {
    let server = Server::start();
    let (mut publisher, stream, socket) = publishing(&server).await;
    let last = until_it_rests(&mut publisher, stream, &socket).await;
    // Little, and the kernel does not call for it.
    publisher.send(stream, &[(Audio, last * 40, AUDIO_CONFIG.to_vec()), (Audio, last * 40, audio(1))]).await;
    assert_eq!(server.events.nth("media_start", 2).await.data("kind"), "audio");

    let (mut player, _) = Client::playing(server.addr(), "show").await;
    let mut pictures = Vec::new();
    for number in last + 1..last + 20 {
        publisher.send(stream, &[(Video, number * 40, inter(number, 100))]).await;
    }
    while pictures.len() <= usize::try_from(last).unwrap() + 19 {
        let (kind, _, body) = player.message().await;
        if kind == Video && body.get(1) == Some(&1) {
            pictures.push(body);
        }
    }
    let sent = (1..last + 20).map(|number| inter(number, 100));
    assert!(pictures.into_iter().eq([keyframe(0, 5000)].into_iter().chain(sent)));
    // It is awake for as long as somebody watches.
    publisher.send(stream, &[(Video, (last + 20) * 40, inter(last + 20, 100))]).await;
    assert!(!rests(&socket));
    assert_eq!(player.message().await.2, inter(last + 20, 100));
    drop((player, publisher, socket));
    server.quiet().await;
}

#[tokio::test]
async fn a_publisher_that_rests_and_is_gone_is_missed_at_once_with_all_that_it_sent() {
    let server = Server::start();
    let (mut publisher, stream, socket) = publishing(&server).await;
    let last = until_it_rests(&mut publisher, stream, &socket).await;
    publisher.send(stream, &[(Video, (last + 1) * 40, inter(last + 1, 100))]).await;
    drop(publisher);
    let stop = server.events.first("publish_stop").await;
    let told = (stop.data("reason"), stop.data("video_packets"));
    // With its configuration and its key frame.
    assert_eq!(told, (&"client_disconnect".into(), &(last + 3).into()));
    drop(socket);
    server.quiet().await;
}

#[tokio::test]
async fn a_publisher_that_rests_and_falls_silent_has_its_deadline() {
    let mut setup = Setup::default();
    setup.rtmp.session.publisher_silence = Duration::from_millis(1500);
    let server = Server::with(setup);
    let (mut publisher, stream, socket) = publishing(&server).await;
    until_it_rests(&mut publisher, stream, &socket).await;
    assert_eq!(server.events.first("publish_stop").await.data("reason"), "timeout");
    drop((publisher, socket));
    server.quiet().await;
}
