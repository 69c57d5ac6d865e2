//! What `play` prints: one JSON object, and with `--each` a line for each viewer.
use crate::args::Args;
use crate::event_loop::Loop;
use crate::play::{self, Plan, Watched, Window};
use crate::proc;
use crate::report::{self, Out};
use crate::session::{Reading, Session, State};
use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

pub fn print(a: &Args, plan: &Plan, lp: &Loop, w: &Watched) -> Result<(), String> {
    let end = Instant::now();
    let subs = &lp.s[w.first_sub..];
    let mut o = Out("{".into());
    counts(&mut o, plan, subs);
    stages(&mut o, subs);
    if let Some(window) = &w.window {
        let secs = end.duration_since(window.at).as_secs_f64();
        rates(&mut o, lp, w.first_sub, window, secs);
        server(&mut o, plan, w, window, secs, subs);
    }
    o.num("own_cpu_s", proc::sample(&[std::process::id()]).cpu_s);
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

/// How many are well, and what those that were checked received.
fn counts(o: &mut Out, plan: &Plan, subs: &[Session]) {
    let count = |f: &dyn Fn(&Session) -> bool| subs.iter().filter(|s| f(s)).count().to_string();
    let sum = |f: &dyn Fn(&Session) -> u64| subs.iter().map(f).sum::<u64>().to_string();
    o.raw("n", plan.n.to_string());
    o.raw("live", count(&|s| s.state == State::Live));
    o.raw("got_key", count(&|s| s.marks.first_key.is_some()));
    o.raw("got_header", count(&|s| s.n.headers > 0));
    o.raw("got_metadata", count(&|s| s.n.meta > 0));
    let mut errs: BTreeMap<String, usize> = BTreeMap::new();
    for e in subs.iter().filter_map(|s| s.error.clone()) {
        *errs.entry(e).or_default() += 1;
    }
    o.raw("errors", report::counts(&errs));
    o.raw("checked", count(&|s| s.reading == Reading::Check));
    o.raw("checked_frames", sum(&|s| s.video.frames + s.audio.frames));
    o.raw("frames_lost", sum(&|s| s.video.lost + s.audio.lost));
    o.raw("frames_wrong", sum(&|s| s.video.wrong + s.audio.wrong + s.wrong_headers));
    let parsed = |s: &Session| if s.reading == Reading::Parse { s.n.backwards } else { 0 };
    o.raw("ts_backwards", sum(&|s| s.video.backwards + s.audio.backwards + parsed(s)));
}

fn stages(o: &mut Out, subs: &[Session]) {
    let mut stage = |name: &str, f: &dyn Fn(&Session) -> Option<Duration>| {
        o.dist(name, subs.iter().filter_map(f).map(|d| d.as_secs_f64() * 1e3).collect());
    };
    stage("tcp_ms", &|s| s.marks.tcp);
    stage("handshake_ms", &|s| s.marks.shake);
    stage("connected_ms", &|s| s.marks.connected);
    stage("play_start_ms", &|s| s.marks.started);
    stage("play_answer_ms", &|s| Some(s.marks.started?.saturating_sub(s.marks.asked_at?)));
    stage("first_video_ms", &|s| s.marks.first_video);
    stage("first_key_ms", &|s| s.marks.first_key);
    stage("first_audio_ms", &|s| s.marks.first_audio);
}

fn rates(o: &mut Out, lp: &Loop, first_sub: usize, window: &Window, secs: f64) {
    let base = |v: &[u64], i: usize| v.get(i).copied().unwrap_or(0);
    let each = |f: &dyn Fn(usize, &Session) -> Option<f64>| -> Vec<f64> {
        lp.s.iter().enumerate().skip(first_sub).filter_map(|(i, s)| f(i, s)).collect()
    };
    let live = each(&|_, s| (s.state == State::Live).then_some(1.0)).len().max(1) as f64;
    let kbit = |i: usize, s: &Session| (s.n.bytes - base(&window.bytes, i)) as f64 * 8.0 / 1e3 / secs;
    o.num("window_s", secs);
    o.num("kbit_s_per_sub", each(&|i, s| Some(kbit(i, s))).iter().sum::<f64>() / live);
    o.dist("kbit_s", each(&|i, s| (s.slow_bps == 0).then(|| kbit(i, s))));
    o.dist(
        "video_fps",
        each(&|i, s| {
            // Slow readers get fewer by their own fault.
            let counts = !s.draining() && s.slow_bps == 0;
            counts.then(|| (s.n.video - base(&window.frames, i)) as f64 / secs)
        }),
    );
    o.dist(
        "max_gap_ms",
        each(&|_, s| (!s.draining()).then_some(s.n.last_video.map(|_| s.n.max_gap.as_secs_f64() * 1e3)?)),
    );
    o.dist(
        "media_ahead_ms",
        each(&|_, s| {
            let key = (!s.draining()).then_some(s.t0 + s.marks.first_key?)?;
            let wall = s.n.last_video?.duration_since(key).as_secs_f64() * 1e3;
            Some(s.n.last_ts.wrapping_sub(s.n.first_ts?) as i32 as f64 - wall)
        }),
    );
    let segments = |i: usize, s: &Session| {
        let before = window.segments.get(i).copied().flatten()?;
        (s.slow_bps == 0).then_some(play::segments(s)?.wrapping_sub(before) as f64 / secs)
    };
    o.dist("segments_per_s", each(&segments));
    let ms = |f: &dyn Fn(&Session) -> &Vec<u32>| -> Vec<f64> {
        lp.s[first_sub..].iter().flat_map(|s| f(s).iter().map(|us| *us as f64 / 1e3)).collect()
    };
    o.dist("latency_ms", ms(&|s| &s.latency));
    o.dist("audio_latency_ms", ms(&|s| &s.audio_latency));
}

fn server(o: &mut Out, plan: &Plan, w: &Watched, window: &Window, secs: f64, subs: &[Session]) {
    let own = proc::sample(&[std::process::id()]);
    o.num("own_cpu_percent", (own.cpu_s - window.own.cpu_s) / secs * 100.0);
    if plan.pids.is_empty() {
        return;
    }
    let live = subs.iter().filter(|s| s.state == State::Live).count().max(1) as f64;
    let (before, start, after) = (&w.before, &window.server, proc::sample(&plan.pids));
    let cpu = after.cpu_s - start.cpu_s;
    o.num("server_cpu_s", cpu);
    o.num("server_cpu_percent", cpu / secs * 100.0);
    o.num("server_run_s", after.run_s - start.run_s);
    o.num("cpu_s_per_sub_minute", cpu / secs * 60.0 / live);
    o.num("run_ms_per_sub_minute", (after.run_s - start.run_s) / secs * 60.0 / live * 1e3);
    o.num("writes_per_sub_s", after.writes.saturating_sub(start.writes) as f64 / secs / live);
    o.raw("rss_kib_before", before.rss_kib.to_string());
    o.raw("rss_kib_start", start.rss_kib.to_string());
    o.raw("rss_kib_end", after.rss_kib.to_string());
    o.raw("rss_kib_peak", w.peak_rss.max(after.rss_kib).to_string());
    o.raw("pss_kib_before", before.pss_kib.to_string());
    o.raw("pss_kib_end", after.pss_kib.to_string());
    o.num("rss_kib_per_sub", (after.rss_kib as f64 - before.rss_kib as f64) / live);
    o.raw("threads", after.threads.to_string());
}
