//! Notices of one kind and size, told at a steady rate: the load of `outbox` and `serve`.

use anyhow::{Context, Result, ensure};
use jackfield_bus::Bus;
use jackfield_events::notices::PublishStart;
use jackfield_events::{EventType, Fact, Protocol, PublishType, Scope};
use jackfield_media::{ConnId, SessionId, StreamKey};
use std::time::{Duration, Instant};

/// Streams that the notices are about.
const STREAMS: usize = 2048;
/// Bytes of one notice as it is stored.
const LINE: usize = 600;

/// The same fact of many streams.
pub struct Facts {
    scopes: Vec<Scope>,
    fact: PublishStart,
    line_bytes: usize,
}

impl Facts {
    pub fn new(bus: &Bus) -> Result<Self> {
        let scope = |number: usize| -> Result<Scope> {
            Ok(Scope {
                conn_id: Some(ConnId(1)),
                session_id: Some(SessionId(2)),
                stream_key: Some(StreamKey::parse(&format!("live/show{number:04}"))?),
                ..Scope::default()
            })
        };
        let fact = |query: &str| PublishStart {
            app: "live".into(),
            stream_name: "show".into(),
            publish_type: PublishType::Live,
            client_ip: std::net::Ipv4Addr::LOCALHOST.into(),
            client_port: 51234,
            protocol: Protocol::Rtmp,
            tc_url: "rtmp://media.example/live".into(),
            query: query.into(),
            failopen: Vec::new(),
        };
        let scopes: Vec<Scope> = (0..STREAMS).map(scope).collect::<Result<_>>()?;
        let one = scopes.first().context("no scope")?;
        let length = |query: &str| bus.question(one, &fact(query)).json().len();
        let padding = LINE.saturating_sub(length("camera=2"));
        let query = format!("camera=2{}", "x".repeat(padding));
        let line_bytes = length(&query);
        ensure!(PublishStart::TYPE == EventType::PublishStart, "another fact");
        Ok(Self { scopes, fact: fact(&query), line_bytes })
    }

    /// Tells it once.
    pub fn tell(&self, bus: &Bus, number: usize) {
        if let Some(scope) = self.scopes.get(number % self.scopes.len()) {
            bus.emit(scope, &self.fact);
        }
    }

    /// Tells so many a second, each thousandth of them at its time; the last ones are waited for until they are written.
    pub fn tell_for(&self, bus: &Bus, rate: u32, during: Duration) -> Told {
        let behind = || bus.outbox().map_or(0, |outbox| outbox.counters().behind);
        let start = Instant::now();
        let (mut times, mut count, mut most_behind) = (Vec::new(), 0, 0);
        while start.elapsed() < during {
            let due = (start.elapsed().as_secs_f64() * f64::from(rate)) as u64;
            while count < due {
                let before = Instant::now();
                self.tell(bus, usize::try_from(count).unwrap_or_default());
                times.push(before.elapsed());
                count += 1;
            }
            most_behind = behind().max(most_behind);
            std::thread::sleep(Duration::from_micros(500));
        }
        while behind() > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let elapsed = start.elapsed();
        times.sort_unstable();
        let p99 = times.get(times.len() / 100 * 99).copied().unwrap_or_default();
        let max = times.last().copied().unwrap_or_default();
        Told { count, line_bytes: self.line_bytes, elapsed, p99, max, most_behind }
    }
}

/// What telling was like.
pub struct Told {
    pub count: u64,
    pub line_bytes: usize,
    pub elapsed: Duration,
    pub p99: Duration,
    pub max: Duration,
    /// The most that was told and not written.
    pub most_behind: u64,
}
