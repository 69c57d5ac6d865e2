//! What is found, message by message, and what it says in the end.

use super::rhythm::{Entry, Rhythm};
use bytes::Bytes;
use jackfield_containers::flv::{Unpacker, track_number};
use jackfield_media::{Frame, FrameClass, Track, TrackId, TrackKind};
use jackfield_rtmp::amf::{AmfLimits, AmfReader, Object, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// Tracks that are looked at. Bounds what a hostile stream can make us remember; enhanced RTMP has 256 of a kind.
const MAX_TRACKS: usize = 512;
/// Different names of data messages that are told.
const MAX_DATA_NAMES: usize = 32;
/// Sound that begins or drifts further from the picture than this is worth a warning: lips are seen to be off
/// (EBU R37 allows 40 ms before and 60 ms after; capture jitter needs some more).
const OFF_MS: i64 = 200;

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    unpacker: Unpacker,
    tracks: BTreeMap<TrackId, Found>,
    metadata: Option<Object>,
    /// Data messages other than metadata, by name.
    data: BTreeMap<String, u64>,
    messages: u64,
    bytes: u64,
    malformed: u64,
    /// The first and the last time stamp.
    times: Option<(i64, i64)>,
    warnings: Vec<String>,
}

/// What was found of a track.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) track: Option<Track>,
    pub(super) kind: TrackKind,
    pub(super) bytes: u64,
    /// How often the configuration came and how often it changed.
    pub(super) configurations: u64,
    pub(super) changes: u64,
    pub(super) rhythm: Rhythm,
}

/// What is to be told.
#[derive(Debug, Clone)]
pub(super) struct Report {
    pub(super) source: String,
    pub(super) span_ms: i64,
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) tracks: Vec<(TrackId, Found)>,
    /// The first sound after the first picture, and how much later the last one was than that.
    pub(super) offset: Option<(i64, i64)>,
    pub(super) metadata: Option<Object>,
    pub(super) data: BTreeMap<String, u64>,
    pub(super) warnings: Vec<String>,
}

impl Findings {
    /// Whether nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// From the first time stamp to the last.
    pub(super) fn span(&self) -> Duration {
        let span = self.times.map_or(0, |(first, last)| last.saturating_sub(first));
        Duration::from_millis(u64::try_from(span).unwrap_or_default())
    }

    /// Something that people should know.
    pub(super) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// The next message.
    pub(super) fn add(&mut self, kind: TrackKind, timestamp_ms: i64, body: &Bytes) {
        self.messages += 1;
        self.bytes += body.len() as u64;
        if kind == TrackKind::Data {
            return self.add_data(body);
        }
        let frames: Vec<(Frame, Option<Track>)> = match self.unpacker.unpack(kind, timestamp_ms, body.clone())
        {
            Ok(frames) => frames.collect(),
            Err(_) => {
                self.malformed += 1;
                return;
            }
        };
        for (frame, track) in frames {
            self.add_frame(&frame, track);
        }
    }

    fn add_frame(&mut self, frame: &Frame, track: Option<Track>) {
        let count = self.tracks.len();
        let fresh = Found {
            track: None,
            kind: frame.kind,
            bytes: 0,
            configurations: 0,
            changes: 0,
            rhythm: Rhythm::default(),
        };
        let found = match self.tracks.entry(frame.track) {
            std::collections::btree_map::Entry::Vacant(_) if count >= MAX_TRACKS => return,
            entry => entry.or_insert(fresh),
        };
        found.bytes += frame.payload.len() as u64;
        if let Some(track) = track {
            found.changes += u64::from(found.track.is_some());
            found.track = Some(track);
        }
        let entry = match frame.class {
            FrameClass::Config => {
                found.configurations += 1;
                return;
            }
            FrameClass::Keyframe => Entry::Keyframe,
            FrameClass::Inter => Entry::Inter,
            FrameClass::TrackMetadata | FrameClass::Signal => return,
        };
        let dts = frame.dts.as_ms();
        found.rhythm.frame(dts, frame.pts.as_ms().saturating_sub(dts), entry);
        let (first, last) = self.times.unwrap_or((dts, dts));
        self.times = Some((first.min(dts), last.max(dts)));
    }

    fn add_data(&mut self, body: &[u8]) {
        let mut reader = AmfReader::new(body, AmfLimits::default());
        let Ok(Some(Value::String(name))) = reader.next_value() else {
            self.malformed += 1;
            return;
        };
        if name != "onMetaData" {
            if self.data.contains_key(&name) || self.data.len() < MAX_DATA_NAMES {
                *self.data.entry(name).or_default() += 1;
            }
            return;
        }
        match reader.next_value() {
            Ok(Some(value)) => self.metadata = value.as_object().cloned(),
            _ => self.malformed += 1,
        }
    }

    /// What it all says.
    pub(super) fn report(self, source: &str) -> Report {
        let offset = self.offset();
        let mut warnings = self.warnings;
        if self.malformed > 0 {
            warnings.push(format!("Malformed messages: {}.", self.malformed));
        }
        for (id, found) in &self.tracks {
            track_warnings(&label(*id, found.kind), found, &mut warnings);
        }
        if let Some((offset, drift)) = offset {
            if offset.saturating_abs() > OFF_MS {
                warnings.push(format!("Sound begins {offset} ms after the picture."));
            }
            if drift.saturating_abs() > OFF_MS {
                warnings.push(format!("Sound has drifted by {drift} ms from the picture."));
            }
        }
        Report {
            source: source.to_owned(),
            span_ms: self.times.map_or(0, |(first, last)| last.saturating_sub(first)),
            messages: self.messages,
            bytes: self.bytes,
            tracks: self.tracks.into_iter().collect(),
            offset,
            metadata: self.metadata,
            data: self.data,
            warnings,
        }
    }

    /// How sound lies to the picture, by the first track of each.
    fn offset(&self) -> Option<(i64, i64)> {
        let of = |kind| self.tracks.values().find(|found| found.kind == kind && found.rhythm.frames > 0);
        let (video, audio) = (&of(TrackKind::Video)?.rhythm, &of(TrackKind::Audio)?.rhythm);
        let first = audio.first_ms?.saturating_sub(video.first_ms?);
        let last = audio.last_ms?.saturating_sub(video.last_ms?);
        Some((first, last.saturating_sub(first)))
    }
}

/// `video`, `audio 1`: a track for people.
pub(super) fn label(id: TrackId, kind: TrackKind) -> String {
    match track_number(kind, id) {
        None | Some(0) => kind.to_string(),
        Some(number) => format!("{kind} {number}"),
    }
}

fn track_warnings(name: &str, found: &Found, warnings: &mut Vec<String>) {
    let rhythm = &found.rhythm;
    if rhythm.frames == 0 {
        warnings.push(format!("Of {name} there is a configuration and nothing else."));
        return;
    }
    if found.track.is_none() {
        warnings.push(format!("Of {name} no configuration came: nobody can decode it."));
    }
    if rhythm.backward_steps > 0 {
        let (steps, most) = (rhythm.backward_steps, rhythm.longest_backward_ms);
        warnings.push(format!("Time stamps of {name} step back, by up to {most} ms (steps: {steps})."));
    }
    if rhythm.gaps > 0 {
        let (gaps, most) = (rhythm.gaps, rhythm.longest_gap_ms);
        warnings.push(format!("Time stamps of {name} have gaps, of up to {most} ms (gaps: {gaps})."));
    }
    if rhythm.composition_ms.is_some_and(|(least, _)| least < 0) {
        warnings.push(format!("Some pictures of {name} are shown before they are decoded."));
    }
    if found.kind == TrackKind::Video && rhythm.keyframes.count == 0 {
        warnings.push(format!("Of {name} no key frame came."));
    }
    if found.changes > 0 {
        warnings.push(format!("The configuration of {name} changes (changes: {}).", found.changes));
    }
}

#[cfg(test)]
mod tests {
    use crate::client::probe::found;
    use jackfield_media::TrackKind::{Audio, Data, Video};

    const KEY: &[u8] = &[0x17, 1, 0, 0, 0, 5, 6];
    const INTER: &[u8] = &[0x27, 1, 0, 0, 40, 5];
    const SOUND: &[u8] = &[0xaf, 1, 1];

    #[test]
    fn tracks_and_their_relation_are_found() {
        let report = found(&[
            (Audio, 20, &[0xaf, 0, 0x12, 0x10]),
            (Video, 0, KEY),
            (Audio, 20, SOUND),
            (Video, 40, INTER),
            (Audio, 63, SOUND),
            (Data, 0, b"\x02\x00\x01x"),
        ])
        .report("x");
        assert_eq!((report.messages, report.span_ms, report.offset), (6, 63, Some((20, 3))));
        let [(_, video), (_, audio)] = report.tracks.as_slice() else { panic!("{:?}", report.tracks) };
        assert_eq!((video.rhythm.frames, video.bytes, video.rhythm.composition_ms), (2, 3, Some((0, 40))));
        assert_eq!(audio.track.as_ref().unwrap().sample_rate, Some(44_100));
        assert_eq!(report.warnings, ["Of video no configuration came: nobody can decode it."]);
        assert_eq!(report.data.get("x"), Some(&1));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let report = found(&[
            (Audio, 300, &[0xaf, 0, 0x12, 0x10]),
            (Audio, 300, SOUND),
            (Audio, 290, SOUND),
            (Audio, 3000, SOUND),
            (Audio, 3000, &[0xaf, 0, 0x11, 0x90]),
            (Video, 0, &[0x27, 1, 0xff, 0xff, 0xff, 5]),
            (Video, 0, &[0x17]),
            (Data, 0, b"\xff"),
        ])
        .report("x");
        let expect = [
            "Malformed messages: 2.",
            "Of video no configuration came: nobody can decode it.",
            "Some pictures of video are shown before they are decoded.",
            "Of video no key frame came.",
            "Time stamps of audio step back, by up to 10 ms (steps: 1).",
            "Time stamps of audio have gaps, of up to 2710 ms (gaps: 1).",
            "The configuration of audio changes (changes: 1).",
            "Sound begins 300 ms after the picture.",
            "Sound has drifted by 2700 ms from the picture.",
        ];
        assert_eq!(report.warnings, expect);
    }

    #[test]
    fn metadata_is_the_last_one() {
        let mut bodies = Vec::new();
        for width in [1.0, 2.0] {
            let mut body = Vec::new();
            jackfield_rtmp::amf::write(&"onMetaData".into(), &mut body);
            let object = jackfield_rtmp::amf::Object::new().with("width", width);
            jackfield_rtmp::amf::write(&object.into(), &mut body);
            bodies.push(body);
        }
        let messages: Vec<_> = bodies.iter().map(|body| (Data, 0, body.as_slice())).collect();
        let width = found(&messages).report("x").metadata.unwrap().find("width").unwrap().as_number();
        assert_eq!(width, Some(2.0));
    }
}
