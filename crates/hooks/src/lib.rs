//! The hook engine's core: which handler is called with which event, when, and what its answer changes.
mod answer;
mod breaker;
mod chance;
mod core;
mod mutation;
mod outcome;
mod rate;
mod selector;
mod spec;
mod tally;

pub use crate::core::{
    CallId, Core, CoreConfig, DropCause, Dropped, HookStatus, Next, Output, Owner, QuestionId, Request,
    Settled,
};
pub use answer::{ANSWER_CAP, parse_answer, parse_reason};
pub use breaker::BreakerState;
pub use mutation::{Law, Mutation};
pub use outcome::{Failure, Outcome, Retry};
pub use selector::{Selector, SelectorError};
pub use spec::{DeliveryId, HookSpec, Mode, NoticeShare, Retries, RetryAfter};
pub use tally::Tally;
