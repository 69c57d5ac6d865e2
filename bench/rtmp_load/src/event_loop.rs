//! One epoll loop over all connections of a run.
use crate::reference::Reference;
use crate::session::{Kind, Reading, Session, State, Url};
use crate::sys;
use std::time::Duration;

pub struct Loop {
    pub ep: sys::Epoll,
    pub s: Vec<Session>,
    pub reg: Vec<u32>,
    pub buf: Vec<u8>,
}

impl Loop {
    pub fn new() -> Result<Self, String> {
        Ok(Loop {
            ep: sys::Epoll::new().map_err(|e| e.to_string())?,
            s: vec![],
            reg: vec![],
            buf: vec![0; 128 * 1024],
        })
    }
    pub fn add(&mut self, kind: Kind, url: &Url, slow: u64, reading: Reading) -> Result<usize, String> {
        let s = Session::open(kind, url, slow, reading)?;
        let i = self.s.len();
        let ev = sys::EPOLLIN | sys::EPOLLOUT;
        self.ep.add(s.fd, ev, i as u64).map_err(|e| e.to_string())?;
        self.s.push(s);
        self.reg.push(ev);
        Ok(i)
    }
    pub fn rearm(&mut self, i: usize) {
        let s = &self.s[i];
        if s.state == State::Done {
            if self.reg[i] != u32::MAX {
                self.ep.del(s.fd);
                sys::close_fd(s.fd);
                self.reg[i] = u32::MAX;
            }
            return;
        }
        let ev = if s.paused { 0 } else { sys::EPOLLIN } | if s.want_write() { sys::EPOLLOUT } else { 0 };
        if ev != self.reg[i] {
            let _ = self.ep.modify(s.fd, ev, i as u64);
            self.reg[i] = ev;
        }
    }
    pub fn drop_session(&mut self, i: usize) {
        self.s[i].state = State::Done;
        self.rearm(i);
    }
    pub fn turn(&mut self, timeout: Duration, reference: Option<&Reference>) -> Result<(), String> {
        let mut evs = [sys::EpollEvent { events: 0, data: 0 }; 256];
        let n = self.ep.wait(&mut evs, timeout.as_millis() as i32).map_err(|e| e.to_string())?;
        for e in &evs[..n] {
            let (i, ev) = (e.data as usize, e.events);
            if self.s[i].state == State::Done {
                continue;
            }
            if ev & (sys::EPOLLOUT | sys::EPOLLERR | sys::EPOLLHUP) != 0 && self.s[i].want_write() {
                self.s[i].on_writable();
            }
            if ev & (sys::EPOLLIN | sys::EPOLLERR | sys::EPOLLHUP) != 0
                && self.s[i].state != State::Tcp
                && self.s[i].state != State::Done
            {
                let mut b = std::mem::take(&mut self.buf);
                self.s[i].on_readable(&mut b, reference);
                self.buf = b;
            }
            self.rearm(i);
        }
        Ok(())
    }
}
