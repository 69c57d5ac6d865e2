//! Receivers of webhooks that have become black holes: what goes in never comes out.

#![expect(clippy::disallowed_methods, reason = "how long it took is what is asked here, within wide limits")]

use super::{answer, calls_of};
use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::Client;
use jackfield_e2e::{
    Broadcast, Receiver, Reply, SOON, Server, all_cases, check_pairs, eventually, forget_peak, peak_kib,
    resident_kib,
};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The path of a receiver says how it swallows what it gets. The last one is another receiver, whose machine does not even
/// answer a SYN.
const HOLES: [&str; 4] = ["silent", "stalled", "endless", "unreachable"];
/// Clients that come to each hole at once.
const CLIENTS: usize = 5;
/// What all calls together may take of the server's memory.
const FLAT_KIB: u64 = 24 * 1024;
/// Stopping waits for hooks as long as it is told (1 s), and not until their timeouts (30 s).
const STOP_WITHIN: Duration = Duration::from_secs(15);

fn hook(hole: &str, url: &str) -> String {
    // One gives up while the test looks on, and tries again.
    let tell = if hole == "silent" { "1s" } else { "30s" };
    format!(
        r#"
[[hook]]
name = "ask-{hole}"
on = ["authorize_publish"]
streams = ["live/{hole}-*"]
url = "{url}"
timeout = "1s"
on_error = "allow"
[[hook]]
name = "tell-{hole}"
on = ["publish_start"]
streams = ["live/{hole}-*"]
url = "{url}"
timeout = "{tell}"
"#
    )
}

/// A port on which connections are neither taken nor refused, as on a machine that is gone.
struct Unreachable {
    address: SocketAddr,
    /// The listener, and the connections that fill its queue.
    _held: (Socket, Vec<TcpStream>),
}

impl Unreachable {
    fn new() -> Result<Self> {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        // listen(2): the kernel drops a SYN while the queue is full.
        listener.listen(0)?;
        let address = listener.local_addr()?.as_socket().context("an address")?;
        let mut held = vec![];
        while let Ok(socket) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            held.push(socket);
            ensure!(held.len() < 16, "the queue has no end");
        }
        Ok(Self { address, _held: (listener, held) })
    }
}

/// Publishes to each hole with several clients at once; all are let in, since their hooks fail. Returns them.
fn fall_in(server: &Server) -> Result<Vec<Client>> {
    let names = HOLES.iter().flat_map(|hole| (0..CLIENTS).map(move |number| format!("{hole}-{number}")));
    std::thread::scope(|scope| {
        let publish = |name: String| {
            let mut client = Client::connect(server.rtmp(), "live")?;
            let refused = answer(client.publish(&name)).with_context(|| name.clone())?;
            ensure!(refused.is_none(), "{name} was refused: {refused:?}");
            Ok(client)
        };
        let clients: Vec<_> = names.map(|name| scope.spawn(move || publish(name))).collect();
        clients.into_iter().map(|client| client.join().ok().context("a client panicked")?).collect()
    })
}

#[test]
fn receivers_that_swallow_everything_delay_nobody_else_and_are_asked_again_when_they_are_well() -> Result<()>
{
    let well = Arc::new(AtomicBool::new(false));
    let receiver = Receiver::start({
        let well = Arc::clone(&well);
        move |request| match request.path.as_str() {
            _ if well.load(Ordering::Relaxed) => Reply::json(200, &json!({ "decision": "allow" })),
            "/silent" => Reply::Silence,
            "/stalled" => Reply::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{".to_vec()),
            "/endless" => Reply::Flood { bytes: 1 << 50 },
            _ => Reply::status(204),
        }
    })?;
    let unreachable = Unreachable::new()?;
    let mut config = format!(
        "[server]\ndrain_timeout = \"1s\"\n[[hook]]\nname = \"bystander\"\non = [\"publish_start\"]\nurl = \"{}\"\n",
        receiver.url("/bystander")
    );
    for hole in HOLES {
        let url = match hole {
            "unreachable" => format!("http://{}/hook", unreachable.address),
            hole => receiver.url(&format!("/{hole}")),
        };
        config += &hook(hole, &url);
    }
    let server = Server::builder().config(config).start()?;
    let broadcast = Broadcast::start(server.rtmp(), "show")?;
    let descriptors = server.descriptors()?;
    forget_peak(server.pid())?;
    let before = resident_kib(server.pid())?;

    let clients = fall_in(&server)?;
    // Everybody's start is told to the bystander, though the notices of the others hang.
    let told = |requests: &[jackfield_e2e::Request]| {
        requests.iter().filter(|request| request.path == "/bystander").count()
    };
    let all = 1 + HOLES.len() * CLIENTS;
    receiver
        .requests()
        .wait("each start at the bystander", SOON, |requests| (told(requests) >= all).then_some(()))?;
    for hole in HOLES {
        let outcomes = calls_of(&server, &format!("ask-{hole}"), CLIENTS)?;
        let expect = |outcome: &str| outcome == if hole == "endless" { "protocol_error" } else { "timeout" };
        ensure!(outcomes.iter().all(|call| expect(&call.outcome)), "{hole}: {outcomes:?}");
    }
    broadcast.wait(if all_cases() { 250 } else { 10 })?;
    let grown = peak_kib(server.pid())?.saturating_sub(before);
    ensure!(grown < FLAT_KIB, "the server grew by {grown} KiB");

    // They are well again: the next question is answered, and what was not told is told once more.
    well.store(true, Ordering::Relaxed);
    for hole in ["silent", "stalled", "endless"] {
        let name = format!("{hole}-well");
        Client::connect(server.rtmp(), "live")?.publish(&name)?;
        let calls = calls_of(&server, &format!("ask-{hole}"), CLIENTS + 1)?;
        let last = calls.last().map(|call| call.outcome.as_str());
        ensure!(last == Some("answered"), "{hole}: {last:?}");
    }
    let again = |requests: &[jackfield_e2e::Request]| {
        let of_silent = requests.iter().filter(|request| request.path == "/silent");
        let starts = of_silent.filter(|request| request.event().as_deref() == Some("publish_start"));
        let ids: Vec<Value> = starts.map(|request| request.json()["id"].clone()).collect();
        ids.iter().enumerate().any(|(at, id)| ids[at + 1..].contains(id)).then_some(())
    };
    receiver.requests().wait("a start that is told once more", SOON, again)?;

    drop(clients);
    broadcast.finish()?;
    // What still hangs are notices to who is unreachable, and connections that are kept for the next call, some seconds.
    let hanging = if all_cases() { 8 } else { 2 * HOLES.len() * CLIENTS };
    // The last call of a notice that hangs may have begun late, and has its 30 s.
    eventually("end of the sockets", SOON * 2, || {
        Ok((server.descriptors()? <= descriptors + hanging).then_some(()))
    })?;
    let began = Instant::now();
    let ended = server.stop()?;
    ensure!(began.elapsed() < STOP_WITHIN, "the stop took {:?}", began.elapsed());
    check_pairs(&ended.events.all()?)
}
