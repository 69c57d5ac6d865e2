//! Reads what the server prints: all its events, and its log.

use crate::board::Board;
use crate::findings::{Check, Findings};
use crate::plan::Plan;
use jackfield_e2e::{Event, Pairs};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Who a session is on our side.
#[derive(Debug, Clone, Copy)]
enum Who {
    Viewer(u64),
    Publisher(u16, u32),
}

/// Takes the events in the order in which they were told.
pub(crate) struct Recorder {
    pub(crate) findings: Arc<Findings>,
    /// Once there is a load.
    pub(crate) board: Arc<OnceLock<Arc<Board>>>,
    pairs: Pairs,
    sessions: HashMap<String, Who>,
}

impl Recorder {
    pub(crate) fn new(findings: Arc<Findings>, board: Arc<OnceLock<Arc<Board>>>) -> Self {
        Self { findings, board, pairs: Pairs::default(), sessions: HashMap::new() }
    }

    /// Reads until the server has ended, and then says what never stopped.
    pub(crate) fn read(mut self, stdout: impl Read) {
        for line in BufReader::new(stdout).lines() {
            match line.map_err(Into::into).and_then(|line| Event::parse(&line)) {
                Ok(event) => self.take(&event),
                Err(error) => self.findings.fault(Check::Events, format!("{error:#}")),
            }
        }
        if let Err(error) = self.pairs.finish() {
            self.findings.fault(Check::Events, format!("{error:#}"));
        }
    }

    fn take(&mut self, event: &Event) {
        self.findings.examined(Check::Events, 1);
        if let Err(error) = self.pairs.tell(event) {
            self.findings.fault(Check::Events, format!("{error:#}"));
        }
        if let Some(lost) = event.json().get("num_dropped") {
            self.findings.fault(Check::Events, format!("{lost} events before {} were lost", event.json()));
        }
        let Some(board) = self.board.get() else { return };
        board.counts.events.fetch_add(1, Ordering::Relaxed);
        let Some(session) = event.json().get("session_id").and_then(|id| id.as_str()) else { return };
        match event.kind() {
            "publish_start" | "play_start" => {
                let connection = event.conn_id().and_then(|id| id.strip_prefix('c')?.parse().ok());
                let Some(who) = event.data("query").and_then(who) else { return };
                tell(board, who, connection);
                self.sessions.insert(session.to_owned(), who);
            }
            "publish_stop" | "play_stop" => {
                let Some(who) = self.sessions.remove(session) else { return };
                tell(board, who, None);
                if let Some(dropped) = event.number("dropped_frames").filter(|dropped| *dropped > 0) {
                    self.findings.fault(Check::Frames, format!("{who:?} was told to have missed {dropped}"));
                }
            }
            _ => {}
        }
    }
}

/// `v=7` is a player, `t=3.12` a publisher.
fn who(query: &str) -> Option<Who> {
    if let Some(viewer) = query.strip_prefix("v=") {
        return viewer.parse().ok().map(Who::Viewer);
    }
    let (stream, term) = query.strip_prefix("t=")?.split_once('.')?;
    Some(Who::Publisher(stream.parse().ok()?, term.parse().ok()?))
}

fn tell(board: &Board, who: Who, connection: Option<u64>) {
    match who {
        Who::Viewer(viewer) => board.plays(viewer, connection),
        Who::Publisher(stream, term) => board.publishes(stream, term, connection),
    }
}

/// Reads the log and the events beside it, but stops now and then: who writes there must not be held up.
pub(crate) struct LogReader {
    pub(crate) findings: Arc<Findings>,
    pub(crate) file: File,
    every: Duration,
    stop: Duration,
}

/// The log's file does not grow over this.
const MOST_LOG: usize = 20 << 20;

impl LogReader {
    pub(crate) fn new(findings: Arc<Findings>, file: File, plan: &Plan) -> Self {
        Self { findings, file, every: plan.line * 3, stop: plan.line / 3 }
    }

    pub(crate) fn read(mut self, stderr: impl Read) {
        let (mut written, mut last) = (0, Instant::now());
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if last.elapsed() > self.every {
                std::thread::sleep(self.stop);
                last = Instant::now();
            }
            if line.starts_with('{') {
                continue;
            }
            if line.contains("panicked") || line.contains(" ERROR ") {
                self.findings.fault(Check::Server, line.clone());
            }
            written += line.len();
            if written < MOST_LOG && writeln!(self.file, "{line}").is_err() {
                self.findings.fault(Check::Server, "its log cannot be kept");
                written = MOST_LOG;
            }
        }
    }
}
