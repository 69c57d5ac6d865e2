//! The table of connections, seen from outside.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use jackfield_bus::{Bus, Sink};
use jackfield_events::{EndReason, Event, EventSet, EventType, Masker, Protocol};
use jackfield_sessions::{ConnectionLimits, ConnectionRate, Connections, Kick, Peer, Tls, TooMany, Unknown};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Default)]
struct Kept(Mutex<Vec<Arc<Event>>>);

impl Sink for Kept {
    fn accept(&self, event: &Arc<Event>) {
        self.0.lock().unwrap().push(Arc::clone(event));
    }
}

impl Kept {
    fn lines(&self) -> Vec<String> {
        let line = |event: &Arc<Event>| {
            let data: Vec<String> =
                event.data().iter().map(|(name, value)| format!("{name}={value}")).collect();
            let id = event.scope().conn_id.map_or_else(String::new, |id| format!("{id} "));
            format!("{} {id}{}", event.event_type(), data.join(" "))
        };
        self.0.lock().unwrap().iter().map(line).collect()
    }
}

fn table(limits: ConnectionLimits) -> (Connections, Arc<Kept>) {
    let bus = Bus::new("n", Masker::default());
    let kept = Arc::new(Kept::default());
    bus.set_sink(
        "kept",
        EventType::ALL.iter().copied().collect::<EventSet>(),
        Arc::clone(&kept) as Arc<dyn Sink>,
    );
    (Connections::new(bus, limits), kept)
}

fn peer(client: &str) -> Peer {
    let client: SocketAddr = client.parse().unwrap();
    Peer { client, server: "[::1]:1935".parse().unwrap(), protocol: Protocol::Rtmp }
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_told_from_its_accept_to_its_close() {
    let (connections, kept) = table(ConnectionLimits::default());
    let connection = connections.open(peer("203.0.113.7:51234")).unwrap();
    tokio::time::advance(Duration::from_millis(12)).await;
    connection.handshake_complete(Tls::Off);
    connection.received(100);
    connection.counters().add_sent(7);
    assert_eq!(connections.list()[0].bytes_received, 100);
    tokio::time::advance(Duration::from_millis(1500)).await;
    connection.close(EndReason::Timeout);
    assert_eq!(
        kept.lines(),
        [
            r#"connection_accept c000001 client_ip="203.0.113.7" client_port=51234 server_ip="::1" server_port=1935 protocol="rtmp""#,
            r#"handshake_complete c000001 client_ip="203.0.113.7" protocol="rtmp" tls=false elapsed_ms=12"#,
            r#"connection_close c000001 client_ip="203.0.113.7" protocol="rtmp" reason="timeout" duration_seconds=1 duration_ms=1512 bytes_received=100 bytes_sent=7"#,
        ]
    );
    assert_eq!(connections.count(), 0);
}

#[tokio::test]
async fn a_dropped_connection_is_closed_once() {
    let (connections, kept) = table(ConnectionLimits::default());
    drop(connections.open(peer("203.0.113.7:1")).unwrap());
    let lines = kept.lines();
    assert_eq!(lines.len(), 2);
    assert!(lines[1].contains(r#"reason="client_disconnect""#), "{lines:?}");
}

#[tokio::test]
async fn a_kick_reaches_the_task_of_the_connection_and_the_first_counts() {
    let (connections, _kept) = table(ConnectionLimits::default());
    let connection = connections.open(peer("203.0.113.7:1")).unwrap();
    let id = connection.id();
    connections.kick(id, Kick::by_operator("first")).unwrap();
    connections.kick(id, Kick::by_operator("second")).unwrap();
    assert_eq!(connection.kicked().await, Kick::by_operator("first"));
    assert_eq!(connection.kicked().await, Kick::by_operator("first"));
    drop(connection);
    assert_eq!(connections.kick(id, Kick::by_operator("late")), Err(Unknown(id)));
}

#[tokio::test]
async fn limits_refuse_without_an_event_and_free_again() {
    let (connections, kept) = table(ConnectionLimits {
        max_total: 4,
        max_per_address: 1,
        exempt: Arc::new(|address| address.is_loopback() || address.to_string() == "198.51.100.9"),
        ..ConnectionLimits::default()
    });
    let first = connections.open(peer("203.0.113.7:1")).unwrap();
    // The same address in its IPv6 form.
    assert_eq!(connections.open(peer("[::ffff:203.0.113.7]:2")).unwrap_err(), TooMany::PerAddress(1));
    let _loopback =
        [connections.open(peer("127.0.0.1:1")).unwrap(), connections.open(peer("127.0.0.1:2")).unwrap()];
    let _proxy = connections.open(peer("198.51.100.9:1")).unwrap();
    assert_eq!(connections.open(peer("203.0.113.8:1")).unwrap_err(), TooMany::Total(4));
    let of_connections = |line: &String| !line.starts_with("connection_refused");
    assert_eq!(kept.lines().iter().filter(|line| of_connections(line)).count(), 4);
    drop(first);
    assert!(connections.open(peer("203.0.113.7:3")).is_ok());
}

#[tokio::test]
async fn an_ipv6_client_counts_by_its_64() {
    let limits = ConnectionLimits { max_per_address: 1, ..ConnectionLimits::default() };
    let (connections, _kept) = table(limits);
    let first = connections.open(peer("[2001:db8:1:2::3]:1")).unwrap();
    assert_eq!(connections.open(peer("[2001:db8:1:2::4]:1")).unwrap_err(), TooMany::PerAddress(1));
    assert!(connections.open(peer("[2001:db8:1:3::4]:1")).is_ok());
    drop(first);
    assert!(connections.open(peer("[2001:db8:1:2::5]:1")).is_ok());
}

#[tokio::test(start_paused = true)]
async fn new_connections_of_one_address_have_a_rate_and_refusals_are_told_at_a_pace() {
    let rate_per_address = NonZeroU32::new(10).map(ConnectionRate::per_second);
    let (connections, kept) = table(ConnectionLimits { rate_per_address, ..ConnectionLimits::default() });
    let open = |client: &str| (0..100).filter(|_| connections.open(peer(client)).is_ok()).count();
    assert_eq!(open("203.0.113.7:1"), 20);
    assert_eq!([open("127.0.0.1:1"), open("203.0.113.8:1")], [100, 20]);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(open("203.0.113.7:1"), 10);
    tokio::time::advance(Duration::from_secs(9)).await;
    assert_eq!(open("203.0.113.7:1"), 20);
    let told: Vec<String> =
        kept.lines().into_iter().filter(|line| line.starts_with("connection_refused")).collect();
    let line = |times| {
        format!(
            r#"connection_refused client_ip="203.0.113.7" protocol="rtmp" reason="max_connection_rate_per_address" times={times}"#
        )
    };
    assert_eq!(told, [line(1), line(79 + 80 + 90 + 1)]);
}

#[tokio::test]
async fn sessions_are_numbered_over_all_connections() {
    let (connections, _kept) = table(ConnectionLimits::default());
    let ids = [connections.next_session_id(), connections.clone().next_session_id()];
    assert_eq!(ids.map(|id| id.to_string()), ["s000001", "s000002"]);
}
