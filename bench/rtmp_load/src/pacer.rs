//! A publisher's clock: when each tag of a file is due.
use crate::reference::{self, Reference};
use crate::session::{Session, State};
use crate::{amf, flv};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Sends FLV tags at their time, again and again.
pub struct Pacer {
    pub f: Rc<flv::Flv>,
    pub next: usize,
    pub base: u32,
    pub start: Option<Instant>,
    pub seq_sent: bool,
}

impl Pacer {
    pub fn new(f: Rc<flv::Flv>) -> Self {
        Pacer { f, next: 0, base: 0, start: None, seq_sent: false }
    }
    pub fn due(&self) -> Option<Instant> {
        let s = self.start?;
        Some(s + Duration::from_millis((self.base + self.f.tags[self.next].ts) as u64))
    }
    pub fn pump(&mut self, s: &mut Session, reference: &mut Reference) {
        if s.state != State::Live {
            return;
        }
        let now = Instant::now();
        let start = *self.start.get_or_insert(now);
        loop {
            let t = &self.f.tags[self.next];
            let ts = self.base + t.ts;
            if start + Duration::from_millis(ts as u64) > now {
                break;
            }
            let body = &self.f.data[t.start..t.start + t.len];
            let head = reference::is_header(t.type_id, body);
            // headers and metadata go once, not at every turn of the loop
            if !(self.seq_sent && (head || t.type_id == 18)) {
                if t.type_id == 18 {
                    let mut b = Vec::new();
                    amf::string(&mut b, "@setDataFrame");
                    b.extend_from_slice(body);
                    s.w.msg(&mut s.out, 6, 18, s.stream_id, ts, &b);
                } else {
                    reference.sent(self.next, t.type_id, Instant::now());
                    s.w.msg(&mut s.out, if t.type_id == 9 { 6 } else { 4 }, t.type_id, s.stream_id, ts, body);
                }
            }
            self.next += 1;
            if self.next == self.f.tags.len() {
                self.next = 0;
                self.base += self.f.duration;
                self.seq_sent = true;
            }
        }
        s.flush();
    }
}
