//! Clients that ask and do not wait for the answer, of programs that do not like to end.

use super::{a_client_gets_through, calls_in};
use anyhow::{Result, ensure};
use jackfield_e2e::rtmp::Client;
use jackfield_e2e::{Processes, SOON, Scratch, Server, forget_peak, peak_kib, resident_kib};

/// Clients one after the other.
const CLIENTS: usize = 200;
/// `concurrency` of the script and `max` of the workers.
const AT_WORK: usize = 2;
/// As many again that are being ended, for questions and for notices.
const AT_ONCE: usize = 4 * AT_WORK;
/// What the questions may take of the server's memory.
const FLAT_KIB: u64 = 16 * 1024;

fn check(handler: &str, bound: &str) -> Result<()> {
    let folder = Scratch::new()?;
    let script = folder
        .script("stubborn.sh", "#!/bin/sh\ntrap '' TERM\necho ready >&2\nwhile :; do sleep 1; done\n")?;
    let config = format!(
        "[server]\ndrain_timeout = \"500ms\"\n[[hook]]\nname = \"stubborn\"\non = [\"authorize_publish\"]\nstreams = [\"live/asked-*\"]\n{handler} = [\"{}\"]\n{bound} = {AT_WORK}\n",
        script.display()
    );
    let server = Server::builder().config(config).start()?;
    forget_peak(server.pid())?;
    let before = resident_kib(server.pid())?;
    let mut most = 0;
    for number in 0..CLIENTS {
        let mut client = Client::connect(server.rtmp(), "live")?;
        client.ask_publish(&format!("asked-{number}"))?;
        if number < AT_WORK {
            // The first programs have got so far that they will not end when they are told.
            server.log().wait("stubborn program", SOON, |lines| {
                let ready = lines.iter().filter(|line| line.contains("Hook printed")).count();
                (ready > number).then_some(())
            })?;
        }
        drop(client);
        if number % 10 < AT_WORK {
            let now = Processes::now()?;
            // The helper starts them. Their own children have the same name for a moment.
            let started = now.children(server.pid()).into_iter().flat_map(|helper| now.children(helper));
            most = most.max(started.filter(|pid| now.name(*pid) == Some("stubborn.sh")).count());
        }
    }
    ensure!((AT_WORK..=AT_ONCE).contains(&most), "{most} programs at once");
    drop(a_client_gets_through(&server, "beside")?);
    server.log().wait("outcome of each question", SOON, |lines| {
        (calls_in(lines, "stubborn").len() >= CLIENTS).then_some(())
    })?;
    let grown = peak_kib(server.pid())?.saturating_sub(before);
    ensure!(grown < FLAT_KIB, "the server grew by {grown} KiB");
    let ended = server.stop()?;
    ensure!(calls_in(&ended.log, "stubborn").len() == CLIENTS, "a question has two outcomes");
    let of_asked = ended.events.kinds(|event| event.stream_key().is_some_and(|key| key.contains("asked")))?;
    ensure!(of_asked.is_empty(), "a stream began: {of_asked:?}");
    Ok(())
}

#[test]
fn clients_that_ask_a_script_and_leave_pile_up_no_programs() -> Result<()> {
    check("run", "concurrency")
}

#[test]
fn clients_that_ask_a_worker_and_leave_pile_up_no_workers() -> Result<()> {
    check("worker", "max")
}
