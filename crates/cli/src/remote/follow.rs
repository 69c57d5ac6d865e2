//! Following the server's events: one stream after the other, each going on where the former broke off.

use super::{Api, Query, Since};
use crate::failed::{Exit, Failed};
use jackfield_net::outbound::{Response, SendError};
use jackfield_net::sse::{Message, Reader};
use jackfield_runtime::{clock, random};
use std::collections::VecDeque;
use std::time::Duration;

/// The server says something at least every 15 s; after three times that the connection is dead.
const SILENCE: Duration = Duration::from_secs(45);
/// The pause before the next try: doubled each time, up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(15);

/// The events from some point on. What is followed is told once, whatever happens to connections.
pub(crate) struct Follow<'a> {
    api: &'a Api,
    query: Vec<(&'a str, String)>,
    /// Where it begins as long as no place was told; `None` is the server's own now, which no clock here knows better.
    since: Option<Since>,
    /// When this began, for a stream that is lost before a place was told.
    began: Since,
    /// The last place that was told.
    last: Option<String>,
    open: Option<(Response, Reader)>,
    ready: VecDeque<Message>,
    pause: Duration,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not connected yet: what fails now is told at once.
    New,
    Connected,
    Lost,
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Next {
    /// The stream is open.
    Connected,
    /// An event, a delivery, or a gap.
    Message(Message),
    /// The connection was lost for this reason; it is tried again.
    Lost(String),
}

impl<'a> Follow<'a> {
    /// Follows what the query picks: from `since` on, or from now on.
    pub(crate) fn new(api: &'a Api, query: &Query<'a>, since: Option<Since>) -> Self {
        Self {
            api,
            query: query.to_vec(),
            last: None,
            state: State::New,
            open: None,
            ready: VecDeque::new(),
            pause: FIRST_PAUSE,
            since,
            began: Since::now(),
        }
    }

    /// What comes next, for ever. Cancel-safe.
    ///
    /// # Errors
    /// When the first connection fails, or a later one in a way that will not change, such as a token that was revoked.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Next> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Ok(Next::Message(message));
            }
            if self.open.is_none() {
                return self.connect().await;
            }
            if let Err(why) = self.read().await {
                // All that came was handed over; a place may have been told without an event, as a sign of life.
                let last = self.open.take().and_then(|(_, reader)| reader.last_id().map(str::to_owned));
                self.last = last.or(self.last.take());
                self.state = State::Lost;
                return Ok(Next::Lost(why));
            }
        }
    }

    async fn connect(&mut self) -> anyhow::Result<Next> {
        if self.state == State::Lost {
            clock::sleep(random::jittered(self.pause)).await;
            self.pause = (self.pause * 2).min(LAST_PAUSE);
        }
        let mut query = self.query.clone();
        let since = match self.state {
            State::New => self.since.as_ref(),
            State::Connected | State::Lost => Some(self.since.as_ref().unwrap_or(&self.began)),
        };
        query.extend(since.filter(|_| self.last.is_none()).map(|since| ("since", since.text())));
        match self.api.open(&["events", "stream"], &query, self.last.as_deref()).await {
            Ok(response) => {
                self.open = Some((response, Reader::default()));
                self.state = State::Connected;
                Ok(Next::Connected)
            }
            Err(error) if self.state == State::Lost && may_pass(&error) => Ok(Next::Lost(error.to_string())),
            Err(error) => Err(error),
        }
    }

    /// Reads until at least one event is there.
    async fn read(&mut self) -> Result<(), String> {
        let Some((response, reader)) = &mut self.open else { return Ok(()) };
        let chunk = clock::until(clock::now().after(SILENCE), response.chunk()).await;
        let chunk =
            chunk.ok_or("nothing came for 45 seconds")?.map_err(|error: SendError| error.to_string())?;
        let chunk = chunk.ok_or("the server closed it")?;
        let mut messages = Vec::new();
        let fed = reader.feed(&chunk, &mut messages);
        self.ready.extend(messages);
        self.pause = FIRST_PAUSE;
        fed.map_err(|error| error.to_string())
    }
}

/// Whether trying again may help.
fn may_pass(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<Failed>()
        .is_none_or(|failed| matches!(failed.exit, Exit::Unreachable | Exit::Failed))
}
