//! Sending a stream to a server: [`Publication`].

use crate::connect::Connector;
use crate::error::ClientError;
use crate::link::{Driven, Goal, Link};
use crate::{Options, Statistics};
use bytes::Bytes;
use jackfield_media::{Mono, TrackKind};
use jackfield_rtmp::{Approach, PublishKind, Purpose, RtmpUrl};

/// A stream that is published. Back-pressure is the caller's wait in [`send`](Self::send): what the server does
/// not take is held up to 256 KiB.
#[derive(Debug)]
pub struct Publication {
    approach: Approach,
    link: Link,
    messages: u64,
}

impl Publication {
    /// Opens the stream and returns when the server has said that it may be sent.
    ///
    /// # Errors
    /// Why not. Nothing is tried again.
    pub async fn open(connector: &Connector, url: RtmpUrl, options: Options) -> Result<Self, ClientError> {
        let mut approach = Approach::new(url, options.handshake);
        let link = connector.open(&mut approach, PURPOSE).await?;
        Ok(Self { approach, link, messages: 0 })
    }

    /// Sends the body of an FLV tag; `onMetaData` is told as the stream's. `timestamp` is in milliseconds
    /// modulo 2³². Waits while too much is on its way. A cancelled call may have queued the message.
    ///
    /// # Errors
    /// The connection is over.
    pub async fn send(&mut self, kind: TrackKind, timestamp: u32, body: &Bytes) -> Result<(), ClientError> {
        self.link.queue(kind, timestamp, body);
        self.messages += 1;
        self.drive(Goal::Room).await
    }

    /// Keeps the connection alive until then: whoever sends in real time waits here and not in a sleep.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn tend(&mut self, until: Mono) -> Result<(), ClientError> {
        self.drive(Goal::Time(until)).await
    }

    /// Waits until the system has taken all that was sent.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn flush(&mut self) -> Result<(), ClientError> {
        self.drive(Goal::Written).await
    }

    /// Says goodbye, as encoders do, and closes.
    pub async fn close(mut self) -> Statistics {
        self.link.leave().await;
        self.statistics()
    }

    /// What was sent so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let (received_bytes, sent_bytes) = self.link.bytes();
        Statistics { messages: self.messages, received_bytes, sent_bytes }
    }

    /// Where the stream is sent to now.
    #[must_use]
    pub fn url(&self) -> &RtmpUrl {
        self.approach.url()
    }

    async fn drive(&mut self, goal: Goal) -> Result<(), ClientError> {
        while let Driven::Event(_) = self.link.drive(goal).await? {}
        Ok(())
    }
}

const PURPOSE: Purpose = Purpose::Publish(PublishKind::Live);
