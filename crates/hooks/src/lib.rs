//! The hook engine's core: which handler is called with which event, when, and what its answer changes.
mod outcome;
mod selector;
mod spec;

pub use outcome::{Failure, Outcome, Retry};
pub use selector::{Selector, SelectorError};
pub use spec::{DeliveryId, HookSpec, Mode, NoticeShare, Retries, RetryAfter};
