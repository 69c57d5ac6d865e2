//! All clients together.

use super::started::Started;
use crate::board::{Board, Stream};
use crate::director::Director;
use crate::findings::Findings;
use crate::hooks::BAD;
use crate::plan::Plan;
use crate::publishers::Station;
use crate::verdicts::Visitors;
use crate::viewers::Seat;
use anyhow::{Context, Result};
use jackfield_runtime::{CancellationToken, Tasks, clock};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// The load runs. It ends by [`Load::end`].
pub(super) struct Load {
    board: Arc<Board>,
    /// Players, and others that are to leave while streams are on the air.
    guests: Tasks,
    publishers: Tasks,
    leaving: CancellationToken,
    closing: CancellationToken,
}

impl Load {
    pub(super) async fn start(plan: &Plan, findings: &Arc<Findings>, server: &mut Started) -> Result<Self> {
        let address = *server.state().await?.rtmp.first().context("the server has no listener")?;
        let (streams, orders): (Vec<_>, Vec<_>) = (0..plan.publishers)
            .map(|number| {
                let (sender, orders) = mpsc::channel(1);
                (Stream::new(number, sender), orders)
            })
            .unzip();
        let board = Arc::new(Board::new(Arc::clone(findings), address, streams));
        server.board.set(Arc::clone(&board)).ok().context("invariant: there is one load")?;
        let load = Self {
            board: Arc::clone(&board),
            guests: Tasks::new(),
            publishers: Tasks::new(),
            leaving: CancellationToken::new(),
            closing: CancellationToken::new(),
        };
        for (at, orders) in orders.into_iter().enumerate() {
            let (board, plan, tasks) = (Arc::clone(&board), plan.clone(), load.publishers.clone());
            let station = Station { board, at, plan, orders, tasks, ending: load.closing.clone() };
            drop(load.publishers.spawn("soak.station", station.run()));
        }
        for seat in 0..plan.viewers {
            let share = u32::try_from(seat).unwrap_or(0);
            let after = plan.arrival * share / u32::try_from(plan.viewers).unwrap_or(1);
            let (board, plan, ending) = (Arc::clone(&board), plan.clone(), load.leaving.clone());
            drop(load.guests.spawn("soak.seat", Seat { board, plan, after, ending }.run()));
        }
        for hook in &BAD {
            let (board, plan, ending) = (Arc::clone(&board), plan.clone(), load.leaving.clone());
            drop(load.guests.spawn("soak.visitors", Visitors { board, plan, hook, ending }.run()));
        }
        let director = Director::new(board, server.another_control().await?, plan);
        drop(load.guests.spawn("soak.director", director.run(load.leaving.clone())));
        Ok(load)
    }

    pub(super) fn board(&self) -> &Board {
        &self.board
    }

    pub(super) fn figures(&self) -> Value {
        let counts = &self.board.counts;
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        json!({
            "frames": count(&counts.frames), "events": count(&counts.events), "joined": count(&counts.joined),
            "kicks": count(&counts.kicks), "takeovers": count(&counts.takeovers), "visits": count(&counts.visits),
        })
    }

    /// Sends players away, then publishers; returns how many did not go.
    pub(super) async fn end(self, within: Duration) -> usize {
        self.leaving.cancel();
        let left = self.guests.stop(clock::now().after(within)).await;
        self.closing.cancel();
        left + self.publishers.stop(clock::now().after(within)).await
    }
}
