//! The catalogue: every event and question, as types.
//!
//! One macro line per field drives everything that speaks of events: the Rust struct, the JSON of
//! the envelope, the environment variables of a script, the masking of secrets, `docs/events.md` and
//! `jackfield events`. There is no behaviour here beyond rendering: nobody is called, nothing waits.
//!
//! - A **notice** is a fact (`publish_start`). A **question** waits for a [`Verdict`]
//!   (`authorize_publish`); what happens when its hook fails is the catalogue's
//!   [`EventSpec::on_error`], unless the hook says otherwise.
//! - A [`Fact`] is the typed body; an [`Event`] is the stamped, rendered form that hooks get.
//!
//! ```
//! use jackfield_events::{EventType, Fact, notices::StreamCreate};
//! let fact = StreamCreate { app: "live".into(), stream_name: "show".into() };
//! assert_eq!(StreamCreate::TYPE.name(), "stream_create");
//! assert_eq!(EventType::parse("stream_create"), Some(StreamCreate::TYPE));
//! # let _ = fact;
//! ```

mod answer;
mod catalogue;
mod docs;
mod envelope;
mod field;
mod fixture;
mod mask;
pub mod notices;
pub mod questions;
mod spec;
mod vocabulary;

pub use answer::{Answer, DEFAULT_PUBLIC, Decision, Denial, DenialCause, OnError, Reason, Verdict};
pub use catalogue::{EventSet, EventType};
pub use docs::{catalogue_json, markdown};
pub use envelope::{DeliveryFields, Event, ParseError, Scope, Stamp, Variable};
pub use field::{Exposure, FieldValue, Fields, SecretUrl};
pub use fixture::{FixtureError, FixtureWish};
pub use mask::Masker;
pub use spec::{Class, EventSpec, Fact, FieldSpec, Kind, OrderedBy};
pub use vocabulary::{ConnectionRefusal, DisabledReason, EndReason, LossCause, Protocol, PublishType};
