//! `play`: many subscribers of one stream, and what they and the server went through.
use crate::args::Args;
use crate::event_loop::Loop;
use crate::flv;
use crate::pacer::Pacer;
use crate::play_report;
use crate::proc::{self, Sample};
use crate::reference::Reference;
use crate::session::{Kind, Reading, Session, State, Url};
use crate::sys;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// So long is published before the first viewer comes: more than a group of pictures of the usual 2 s.
const LEAD: Duration = Duration::from_millis(2200);

/// What the command line asked for.
pub struct Plan {
    pub url: Url,
    pub kind: Kind,
    pub n: usize,
    pub ramp: Duration,
    pub warm: Duration,
    pub secs: Duration,
    pub timeout: Duration,
    pub slow: usize,
    pub slow_bps: u64,
    pub leave: bool,
    pub pids: Vec<u32>,
    /// Viewers that are checked; the others drain. Without it all are, if the clip is known.
    pub check: Option<usize>,
}

/// The moment when counting began.
pub struct Window {
    pub at: Instant,
    pub server: Sample,
    pub own: Sample,
    pub bytes: Vec<u64>,
    pub frames: Vec<u64>,
    pub segments: Vec<Option<u32>>,
}

/// What there is to report when all is over.
pub struct Watched {
    pub before: Sample,
    pub window: Option<Window>,
    pub peak_rss: u64,
    pub first_sub: usize,
}

impl Plan {
    fn parse(a: &Args) -> Result<Plan, String> {
        let secs = |k: &str, d: f64, unit: f64| Ok::<_, String>(Duration::from_secs_f64(a.num(k, d)? / unit));
        Ok(Plan {
            url: Url::parse(a.url()?)?,
            kind: if a.has("raw") { Kind::Raw } else { Kind::Play },
            n: a.num("n", 1.0)? as usize,
            ramp: secs("ramp-ms", 20.0, 1e3)?,
            warm: secs("warm", 3.0, 1.0)?,
            secs: secs("secs", 30.0, 1.0)?,
            timeout: secs("timeout", 15.0, 1.0)?,
            slow: a.num("slow", 0.0)? as usize,
            slow_bps: (a.num("slow-kbps", 500.0)? * 1000.0) as u64,
            leave: a.has("leave"),
            pids: a.pids()?,
            check: if a.has("check") { Some(a.num("check", 20.0)? as usize) } else { None },
        })
    }

    /// How the viewer of this number reads: those that are checked lie evenly among the others.
    fn reading(&self, i: usize, clip_known: bool) -> Reading {
        if self.is_slow(i) || !clip_known {
            return Reading::Parse;
        }
        let Some(check) = self.check else { return Reading::Check };
        let share = |i: usize| i * check.min(self.n) / self.n;
        if share(i + 1) > share(i) { Reading::Check } else { Reading::Drain }
    }

    fn is_slow(&self, i: usize) -> bool {
        i >= self.n - self.slow.min(self.n)
    }
}

pub fn play(a: &Args) -> Result<(), String> {
    let plan = Plan::parse(a)?;
    let mut lp = Loop::new()?;
    let mut publisher = None;
    if let Some(f) = a.opt.get("flv") {
        let url = Url::parse(a.opt.get("pub-url").map_or(a.url()?, |s| s.as_str()))?;
        publisher = Some(begin_publishing(&mut lp, &url, f)?);
    }
    let watched = watch(&plan, &mut lp, publisher)?;
    play_report::print(a, &plan, &lp, &watched)
}

fn begin_publishing(lp: &mut Loop, url: &Url, file: &str) -> Result<(Pacer, Reference), String> {
    lp.add(Kind::Publish, url, 0, Reading::Parse)?;
    let mut pacer = Pacer::new(Rc::new(flv::load(file)?));
    let mut reference = Reference::new(&pacer.f);
    let t = Instant::now();
    while t.elapsed() < LEAD {
        lp.turn(Duration::from_millis(1), None)?;
        pump(lp, &mut pacer, &mut reference)?;
    }
    Ok((pacer, reference))
}

fn pump(lp: &mut Loop, pacer: &mut Pacer, reference: &mut Reference) -> Result<(), String> {
    pacer.pump(&mut lp.s[0], reference);
    lp.rearm(0);
    lp.s[0].error.as_ref().map_or(Ok(()), |e| Err(format!("publisher: {e}")))
}

fn watch(plan: &Plan, lp: &mut Loop, mut publisher: Option<(Pacer, Reference)>) -> Result<Watched, String> {
    let first_sub = lp.s.len();
    let begin = Instant::now();
    let mut w = Watched { before: proc::sample(&plan.pids), window: None, peak_rss: 0, first_sub };
    let (mut opened, mut last_opened, mut last_tick, mut last_peak) = (0, begin, begin, begin);
    loop {
        let now = Instant::now();
        while opened < plan.n && now >= begin + plan.ramp * opened as u32 {
            let slow = if plan.is_slow(opened) { plan.slow_bps } else { 0 };
            lp.add(plan.kind, &plan.url, slow, plan.reading(opened, publisher.is_some()))?;
            opened += 1;
            last_opened = now;
        }
        if opened == plan.n && w.window.is_none() && now >= last_opened + plan.warm {
            w.window = Some(open_window(plan, lp));
        }
        if w.window.as_ref().is_some_and(|window| now >= window.at + plan.secs) {
            return Ok(w);
        }
        let mut wait = Duration::from_millis(20);
        if opened < plan.n {
            wait = wait.min((begin + plan.ramp * opened as u32).saturating_duration_since(now));
        }
        if let Some((pacer, reference)) = &mut publisher {
            pump(lp, pacer, reference)?;
            if let Some(due) = pacer.due() {
                wait = wait.min(due.saturating_duration_since(now) + Duration::from_micros(900));
            }
        }
        lp.turn(wait, publisher.as_ref().map(|(_, reference)| reference))?;
        if now.duration_since(last_tick) >= Duration::from_millis(20) {
            last_tick = now;
            tick(plan, lp, first_sub);
        }
        if plan.leave && let_go(lp, first_sub) && opened == plan.n {
            return Ok(w);
        }
        if !plan.pids.is_empty() && now.duration_since(last_peak) >= Duration::from_secs(1) {
            last_peak = now;
            w.peak_rss = w.peak_rss.max(proc::rss_kib(&plan.pids));
        }
    }
}

/// Segments with data that have reached this viewer: what its server wrote, as the wire saw it.
pub fn segments(s: &Session) -> Option<u32> {
    if s.state == State::Live { sys::data_segments_in(s.fd) } else { None }
}

fn open_window(plan: &Plan, lp: &mut Loop) -> Window {
    for s in &mut lp.s {
        s.latency.clear();
        s.audio_latency.clear();
        s.n.max_gap = Duration::ZERO;
    }
    Window {
        at: Instant::now(),
        server: proc::sample(&plan.pids),
        own: proc::sample(&[std::process::id()]),
        bytes: lp.s.iter().map(|s| s.n.bytes).collect(),
        frames: lp.s.iter().map(|s| s.n.video).collect(),
        segments: lp.s.iter().map(segments).collect(),
    }
}

/// What is looked at now and then: slow readers read on, who waits for too long gives up.
fn tick(plan: &Plan, lp: &mut Loop, first_sub: usize) {
    for i in first_sub..lp.s.len() {
        lp.s[i].pong();
        if lp.s[i].paused {
            lp.s[i].paused = false;
            lp.rearm(i);
        }
        let s = &mut lp.s[i];
        let waits = s.kind == Kind::Play && s.state != State::Done && s.marks.first_key.is_none();
        if waits && s.t0.elapsed() > plan.timeout {
            let st = format!("no key frame within the timeout; state {:?} {}", s.state, s.status);
            s.fail(st);
            lp.rearm(i);
        }
    }
}

/// Closes the viewers that have their key frame; tells whether none is left.
fn let_go(lp: &mut Loop, first_sub: usize) -> bool {
    for i in first_sub..lp.s.len() {
        if lp.s[i].marks.first_key.is_some() && lp.s[i].state != State::Done {
            lp.drop_session(i);
        }
    }
    lp.s[first_sub..].iter().all(|s| s.state == State::Done)
}
