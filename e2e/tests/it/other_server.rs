//! A server that others wrote, between our client and other clients: node-media-server.
//!
//! Where our client fails and the control does not, our client is to blame; where both fail, that server. It keeps no tracks
//! apart, so that there is one of each kind.

use anyhow::{Context, Result};
use jackfield_e2e::{Address, Codecs, NodeMediaServer, PlayerKind, PublisherKind, SOON, compare};
use std::thread;

/// Two key-frame intervals and more.
const PICTURES: usize = 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    Rtmp,
    Rtmps,
}

impl Transport {
    fn address(self, server: &NodeMediaServer, key: &str) -> Address {
        match self {
            Self::Rtmp => Address::from(server.url(key).as_str()),
            Self::Rtmps => Address::tls(server.tls_url(key), server.authority()),
        }
    }
}

/// Publishes these codecs to the server, and compares what each player gets of them.
fn relayed(
    server: &NodeMediaServer,
    transport: Transport,
    codecs: Codecs,
    (publisher, players): (PublisherKind, &[PlayerKind]),
) -> Result<()> {
    let clip = codecs.clip()?;
    let key = format!("live/{publisher}-{codecs}-{transport:?}").replace([' ', '.'], "");
    let _publisher = publisher.start(clip.path(), transport.address(server, &key))?;
    server.wait_publisher(&key)?;
    let playing = players.iter().map(|kind| (kind, kind.start(transport.address(server, &key))));
    for (kind, player) in playing.collect::<Vec<_>>() {
        let player = player?;
        let got = player.wait_video(PICTURES, SOON).and_then(|()| player.finish());
        got.and_then(|got| compare(clip.recording(), &got, PICTURES))
            .with_context(|| format!("{publisher} to {kind}: {codecs} by {transport:?}"))?;
    }
    Ok(())
}

/// All of these side by side: each mostly waits for media that comes in real time.
fn all_relayed(cells: &[(Transport, Codecs)], ends: (PublisherKind, &[PlayerKind])) -> Result<()> {
    let server = NodeMediaServer::start()?;
    thread::scope(|scope| {
        let cells = cells.iter().map(|(transport, codecs)| {
            let server = &server;
            scope.spawn(move || relayed(server, *transport, *codecs, ends))
        });
        let cells: Vec<_> = cells.collect();
        cells.into_iter().try_for_each(|cell| cell.join().ok().context("a cell panicked")?)
    })
}

#[test]
fn as_a_control_other_clients_get_through_the_other_server() -> Result<()> {
    let cells = [(Transport::Rtmp, Codecs::H264Aac), (Transport::Rtmp, Codecs::HevcAac)];
    all_relayed(&cells, (PublisherKind::NewerFfmpeg, &[PlayerKind::NewerFfmpeg, PlayerKind::Rtmpdump]))
}

#[test]
fn our_client_publishes_to_another_server_what_others_play() -> Result<()> {
    let cells = [(Transport::Rtmp, Codecs::H264Aac), (Transport::Rtmp, Codecs::HevcAac)];
    all_relayed(&cells, (PublisherKind::Jackfield, &[PlayerKind::NewerFfmpeg, PlayerKind::Rtmpdump]))
}

#[test]
fn our_client_plays_from_another_server_what_others_publish() -> Result<()> {
    let cells = [
        (Transport::Rtmp, Codecs::H264Aac),
        (Transport::Rtmp, Codecs::HevcAac),
        (Transport::Rtmps, Codecs::H264Aac),
    ];
    all_relayed(&cells, (PublisherKind::NewerFfmpeg, &[PlayerKind::Jackfield]))
}

#[test]
fn our_client_publishes_to_and_plays_from_another_server_over_tls() -> Result<()> {
    let cells = [
        (Transport::Rtmps, Codecs::H264Aac),
        (Transport::Rtmps, Codecs::HevcAac),
        (Transport::Rtmps, Codecs::Av1Opus),
    ];
    all_relayed(&cells, (PublisherKind::Jackfield, &[PlayerKind::Jackfield]))
}
