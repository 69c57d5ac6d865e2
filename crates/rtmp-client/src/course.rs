//! A stream over as many connections as it takes: opened, lost, opened again.

use crate::connect::Connector;
use crate::error::ClientError;
use crate::link::{Driven, Goal, Leave, Link};
use crate::reconnect::Backoff;
use crate::{Options, Statistics};
use jackfield_media::{Mono, TrackKind};
use jackfield_rtmp::{Approach, Purpose, RtmpUrl, StreamEvent};
use jackfield_runtime::clock;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// What a course was driven to.
#[derive(Debug)]
pub(crate) enum Turn {
    Event(StreamEvent),
    /// The goal, which is no event.
    There,
    /// The stream runs on a new connection.
    Reopened,
}

/// A stream that is kept running. Every call may be cancelled: what was begun is kept in the state.
#[derive(Debug)]
pub(crate) struct Course {
    connector: Connector,
    purpose: Purpose,
    approach: Approach,
    backoff: Backoff,
    /// When the stream last began.
    began: Mono,
    state: State,
    /// The server said that the stream is over, and nobody has sent it since.
    finished: Option<ClientError>,
    /// Of the connections before this one; messages are not counted here.
    past: Statistics,
}

enum State {
    Running(Box<Link>),
    /// After a loss: the next try is made then.
    Waiting(Mono),
    Opening(Opening),
    Over,
}

type Opening = Pin<Box<dyn Future<Output = (Approach, Result<Link, ClientError>)> + Send>>;

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running(_) => "Running",
            Self::Waiting(_) => "Waiting",
            Self::Opening(_) => "Opening",
            Self::Over => "Over",
        })
    }
}

impl Course {
    /// Opens the stream for the first time: nothing is tried again.
    pub(crate) async fn open(
        connector: &Connector,
        url: RtmpUrl,
        purpose: Purpose,
        options: Options,
    ) -> Result<Self, ClientError> {
        let mut approach = Approach::new(url, options.handshake);
        let link = connector.open(&mut approach, purpose).await?;
        Ok(Self {
            connector: connector.clone(),
            purpose,
            approach,
            backoff: Backoff::new(options.reconnect),
            began: clock::now(),
            state: State::Running(Box::new(link)),
            finished: None,
            past: Statistics::default(),
        })
    }

    /// Where the stream is now.
    pub(crate) fn url(&self) -> &RtmpUrl {
        self.approach.url()
    }

    /// Bytes and connections so far.
    pub(crate) fn statistics(&self) -> Statistics {
        let mut statistics = self.past;
        if let State::Running(link) = &self.state {
            statistics.add(link);
        }
        statistics
    }

    /// Queues a message; without a connection it is left out.
    pub(crate) fn queue(&mut self, kind: TrackKind, timestamp: u32, body: &[u8]) {
        if let State::Running(link) = &mut self.state {
            link.queue(kind, timestamp, body);
        }
    }

    /// Reads, writes and reconnects until the goal is reached. Cancel-safe.
    ///
    /// # Errors
    /// The connection is over, and there are no more tries.
    pub(crate) async fn drive(&mut self, goal: Goal) -> Result<Turn, ClientError> {
        loop {
            match &mut self.state {
                State::Running(link) => match link.drive(goal).await {
                    Ok(Driven::There) => return Ok(Turn::There),
                    Ok(Driven::Event(StreamEvent::ReconnectRequested { tc_url, description })) => {
                        self.move_on(tc_url.as_deref(), &description);
                    }
                    Ok(Driven::Event(event)) => return Ok(Turn::Event(event)),
                    Err(error) => self.lose(error)?,
                },
                State::Waiting(at) => {
                    let at = *at;
                    if wait(goal, clock::sleep_until(at)).await.is_none() {
                        return Ok(Turn::There);
                    }
                    self.approach.start_over();
                    self.begin(None, Duration::ZERO);
                }
                State::Opening(opening) => {
                    let Some((approach, opened)) = wait(goal, opening).await else {
                        return Ok(Turn::There);
                    };
                    self.approach = approach;
                    match opened {
                        Ok(link) => {
                            self.state = State::Running(Box::new(link));
                            self.backoff.succeeded();
                            self.began = clock::now();
                            self.finished = None;
                            self.past.reconnects += 1;
                            return Ok(Turn::Reopened);
                        }
                        Err(error) => self.lose(error)?,
                    }
                }
                State::Over => return Err(ClientError::ServerClosed),
            }
        }
    }

    /// Says goodbye and closes. A publisher waits for a while until the server has read all.
    pub(crate) async fn close(&mut self) {
        let how = match self.purpose {
            Purpose::Publish(_) => Leave::Heard,
            Purpose::Play => Leave::Soon,
        };
        if let State::Running(link) = &mut self.state {
            link.leave(how).await;
        }
    }

    /// The server asked to go: the stream ends here and begins there.
    fn move_on(&mut self, tc_url: Option<&str>, description: &str) {
        if let Err(error) = self.approach.reconnect_at(tc_url) {
            // It goes on here as long as it may.
            tracing::warn!(%error, "The server asked to reconnect at a place that is no URL");
            return;
        }
        tracing::info!(to = self.approach.url().without_name(), description, "The server asked to reconnect");
        if let State::Running(link) = std::mem::replace(&mut self.state, State::Over) {
            self.past.add(&link);
            self.backoff.ended(clock::now() - self.began);
            let wait = self.backoff.asked();
            self.begin(Some(link), wait);
        }
    }

    /// What is to be done after a loss: wait for the next try, or give up.
    fn lose(&mut self, error: ClientError) -> Result<(), ClientError> {
        if let State::Running(link) = std::mem::replace(&mut self.state, State::Over) {
            self.past.add(&link);
            self.backoff.ended(clock::now() - self.began);
        }
        // The server may not have noticed yet that the former connection is dead.
        let may_change = error.is_retryable() || error.is_taken_name();
        let wait = if may_change { self.backoff.next_wait() } else { None };
        let Some(wait) = wait else {
            // Waiting for a stream that is over ends as the stream did.
            return Err(self.finished.take().filter(|_| error.is_absence()).unwrap_or(error));
        };
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(%error, wait_ms, "The stream was lost, connecting again");
        self.state = State::Waiting(clock::now().after(wait));
        if error.is_finish() {
            self.finished = Some(error);
        }
        Ok(())
    }

    /// Begins to open the stream again, after a farewell to the former connection and a wait.
    fn begin(&mut self, former: Option<Box<Link>>, wait: Duration) {
        let (connector, purpose) = (self.connector.clone(), self.purpose);
        let mut approach = self.approach.clone();
        self.state = State::Opening(Box::pin(async move {
            if let Some(mut former) = former {
                former.leave(Leave::Soon).await;
            }
            clock::sleep(wait).await;
            let opened = connector.open(&mut approach, purpose).await;
            (approach, opened)
        }));
    }
}

/// Waits for the future, at most until the time of the goal.
async fn wait<F: Future>(goal: Goal, future: F) -> Option<F::Output> {
    match goal {
        Goal::Time(at) => clock::until(at, future).await,
        Goal::Event | Goal::Room | Goal::Written => Some(future.await),
    }
}
