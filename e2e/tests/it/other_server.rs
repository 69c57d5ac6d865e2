//! A server that others wrote, between our client and other clients: node-media-server.
//!
//! Where our client fails and the control does not, our client is to blame; where both fail, that server.

use anyhow::{Context, Result};
use jackfield_e2e::{NodeMediaServer, PlayerKind, PublisherKind, SOON, clip, compare};

/// Two key-frame intervals and more.
const PICTURES: usize = 60;

#[test]
fn as_a_control_other_clients_get_through_the_other_server() -> Result<()> {
    let server = NodeMediaServer::start()?;
    let clip = clip::standard()?;
    let _publisher = PublisherKind::Ffmpeg.start(clip.path(), &server.url("live/show"))?;
    server.wait_publisher("live/show")?;
    let players = [PlayerKind::Ffmpeg, PlayerKind::Rtmpdump];
    let players = players.map(|kind| (kind, kind.start(&server.url("live/show"))));
    for (kind, player) in players {
        let player = player?;
        player.wait_video(PICTURES, SOON)?;
        compare(clip.recording(), &player.finish()?, PICTURES).with_context(|| kind.to_string())?;
    }
    Ok(())
}
