//! What the world does to the core in one step.

use jackfield_events::{Answer, Event};
use jackfield_hooks::{CallId, Cursor, DisabledBy, Failure, HookSpec, QuestionId};
use jackfield_media::Text;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone)]
pub(crate) enum Input {
    Notify(Arc<Event>),
    /// The log has one more.
    Append(Arc<Event>),
    /// A courier has handed something over.
    Fed,
    Ask {
        question: QuestionId,
        event: Arc<Event>,
        budget: Duration,
    },
    Answer {
        call: CallId,
        result: Result<Answer, Failure>,
    },
    Cancel(QuestionId),
    Tick,
    /// The new hooks, and where those begin in the log that were not there.
    Reload(Vec<HookSpec>, Vec<(Text, Cursor)>),
    /// Whether the hook of this id is called.
    Disable(Text, Option<DisabledBy>),
    /// The process ends and a new one begins, with the cursors that were on disk.
    Crash(Vec<(Text, Cursor)>),
    Limit(usize),
    Stop,
}
