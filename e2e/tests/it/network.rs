//! Publishers and viewers over bad links: what they get, and that nobody else notices.
//!
//! The links of [`weather`], [`caps`] and [`holes`] are between network namespaces, where the kernel's own TCP meets lost
//! packets; [`proxied`] has what a proxy can do and needs no rights. With `E2E_ALL=1`, which `make e2e-net` sets, there are
//! more cells, and the limits of time are the server's defaults.

mod caps;
mod holes;
mod proxied;
mod vanishing;
mod weather;

use anyhow::{Context, Result, ensure};
use jackfield_e2e::link::Lab;
use jackfield_e2e::rtmp::Client;
use jackfield_e2e::{Clip, Event, Player, PlayerKind, Publisher, PublisherKind, Recording, SOON, Server};
use jackfield_e2e::{check_pairs, clip, compare, eventually};
use std::net::SocketAddr;
use std::time::Duration;

/// The stream of all cases.
const KEY: &str = "live/show";

/// A server with a bad link before it.
struct Scene {
    lab: Lab,
    server: Server,
    /// Where the far side reaches it.
    far: SocketAddr,
}

impl Scene {
    /// Starts the server with this configuration; none where no lab can be made.
    fn start(seed: u64, config: &str) -> Result<Option<Self>> {
        let Some(lab) = Lab::or_skip(seed)? else { return Ok(None) };
        let outside = format!("{}:0", lab.address());
        let builder = Server::builder().args(["--listen", &outside]).config(config);
        let server = lab.near(|| builder.start())?;
        let line = server.wait_log("the outer listener", SOON, |line| {
            line.field("addr").is_some_and(|addr| addr.starts_with("10."))
        })?;
        let far = line.field("addr").context("no address")?.parse()?;
        Ok(Some(Self { lab, server, far }))
    }

    fn far_url(&self) -> String {
        format!("rtmp://{}/{KEY}", self.far)
    }

    /// A publisher for whom all is well, and who has begun.
    fn publish_near(&self, clip: &Clip) -> Result<Publisher> {
        let start = || PublisherKind::Jackfield.start(clip.path(), &self.server.url(KEY));
        let publisher = self.lab.near(start)?;
        self.server.events().wait_for("media_start", SOON, |_| true)?;
        Ok(publisher)
    }

    fn publish_far(&self, kind: PublisherKind, clip: &Clip) -> Result<Publisher> {
        let publisher = self.lab.far(|| kind.start(clip.path(), &self.far_url()))?;
        self.server.events().wait_for("media_start", SOON, |_| true)?;
        Ok(publisher)
    }

    /// A viewer for whom all is well.
    fn play_near(&self) -> Result<Player> {
        self.lab.near(|| PlayerKind::Rtmpdump.start(&self.server.url(KEY)))
    }

    fn play_far(&self, kind: PlayerKind) -> Result<Player> {
        self.lab.far(|| kind.start(&self.far_url()))
    }

    /// A new client is served as ever: it publishes another stream.
    fn serves_new_clients(&self) -> Result<()> {
        let mut client = self.lab.near(|| Client::connect(self.server.rtmp(), "live"))?;
        client.publish("beside").context("a new client").map(drop)
    }

    /// Waits for an event about whoever came from the far side.
    fn wait_far(&self, kind: &str, within: Duration) -> Result<Event> {
        self.server.events().wait_for(kind, within, |event| event.data("client_ip") == Some(FAR))
    }

    /// How many TCP sockets of the server's kernel have an end on the far side, with those that no program has any more.
    fn sockets_to_far(&self) -> Result<usize> {
        let path = "/proc/thread-self/net/tcp";
        let table = self.lab.near(|| std::fs::read_to_string(path).context(path))?;
        let [a, b, c, d] = self.lab.far_address().octets();
        // proc(5): the bytes of an address are in reverse order; 06 is TIME_WAIT, which holds nothing.
        let peer = format!(" {d:02X}{c:02X}{b:02X}{a:02X}:");
        let held = |line: &&str| line.contains(&peer) && !line.contains(" 06 ");
        Ok(table.lines().filter(held).count())
    }

    /// Waits until the kernel holds nothing any more for those who came from the far side.
    fn wait_no_sockets_to_far(&self) -> Result<()> {
        eventually("end of the sockets to the far side", SOON, || {
            Ok((self.sockets_to_far()? == 0).then_some(()))
        })
    }

    /// Stops the server; every start must have its stop.
    fn stop(self) -> Result<()> {
        check_pairs(&self.server.stop()?.events.all()?)
    }
}

/// The far side, as events have it.
const FAR: &str = "10.77.0.2";

/// Waits for so many pictures, ends the player, and checks that it missed nothing since its first.
fn finish_whole(player: Player, clip: &Clip, pictures: usize) -> Result<()> {
    player.wait_video(pictures, 2 * SOON)?;
    compare(clip.recording(), &player.finish()?, pictures)?;
    Ok(())
}

/// Checks what a viewer got that was dropped to key frames: unbroken runs of the source, each from a key frame on and later
/// than the one before. Returns how many there are.
fn check_runs(clip: &Clip, got: &Recording) -> Result<usize> {
    let source = &clip.recording().video.units;
    let mut runs = 0;
    let mut next = 0;
    for (at, unit) in got.video.units.iter().enumerate() {
        let place = source.iter().position(|it| it.hash == unit.hash);
        let place = place.with_context(|| format!("picture {at} is not the source's"))?;
        if runs == 0 || place != next {
            ensure!(unit.key, "a run begins with #{place}, which is no key frame");
            ensure!(place >= next, "#{place} comes after #{next}");
            runs += 1;
        }
        next = place + 1;
    }
    let mut last = None;
    for unit in &got.audio.units {
        let place = clip.recording().audio.units.iter().position(|it| it.hash == unit.hash);
        let place = place.context("sound that is not the source's")?;
        ensure!(last < Some(place), "sound #{place} comes after #{last:?}");
        last = Some(place);
    }
    Ok(runs)
}

/// 2.4 Mbit/s, with a key frame every second, for half a minute or as long as the long cases need.
fn broad_clip(seconds: u32) -> Result<Clip> {
    clip::make(
        &format!("broad-{seconds}"),
        &format!(
            "-f lavfi -i testsrc2=size=640x360:rate=25,noise=alls=20:allf=t \
             -f lavfi -i anoisesrc=sample_rate=44100:amplitude=0.3,aformat=channel_layouts=stereo -t {seconds} \
             -c:v libx264 -preset ultrafast -profile:v main -pix_fmt yuv420p -bf 2 -g 25 -keyint_min 25 -sc_threshold 0 \
             -b:v 2300k -minrate 2300k -maxrate 2300k -bufsize 1150k -c:a aac -b:a 96k"
        ),
    )
}
