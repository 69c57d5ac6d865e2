//! A trivial HTTP server for hook receivers: answers every request with one fixed reply after a fixed delay.
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub struct Cfg {
    pub listen: String,
    pub delay: Duration,
    pub status: u16,
    pub body: String,
    pub show: bool,
}

pub fn run(cfg: Cfg) -> Result<(), String> {
    let l = TcpListener::bind(&cfg.listen).map_err(|e| format!("{}: {e}", cfg.listen))?;
    let cfg = Arc::new(cfg);
    let count = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    eprintln!("hook receiver on {}", cfg.listen);
    for c in l.incoming() {
        let Ok(c) = c else { continue };
        let (cfg, count) = (cfg.clone(), count.clone());
        std::thread::spawn(move || {
            let _ = serve(c, &cfg, &count, start);
        });
    }
    Ok(())
}

fn serve(mut c: TcpStream, cfg: &Cfg, count: &AtomicU64, start: Instant) -> std::io::Result<()> {
    c.set_nodelay(true)?;
    let mut buf = Vec::new();
    let mut tmp = [0u8; 4096];
    loop {
        let head_end = loop {
            if let Some(p) = buf.windows(4).position(|w| w == b"\r\n\r\n") {
                break p + 4;
            }
            let n = c.read(&mut tmp)?;
            if n == 0 || buf.len() > 1 << 20 {
                return Ok(());
            }
            buf.extend_from_slice(&tmp[..n]);
        };
        let head = String::from_utf8_lossy(&buf[..head_end]).into_owned();
        let find = |k: &str| {
            head.lines().skip(1).find_map(|l| {
                let (n, v) = l.split_once(':')?;
                n.eq_ignore_ascii_case(k).then(|| v.trim().to_string())
            })
        };
        let len: usize = find("content-length").and_then(|v| v.parse().ok()).unwrap_or(0);
        while buf.len() < head_end + len {
            let n = c.read(&mut tmp)?;
            if n == 0 {
                return Ok(());
            }
            buf.extend_from_slice(&tmp[..n]);
        }
        let body = String::from_utf8_lossy(&buf[head_end..head_end + len]).into_owned();
        buf.drain(..head_end + len);
        let n = count.fetch_add(1, Ordering::Relaxed) + 1;
        if cfg.show {
            println!("--- {n} at {:.3}s\n{}{}", start.elapsed().as_secs_f64(), head, body);
        }
        if !cfg.delay.is_zero() {
            std::thread::sleep(cfg.delay);
        }
        let close = find("connection").is_some_and(|v| v.eq_ignore_ascii_case("close"))
            || head.contains(" HTTP/1.0\r\n");
        let reply = format!(
            "HTTP/1.1 {} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: {}\r\n\r\n{}",
            cfg.status,
            cfg.body.len(),
            if close { "close" } else { "keep-alive" },
            cfg.body
        );
        c.write_all(reply.as_bytes())?;
        if close {
            return Ok(());
        }
    }
}
