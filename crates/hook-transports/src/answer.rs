//! The answer to a question, in its native form.

use crate::reply::Said;
use jackfield_dispatch::Call;
pub(crate) use jackfield_hooks::ANSWER_CAP as MAX_ANSWER_BYTES;
pub(crate) use jackfield_hooks::parse_reason;

/// What the handler said; empty is no opinion.
pub(crate) fn parse(call: &Call, bytes: &[u8]) -> Said {
    jackfield_hooks::parse_answer(call.event.spec().kind, call.event.stamp().id, bytes)
}
