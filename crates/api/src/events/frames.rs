//! Frames of server-sent events (HTML Living Standard §9.2.5), and the way of one client's frames to its connection.
//!
//! The way has a bound. Who does not take a frame for [`STALL`] is cut off: its connection is closed, so that what was
//! queued for it is free again.

use bytes::Bytes;
use jackfield_dispatch::Delivery;
use jackfield_events::Event;
use jackfield_http::Line;
use jackfield_media::Mono;
use jackfield_runtime::clock;
use jackfield_runtime::queue::{Full, Receiver, Sender, bounded};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a client may take no frame.
pub(super) const STALL: Duration = Duration::from_secs(10);
/// Frames that wait for a client's connection, and their bytes; one frame waits even if it is longer.
const QUEUED: usize = 256;
const QUEUED_BYTES: u32 = 64 * 1024;

/// The frame of an event.
pub(super) fn event(event: &Event) -> Bytes {
    let json = event.json();
    let name = event.event_type().name();
    let head = format!("id: {}\nevent: {name}\ndata: ", event.stamp().seq);
    let mut frame = Vec::with_capacity(head.len() + json.len() + 2);
    frame.extend_from_slice(head.as_bytes());
    frame.extend_from_slice(json);
    frame.extend_from_slice(b"\n\n");
    frame.into()
}

/// The frame of an attempt to deliver one. It has no id: deliveries are not resumed.
pub(super) fn delivery(delivery: &Delivery) -> Bytes {
    let view = crate::deliveries::view::DeliveryView::of(delivery);
    let json = serde_json::to_string(&view).expect("invariant: a view has only texts and numbers");
    format!("event: delivery\ndata: {json}\n\n").into()
}

/// The frame in the place of events that are not there any more: the first and the last `seq` that may be missing.
pub(super) fn gap(from: u64, to: u64) -> Bytes {
    format!("event: gap\ndata: {{\"from\":\"{from}\",\"to\":\"{to}\"}}\n\n").into()
}

/// The frame in the place of deliveries that the client was too slow for.
pub(super) fn missed(count: u64) -> Bytes {
    format!("event: deliveries_missed\ndata: {{\"count\":{count}}}\n\n").into()
}

/// The first frame: how long to wait before connecting again.
pub(super) fn hello() -> Bytes {
    Bytes::from_static(b": jackfield\nretry: 2000\n\n")
}

/// A sign of life; with the place that the client has reached, so that it goes on from there.
pub(super) fn heartbeat(seq: Option<u64>) -> Bytes {
    match seq {
        None => Bytes::from_static(b":\n\n"),
        Some(seq) => format!(":\nid: {seq}\n\n").into(),
    }
}

/// A frame on its way, with the room that it takes.
pub(super) type Queued = (Bytes, OwnedSemaphorePermit);

/// The end of the way that takes frames in.
#[derive(Debug)]
pub(super) struct Frames {
    queue: Sender<Queued>,
    room: Arc<Semaphore>,
    line: Line,
    last_sent: Mono,
}

/// The client is gone, or was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone;

impl Frames {
    /// Both ends.
    pub(super) fn new(line: Line) -> (Self, Receiver<Queued>) {
        let (queue, frames) = bounded("event stream", QUEUED, Full::Block);
        let room = Arc::new(Semaphore::new(QUEUED_BYTES as usize));
        (Self { queue, room, line, last_sent: clock::now() }, frames)
    }

    /// Sends a frame as soon as there is room.
    ///
    /// # Errors
    /// [`Gone`].
    pub(super) async fn send(&mut self, frame: Bytes) -> Result<(), Gone> {
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX).min(QUEUED_BYTES);
        let room = Arc::clone(&self.room);
        let sending = async {
            let room = room.acquire_many_owned(length).await.map_err(|_closed| Gone)?;
            self.queue.send((frame, room)).await.map_err(|_frame| Gone)
        };
        let Some(sent) = clock::until(clock::now().after(STALL), sending).await else {
            self.line.cut();
            return Err(Gone);
        };
        self.last_sent = clock::now();
        sent
    }

    /// When the client was sent something last.
    pub(super) fn last_sent(&self) -> Mono {
        self.last_sent
    }

    /// Returns when the server lets its connections end.
    pub(super) async fn ending(&self) {
        self.line.ending().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_fields_and_an_empty_line() {
        assert_eq!(&*gap(3, 9), b"event: gap\ndata: {\"from\":\"3\",\"to\":\"9\"}\n\n");
        assert_eq!(&*heartbeat(Some(7)), b":\nid: 7\n\n");
        assert_eq!(&*heartbeat(None), b":\n\n");
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_no_frame_for_ten_seconds_is_cut_off() {
        let line = Line::default();
        let (mut frames, mut client) = Frames::new(line.clone());
        for _ in 0..QUEUED {
            assert_eq!(frames.send(hello()).await, Ok(()));
        }
        // Who reads again in time stays.
        let (sent, read) = tokio::join!(frames.send(hello()), async {
            clock::sleep(STALL / 2).await;
            client.recv().await
        });
        assert!(sent.is_ok() && read.is_some() && !line.is_cut());
        assert_eq!(frames.send(hello()).await, Err(Gone));
        assert!(line.is_cut());
    }

    #[tokio::test(start_paused = true)]
    async fn long_frames_are_bounded_by_their_bytes_and_one_passes_whatever_its_length() {
        let (mut frames, mut client) = Frames::new(Line::default());
        let long = Bytes::from(vec![b'x'; QUEUED_BYTES as usize / 2 + 1]);
        assert!(frames.send(long.clone()).await.is_ok());
        {
            let waiting = frames.send(long.clone());
            tokio::pin!(waiting);
            assert!(futures_util::poll!(&mut waiting).is_pending());
            assert_eq!(client.recv().await.map(|(frame, _)| frame.len()), Some(long.len()));
            assert!(waiting.await.is_ok());
        }
        drop(client.recv().await);
        let longest = Bytes::from(vec![b'x'; 3 * QUEUED_BYTES as usize]);
        assert!(frames.send(longest).await.is_ok());
    }

    #[tokio::test]
    async fn a_client_that_is_gone_is_told_so() {
        let (mut frames, client) = Frames::new(Line::default());
        drop(client);
        assert_eq!(frames.send(hello()).await, Err(Gone));
    }
}
