//! Light RTMP load and latency meter: see README.md.
mod amf;
mod args;
mod chunk;
mod event_loop;
mod flood;
mod floor;
mod flv;
mod hook;
mod pacer;
mod play;
mod play_report;
mod proc;
mod publish;
mod reference;
mod relay;
mod report;
mod session;
mod sys;

use args::{Args, USAGE};
use std::time::{Duration, Instant};

fn main() {
    sys::raise_nofile();
    let r = Args::parse().and_then(|a| {
        session::QUICKACK.store(a.has("quickack"), std::sync::atomic::Ordering::Relaxed);
        Ok(a)
    });
    let r = r.and_then(|a| match a.cmd.as_str() {
        "play" => play::play(&a),
        "publish" => publish::publish(&a),
        "pubtime" => publish::pubtime(&a),
        "hook" => hook::run(hook::Cfg {
            listen: a.opt.get("listen").cloned().unwrap_or("127.0.0.1:9000".into()),
            delay: Duration::from_secs_f64(a.num("delay-ms", 0.0)? / 1e3),
            status: a.num("status", 200.0)? as u16,
            body: a.opt.get("body").cloned().unwrap_or("0".into()),
            show: a.has("show"),
        }),
        "cpu" => cpu(&a),
        "flood" => flood::run(&a),
        "floor" => floor::run(&a),
        "askfloor" => floor::ask(&a),
        "relay" => relay::relay(&a),
        "relayed" => relay::relayed(&a),
        _ => Err(USAGE.to_string()),
    });
    if let Err(e) = r {
        eprintln!("{e}");
        std::process::exit(1);
    }
}

fn cpu(a: &Args) -> Result<(), String> {
    let p = a.pids()?;
    let s0 = proc::sample(&p);
    let t = Instant::now();
    std::thread::sleep(Duration::from_secs_f64(a.num("secs", 10.0)?));
    let s1 = proc::sample(&p);
    let el = t.elapsed().as_secs_f64();
    println!(
        "{{\"secs\":{:.2},\"cpu_s\":{:.3},\"run_s\":{:.4},\"cpu_percent\":{:.2},\"rss_kib\":{},\"pss_kib\":{},\"threads\":{},\"procs\":{}}}",
        el,
        s1.cpu_s - s0.cpu_s,
        s1.run_s - s0.run_s,
        (s1.cpu_s - s0.cpu_s) / el * 100.0,
        s1.rss_kib,
        s1.pss_kib,
        s1.threads,
        s1.procs
    );
    Ok(())
}
