//! What handlers answer, and what the engine makes of it.

use jackfield_media::{StreamKey, Text};
use std::collections::BTreeMap;

/// What a handler decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// No opinion: the chain goes on.
    Pass,
    /// Yes. For `resolve_*`: keep.
    Allow,
    /// No; this ends the chain and is final.
    Deny,
    /// `resolve_*` only: another value; the chain goes on with it.
    Replace(Text),
}

/// Why a handler says no.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reason {
    /// For machines: `token_expired`.
    pub code: Option<Text>,
    /// For the operator's log.
    pub text: Option<Text>,
    /// For the client; nothing else of a reason ever reaches it.
    pub public: Option<Text>,
}

/// One handler's parsed answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The decision.
    pub decision: Decision,
    /// Why.
    pub reason: Reason,
    /// Labels for the session.
    pub tags: BTreeMap<Text, Text>,
    /// How many fields of the answer are not known here; they are ignored and counted.
    pub unknown_fields: u32,
}

impl Answer {
    /// An answer that only decides.
    #[must_use]
    pub fn bare(decision: Decision) -> Self {
        Self { decision, reason: Reason::default(), tags: BTreeMap::new(), unknown_fields: 0 }
    }
}

/// What happens to a question when its hook fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnError {
    /// Refuse.
    Deny,
    /// Let it through (`allow` and `keep` mean the same), marked `failopen`.
    Allow,
    /// `resolve_*` only: as if the hook had answered with this value, marked `failopen`.
    Value(Text),
}

/// What a client is told of a refusal without a public reason.
pub const DEFAULT_PUBLIC: &str = "Refused.";

/// What a denial comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DenialCause {
    /// The hook answered deny: something is wrong with the client.
    Answer,
    /// The hook failed, and its policy is deny: nothing is known of the client.
    Failure,
}

/// A refusal and who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The hook that said no, or that failed and whose policy is deny.
    pub hook: Text,
    /// Whether it said so itself.
    pub cause: DenialCause,
    /// Why.
    pub reason: Reason,
}

impl Denial {
    /// What the client is told: the public reason, or `Refused.`
    #[must_use]
    pub fn public(&self) -> &str {
        self.reason.public.as_ref().map_or(DEFAULT_PUBLIC, Text::as_str)
    }
}

/// The outcome of a question's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may go on.
    Allow {
        /// `resolve_*`: the key to go on with, if a hook replaced it.
        key: Option<StreamKey>,
        /// Hooks that failed on the way and whose policy let it through.
        failopen: Vec<Text>,
        /// Labels for the session.
        tags: BTreeMap<Text, Text>,
    },
    /// It must not.
    Deny(Denial),
}

impl Verdict {
    /// The verdict when nobody is asked.
    #[must_use]
    pub fn unasked() -> Self {
        Self::Allow { key: None, failopen: Vec::new(), tags: BTreeMap::new() }
    }
}
