//! What must follow a call of a notice, from what it came to: the schedule, the limit of tries, and patience.

use super::Told;
use jackfield_hooks::{Failure, HookSpec, Outcome, Retry, RetryAfter};
use jackfield_media::Mono;
use std::time::Duration;

/// What must follow a call of a notice.
#[derive(Debug, Clone, Copy)]
pub(super) enum After {
    Over,
    Lost,
    Kept,
    Again { least: Duration, most: Duration },
}

impl After {
    /// The same, where its receiver is not waited for any longer than until then.
    pub(super) fn within(self, now: Mono, ends: Option<Mono>) -> Self {
        match (self, ends) {
            (Self::Again { .. }, Some(ends)) if ends <= now => Self::Lost,
            (Self::Again { least, most }, Some(ends)) => {
                Self::Again { least: least.min(ends - now), most: most.min(ends - now) }
            }
            (as_is, _) => as_is,
        }
    }
}

pub(super) fn after(spec: &HookSpec, told: &Told, outcome: Outcome, failure: &Failure, now: Mono) -> After {
    let wanted = match (failure.retry, spec.retries.after) {
        (Retry::Disable, _) => false,
        (Retry::Scheduled | Retry::After(_), _) | (Retry::No, RetryAfter::Any) => true,
        (Retry::No, RetryAfter::Asked) => false,
        (Retry::No, RetryAfter::Failure) => outcome == Outcome::Timeout,
    };
    if told.logged && failure.retry == Retry::Disable {
        return After::Kept;
    }
    if let Some(planned) = told.planned.filter(|planned| wanted && *planned > now) {
        return After::Again { least: planned - now, most: planned - now };
    }
    let once_more = told.forward && told.pauses > 0;
    if !wanted || (told.pauses >= spec.retries.limit && !once_more) {
        return After::Lost;
    }
    let step = usize::try_from(told.pauses).unwrap_or(1) - usize::from(once_more);
    let base = spec.schedule.get(step).or(spec.schedule.last()).copied().unwrap_or_default();
    match failure.retry {
        Retry::After(wish) => {
            let pause = wish.max(base).min(base * 2);
            After::Again { least: pause, most: pause }
        }
        _ => After::Again { least: base.mul_f64(0.799), most: base.mul_f64(1.201) },
    }
}
