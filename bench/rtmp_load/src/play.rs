//! `play`: many subscribers of one stream, and what they and the server went through.
use crate::args::Args;
use crate::event_loop::Loop;
use crate::pacer::Pacer;
use crate::report::Out;
use crate::session::{Kind, Session, State, Url};
use crate::{flv, proc};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::time::{Duration, Instant};

pub fn play(a: &Args) -> Result<(), String> {
    let url = Url::parse(a.url()?)?;
    let n = a.num("n", 1.0)? as usize;
    let ramp = Duration::from_secs_f64(a.num("ramp-ms", 20.0)? / 1e3);
    let warm = Duration::from_secs_f64(a.num("warm", 3.0)?);
    let secs = Duration::from_secs_f64(a.num("secs", 30.0)?);
    let timeout = Duration::from_secs_f64(a.num("timeout", 15.0)?);
    let slow = a.num("slow", 0.0)? as usize;
    let slow_bps = (a.num("slow-kbps", 500.0)? * 1000.0) as u64;
    let leave = a.has("leave");
    let pids = a.pids()?;
    let mut lp = Loop::new()?;
    let mut pacer = None;
    let mut first_sub = 0;
    let none = HashMap::new();
    if let Some(f) = a.opt.get("flv") {
        let purl = Url::parse(a.opt.get("pub-url").map_or(a.url()?, |s| s.as_str()))?;
        lp.add(Kind::Publish, &purl, 0)?;
        pacer = Some(Pacer::new(flv::load(f)?));
        first_sub = 1;
        let t = Instant::now();
        while t.elapsed() < Duration::from_secs(3) {
            lp.turn(Duration::from_millis(1), &none)?;
            let (p, s) = (pacer.as_mut().unwrap(), &mut lp.s[0]);
            p.pump(s);
            if let Some(e) = &s.error {
                return Err(format!("publisher: {e}"));
            }
            lp.rearm(0);
        }
    }
    let before = proc::sample(&pids);
    let begin = Instant::now();
    let mut opened = 0;
    let mut win: Option<(Instant, proc::Sample, Vec<u64>, Vec<u64>)> = None;
    let mut last_opened = begin;
    let mut peak_rss = 0u64;
    let mut last_tick = begin;
    loop {
        let now = Instant::now();
        while opened < n && now >= begin + ramp * opened as u32 {
            let k = if opened >= n - slow.min(n) { slow_bps } else { 0 };
            lp.add(Kind::Play, &url, k)?;
            opened += 1;
            last_opened = now;
        }
        if opened == n && win.is_none() && now >= last_opened + warm {
            win = Some((
                Instant::now(),
                proc::sample(&pids),
                lp.s.iter().map(|s| s.n.bytes).collect(),
                lp.s.iter().map(|s| s.n.video).collect(),
            ));
            for s in &mut lp.s {
                s.latency.clear();
                s.n.max_gap = Duration::ZERO;
            }
        }
        if let Some((t, ..)) = &win {
            if now >= *t + secs {
                break;
            }
        }
        if let Some(p) = &mut pacer {
            p.pump(&mut lp.s[0]);
            lp.rearm(0);
            if let Some(e) = &lp.s[0].error {
                return Err(format!("publisher: {e}"));
            }
        }
        let mut wait = Duration::from_millis(20);
        if opened < n {
            wait = wait.min((begin + ramp * opened as u32).saturating_duration_since(now));
        }
        if let Some(d) = pacer.as_ref().and_then(|p| p.due()) {
            wait = wait.min(d.saturating_duration_since(now) + Duration::from_micros(900));
        }
        let sent = pacer.as_ref().map_or(&none, |p| &p.sent);
        lp.turn(wait, sent)?;
        if now.duration_since(last_tick) >= Duration::from_millis(20) {
            last_tick = now;
            for i in first_sub..lp.s.len() {
                if lp.s[i].paused {
                    lp.s[i].paused = false;
                    lp.rearm(i);
                }
                let s = &mut lp.s[i];
                if s.state != State::Done && s.marks.first_key.is_none() && s.t0.elapsed() > timeout {
                    let st = format!("no key frame within the timeout; state {:?} {}", s.state, s.status);
                    s.fail(st);
                    lp.rearm(i);
                }
            }
        }
        if leave {
            for i in first_sub..lp.s.len() {
                if lp.s[i].marks.first_key.is_some() && lp.s[i].state != State::Done {
                    lp.drop_session(i);
                }
            }
            if opened == n && lp.s[first_sub..].iter().all(|s| s.state == State::Done) {
                break;
            }
        }
        if !pids.is_empty() && now.duration_since(begin).as_millis() % 1000 < 20 {
            peak_rss = peak_rss.max(proc::sample(&pids).rss_kib);
        }
    }
    let end = Instant::now();
    let after = proc::sample(&pids);
    let subs = &lp.s[first_sub..];
    let mut o = Out("{".into());
    o.raw("n", n.to_string());
    o.raw("live", subs.iter().filter(|s| s.state == State::Live).count().to_string());
    o.raw("got_key", subs.iter().filter(|s| s.marks.first_key.is_some()).count().to_string());
    o.raw("got_header", subs.iter().filter(|s| s.n.headers > 0).count().to_string());
    o.raw("got_metadata", subs.iter().filter(|s| s.n.meta > 0).count().to_string());
    let mut errs: BTreeMap<String, usize> = BTreeMap::new();
    for s in subs {
        if let Some(e) = &s.error {
            *errs.entry(e.clone()).or_default() += 1;
        }
    }
    o.raw("errors", format!("{errs:?}"));
    let ms = |f: &dyn Fn(&Session) -> Option<Duration>| -> Vec<f64> {
        subs.iter().filter_map(f).map(|d| d.as_secs_f64() * 1e3).collect()
    };
    o.dist("tcp_ms", ms(&|s| s.marks.tcp));
    o.dist("handshake_ms", ms(&|s| s.marks.shake));
    o.dist("connected_ms", ms(&|s| s.marks.connected));
    o.dist("play_start_ms", ms(&|s| s.marks.started));
    o.dist("play_answer_ms", ms(&|s| Some(s.marks.started?.saturating_sub(s.marks.asked_at?))));
    o.dist("first_video_ms", ms(&|s| s.marks.first_video));
    o.dist("first_key_ms", ms(&|s| s.marks.first_key));
    o.dist("first_audio_ms", ms(&|s| s.marks.first_audio));
    if let Some((t, s0, b0, v0)) = &win {
        let el = end.duration_since(*t).as_secs_f64();
        let live = subs.iter().filter(|s| s.state == State::Live).count().max(1) as f64;
        let base = |v: &Vec<u64>, i: usize| v.get(i).copied().unwrap_or(0);
        let db: u64 = lp.s.iter().enumerate().skip(first_sub).map(|(i, s)| s.n.bytes - base(b0, i)).sum();
        o.num("window_s", el);
        o.num("kbit_s_per_sub", db as f64 * 8.0 / 1e3 / el / live);
        o.dist(
            "video_fps",
            lp.s.iter()
                .enumerate()
                .skip(first_sub)
                .map(|(i, s)| (s.n.video - base(v0, i)) as f64 / el)
                .collect(),
        );
        o.dist("max_gap_ms", ms(&|s| s.n.last_video.map(|_| s.n.max_gap)));
        o.dist(
            "media_ahead_ms",
            subs.iter()
                .filter_map(|s| {
                    let k = s.t0 + s.marks.first_key?;
                    let wall = s.n.last_video?.duration_since(k).as_secs_f64() * 1e3;
                    Some(s.n.last_ts.wrapping_sub(s.n.first_ts?) as i32 as f64 - wall)
                })
                .collect(),
        );
        o.raw("ts_backwards", subs.iter().map(|s| s.n.backwards).sum::<u64>().to_string());
        let mut lat: Vec<f64> = subs
            .iter()
            .filter(|s| s.slow_bps == 0)
            .flat_map(|s| s.latency.iter().map(|x| *x as f64 / 1e3))
            .collect();
        if !lat.is_empty() {
            lat.shrink_to_fit();
            o.dist("latency_ms", lat);
        }
        if !pids.is_empty() {
            let cpu = after.cpu_s - s0.cpu_s;
            o.num("server_cpu_s", cpu);
            o.num("server_cpu_percent", cpu / el * 100.0);
            o.num("cpu_s_per_sub_minute", cpu / el * 60.0 / live);
            o.num("server_run_s", after.run_s - s0.run_s);
            o.raw(
                "run_ms_per_sub_minute",
                format!("{:.4}", (after.run_s - s0.run_s) / el * 60.0 / live * 1e3),
            );
            o.raw("rss_kib_before", before.rss_kib.to_string());
            o.raw("rss_kib_start", s0.rss_kib.to_string());
            o.raw("rss_kib_end", after.rss_kib.to_string());
            o.raw("rss_kib_peak", peak_rss.max(after.rss_kib).to_string());
            o.raw("pss_kib_before", before.pss_kib.to_string());
            o.raw("pss_kib_end", after.pss_kib.to_string());
            o.num("rss_kib_per_sub", (after.rss_kib as f64 - before.rss_kib as f64) / live);
            o.raw("threads", after.threads.to_string());
        }
    }
    let me = proc::sample(&[std::process::id()]);
    o.num("own_cpu_s", me.cpu_s);
    o.0.push('}');
    println!("{}", o.0);
    if a.has("each") {
        for (i, s) in subs.iter().enumerate() {
            println!(
                "sub {i}: bytes {} video {} keys {} audio {} key {:?} {}",
                s.n.bytes,
                s.n.video,
                s.n.keys,
                s.n.audio,
                s.marks.first_key,
                s.error.as_deref().unwrap_or("")
            );
        }
    }
    if let Some(f) = a.opt.get("json") {
        let mut w =
            std::fs::OpenOptions::new().create(true).append(true).open(f).map_err(|e| e.to_string())?;
        writeln!(w, "{}", o.0).map_err(|e| e.to_string())?;
    }
    Ok(())
}
