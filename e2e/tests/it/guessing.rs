//! Guessing of stream keys, against the built server: `docs/security.md` names these tests.

use anyhow::{Context, Result, bail, ensure};
use jackfield_e2e::rtmp::{Client, Refused};
use jackfield_e2e::{Receiver, Reply, SOON, Server};
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

fn client(last: u8) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, last), 5000)
}

/// A server whose hook knows one secret, and for which clients on the loopback are proxies.
fn guarded() -> Result<(Receiver, Server)> {
    let receiver = Receiver::start(|request| {
        let right = request.json()["stream_key"] == "live/s3cret";
        Reply::json(200, &json!({ "decision": if right { "allow" } else { "deny" } }))
    })?;
    let server = Server::builder()
        .config("[security]\ntrusted_proxies = [\"127.0.0.1\"]\n")
        .args(["--hook-webhook", &format!("authorize_publish={}", receiver.url("/auth"))])
        .start()?;
    Ok((receiver, server))
}

fn guess(server: &Server, from: SocketAddrV4, name: &str) -> Result<()> {
    let Err(error) = Client::behind_proxy(server.rtmp(), from, "live")?.publish(name) else {
        bail!("{name} was let in");
    };
    let refused = error.downcast_ref::<Refused>().context("refused otherwise")?;
    ensure!(refused.description == "Refused.", "{refused}");
    Ok(())
}

#[test]
fn a_guesser_waits_longer_each_time_and_the_true_publisher_does_not() -> Result<()> {
    let (receiver, server) = guarded()?;
    for number in 0..6 {
        guess(&server, client(7), &format!("guess{number}"))?;
    }
    let mut waiting = Client::behind_proxy(server.rtmp(), client(7), "live")?;
    let stream = waiting.ask_publish("s3cret")?;
    // The true publisher, from somewhere else, while the guesser waits.
    Client::behind_proxy(server.rtmp(), client(8), "live")?.publish("s3cret")?;
    ensure!(receiver.requests().len() == 7, "the guesser was asked about already");
    waiting.published(stream).context("the right key in the end")?;
    let asked = receiver.requests().read(|all| all.iter().map(|request| request.at).collect::<Vec<_>>());
    let [.., sixth, _, waited] = asked.as_slice() else { bail!("{asked:?}") };
    ensure!(*waited - *sixth >= Duration::from_secs(2), "it waited {:?}", *waited - *sixth);

    let told = server.events().wait_for("auth_failed", SOON, |event| event.number("denials") == Some(6))?;
    ensure!(
        told.data("client_ip") == Some("203.0.113.7") && told.number("delay_ms") == Some(2000),
        "{told:?}"
    );
    super::usage_events::check_kind(&told)?;
    ensure!(told.data("app") == Some("live") && told.stream_key().is_none(), "{told:?}");
    let ended = server.stop()?;
    ensure!(!ended.events.lines().all().join("\n").contains("guess"), "a guess was told");
    Ok(())
}

#[test]
fn clients_on_the_loopback_are_told_of_and_never_wait() -> Result<()> {
    let (receiver, server) = guarded()?;
    for number in 0..12 {
        let denied = Client::connect(server.rtmp(), "live")?.publish(&format!("guess{number}"));
        ensure!(denied.is_err(), "a guess was let in");
    }
    Client::connect(server.rtmp(), "live")?.publish("s3cret")?;
    let asked = receiver.requests().read(|all| all.iter().map(|request| request.at).collect::<Vec<_>>());
    let [first, .., last] = asked.as_slice() else { bail!("{asked:?}") };
    // With the delays it would have taken a minute.
    ensure!(*last - *first < Duration::from_secs(30), "it took {:?}", *last - *first);
    let told = server.events().wait_for("auth_failed", SOON, |_| true)?;
    ensure!(told.number("denials").is_none() && told.number("delay_ms") == Some(0), "{told:?}");
    server.stop().map(drop)
}
