//! Somebody takes over a stream, and somebody is kicked, every second.

use crate::board::{Board, Fate, Order};
use crate::control::Control;
use crate::findings::Check;
use crate::plan::Plan;
use jackfield_media::Mono;
use jackfield_runtime::{CancellationToken, clock, random};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Of so many kicks one is of a publisher.
const PUBLISHERS: u64 = 5;

/// Does it until the load ends.
pub(crate) struct Director {
    board: Arc<Board>,
    control: Control,
    beat: Duration,
    peace: Duration,
    /// When each stream was last left in peace.
    touched: Vec<Mono>,
}

impl Director {
    pub(crate) fn new(board: Arc<Board>, control: Control, plan: &Plan) -> Self {
        let touched = vec![clock::now(); board.streams.len()];
        Self { board, control, beat: plan.beat, peace: plan.peace, touched }
    }

    pub(crate) async fn run(mut self, ending: CancellationToken) {
        let mut next = clock::now().after(self.beat);
        for turn in 0_u64.. {
            if clock::until(next, ending.cancelled()).await.is_some() {
                return;
            }
            next = next.after(self.beat);
            self.take_over();
            let done =
                if turn % PUBLISHERS == 0 { self.kick_publisher().await } else { self.kick_player().await };
            if let Err(error) = done {
                self.board.findings.fault(Check::Server, format!("it cannot be asked any more: {error:#}"));
                return;
            }
        }
    }

    /// A stream that has been in peace, if there is one.
    fn victim(&mut self) -> Option<usize> {
        let now = clock::now();
        let ready: Vec<usize> = (0..self.touched.len())
            .filter(|at| self.touched.get(*at).is_some_and(|touched| now - *touched >= self.peace))
            .collect();
        let at = *ready.get(usize::try_from(random::number()).unwrap_or(0) % ready.len().max(1))?;
        *self.touched.get_mut(at)? = now;
        Some(at)
    }

    fn take_over(&mut self) {
        let Some(stream) = self.victim().and_then(|at| self.board.streams.get(at)) else { return };
        // A station that has an order already gets no second one.
        let _busy = stream.orders.try_send(Order::TakeOver);
    }

    async fn kick_player(&mut self) -> anyhow::Result<()> {
        let Some((viewer, connection)) = self.board.any_player(random::number()) else { return Ok(()) };
        self.board.kick(viewer);
        if self.control.kick(connection).await? {
            self.board.counts.kicks.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn kick_publisher(&mut self) -> anyhow::Result<()> {
        let board = Arc::clone(&self.board);
        let Some(stream) = self.victim().and_then(|at| board.streams.get(at)) else { return Ok(()) };
        let Some(term) = stream.current() else { return Ok(()) };
        let Some(connection) = board.publisher(stream.number, term.number) else { return Ok(()) };
        if stream.end(&term, Fate::Kicked) && self.control.kick(connection).await? {
            board.counts.kicks.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}
