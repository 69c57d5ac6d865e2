//! What the bodies of audio and video tags say before their payload: FLV 10.1 E.4.2.1 and E.4.3.1, and "Extended
//! AudioTagHeader" and "Extended VideoTagHeader" of enhanced RTMP v2.

use super::number;
use anyhow::{Context, Result, bail};

/// What a tag of a stream holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packet {
    Config,
    Unit {
        key: bool,
        cts_ms: i32,
    },
    /// Neither a configuration nor an access unit: the end of a sequence, colours, the order of channels, a command.
    Other,
}

/// What a tag holds for one track.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub track: u8,
    pub codec: u32,
    pub packet: Packet,
    pub payload: &'a [u8],
}

const MULTITRACK_OF_AUDIO: u8 = 5;
const MULTITRACK_OF_VIDEO: u8 = 6;
const MOD_EX: u8 = 7;
const FRAME_COMMAND: u8 = 5;
const VIDEO_METADATA: u8 = 4;

/// The parts of an audio tag's body.
pub(super) fn audio(body: &[u8]) -> Result<Vec<Part<'_>>> {
    // An empty tag is legal, and says nothing.
    let Some(first) = body.first().copied() else { return Ok(vec![]) };
    let codec = first >> 4;
    if codec == 9 {
        return extended(first & 15, &body[1..], MULTITRACK_OF_AUDIO, |_, packet, payload| {
            let packet = match packet {
                0 => Packet::Config,
                1 => Packet::Unit { key: true, cts_ms: 0 },
                _ => Packet::Other,
            };
            Ok((packet, payload))
        });
    }
    let packet = match body.get(1) {
        Some(0) if codec == 10 => Packet::Config,
        _ => Packet::Unit { key: true, cts_ms: 0 },
    };
    Ok(vec![Part { track: 0, codec: codec.into(), packet, payload: body.get(2..).unwrap_or_default() }])
}

/// The parts of a video tag's body.
pub(super) fn video(body: &[u8]) -> Result<Vec<Part<'_>>> {
    let Some(first) = body.first().copied() else { return Ok(vec![]) };
    let frame = first >> 4 & 7;
    let key = frame == 1;
    if first >> 7 == 1 {
        // A command has a byte that says which, and no codec.
        if frame == FRAME_COMMAND && first & 15 != VIDEO_METADATA {
            return Ok(vec![]);
        }
        return extended(first & 15, &body[1..], MULTITRACK_OF_VIDEO, |codec, packet, payload| {
            let offset = matches!(&codec.to_be_bytes(), b"avc1" | b"hvc1" | b"vvc1");
            Ok(match packet {
                0 | 5 => (Packet::Config, payload),
                1 if offset => {
                    let (time, payload) = payload.split_at_checked(3).context("no composition time")?;
                    (Packet::Unit { key, cts_ms: composition(time) }, payload)
                }
                1 | 3 => (Packet::Unit { key, cts_ms: 0 }, payload),
                _ => (Packet::Other, payload),
            })
        });
    }
    let codec = first & 15;
    let packet = match body.get(1) {
        Some(0) if codec == 7 => Packet::Config,
        // The end of a sequence carries no picture.
        Some(2) if codec == 7 => Packet::Other,
        _ => {
            Packet::Unit { key, cts_ms: body.get(2..5).filter(|_| codec == 7).map(composition).unwrap_or(0) }
        }
    };
    Ok(vec![Part { track: 0, codec: codec.into(), packet, payload: body.get(5..).unwrap_or_default() }])
}

/// SI24.
fn composition(bytes: &[u8]) -> i32 {
    let value = i32::try_from(number(Some(bytes))).unwrap_or(0);
    if value < 1 << 23 { value } else { value - (1 << 24) }
}

/// What follows the first byte: any number of modifiers, then one track, or many.
fn extended<'a>(
    mut packet: u8,
    mut rest: &'a [u8],
    multitrack: u8,
    read: impl Fn(u32, u8, &'a [u8]) -> Result<(Packet, &'a [u8])>,
) -> Result<Vec<Part<'a>>> {
    while packet == MOD_EX {
        let mut size = usize::from(take(&mut rest, 1)?[0]) + 1;
        if size == 256 {
            size = number(Some(take(&mut rest, 2)?)) + 1;
        }
        take(&mut rest, size)?;
        packet = take(&mut rest, 1)?[0] & 15;
    }
    if packet != multitrack {
        let codec = four_cc(&mut rest)?;
        let (packet, payload) = read(codec, packet, rest)?;
        return Ok(vec![Part { track: 0, codec, packet, payload }]);
    }
    let head = take(&mut rest, 1)?[0];
    let (form, packet) = (head >> 4, head & 15);
    if form > 2 {
        bail!("multitrack type {form}");
    }
    let common = if form == 2 { None } else { Some(four_cc(&mut rest)?) };
    let mut parts = vec![];
    while !rest.is_empty() {
        let codec = common.map_or_else(|| four_cc(&mut rest), Ok)?;
        let track = take(&mut rest, 1)?[0];
        let size = if form == 0 { rest.len() } else { number(Some(take(&mut rest, 3)?)) };
        let (packet, payload) = read(codec, packet, take(&mut rest, size)?)?;
        parts.push(Part { track, codec, packet, payload });
    }
    Ok(parts)
}

fn four_cc(rest: &mut &[u8]) -> Result<u32> {
    Ok(u32::try_from(number(Some(take(rest, 4)?)))?)
}

/// Takes so many bytes, at least one if one is asked for.
fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(count).context("an extended tag that is cut off")?;
    *rest = left;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HVC1: u32 = u32::from_be_bytes(*b"hvc1");

    #[test]
    fn one_track_stands_alone_or_behind_modifiers() {
        let picture = Packet::Unit { key: true, cts_ms: -1 };
        let expect = vec![Part { track: 0, codec: HVC1, packet: picture, payload: b"x" }];
        assert_eq!(video(b"\x91hvc1\xff\xff\xffx").unwrap(), expect);
        // A nanosecond offset of three bytes, then a modifier that nobody knows, with a size of 16 bits.
        let mut chain = b"\x97\x02\0\0\x05\x07\xff\x01\x00".to_vec();
        chain.extend_from_slice(&[7; 257]);
        chain.extend_from_slice(b"\x91hvc1\xff\xff\xffx");
        assert_eq!(video(&chain).unwrap(), expect);
        assert_eq!(video(b"\xa3hvc1x").unwrap()[0].packet, Packet::Unit { key: false, cts_ms: 0 });
        assert_eq!(video(b"\x90av01c").unwrap()[0].packet, Packet::Config);
        assert_eq!(video(b"\xd4hvc1m").unwrap()[0].packet, Packet::Other);
        assert_eq!(video(b"\xd1\0").unwrap(), vec![]);
        assert_eq!(audio(b"\x90OpusOpusHead").unwrap()[0].packet, Packet::Config);
        assert_eq!(audio(b"\x91Opusx").unwrap()[0].payload, b"x");
    }

    #[test]
    fn many_tracks_come_apart() {
        let tracks = |parts: &[Part<'_>]| {
            parts.iter().map(|part| (part.track, part.codec, part.payload.to_vec())).collect::<Vec<_>>()
        };
        let one = video(b"\x96\x01hvc1\x05\0\0\x01x").unwrap();
        assert_eq!(tracks(&one), [(5, HVC1, b"x".to_vec())]);
        let many = audio(b"\x95\x11Opus\0\0\0\x01a\x01\0\0\x02bc").unwrap();
        let opus = u32::from_be_bytes(*b"Opus");
        assert_eq!(tracks(&many), [(0, opus, b"a".to_vec()), (1, opus, b"bc".to_vec())]);
        let codecs = video(b"\x96\x23hvc1\0\0\0\x01aav01\x02\0\0\x01b").unwrap();
        let av01 = u32::from_be_bytes(*b"av01");
        assert_eq!(tracks(&codecs), [(0, HVC1, b"a".to_vec()), (2, av01, b"b".to_vec())]);
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        for body in
            [&b"\x91hvc"[..], b"\x91hvc1\0\0", b"\x97\x05\0", b"\x96\x11hvc1\x01\0\0\x05x", b"\x96\x41"]
        {
            assert!(video(body).is_err(), "{body:02x?}");
        }
    }
}
