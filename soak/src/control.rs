//! How the server under test is asked from the other process: a line of JSON there, a line back.

use anyhow::{Context, Result};
use jackfield_runtime::clock;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// For any answer; it is given by a thread that waits for nothing else.
const ANSWER: Duration = Duration::from_secs(10);

/// What the server is asked.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// How it is.
    State,
    /// Send this connection away.
    Kick(u64),
}

/// What it answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Response {
    State(State),
    /// Whether there was such a connection.
    Kicked(bool),
}

/// What the server knows of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) rtmp: Vec<SocketAddr>,
    /// Tasks of its runtime.
    pub(crate) tasks: usize,
    pub(crate) connections: usize,
    pub(crate) streams: usize,
    /// Players of all streams.
    pub(crate) viewers: usize,
    pub(crate) hooks: Vec<Hook>,
}

/// A hook as the server has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hook {
    pub(crate) name: String,
    /// Calls that ended with an answer.
    pub(crate) answered: u64,
    /// Calls that ended otherwise, other than given up because nobody waited any more.
    pub(crate) failed: u64,
    /// Notices that were left out.
    pub(crate) dropped: u64,
    /// Notices that wait, and calls under way.
    pub(crate) open: usize,
}

/// The other end of it.
#[derive(Debug)]
pub(crate) struct Control(BufReader<UnixStream>);

impl Control {
    /// Connects as soon as the server listens.
    pub(crate) async fn connect(path: &Path, within: Duration) -> Result<Self> {
        let deadline = clock::now().after(within);
        loop {
            match UnixStream::connect(path).await {
                Ok(socket) => return Ok(Self(BufReader::new(socket))),
                Err(error) if clock::now() >= deadline => {
                    return Err(error).context("the server under test did not start");
                }
                Err(_) => clock::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    pub(crate) async fn state(&mut self) -> Result<State> {
        match self.ask(Request::State).await? {
            Response::State(state) => Ok(state),
            Response::Kicked(_) => anyhow::bail!("another answer than what was asked for"),
        }
    }

    /// Whether there was such a connection.
    pub(crate) async fn kick(&mut self, connection: u64) -> Result<bool> {
        match self.ask(Request::Kick(connection)).await? {
            Response::Kicked(kicked) => Ok(kicked),
            Response::State(_) => anyhow::bail!("another answer than what was asked for"),
        }
    }

    async fn ask(&mut self, request: Request) -> Result<Response> {
        let exchange = async {
            self.0.write_all(format!("{}\n", serde_json::to_string(&request)?).as_bytes()).await?;
            let mut line = String::new();
            self.0.read_line(&mut line).await?;
            serde_json::from_str(&line).context("the server under test has gone")
        };
        clock::until(clock::now().after(ANSWER), exchange)
            .await
            .context("no answer of the server under test")?
    }
}
