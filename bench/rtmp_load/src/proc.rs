//! CPU time and memory of a process and its descendants, from /proc.
use std::collections::HashMap;
use std::fs;

#[derive(Default, Clone, Copy, Debug)]
pub struct Sample {
    pub cpu_s: f64,  // utime + stime, in clock ticks (10 ms steps)
    pub run_s: f64,  // the scheduler's own count for the threads alive now (ns steps)
    pub writes: u64, // write calls, as the kernel counts them (/proc/PID/io syscw)
    pub rss_kib: u64,
    pub pss_kib: u64,
    pub threads: u64,
    pub procs: u64,
}

fn field(pid: u32, file: &str, key: &str) -> u64 {
    fs::read_to_string(format!("/proc/{pid}/{file}"))
        .ok()
        .and_then(|s| {
            s.lines()
                .find(|l| l.starts_with(key))
                .and_then(|l| l.split_whitespace().nth(1).and_then(|v| v.parse().ok()))
        })
        .unwrap_or(0)
}

/// (parent, utime+stime in ticks, threads)
fn stat(pid: u32) -> Option<(u32, u64, u64)> {
    let s = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = &s[s.rfind(')')? + 2..];
    let f: Vec<&str> = rest.split_whitespace().collect();
    Some((
        f.get(1)?.parse().ok()?,
        f.get(11)?.parse::<u64>().ok()? + f.get(12)?.parse::<u64>().ok()?,
        f.get(17)?.parse().ok()?,
    ))
}

pub fn tree(roots: &[u32]) -> Vec<u32> {
    let mut kids: HashMap<u32, Vec<u32>> = HashMap::new();
    if let Ok(d) = fs::read_dir("/proc") {
        for e in d.flatten() {
            if let Ok(pid) = e.file_name().to_string_lossy().parse::<u32>() {
                if let Some((pp, _, _)) = stat(pid) {
                    kids.entry(pp).or_default().push(pid);
                }
            }
        }
    }
    let mut out = Vec::new();
    let mut todo: Vec<u32> = roots.to_vec();
    while let Some(p) = todo.pop() {
        if out.contains(&p) {
            continue;
        }
        out.push(p);
        if let Some(k) = kids.get(&p) {
            todo.extend(k);
        }
    }
    out
}

/// Resident memory only, which is cheap to look at often.
pub fn rss_kib(roots: &[u32]) -> u64 {
    tree(roots).iter().map(|p| field(*p, "status", "VmRSS:")).sum()
}

pub fn sample(roots: &[u32]) -> Sample {
    let tck = crate::sys::clk_tck();
    let mut s = Sample::default();
    for p in tree(roots) {
        if let Some((_, t, th)) = stat(p) {
            s.cpu_s += t as f64 / tck;
            s.threads += th;
            if let Ok(d) = fs::read_dir(format!("/proc/{p}/task")) {
                for e in d.flatten() {
                    if let Ok(x) = fs::read_to_string(e.path().join("schedstat")) {
                        s.run_s +=
                            x.split_whitespace().next().and_then(|v| v.parse::<f64>().ok()).unwrap_or(0.0)
                                / 1e9;
                    }
                }
            }
            s.procs += 1;
            s.writes += field(p, "io", "syscw:");
            s.rss_kib += field(p, "status", "VmRSS:");
            s.pss_kib += field(p, "smaps_rollup", "Pss:");
        }
    }
    s
}
