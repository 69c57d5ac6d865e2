//! An input as a list of things that peers do.

use super::server::{Reaction, Settings};

/// Bytes of an input, one choice after the other; zeros when they are used up.
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().map_or((0, self.0), |(first, rest)| (*first, rest));
        self.0 = rest;
        first
    }

    /// As many bytes as the next one says.
    pub fn some(&mut self) -> &'a [u8] {
        let count = usize::from(self.byte());
        let (some, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        some
    }
}

/// How a connection begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// As it should, telling nothing of enhanced RTMP.
    Plain,
    /// Telling that it takes everything.
    Enhanced,
    /// Telling that it takes little.
    Choosy,
    /// With a digest in the handshake.
    Digest,
    /// With a socket that takes little at a time.
    Narrow,
    /// In pieces.
    Pieces,
    /// With bytes of the fuzzer, and nothing else.
    Garbage,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The socket is closed, whatever has not been read.
    Close,
    /// Nothing more is said.
    HangUp,
    /// Somebody kicks the connection.
    Kick,
    /// Somebody kicks the publisher of this key.
    KickPublisher(u8),
}

/// A command that needs a message stream, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    CloseStream,
    DeleteStream,
    Pause(bool),
    Seek,
    ReceiveAudio(bool),
    ReceiveVideo(bool),
    ReleaseStream,
    FcPublish,
    FcUnpublish,
    FcSubscribe,
    CreateStream,
    Metadata,
    Connect,
    /// Something else, by number.
    Other(u8),
}

/// What happens next.
#[derive(Debug)]
pub enum Action<'a> {
    Open(Opening, u8, &'a [u8]),
    Publish {
        key: u8,
        kind: u8,
    },
    Play {
        key: u8,
    },
    /// Configurations, so that frames have tracks.
    Configure,
    Media {
        stream: u8,
        framing: u8,
        size: u8,
        step: u8,
        count: u8,
    },
    Enhanced {
        stream: u8,
        choices: &'a [u8],
    },
    Aggregate {
        stream: u8,
        framings: &'a [u8],
    },
    Say {
        stream: u8,
        word: Word,
    },
    Message {
        stream: u8,
        kind: u8,
        body: &'a [u8],
    },
    Raw(&'a [u8]),
    ChunkSize(u8),
    Control {
        kind: u8,
        value: u8,
    },
    Time(u8),
    Answer,
    Read(bool),
    End(Ending),
}

/// An action, who does it, and whether all comes to rest before the next.
#[derive(Debug)]
pub struct Step<'a> {
    pub peer: u8,
    pub settles: bool,
    pub action: Action<'a>,
}

/// What comes before the actions.
#[derive(Debug)]
pub struct Head {
    pub settings: Settings,
    pub end: u8,
    pub plan: Vec<Reaction>,
    /// For each of four keys its name in the hub.
    pub renames: [u8; 4],
}

pub fn head(bytes: &mut Bytes<'_>) -> Head {
    let settings = Settings(bytes.byte());
    let end = bytes.byte();
    let renaming = bytes.byte();
    let renames = match renaming & 3 {
        1 => [1, 1, 2, 3],
        2 => [0, 0, 0, 3],
        3 => [1, 2, 0, 3],
        _ => [0, 1, 2, 3],
    };
    let count = usize::from(renaming >> 2 & 15);
    let reaction = |byte: u8| match byte % 8 {
        0..4 => Reaction::Allow,
        4 => Reaction::Deny,
        5 => Reaction::Fail,
        _ => Reaction::Late,
    };
    Head { settings, end, plan: (0..count).map(|_| reaction(bytes.byte())).collect(), renames }
}

pub fn step<'a>(bytes: &mut Bytes<'a>) -> Option<Step<'a>> {
    if bytes.is_empty() {
        return None;
    }
    let first = bytes.byte();
    let who = bytes.byte();
    let action = action(first & 0x7f, who >> 4, bytes);
    Some(Step { peer: who % 3, settles: first & 0x80 == 0, action })
}

fn action<'a>(number: u8, stream: u8, bytes: &mut Bytes<'a>) -> Action<'a> {
    match number % 20 {
        0 | 1 => open(bytes),
        2 => Action::Publish { key: bytes.byte() % 4, kind: bytes.byte() },
        3 => Action::Play { key: bytes.byte() % 4 },
        4 => Action::Configure,
        5..8 => {
            let shape = bytes.byte();
            let (size, step) = (bytes.byte(), bytes.byte());
            Action::Media { stream, framing: shape & 7, count: 1 + (shape >> 3), size, step }
        }
        8 => Action::Enhanced { stream, choices: bytes.some() },
        9 => Action::Aggregate { stream, framings: bytes.some() },
        10 | 11 => Action::Say { stream, word: word(bytes.byte()) },
        12 => Action::Message { stream, kind: bytes.byte(), body: bytes.some() },
        13 => Action::Raw(bytes.some()),
        14 => Action::ChunkSize(bytes.byte()),
        15 => Action::Control { kind: bytes.byte(), value: bytes.byte() },
        16 => Action::Time(bytes.byte()),
        17 => Action::Answer,
        18 => Action::Read(bytes.byte() & 1 == 1),
        _ => Action::End(match bytes.byte() {
            0..128 => Ending::Close,
            128..176 => Ending::HangUp,
            176..224 => Ending::Kick,
            key => Ending::KickPublisher(key % 4),
        }),
    }
}

fn open<'a>(bytes: &mut Bytes<'a>) -> Action<'a> {
    let shape = bytes.byte();
    let opening = match shape & 15 {
        0..5 => Opening::Plain,
        5..7 => Opening::Enhanced,
        7..9 => Opening::Choosy,
        9 => Opening::Digest,
        10..12 => Opening::Narrow,
        12..14 => Opening::Pieces,
        _ => Opening::Garbage,
    };
    let rest = if opening == Opening::Garbage { bytes.some() } else { &[] };
    Action::Open(opening, shape >> 4, rest)
}

fn word(byte: u8) -> Word {
    match byte % 20 {
        0 | 1 => Word::CloseStream,
        2 | 3 => Word::DeleteStream,
        4 => Word::Pause(true),
        5 => Word::Pause(false),
        6 => Word::Seek,
        7 => Word::ReceiveAudio(false),
        8 => Word::ReceiveAudio(true),
        9 => Word::ReceiveVideo(false),
        10 => Word::ReceiveVideo(true),
        11 => Word::ReleaseStream,
        12 => Word::FcPublish,
        13 => Word::FcUnpublish,
        14 => Word::FcSubscribe,
        15 | 16 => Word::CreateStream,
        17 => Word::Metadata,
        18 => Word::Connect,
        _ => Word::Other(byte),
    }
}
