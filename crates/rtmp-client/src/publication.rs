//! Sending a stream to a server: [`Publication`].

use crate::connect::Connector;
use crate::course::{Course, Turn};
use crate::error::ClientError;
use crate::link::Goal;
use crate::opening::{Admission, Opening};
use crate::{Options, Statistics};
use bytes::Bytes;
use jackfield_media::{Mono, TrackKind};
use jackfield_rtmp::{PublishKind, Purpose, RtmpUrl};

/// A stream that is published. Back-pressure is the caller's wait in [`send`](Self::send): what the server does
/// not take is held up to 256 KiB.
///
/// After a loss, or when the server asks for it, the stream goes on over a new connection: metadata and
/// configurations are sent again, and media goes on at the next key frame.
#[derive(Debug)]
pub struct Publication {
    course: Course,
    opening: Opening,
    messages: u64,
    left_out: u64,
    /// The last time stamp.
    timestamp: u32,
}

impl Publication {
    /// Opens the stream and returns when the server has said that it may be sent.
    ///
    /// # Errors
    /// Why not. Nothing is tried again.
    pub async fn open(connector: &Connector, url: RtmpUrl, options: Options) -> Result<Self, ClientError> {
        let purpose = Purpose::Publish(PublishKind::Live);
        let course = Course::open(connector, url, purpose, options).await?;
        Ok(Self { course, opening: Opening::default(), messages: 0, left_out: 0, timestamp: 0 })
    }

    /// Sends the body of an FLV tag; `onMetaData` is told as the stream's. `timestamp` is in milliseconds
    /// modulo 2³². Waits while too much is on its way, or there is no connection. A cancelled call may have queued
    /// the message.
    ///
    /// # Errors
    /// The connection is over, and the policy has no more tries.
    pub async fn send(&mut self, kind: TrackKind, timestamp: u32, body: &Bytes) -> Result<(), ClientError> {
        self.drive(Goal::Room).await?;
        self.timestamp = timestamp;
        match self.opening.admit(kind, body) {
            Admission::LeaveOut => self.left_out += 1,
            Admission::Send => {
                self.course.queue(kind, timestamp, body);
                self.messages += 1;
            }
        }
        self.drive(Goal::Room).await
    }

    /// Keeps the connection alive until then: whoever sends in real time waits here and not in a sleep.
    /// Cancel-safe.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn tend(&mut self, until: Mono) -> Result<(), ClientError> {
        self.drive(Goal::Time(until)).await
    }

    /// Waits until the system has taken all that was sent. Cancel-safe.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn flush(&mut self) -> Result<(), ClientError> {
        self.drive(Goal::Written).await
    }

    /// Says goodbye, as encoders do, and closes.
    pub async fn close(mut self) -> Statistics {
        self.course.close().await;
        self.statistics()
    }

    /// What was sent so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        Statistics { messages: self.messages, left_out: self.left_out, ..self.course.statistics() }
    }

    /// Where the stream is sent to now.
    #[must_use]
    pub fn url(&self) -> &RtmpUrl {
        self.course.url()
    }

    async fn drive(&mut self, goal: Goal) -> Result<(), ClientError> {
        loop {
            match self.course.drive(goal).await? {
                Turn::There => return Ok(()),
                Turn::Event(_) => {}
                Turn::Reopened => {
                    for (kind, body) in self.opening.begin_again() {
                        self.course.queue(kind, self.timestamp, body);
                    }
                }
            }
        }
    }
}
