//! `flood`: connections that come, shake hands and go, at a rate: what a server tells of each is an event.
use crate::args::Args;
use crate::report::{Out, counts};
use crate::session::Url;
use crate::sys;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const SHAKE: usize = 1536;

/// Opens so many connections a second for so long; prints how many it were.
pub fn run(a: &Args) -> Result<(), String> {
    let SocketAddr::V4(server) = Url::parse(a.url()?)?.addr else {
        return Err("flood goes to an address of IPv4".into());
    };
    let (rate, secs) = (a.num("rate", 1000.0)?, a.num("secs", 10.0)?);
    let total = (rate * secs) as u64;
    let next = AtomicU64::new(0);
    let start = Instant::now();
    let one_thread = || {
        let (mut done, mut errors) = (0, BTreeMap::<String, usize>::new());
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let due = start + Duration::from_secs_f64(number as f64 / rate);
            // Who cannot keep the rate says so in what it prints; it does not go on for longer.
            if number >= total || start.elapsed().as_secs_f64() > secs {
                return (done, errors);
            }
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            match visit(&SocketAddr::V4(server), source(number)) {
                Ok(()) => done += 1,
                Err(e) => *errors.entry(e.to_string()).or_default() += 1,
            }
        }
    };
    let results: Vec<(u64, BTreeMap<String, usize>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(one_thread)).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let mut errors = BTreeMap::new();
    for (text, n) in results.iter().flat_map(|(_, errors)| errors) {
        *errors.entry(text.clone()).or_default() += n;
    }
    let done: u64 = results.iter().map(|(done, _)| done).sum();
    let mut o = Out("{".into());
    o.raw("connections", done.to_string());
    o.num("secs", start.elapsed().as_secs_f64());
    o.num("per_s", done as f64 / start.elapsed().as_secs_f64());
    o.raw("errors", counts(&errors));
    o.0.push('}');
    println!("{}", o.0);
    Ok(())
}

/// Each comes from another address: no limit for one address is meant here, and no port is used up.
fn source(number: u64) -> Ipv4Addr {
    let [.., b, c] = (1 + number % 60_000).to_be_bytes();
    Ipv4Addr::new(127, 1, b, c)
}

fn visit(server: &SocketAddr, source: Ipv4Addr) -> std::io::Result<()> {
    let mut socket: TcpStream = sys::connect_from(server, source)?.into();
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    // The simple handshake; the server's part is not waited for.
    let mut hello = vec![0; 1 + 2 * SHAKE];
    hello[0] = 3;
    socket.write_all(&hello)?;
    socket.read_exact(&mut hello)
}

#[cfg(test)]
mod tests {
    use super::source;

    #[test]
    fn every_visitor_has_another_loopback_address() {
        let all: std::collections::BTreeSet<_> = (0..60_000).map(source).collect();
        assert_eq!(all.len(), 60_000);
        assert!(all.iter().all(|address| address.is_loopback()));
    }
}
