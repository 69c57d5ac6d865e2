//! Why a session may not go on.

use jackfield_events::{DEFAULT_PUBLIC, Denial, EventType, Masker};
use jackfield_media::Text;
use std::fmt;

/// What kind of no it is; each protocol has its own words for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// A question was answered with deny, or its hook failed and its policy is deny.
    Denied,
    /// The key has a publisher that stays.
    Busy,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of no it is.
    pub kind: RefusalKind,
    /// What the client is told; nothing else reaches it.
    pub public: Text,
    /// What the operator's log is told: question, hook, code and text.
    pub detail: Text,
}

impl Refusal {
    /// A careless hook repeats what it was asked: `masker` hides the secrets in what the log is told.
    pub(crate) fn denied(question: EventType, denial: &Denial, masker: &Masker) -> Self {
        let mut detail = format!("{question} by {}", denial.hook);
        for part in [&denial.reason.code, &denial.reason.text].into_iter().flatten() {
            detail.push_str(": ");
            detail.push_str(&masker.mask_text(part));
        }
        Self { kind: RefusalKind::Denied, public: denial.public().into(), detail: detail.into() }
    }

    /// The client hears what it hears when a hook gives no reason: whether one was asked is nothing for a guesser.
    pub(crate) fn unasked() -> Self {
        Self {
            kind: RefusalKind::Denied,
            public: DEFAULT_PUBLIC.into(),
            detail: "not asked: its address was denied too often, or asks too much at once".into(),
        }
    }

    pub(crate) fn busy() -> Self {
        Self {
            kind: RefusalKind::Busy,
            public: "The stream is being published already.".into(),
            detail: "the key has a publisher that stays".into(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.detail.fmt(f)
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;
    use jackfield_events::{DenialCause, Reason};

    #[test]
    fn a_hook_that_repeats_a_secret_does_not_bring_it_into_the_log() {
        let text = |text: &str| Some(Text::from(text));
        let reason = Reason { code: text("token=abc"), text: text("asked with key=abc by x"), public: None };
        let denial = Denial { hook: "auth".into(), cause: DenialCause::Answer, reason };
        let refusal = Refusal::denied(EventType::AuthorizePublish, &denial, &Masker::default());
        assert_eq!(refusal.detail.as_str(), "authorize_publish by auth: token=***: asked with key=*** by x");
    }
}
