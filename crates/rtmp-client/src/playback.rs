//! Receiving a stream from a server: [`Playback`].

use crate::connect::Connector;
use crate::error::ClientError;
use crate::link::{Driven, Goal, Link};
use crate::{Options, Statistics};
use bytes::Bytes;
use jackfield_media::TrackKind;
use jackfield_rtmp::{Approach, Purpose, RtmpUrl, StreamEvent};

/// A message of a stream that is played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Audio, video or data.
    pub kind: TrackKind,
    /// Milliseconds, unwrapped.
    pub timestamp_ms: i64,
    /// The body of an FLV tag, as it came.
    pub body: Bytes,
}

/// A stream that is played. Nothing is read while nobody calls [`next`](Self::next), so a slow reader slows the
/// server, or is dropped by it.
#[derive(Debug)]
pub struct Playback {
    approach: Approach,
    link: Link,
    messages: u64,
}

impl Playback {
    /// Opens the stream and returns when the server says that it begins.
    ///
    /// # Errors
    /// Why not. Nothing is tried again.
    pub async fn open(connector: &Connector, url: RtmpUrl, options: Options) -> Result<Self, ClientError> {
        let mut approach = Approach::new(url, options.handshake);
        let link = connector.open(&mut approach, Purpose::Play).await?;
        Ok(Self { approach, link, messages: 0 })
    }

    /// The next message; `None` when the server said that the stream has ended. Cancel-safe.
    ///
    /// # Errors
    /// The connection is over.
    pub async fn next(&mut self) -> Result<Option<Message>, ClientError> {
        loop {
            match self.link.drive(Goal::Event).await {
                Ok(Driven::Event(StreamEvent::Media { kind, timestamp, body })) => {
                    self.messages += 1;
                    return Ok(Some(Message { kind, timestamp_ms: timestamp, body }));
                }
                Ok(_) => {}
                Err(error) if error.is_finish() => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// Says goodbye, as players do, and closes.
    pub async fn close(mut self) -> Statistics {
        self.link.leave().await;
        self.statistics()
    }

    /// What was received so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let (received_bytes, sent_bytes) = self.link.bytes();
        Statistics { messages: self.messages, received_bytes, sent_bytes }
    }

    /// Where the stream is played from now.
    #[must_use]
    pub fn url(&self) -> &RtmpUrl {
        self.approach.url()
    }
}
