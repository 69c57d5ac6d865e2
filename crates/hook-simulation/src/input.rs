//! What the world does to the core in one step.

use jackfield_events::{Answer, Event};
use jackfield_hooks::{CallId, Failure, HookSpec, QuestionId};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone)]
pub(crate) enum Input {
    Notify(Arc<Event>),
    Ask { question: QuestionId, event: Arc<Event>, budget: Duration },
    Answer { call: CallId, result: Result<Answer, Failure> },
    Cancel(QuestionId),
    Tick,
    Reload(Vec<HookSpec>),
    Limit(usize),
    Stop,
}
