//! Faults of the machine and of what the server works with. `docs/reliability.md` says which test stands for which fault.

mod answers;
mod clock;
mod crowds;
mod descriptors;
mod disk;
mod helper;
mod receivers;
mod stopped;
mod streams;

use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::{Client, Refused};
use jackfield_e2e::{LogLine, Processes, SOON, Server, eventually};
use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};

/// A hook of each kind, asked about the streams whose names begin with its own.
fn one_of_each(script: &str, worker: &str, url: &str) -> String {
    format!(
        r#"
[[hook]]
name = "script"
on = ["authorize_publish"]
streams = ["live/script-*"]
run = ["{script}"]
[[hook]]
name = "worker"
on = ["authorize_publish"]
streams = ["live/worker-*"]
worker = ["{worker}"]
min = 1
max = 1
[[hook]]
name = "webhook"
on = ["authorize_publish"]
streams = ["live/webhook-*"]
url = "{url}"
"#
    )
}

/// Publishes and leaves again; the description of the refusal, if there is one.
fn ask(server: &Server, name: &str) -> Result<Option<String>> {
    answer(Client::connect(server.rtmp(), "live")?.publish(name))
}

fn answer(published: Result<u32>) -> Result<Option<String>> {
    let Err(error) = published else { return Ok(None) };
    Ok(Some(error.downcast::<Refused>().context("neither allowed nor refused")?.description))
}

/// Publishes, which must be allowed.
fn allowed(server: &Server, name: &str) -> Result<()> {
    let refused = ask(server, name).with_context(|| name.to_owned())?;
    ensure!(refused.is_none(), "{name} was refused: {refused:?}");
    Ok(())
}

/// How a call of a hook ended, as the log tells it.
#[derive(Debug, Clone)]
struct Asked {
    outcome: String,
    pid: Option<u64>,
}

/// Waits until so many calls of a hook have ended; those that have, in the order of their ends.
fn calls_of(server: &Server, hook: &str, at_least: usize) -> Result<Vec<Asked>> {
    server.log().wait(&format!("end of call {at_least} of `{hook}`"), SOON, |lines| {
        let lines = lines.iter().filter(|line| line.contains(hook)).filter_map(|line| LogLine::parse(line));
        let calls = lines.filter(|line| line.message() == "Hook called" && line.field("hook") == Some(hook));
        let call = |line: LogLine| Asked {
            outcome: line.field("outcome").unwrap_or_default().to_owned(),
            pid: line.value("pid").and_then(serde_json::Value::as_u64),
        };
        let calls: Vec<Asked> = calls.map(call).collect();
        (calls.len() >= at_least).then_some(calls)
    })
}

/// The helper, through which the server starts its programs: the only process that it starts itself.
fn helper(server: &Server) -> Result<u32> {
    let now = Processes::now()?;
    let living: Vec<u32> = now.children(server.pid()).into_iter().filter(|pid| now.lives(*pid)).collect();
    match living[..] {
        [helper] => Ok(helper),
        _ => anyhow::bail!("children of the server: {living:?}"),
    }
}

/// Sockets to the server that say nothing.
struct Crowd(Vec<TcpStream>);

impl Crowd {
    fn open(server: SocketAddr, count: usize) -> Result<Self> {
        let open = |_| {
            let socket = TcpStream::connect_timeout(&server, SOON)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        Ok(Self((0..count).map(open).collect::<Result<_>>()?))
    }

    /// Waits until so many of them have been closed by the server.
    fn wait_closed(&self, at_least: usize) -> Result<()> {
        eventually(&format!("end of {at_least} connections"), SOON, || {
            let is_open = |mut socket: &TcpStream| matches!(socket.read(&mut [0; 1]), Err(error) if error.kind() == ErrorKind::WouldBlock);
            let closed = self.0.iter().filter(|socket| !is_open(socket)).count();
            Ok((closed >= at_least).then_some(()))
        })
    }
}

/// How many lines of the log are this sentence.
fn told(log: &[String], sentence: &str) -> usize {
    log.iter().filter_map(|line| LogLine::parse(line)).filter(|line| line.message() == sentence).count()
}
