//! What a healthy viewer must receive: the clip's frames, whole and in order, round and round; and when each was sent.
use crate::flv::Flv;
use std::collections::{HashMap, HashSet};
use std::time::Instant;

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a that can be fed in pieces.
#[derive(Clone, Copy)]
pub struct Hash(u64);

impl Default for Hash {
    fn default() -> Self {
        Hash(FNV_START)
    }
}

impl Hash {
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut h = self.0;
        for b in bytes {
            h = (h ^ *b as u64).wrapping_mul(0x100_0000_01b3);
        }
        self.0 = h;
    }
    pub fn value(self) -> u64 {
        self.0
    }
    pub fn of(bytes: &[u8]) -> u64 {
        let mut h = Hash::default();
        h.feed(bytes);
        h.0
    }
}

/// Whether a tag is a codec configuration, which goes once and not at every turn of the clip.
pub fn is_header(type_id: u8, body: &[u8]) -> bool {
    match (type_id, body) {
        (9, [b0, ..]) if b0 & 0x80 != 0 => b0 & 15 == 0,
        (9, [b0, b1, ..]) => b0 & 15 == 7 && *b1 == 0,
        (8, [b0, b1, ..]) => b0 >> 4 == 10 && *b1 == 0,
        _ => false,
    }
}

#[derive(Default)]
pub struct Track {
    hashes: Vec<u64>,
    sent: Vec<Option<Instant>>,
    places: HashMap<u64, Vec<u32>>,
}

#[derive(Default)]
pub struct Reference {
    pub video: Track,
    pub audio: Track,
    headers: HashSet<u64>,
    of_tag: Vec<Option<u32>>,
}

impl Reference {
    pub fn new(f: &Flv) -> Self {
        let mut r = Reference::default();
        for tag in &f.tags {
            let body = &f.data[tag.start..tag.start + tag.len];
            let hash = Hash::of(body);
            let header = is_header(tag.type_id, body);
            if header {
                r.headers.insert(hash);
            }
            let place = match tag.type_id {
                8 if !header => Some(r.audio.push(hash)),
                9 if !header => Some(r.video.push(hash)),
                _ => None,
            };
            r.of_tag.push(place);
        }
        r
    }
    pub fn sent(&mut self, tag: usize, type_id: u8, now: Instant) {
        if let Some(i) = self.of_tag[tag] {
            let track = if type_id == 9 { &mut self.video } else { &mut self.audio };
            track.sent[i as usize] = Some(now);
        }
    }
    pub fn has_header(&self, hash: u64) -> bool {
        self.headers.contains(&hash)
    }
}

impl Track {
    fn push(&mut self, hash: u64) -> u32 {
        let i = self.hashes.len() as u32;
        self.hashes.push(hash);
        self.sent.push(None);
        self.places.entry(hash).or_default().push(i);
        i
    }
}

/// Where in the clip a viewer is. Equal frames (silence) leave several possible places until one that differs comes.
#[derive(Default)]
pub struct Place {
    possible: Vec<u32>,
    last_ts: Option<u32>,
    pub frames: u64,
    pub lost: u64,
    pub wrong: u64,
    pub backwards: u64,
}

impl Place {
    /// Takes the next frame; tells when it was sent, where that is certain.
    pub fn next(&mut self, track: &Track, hash: u64, ts: u32) -> Option<Instant> {
        if self.last_ts.is_some_and(|last| (ts.wrapping_sub(last) as i32) < 0) {
            self.backwards += 1;
        }
        self.last_ts = Some(ts);
        let Some(all) = track.places.get(&hash) else {
            self.wrong += 1;
            self.possible.clear();
            return None;
        };
        let n = track.hashes.len() as u32;
        let follow: Vec<u32> =
            self.possible.iter().map(|i| (i + 1) % n).filter(|i| track.hashes[*i as usize] == hash).collect();
        if follow.is_empty() {
            self.lost += u64::from(self.frames > 0);
            self.possible = all.clone();
        } else {
            self.possible = follow;
        }
        self.frames += 1;
        match self.possible[..] {
            [only] => track.sent[only as usize],
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(frames: &[&str]) -> Track {
        let mut t = Track::default();
        for f in frames {
            t.push(Hash::of(f.as_bytes()));
        }
        t
    }

    fn play(t: &Track, frames: &str) -> (u64, u64) {
        let mut p = Place::default();
        for (i, f) in frames.chars().enumerate() {
            p.next(t, Hash::of(f.to_string().as_bytes()), i as u32 * 33);
        }
        (p.lost, p.wrong)
    }

    #[test]
    fn a_clip_in_order_from_anywhere_and_round_again_is_whole() {
        let t = track(&["a", "b", "s", "s", "c"]);
        assert_eq!(play(&t, "bsscabssca"), (0, 0));
        assert_eq!(play(&t, "sscab"), (0, 0));
        assert_eq!(play(&t, "scab"), (0, 0));
    }

    #[test]
    fn a_missing_a_doubled_and_a_changed_frame_are_found() {
        let t = track(&["a", "b", "c", "d"]);
        assert_eq!(play(&t, "abd"), (1, 0));
        assert_eq!(play(&t, "abbc"), (1, 0));
        assert_eq!(play(&t, "abXd").1, 1);
    }

    #[test]
    fn time_that_runs_back_is_found_and_a_wrap_is_none() {
        let t = track(&["a", "b", "c"]);
        let mut p = Place::default();
        for (f, ts) in [("a", u32::MAX), ("b", 5), ("c", 4)] {
            p.next(&t, Hash::of(f.as_bytes()), ts);
        }
        assert_eq!(p.backwards, 1);
    }
}
