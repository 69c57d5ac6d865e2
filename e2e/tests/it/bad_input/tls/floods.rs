//! Peers that end the handshake of TLS and then make work, or take nothing.

use super::{FLAT_KIB, Secure};
use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::{configurations, picture};
use jackfield_e2e::{Farewell, SOON, check_pairs, clip, eventually, forget_peak, peak_kib, resident_kib};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Stream};
use std::io::Write;
use std::net::TcpStream;

/// More than any peer has a reason for.
const KEY_UPDATES: usize = 20_000;

#[test]
fn a_flood_of_key_updates_takes_no_memory_and_disturbs_nobody() -> Result<()> {
    let secure = Secure::start("")?;
    let bystanders = secure.bystanders()?;
    let config = secure.authority.client(&[&rustls::version::TLS13])?;
    let mut socket = TcpStream::connect_timeout(&secure.rtmps, SOON)?;
    let mut tls = ClientConnection::new(config, ServerName::try_from("localhost")?)?;
    while tls.is_handshaking() {
        tls.complete_io(&mut socket).context("the handshake")?;
    }
    let pid = secure.server.pid();
    let before = resident_kib(pid)?;
    forget_peak(pid)?;
    // RFC 8446 §4.6.3: each asks for one in return. The server may close on who asks that often.
    for _ in 0..KEY_UPDATES {
        if tls.refresh_traffic_keys().is_err()
            || Stream::new(&mut tls, &mut socket).write_all(b"\x03").is_err()
        {
            break;
        }
    }
    secure.clients_get_through("beside")?;
    bystanders.check()?;
    let grown = peak_kib(pid)?.saturating_sub(before);
    ensure!(grown < FLAT_KIB, "the server grew by {grown} KiB");
    drop(socket);
    check_pairs(&secure.server.stop()?.events.all()?)
}

/// Connections one after the other.
const VISITS: usize = 200;

#[test]
fn peers_that_come_and_go_in_every_state_leave_nothing_behind() -> Result<()> {
    let secure = Secure::start("")?;
    secure.clients_get_through("before")?;
    let descriptors = secure.server.descriptors()?;
    let config = secure.authority.client(rustls::ALL_VERSIONS)?;
    for visit in 0..VISITS {
        let mut socket = TcpStream::connect_timeout(&secure.rtmps, SOON)?;
        let mut tls = ClientConnection::new(config.clone(), ServerName::try_from("localhost")?)?;
        match visit % 4 {
            // Nothing is said.
            0 => {}
            // The ClientHello and no more.
            1 => drop(tls.write_tls(&mut socket)?),
            // The whole handshake, and a word of RTMP.
            2 => {
                while tls.is_handshaking() {
                    tls.complete_io(&mut socket)?;
                }
                Stream::new(&mut tls, &mut socket).write_all(b"\x03")?;
            }
            // The whole handshake, and then no TLS any more.
            _ => {
                while tls.is_handshaking() {
                    tls.complete_io(&mut socket)?;
                }
                socket.write_all(b"\x03 in the clear, all of a sudden")?;
            }
        }
    }
    eventually("descriptors as before", SOON, || {
        Ok((secure.server.descriptors()? <= descriptors).then_some(()))
    })?;
    secure.clients_get_through("after")?;
    check_pairs(&secure.server.stop()?.events.all()?)
}

/// The queue of a player, and how long it may be full.
const IMPATIENT: &str = "[hub]\nqueue_bytes = \"1MiB\"\nslow_ms = 1000\n";

#[test]
fn a_player_over_tls_that_reads_nothing_leaves_and_the_others_miss_nothing() -> Result<()> {
    let secure = Secure::start(IMPATIENT)?;
    let clip = clip::standard()?;
    let mut publisher = secure.client(Farewell::CloseNotify)?;
    let stream = publisher.publish("heavy")?;
    for media in configurations(&clip) {
        publisher.send(stream, &media)?;
    }
    publisher.send(stream, &picture(0, 100_000))?;
    let mut lazy = secure.client(Farewell::CloseNotify)?;
    lazy.play("heavy")?;
    let mut eager = secure.client(Farewell::CloseNotify)?;
    let of_eager = eager.play("heavy")?;
    let pid = secure.server.pid();
    let before = resident_kib(pid)?;
    forget_peak(pid)?;

    let events = secure.server.events();
    let left = |kind: &str| {
        events.kinds(|event| event.kind() == kind && event.data("reason") == Some("slow_subscriber"))
    };
    let mut number = 0;
    while left("play_stop")?.is_empty() {
        number += 1;
        ensure!(number < 5000, "it is still there");
        publisher.send(stream, &picture(number, 100_000))?;
        // The same picture comes, so that the publisher is no faster than who reads.
        while eager.media(SOON)?.timestamp < i64::from(number) * 40 {}
    }
    ensure!(left("play_stop")?.len() == 1, "another player left");
    let grown = peak_kib(pid)?.saturating_sub(before);
    ensure!(grown < 2 * FLAT_KIB, "the server grew by {grown} KiB");
    publisher.unpublish(stream, "heavy")?;
    eager.expect_status(of_eager, "NetStream.Play.UnpublishNotify", SOON)?;
    drop((lazy, eager));
    check_pairs(&secure.server.stop()?.events.all()?)
}
