//! A stream that goes on while something happens to the server, with a viewer that misses no picture of it.
//!
//! Pictures are numbered, so that the viewer sees at once which one it did not get.

use crate::rtmp::{Client, Media, TrackKind};
use crate::{Journal, SOON};
use anyhow::{Context, Result, ensure};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two pictures.
pub const PICTURE_EVERY: Duration = Duration::from_millis(40);
/// A key frame every so many pictures: a viewer over its queue drops to one, and a gap is seen.
const GROUP: u32 = 25;
/// While nobody knows yet which picture is the last.
const NONE: u32 = u32::MAX;

/// A publisher and a viewer of one stream, on threads of their own.
#[derive(Debug)]
pub struct Broadcast {
    last: Arc<AtomicU32>,
    stop: Arc<AtomicU32>,
    seen: Journal<u32>,
    /// Why the viewer ended, if not at the end of the stream.
    fault: Journal<String>,
    publisher: JoinHandle<Result<Client>>,
    viewer: JoinHandle<()>,
}

impl Broadcast {
    /// Publishes `live/<name>` and plays it; returns when the viewer has its first picture.
    ///
    /// # Errors
    /// When one of the two is refused, or no picture comes.
    pub fn start(server: SocketAddr, name: &str) -> Result<Self> {
        let (last, stop) = (Arc::new(AtomicU32::new(NONE)), Arc::new(AtomicU32::new(0)));
        let (seen, fault) = (Journal::default(), Journal::default());
        let mut client = Client::connect(server, "live")?;
        let stream = client.publish(name)?;
        let publisher = std::thread::spawn({
            let (last, stop) = (Arc::clone(&last), Arc::clone(&stop));
            move || publish(client, stream, &last, &stop)
        });
        let mut client = Client::connect(server, "live")?;
        client.play(name)?;
        let viewer = std::thread::spawn({
            let (last, seen, fault) = (Arc::clone(&last), seen.clone(), fault.clone());
            move || {
                if let Err(error) = view(&mut client, &last, &seen) {
                    fault.push(format!("{error:#}"));
                }
                // Who waits for a picture is told that none will come.
                seen.close();
            }
        });
        let broadcast = Self { last, stop, seen, fault, publisher, viewer };
        broadcast.wait(1)?;
        Ok(broadcast)
    }

    /// Waits until the viewer has got so many more pictures.
    ///
    /// # Errors
    /// When they do not come.
    pub fn wait(&self, more: usize) -> Result<()> {
        let until = self.seen.len() + more;
        let seen = self
            .seen
            .wait(&format!("{more} more pictures"), SOON, |seen| (seen.len() >= until).then_some(()));
        seen.map_err(|error| self.fault.read(|faults| error.context(format!("the viewer: {faults:?}"))))
    }

    /// Ends the stream, and returns how many pictures the viewer got, one after the other without a gap.
    ///
    /// # Errors
    /// When the viewer missed one, or one of the two lost its connection.
    pub fn finish(self) -> Result<usize> {
        self.stop.store(1, Ordering::Relaxed);
        // The publisher's connection is held until the viewer has seen the end.
        let publisher = self.publisher.join().ok().context("the publisher panicked")?;
        self.viewer.join().ok().context("the viewer panicked")?;
        self.fault.read(ensure_none)?;
        drop(publisher.context("the publisher")?);
        ensure!(self.last.load(Ordering::Relaxed) != NONE, "the stream never ended");
        Ok(self.seen.len())
    }
}

fn ensure_none(faults: &[String]) -> Result<()> {
    ensure!(faults.is_empty(), "the viewer: {faults:?}");
    Ok(())
}

fn publish(mut client: Client, stream: u32, last: &AtomicU32, stop: &AtomicU32) -> Result<Client> {
    let mut number = 0;
    loop {
        let ends = stop.load(Ordering::Relaxed) > 0;
        if ends {
            last.store(number, Ordering::Release);
        }
        client.send(stream, &numbered(number)).with_context(|| format!("picture {number}"))?;
        if ends {
            return Ok(client);
        }
        number += 1;
        std::thread::sleep(PICTURE_EVERY);
    }
}

fn view(client: &mut Client, last: &AtomicU32, seen: &Journal<u32>) -> Result<()> {
    let mut before = None;
    loop {
        let media = client.media(SOON)?;
        if media.kind != TrackKind::Video {
            // What the server says of the stream.
            continue;
        }
        let number = number_of(&media).context("a picture of another stream")?;
        ensure!(before.is_none_or(|before| before + 1 == number), "picture {number} came after {before:?}");
        before = Some(number);
        seen.push(number);
        if number == last.load(Ordering::Acquire) {
            return Ok(());
        }
    }
}

/// A picture that says its number: the head of an FLV tag, one NAL unit with its length before it.
fn numbered(number: u32) -> Media {
    const LENGTH: u32 = 1000;
    let first = if number.is_multiple_of(GROUP) { 0x17 } else { 0x27 };
    let mut body = vec![first, 1, 0, 0, 0];
    body.extend(LENGTH.to_be_bytes());
    body.extend(number.to_be_bytes());
    body.resize(body.len() + LENGTH as usize - 4, 0x55);
    Media { kind: TrackKind::Video, timestamp: i64::from(number) * 40, body: body.into() }
}

fn number_of(media: &Media) -> Option<u32> {
    let number = media.body.get(9..13)?;
    Some(u32::from_be_bytes(number.try_into().ok()?))
}
