//! Frames of server-sent events (HTML Living Standard §9.2.5), and the way of one client's frames to its connection.
//!
//! The way has a bound. Who does not take a frame for [`STALL`] is cut off: its connection is closed, so that what was
//! queued for it is free again.

use bytes::Bytes;
use jackfield_dispatch::Delivery;
use jackfield_events::Event;
use jackfield_http::Line;
use jackfield_runtime::clock;
use jackfield_runtime::queue::{Full, Receiver, Sender, bounded};
use std::time::Duration;

/// How long a client may take no frame.
pub(super) const STALL: Duration = Duration::from_secs(10);
/// Frames that wait for a client's connection; an event's frame is shared by all who get it.
const QUEUED: usize = 32;

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

/// The end of the way that takes frames in.
#[derive(Debug)]
pub(super) struct Frames {
    queue: Sender<Bytes>,
    line: Line,
}

/// The client is gone, or was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone;

impl Frames {
    /// Both ends.
    pub(super) fn new(line: Line) -> (Self, Receiver<Bytes>) {
        let (queue, frames) = bounded("event stream", QUEUED, Full::Block);
        (Self { queue, line }, frames)
    }

    /// Sends a frame as soon as there is room.
    ///
    /// # Errors
    /// [`Gone`].
    pub(super) async fn send(&self, frame: Bytes) -> Result<(), Gone> {
        match clock::until(clock::now().after(STALL), self.queue.send(frame)).await {
            Some(sent) => sent.map_err(|_frame| Gone),
            None => {
                self.line.cut();
                Err(Gone)
            }
        }
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
        let (frames, mut client) = Frames::new(line.clone());
        for _ in 0..QUEUED {
            assert_eq!(frames.send(hello()).await, Ok(()));
        }
        assert!(!line.is_cut());
        assert_eq!(frames.send(hello()).await, Err(Gone));
        assert!(line.is_cut());
        // Who reads again in time stays.
        let (slow, _) = (client.try_recv(), ());
        assert!(slow.is_some() && frames.send(hello()).await.is_ok());
        drop(client);
        assert_eq!(frames.send(hello()).await, Err(Gone));
    }
}
