//! The server under test: the real one, with a socket on which it is asked about its inside.

use crate::control::{Hook, Request, Response, State};
use anyhow::{Context, Result};
use jackfield_dispatch::HookStatus;
use jackfield_hooks::Outcome;
use jackfield_media::ConnId;
use jackfield_server::config::Flags;
use jackfield_server::{Inside, Server};
use jackfield_sessions::Kick;
use rustix::process::{Signal, getpid, kill_process};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use tokio::runtime::Handle;

/// Runs until a signal stops it.
pub(crate) fn run(config: PathBuf, control: PathBuf) -> Result<()> {
    let flags = Flags { config: Some(config), ..Flags::default() };
    let server = Server::load(flags)?;
    let mut listening = Ok(());
    let result = server.run_with(|inside| listening = listen(&control, &inside));
    listening?;
    result.context("the server")
}

/// Answers in threads of its own, so that asking changes none of what is counted.
fn listen(path: &PathBuf, inside: &Inside) -> Result<()> {
    let listener = UnixListener::bind(path).context("the control socket")?;
    let (inside, runtime) = (inside.clone(), Handle::current());
    std::thread::spawn(move || {
        for (number, socket) in listener.incoming().map_while(Result::ok).enumerate() {
            let (inside, runtime) = (inside.clone(), runtime.clone());
            std::thread::spawn(move || {
                // However it ends, nobody asks any more.
                let _gone = answer(&socket, &inside, &runtime);
                // The first to ask is the run itself; a server that nobody watches ends.
                if number == 0 {
                    let _sent = kill_process(getpid(), Signal::TERM);
                }
            });
        }
    });
    Ok(())
}

fn answer(socket: &UnixStream, inside: &Inside, runtime: &Handle) -> Result<()> {
    for line in BufReader::new(socket).lines() {
        let response = match serde_json::from_str(&line?)? {
            Request::State => Response::State(state(inside, runtime)),
            Request::Kick(connection) => {
                let kick = Kick::by_operator("You were chosen.");
                Response::Kicked(inside.connections.kick(ConnId(connection), kick).is_ok())
            }
        };
        let mut socket = socket;
        writeln!(socket, "{}", serde_json::to_string(&response)?)?;
    }
    Ok(())
}

fn state(inside: &Inside, runtime: &Handle) -> State {
    let streams = inside.hub.streams();
    State {
        rtmp: inside.rtmp.clone(),
        tasks: runtime.metrics().num_alive_tasks(),
        connections: inside.connections.count(),
        streams: streams.len(),
        viewers: streams.iter().map(|stream| stream.viewers).sum(),
        hooks: inside.dispatch.status().into_iter().map(Hook::from).collect(),
    }
}

impl From<HookStatus> for Hook {
    fn from(status: HookStatus) -> Self {
        let tally = &status.tally;
        let failures =
            Outcome::ALL.iter().filter(|end| !matches!(end, Outcome::Answered | Outcome::Cancelled));
        Self {
            answered: tally.outcome(Outcome::Answered),
            failed: failures.map(|end| tally.outcome(*end)).sum(),
            dropped: tally.dropped + tally.lost,
            open: status.queued + status.notices_running + status.asking + status.questions_running,
            name: status.name.to_string(),
        }
    }
}
