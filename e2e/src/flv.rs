//! What a player got: FLV bytes to access units, and the comparison of two recordings.
//!
//! Adobe Flash Video File Format 10.1, Annex E. Only what the comparison needs is read: H.264 and AAC tags are access
//! units of one stream each, told apart from their codec configuration. An access unit is known by a hash of its bytes.

use anyhow::{Context, Result, bail, ensure};
use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

/// How far time stamps may stand apart from where the source has them, in milliseconds: clients round them.
const ROUNDING_MS: i64 = 5;

/// One access unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// Decoding time stamp, in milliseconds.
    pub dts_ms: u32,
    /// Whether decoding can start here. Always true for audio.
    pub key: bool,
    /// Hash of the payload, without the tag's own header.
    pub hash: u64,
}

/// One stream of a recording.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stream {
    /// The codec id of the tags: 7 is H.264, 10 is AAC (E.4.2.1, E.4.3.1).
    pub codec: Option<u8>,
    /// The last codec configuration: `AVCDecoderConfigurationRecord` or `AudioSpecificConfig`.
    pub config: Vec<u8>,
    /// Its access units in the order in which they came.
    pub units: Vec<Unit>,
}

/// What was in the tags of an FLV file or stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recording {
    /// The video stream.
    pub video: Stream,
    /// The audio stream.
    pub audio: Stream,
    /// Bodies of the data tags (`onMetaData` and others), in order.
    pub data: Vec<Vec<u8>>,
}

impl Recording {
    /// Reads a whole file. A last tag that is cut off is left out: players are killed in mid-tag.
    ///
    /// # Errors
    /// When it is not FLV, or a tag is of a kind that FLV does not have.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut demuxer = Demuxer::default();
        let mut recording = Self::default();
        demuxer.push(bytes, &mut recording)?;
        Ok(recording)
    }

    fn add(&mut self, kind: u8, dts_ms: u32, body: &[u8]) -> Result<()> {
        // An empty tag is legal, and says nothing.
        let Some(first) = body.first().copied() else { return Ok(()) };
        match kind {
            8 => {
                let codec = first >> 4;
                let packet = match body.get(1) {
                    Some(0) if codec == 10 => Packet::Config,
                    _ => Packet::Unit { dts_ms, key: true },
                };
                self.audio.add(codec, packet, body.get(2..).unwrap_or_default());
            }
            9 => {
                let codec = first & 15;
                let packet = match body.get(1) {
                    Some(0) if codec == 7 => Packet::Config,
                    // The end of a sequence carries no picture.
                    Some(2) if codec == 7 => return Ok(()),
                    _ => Packet::Unit { dts_ms, key: first >> 4 == 1 },
                };
                self.video.add(codec, packet, body.get(5..).unwrap_or_default());
            }
            18 => self.data.push(body.to_vec()),
            _ => bail!("a tag of type {kind}"),
        }
        Ok(())
    }
}

/// What a tag of a stream holds.
enum Packet {
    Config,
    Unit { dts_ms: u32, key: bool },
}

impl Stream {
    fn add(&mut self, codec: u8, packet: Packet, payload: &[u8]) {
        self.codec = Some(codec);
        match packet {
            Packet::Config => self.config = payload.to_vec(),
            Packet::Unit { dts_ms, key } => {
                let mut hash = DefaultHasher::new();
                payload.hash(&mut hash);
                self.units.push(Unit { dts_ms, key, hash: hash.finish() });
            }
        }
    }
}

/// Takes an FLV stream apart as it comes.
#[derive(Debug, Default)]
pub struct Demuxer {
    rest: Vec<u8>,
    /// Bytes still to come that nobody needs: the size that follows each tag.
    skip: usize,
    past_head: bool,
}

impl Demuxer {
    /// Adds the tags that `bytes` complete to `recording`.
    ///
    /// # Errors
    /// When it is not FLV; the demuxer is of no use after that.
    pub fn push(&mut self, bytes: &[u8], recording: &mut Recording) -> Result<()> {
        self.rest.extend_from_slice(bytes);
        if !self.past_head {
            let Some(head) = self.rest.get(..9) else { return Ok(()) };
            ensure!(head.starts_with(b"FLV"), "not FLV: {head:02x?}");
            self.skip = number(head.get(5..9)) + 4;
            self.past_head = true;
        }
        let mut at = 0;
        loop {
            let skipped = self.skip.min(self.rest.len() - at);
            at += skipped;
            self.skip -= skipped;
            let Some(tag) = self.rest.get(at..).filter(|_| self.skip == 0).and_then(Tag::parse) else {
                break;
            };
            recording.add(tag.kind, tag.dts_ms, tag.body)?;
            self.skip = TAG_HEAD + tag.body.len() + 4;
        }
        self.rest.drain(..at);
        Ok(())
    }
}

/// E.4.1.
struct Tag<'a> {
    kind: u8,
    dts_ms: u32,
    body: &'a [u8],
}

const TAG_HEAD: usize = 11;

impl<'a> Tag<'a> {
    /// The tag at the start, if it is there whole.
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let head = bytes.get(..TAG_HEAD)?;
        let body = bytes.get(TAG_HEAD..TAG_HEAD + number(head.get(1..4)))?;
        // The fourth byte of the time stamp is its highest.
        let low = u32::try_from(number(head.get(4..7))).ok()?;
        let high = u32::from(*head.get(7)?) << 24;
        Some(Self { kind: head.first()? & 31, dts_ms: high | low, body })
    }
}

fn number(bytes: Option<&[u8]>) -> usize {
    bytes.unwrap_or_default().iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
}

/// How much of a source a player got, when it got the right thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    /// Video access units received.
    pub video: usize,
    /// Audio access units received.
    pub audio: usize,
    /// Where in the source's video the player began.
    pub first: usize,
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} video, {} audio from #{}", self.video, self.audio, self.first)
    }
}

/// Checks that `got` is an unbroken run of `source`, from a key frame on, with at least `video` pictures of it.
///
/// The same codecs with the same configuration; every access unit unchanged and in its place, none missing, none twice;
/// time stamps that keep their distances, within a stream and between the two. The source's units must differ from each
/// other, or a gap could not be told from a repetition: use noise, not silence.
///
/// # Errors
/// The first difference.
pub fn compare(source: &Recording, got: &Recording, video: usize) -> Result<Match> {
    let pictures = run("video", &source.video, &got.video)?;
    ensure!(got.video.units.first().is_some_and(|unit| unit.key), "the first picture is no key frame");
    ensure!(got.video.units.len() >= video, "{} pictures, at least {video} expected", got.video.units.len());
    let sound = run("audio", &source.audio, &got.audio)?;
    if let Some(sound) = sound.shift.filter(|_| pictures.shift.is_some()) {
        let apart = sound - pictures.shift.unwrap_or(sound);
        ensure!(apart.abs() <= ROUNDING_MS, "sound is {apart} ms off the pictures");
    }
    Ok(Match { video: got.video.units.len(), audio: got.audio.units.len(), first: pictures.first })
}

struct Run {
    first: usize,
    /// How far the received time stamps stand from the source's, in milliseconds; none without units.
    shift: Option<i64>,
}

fn run(name: &str, source: &Stream, got: &Stream) -> Result<Run> {
    ensure!(source.codec == got.codec, "{name}: codec {:?} instead of {:?}", got.codec, source.codec);
    ensure!(source.config == got.config, "{name}: another codec configuration");
    let Some(first) = got.units.first() else {
        ensure!(source.units.is_empty(), "no {name} at all");
        return Ok(Run { first: 0, shift: None });
    };
    let mut places = HashMap::new();
    for (place, unit) in source.units.iter().enumerate() {
        ensure!(
            places.insert(unit.hash, place).is_none(),
            "{name}: unit {place} of the source is there twice"
        );
    }
    let start =
        *places.get(&first.hash).with_context(|| format!("{name}: the first unit is not the source's"))?;
    let shift = i64::from(first.dts_ms) - source.units.get(start).map_or(0, |unit| i64::from(unit.dts_ms));
    for (at, unit) in got.units.iter().enumerate() {
        let Some(expect) = source.units.get(start + at) else {
            bail!("{name}: more units than the source has")
        };
        if unit.hash != expect.hash {
            let came =
                places.get(&unit.hash).map_or("none of the source's".to_owned(), |place| format!("#{place}"));
            bail!("{name}: after {at} units #{} should come, it is {came}", start + at);
        }
        ensure!(unit.key == expect.key, "{name}: #{} lost or gained its key-frame flag", start + at);
        let off = i64::from(unit.dts_ms) - i64::from(expect.dts_ms) - shift;
        ensure!(off.abs() <= ROUNDING_MS, "{name}: the time stamp of #{} is {off} ms off", start + at);
    }
    Ok(Run { first: start, shift: Some(shift) })
}

#[cfg(test)]
mod tests;
