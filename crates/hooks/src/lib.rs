//! The hook engine's core: which handler is called with which event, when, and what its answer changes.
//!
//! A state machine without I/O. It sees no clock (`now` is a parameter), draws no lots (jitter comes from
//! a seed), spawns nothing and knows no transport. In go facts, questions, the ends of calls, time and
//! configurations; out come calls to be made, calls to be stopped, verdicts, and a record of each call.
//! So the whole engine is played by a simulator, a hundred thousand imagined days at a time.
//!
//! # Contract
//!
//! 1. After every input, take outputs until [`Core::poll_output`] returns `None`.
//! 2. Call [`Core::tick`] at [`Core::poll_timeout`], or soon after.
//! 3. For every [`Output::Call`] report the end by [`Core::answer`]; after [`Output::Cancel`] it need not come.
//!
//! ```
//! use jackfield_events::{Answer, Decision, Event, EventSet, EventType, Masker, Scope, Stamp, Verdict};
//! use jackfield_hooks::{Core, CoreConfig, HookSpec, Mode, Output};
//! use jackfield_media::{Mono, UnixTime};
//! use std::{sync::Arc, time::Duration};
//!
//! let mut core = Core::new(&CoreConfig { notice_concurrency: 10, seed: 1 }, Masker::default());
//! let hook = HookSpec::new("auth", EventSet::EMPTY.with(EventType::AuthorizePublish), Mode::Decide);
//! let mut now = Mono::ZERO;
//! core.replace_hooks(now, vec![(hook, "its transport")]);
//!
//! let stamp = Stamp { id: ulid::Ulid(1), seq: 1, node: "n".into(), time: UnixTime(0) };
//! let event = Event::new(EventType::AuthorizePublish, stamp, Scope::default(), Vec::new());
//! let asked = core.ask(now, Arc::new(event), Duration::from_secs(5));
//! let verdict = loop {
//!     match core.poll_output() {
//!         Some(Output::Call(request)) => {
//!             assert_eq!((request.handler, request.deadline - now), ("its transport", Duration::from_secs(2)));
//!             core.answer(now, request.call, Ok(Answer::bare(Decision::Allow)));
//!         }
//!         Some(Output::Verdict { question, verdict }) if question == asked => break verdict,
//!         Some(_trace) => {}
//!         None => {
//!             now = core.poll_timeout().unwrap();
//!             core.tick(now);
//!         }
//!     }
//! };
//! assert!(matches!(verdict, Verdict::Allow { .. }));
//! ```
//!
//! # Laws
//!
//! 1. Every question gets exactly one verdict, before its budget ends, whatever its handlers do; one that
//!    is cancelled gets none.
//! 2. Nothing of a question is told to others before its verdict, and then without its secrets and under
//!    the name that the verdict left it.
//! 3. A failing hook never changes the event; deny is final.
//! 4. The same event, configuration and answers give the same verdict.
//! 5. Every call ends in exactly one [`Outcome`], also one that is never sent.
//! 6. For one hook and one key notices start in order; no hook delays another, and the limit over all
//!    hooks is shared in turns.
//! 7. A notice of the log is done with when it is delivered or given up, and not before.
//!
//! # Feeding
//!
//! A hook that follows a log ([`Core::follow`]) is fed from it: [`Core::hunger`] says what it takes next,
//! [`Core::feed`] and [`Core::fetched`] give it, [`Output::Hungry`] calls when there is room again, and
//! [`Core::changed_cursors`] tells what is done with, to be kept on disk. Other facts go in by
//! [`Core::notify`], and are in memory only.
//!
//! # Bounds
//!
//! | what | bound | over it |
//! |---|---|---|
//! | notices that wait, per hook | [`HookSpec::queue`] | no more are taken from the log; in memory only, the oldest is dropped, counted, and told by `num_dropped` |
//! | notices of the log tried again beside their lane, per hook | [`HookSpec::queue`] | the oldest is given up |
//! | positions of the log kept for lanes that stand still, per hook | 100,000 | no more are taken from the log |
//! | questions that wait, per hook | [`HookSpec::queue`] | the next ends as `overload`, its policy acts |
//! | calls at once, per hook | [`HookSpec::concurrency`], apart for notices and questions | they wait |
//! | calls of notices over all hooks | [`CoreConfig::notice_concurrency`], up to half of it kept for hooks that use none | they wait, hooks take turns |
//! | calls a second, per hook | [`HookSpec::rate`] | they wait, questions first |
//! | a lane behind a notice that was refused | 30 s from its first failure | it is tried again beside the lane |
//! | a receiver that is away while notices wait for it | 30 s without a call that found it away, or its `Retry-After` | one of them is tried outside of its schedule |
//! | a receiver that times out, or asks for fewer calls | half as many calls at once, one more after each success | notices wait |
//! | a hook that fails | half of at least 20 calls in 10 s | its breaker opens, 5 s doubling to 60 s |
//! | an answer | 64 KiB, 16 levels | `protocol_error` |
//!
//! # What it does not do
//!
//! It keeps nothing on disk, makes no events, turns no verdict into a right, and never reads a notice's
//! answer. Epochs are stamped by the streams; here they only stay in the order in which they came.

mod answer;
mod breaker;
mod chance;
mod core;
mod cursor;
mod mutation;
mod outcome;
mod rate;
mod selector;
mod spec;
mod tally;

pub use crate::core::{
    Behind, CallId, Concluded, Considered, Core, CoreConfig, DisabledBy, DropCause, Dropped,
};
pub use crate::core::{
    FeedId, HookStatus, Hunger, Next, Origin, Output, Owner, QuestionId, Request, Settled,
};
pub use crate::core::{Stretch, Why};
pub use answer::{ANSWER_CAP, parse_answer, parse_reason};
pub use breaker::BreakerState;
pub use cursor::Cursor;
pub use mutation::{Law, Mutation};
pub use outcome::{Failure, Outcome, Receiver, Retry};
pub use selector::{Selector, SelectorError};
pub use spec::{DeliveryId, HookSpec, Mode, NoticeShare, Retries, RetryAfter, SCHEDULE, Start};
pub use tally::Tally;
