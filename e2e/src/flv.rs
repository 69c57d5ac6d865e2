//! What a player got: FLV bytes to access units, and the comparison of two recordings.
//!
//! Adobe Flash Video File Format 10.1, Annex E, and the extended tags of enhanced RTMP v2. Only what the comparison needs is
//! read: which track a tag is of, and whether it is an access unit or a codec configuration. An access unit is known by a
//! hash of its bytes.

mod headers;

use anyhow::{Context, Result, bail, ensure};
use headers::Packet;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

/// How far time stamps may stand apart from where the source has them, in milliseconds: clients round them.
const ROUNDING_MS: i64 = 5;

/// One access unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// Decoding time stamp, in milliseconds.
    pub dts_ms: u32,
    /// How much later it is shown than decoded, in milliseconds.
    pub cts_ms: i32,
    /// Whether decoding can start here. Always true for audio.
    pub key: bool,
    /// Hash of the payload, without the tag's own header.
    pub hash: u64,
}

/// One stream of a recording.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stream {
    /// The codec id of the tags, 7 is H.264, 10 is AAC (E.4.2.1, E.4.3.1); or their FourCC as a big-endian number.
    pub codec: Option<u32>,
    /// The last codec configuration: `AVCDecoderConfigurationRecord`, `AudioSpecificConfig` …
    pub config: Vec<u8>,
    /// Its access units in the order in which they came.
    pub units: Vec<Unit>,
}

/// What was in the tags of an FLV file or stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recording {
    /// The video stream; with several, that of track 0.
    pub video: Stream,
    /// The audio stream; with several, that of track 0.
    pub audio: Stream,
    /// Further streams of multitrack tags, by kind (`video`, `audio`) and number.
    pub more: BTreeMap<(&'static str, u8), Stream>,
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
        let (name, parts, first) = match kind {
            8 => ("audio", headers::audio(body)?, &mut self.audio),
            9 => ("video", headers::video(body)?, &mut self.video),
            18 => {
                self.data.push(body.to_vec());
                return Ok(());
            }
            _ => bail!("a tag of type {kind}"),
        };
        for part in parts {
            let stream = match part.track {
                0 => &mut *first,
                track => self.more.entry((name, track)).or_default(),
            };
            match part.packet {
                // Colours of a second track come as if they were of the first, whose codec may be another.
                Packet::Other => continue,
                Packet::Config => stream.config = part.payload.to_vec(),
                Packet::Unit { key, cts_ms } => {
                    let mut hash = DefaultHasher::new();
                    part.payload.hash(&mut hash);
                    stream.units.push(Unit { dts_ms, cts_ms, key, hash: hash.finish() });
                }
            }
            stream.codec = Some(part.codec);
        }
        Ok(())
    }

    /// The streams by name.
    fn streams(&self) -> impl Iterator<Item = (String, &Stream)> {
        let first = [("video".to_owned(), &self.video), ("audio".to_owned(), &self.audio)];
        let more = self.more.iter().map(|((kind, track), stream)| (format!("{kind} {track}"), stream));
        first.into_iter().chain(more)
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
    /// How many further tracks came with them.
    pub more: usize,
    /// Where in the source's video the player began.
    pub first: usize,
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} video, {} audio", self.video, self.audio)?;
        if self.more > 0 {
            write!(f, ", {} more tracks", self.more)?;
        }
        write!(f, " from #{}", self.first)
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
    let expected: Vec<_> = source.more.keys().collect();
    let came: Vec<_> = got.more.keys().collect();
    ensure!(expected == came, "further tracks are {came:?} instead of {expected:?}");
    let pictures = run("video", &source.video, &got.video)?;
    ensure!(got.video.units.first().is_some_and(|unit| unit.key), "the first picture is no key frame");
    ensure!(got.video.units.len() >= video, "{} pictures, at least {video} expected", got.video.units.len());
    for ((name, source), (_, got)) in source.streams().zip(got.streams()).skip(1) {
        let other = run(&name, source, got)?;
        if let (Some(first), Some(other)) = (pictures.shift, other.shift) {
            ensure!((other - first).abs() <= ROUNDING_MS, "{name} is {} ms off the pictures", other - first);
        }
    }
    Ok(Match {
        video: got.video.units.len(),
        audio: got.audio.units.len(),
        more: got.more.len(),
        first: pictures.first,
    })
}

struct Run {
    first: usize,
    /// How far the received time stamps stand from the source's, in milliseconds; none without units.
    shift: Option<i64>,
}

fn run(name: &str, source: &Stream, got: &Stream) -> Result<Run> {
    ensure!(
        source.codec == got.codec,
        "{name}: codec {} instead of {}",
        codec(got.codec),
        codec(source.codec)
    );
    ensure!(
        source.config == got.config,
        "{name}: codec configuration {:02x?} instead of {:02x?}",
        got.config,
        source.config
    );
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
        let off = unit.cts_ms - expect.cts_ms;
        ensure!(
            i64::from(off.abs()) <= ROUNDING_MS,
            "{name}: the composition time of #{} is {off} ms off",
            start + at
        );
    }
    Ok(Run { first: start, shift: Some(shift) })
}

/// A codec for people.
fn codec(codec: Option<u32>) -> String {
    match codec {
        None => "none".to_owned(),
        Some(id) if id < 16 => id.to_string(),
        Some(four_cc) => four_cc.to_be_bytes().escape_ascii().to_string(),
    }
}

#[cfg(test)]
mod tests;
