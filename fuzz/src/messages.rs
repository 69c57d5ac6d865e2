//! Messages of enhanced RTMP (v2, "Enhanced Video", "Enhanced Audio"), put together from the choices of the fuzzer.
//! Written from the specification and apart from the project's own packing, so that one checks the other.

use bytes::Bytes;
use jackfield_media::TrackKind;

const FOUR_CCS: [&[u8; 4]; 14] = [
    b"avc1", b"hvc1", b"vvc1", b"av01", b"vp08", b"vp09", b"new1", b"mp4a", b"Opus", b"fLaC", b"ac-3",
    b"ec-3", b".mp3", b"new2",
];
const COLOR_INFO: &[u8] = b"\x02\x00\x09colorInfo\x05";
const MOD_EX: u8 = 7;
const CODED_FRAMES: u8 = 1;
const METADATA: u8 = 4;

/// The fuzzer's bytes, one choice after the other; zeros when they are used up.
pub struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    /// Takes all of an input.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().map_or((0, self.0), |(first, rest)| (*first, rest));
        self.0 = rest;
        first
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }

    /// A body with some bytes changed, or cut.
    pub fn damage(&mut self, body: &[u8]) -> Bytes {
        let mut body = body.to_vec();
        for _ in 0..self.byte() % 4 {
            let at = usize::from(self.byte());
            let value = self.byte();
            let length = body.len();
            if let Some(byte) = body.get_mut(at % length.max(1)) {
                *byte = value;
            }
        }
        let cut = usize::from(self.byte() % 8);
        body.truncate(body.len() - cut.min(body.len()));
        body.into()
    }
}

/// Ways to have tracks in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Plain,
    OneTrack,
    ManyTracks,
    ManyCodecs,
}

#[derive(Debug)]
struct Share {
    four_cc: [u8; 4],
    number: u8,
    composition: [u8; 3],
    payload: Vec<u8>,
}

/// One message.
#[derive(Debug)]
pub struct Message {
    /// Video or audio.
    pub kind: TrackKind,
    frame_type: u8,
    modifiers: Vec<(u8, Vec<u8>)>,
    packet_type: u8,
    layout: Layout,
    shares: Vec<Share>,
}

impl Message {
    /// The next message; `None` when there are no choices left.
    pub fn choose(choices: &mut Choices<'_>) -> Option<Self> {
        if choices.0.is_empty() {
            return None;
        }
        let shape = choices.byte();
        let kind = if shape & 1 == 0 { TrackKind::Video } else { TrackKind::Audio };
        let layout = [Layout::Plain, Layout::OneTrack, Layout::ManyTracks, Layout::ManyCodecs]
            [usize::from(shape >> 1 & 3)];
        let modifiers = (0..shape >> 3 & 3)
            .map(|_| {
                let size = choices.byte();
                // One in sixteen has the long form of the size.
                let size =
                    if size & 0xf0 == 0xf0 { 250 + usize::from(size) } else { 1 + usize::from(size & 7) };
                (choices.byte() & 0x0f, choices.bytes(size))
            })
            .collect();
        let types = choices.byte();
        let frame_type = types >> 4 & 7;
        // Neither modifiers nor tracks within tracks; they have no model.
        let multitrack = multitrack(kind);
        let packet_type = match types & 0x0f {
            MOD_EX => CODED_FRAMES,
            packet_type if packet_type == multitrack => CODED_FRAMES,
            packet_type => packet_type,
        };
        let count = match layout {
            Layout::Plain | Layout::OneTrack => 1,
            Layout::ManyTracks | Layout::ManyCodecs => 1 + choices.byte() % 5,
        };
        let four_cc = **FOUR_CCS.get(usize::from(choices.byte()) % 14).expect("one of fourteen");
        let shares = (0..count)
            .map(|_| {
                let own = choices.byte();
                let four_cc = match layout {
                    Layout::ManyCodecs => **FOUR_CCS.get(usize::from(own) % 14).expect("one of fourteen"),
                    _ => four_cc,
                };
                let composition = [choices.byte(), choices.byte(), choices.byte()];
                let size = usize::from(choices.byte() % 24);
                let mut payload = choices.bytes(size);
                if packet_type == METADATA && own & 0x80 != 0 {
                    payload = COLOR_INFO.to_vec();
                }
                let number = if layout == Layout::Plain { 0 } else { choices.byte() };
                Share { four_cc, number, composition, payload }
            })
            .collect();
        Some(Self { kind, frame_type, modifiers, packet_type, layout, shares })
    }

    /// Its bytes.
    pub fn body(&self) -> Bytes {
        let announced = if self.layout == Layout::Plain { self.packet_type } else { multitrack(self.kind) };
        let mut types: Vec<u8> = vec![MOD_EX; self.modifiers.len()];
        types.push(announced);
        let front = match self.kind {
            TrackKind::Video => 0x80 | self.frame_type << 4,
            _ => 0x90,
        };
        let mut body = vec![front | types[0]];
        for ((modifier, bytes), next) in self.modifiers.iter().zip(&types[1..]) {
            let size = u16::try_from(bytes.len() - 1).expect("they are short");
            match u8::try_from(size) {
                Ok(short) if short < 255 => body.push(short),
                _ => {
                    body.push(255);
                    body.extend(size.to_be_bytes());
                }
            }
            body.extend(bytes);
            body.push(modifier << 4 | next);
        }
        if self.is_command() {
            body.push(1);
            return body.into();
        }
        let first = &self.shares[0];
        match self.layout {
            Layout::Plain => body.extend(first.four_cc),
            Layout::OneTrack => {
                body.push(self.packet_type);
                body.extend(first.four_cc);
                body.push(first.number);
            }
            Layout::ManyTracks => {
                body.push(0x10 | self.packet_type);
                body.extend(first.four_cc);
            }
            Layout::ManyCodecs => body.push(0x20 | self.packet_type),
        }
        for share in &self.shares {
            let mut bytes = Vec::new();
            if self.is_timed(share) {
                bytes.extend(share.composition);
            }
            bytes.extend(&share.payload);
            if self.layout == Layout::ManyCodecs {
                body.extend(share.four_cc);
            }
            if matches!(self.layout, Layout::ManyTracks | Layout::ManyCodecs) {
                body.push(share.number);
                let size = u32::try_from(bytes.len()).expect("they are short");
                body.extend(&size.to_be_bytes()[1..]);
            }
            body.extend(bytes);
        }
        body.into()
    }

    /// Track number and payload of each share that holds something; `None` if there is no telling.
    pub fn frames(&self) -> Option<Vec<(u8, Bytes)>> {
        if self.is_command() {
            return Some(vec![(0, Bytes::from_static(&[1]))]);
        }
        let mut filled = self.shares.iter().filter(|share| !share.payload.is_empty()).peekable();
        filled.peek()?;
        Some(filled.map(|share| (share.number, Bytes::copy_from_slice(&share.payload))).collect())
    }

    /// Whether its tracks have numbers.
    pub fn is_numbered(&self) -> bool {
        self.layout != Layout::Plain
    }

    fn is_command(&self) -> bool {
        let is_metadata = self.layout == Layout::Plain && self.packet_type == METADATA;
        self.kind == TrackKind::Video && self.frame_type == 5 && !is_metadata
    }

    fn is_timed(&self, share: &Share) -> bool {
        self.kind == TrackKind::Video
            && self.packet_type == CODED_FRAMES
            && matches!(&share.four_cc, b"avc1" | b"hvc1" | b"vvc1")
    }
}

fn multitrack(kind: TrackKind) -> u8 {
    if kind == TrackKind::Video { 6 } else { 5 }
}
