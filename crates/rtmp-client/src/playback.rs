//! Receiving a stream from a server: [`Playback`].

mod timeline;

use crate::connect::Connector;
use crate::course::{Course, Turn};
use crate::error::ClientError;
use crate::link::Goal;
use crate::{Options, Statistics};
use bytes::Bytes;
use jackfield_media::TrackKind;
use jackfield_rtmp::{Purpose, RtmpUrl, StreamEvent};
use jackfield_runtime::clock;
use timeline::{Place, Timeline};

/// A message of a stream that is played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Audio, video or data.
    pub kind: TrackKind,
    /// Milliseconds, unwrapped. On one line over all connections.
    pub timestamp_ms: i64,
    /// The body of an FLV tag, as it came.
    pub body: Bytes,
}

/// A stream that is played. Nothing is read while nobody calls [`next`](Self::next), so a slow reader slows the
/// server, or is dropped by it.
///
/// After a loss, or when the server asks for it, the stream goes on over a new connection: if the server's time
/// stamps go on, what came before is not repeated; if they begin anew, they are shifted by as much as the gap was
/// long.
#[derive(Debug)]
pub struct Playback {
    course: Course,
    timeline: Timeline,
    messages: u64,
    left_out: u64,
}

impl Playback {
    /// Opens the stream and returns when the server says that it begins.
    ///
    /// # Errors
    /// Why not. Nothing is tried again.
    pub async fn open(connector: &Connector, url: RtmpUrl, options: Options) -> Result<Self, ClientError> {
        let course = Course::open(connector, url, Purpose::Play, options).await?;
        Ok(Self { course, timeline: Timeline::default(), messages: 0, left_out: 0 })
    }

    /// The next message; `None` when the server said that the stream has ended. Cancel-safe.
    ///
    /// # Errors
    /// The connection is over, and the policy has no more tries.
    pub async fn next(&mut self) -> Result<Option<Message>, ClientError> {
        loop {
            match self.course.drive(Goal::Event).await {
                Ok(Turn::Event(StreamEvent::Media { kind, timestamp, body })) => {
                    match self.timeline.place(clock::now(), kind, timestamp, &body) {
                        Place::Repeated => self.left_out += 1,
                        Place::At(timestamp_ms) => {
                            self.messages += 1;
                            return Ok(Some(Message { kind, timestamp_ms, body }));
                        }
                    }
                }
                Ok(Turn::Reopened) => self.timeline.begin_again(),
                Ok(Turn::Event(_) | Turn::There) => {}
                Err(error) if error.is_finish() => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// Says goodbye, as players do, and closes.
    pub async fn close(mut self) -> Statistics {
        self.course.close().await;
        self.statistics()
    }

    /// What was received so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        Statistics { messages: self.messages, left_out: self.left_out, ..self.course.statistics() }
    }

    /// Where the stream is played from now.
    #[must_use]
    pub fn url(&self) -> &RtmpUrl {
        self.course.url()
    }
}
