//! What the end of a program means.

use super::DenialLine;
use crate::answer;
use crate::reply::{Said, delivered, failure};
use jackfield_dispatch::Call;
use jackfield_events::{Answer, Decision, Reason};
use jackfield_hooks::{Mode, Outcome, Retry};
use jackfield_media::Text;
use jackfield_process::ExitStatus;

/// `EX_TEMPFAIL` of sysexits(3): try again later.
const TEMPORARY_FAILURE: i32 = 75;
/// `EX_NOPERM` of sysexits(3): no.
const NO_PERMISSION: i32 = 77;

/// A program that has ended.
pub(super) struct Ended<'a> {
    pub(super) status: ExitStatus,
    /// What a question's program wrote; nothing for a notice, whose output is in the log.
    pub(super) stdout: &'a [u8],
    pub(super) first_error_line: &'a str,
    pub(super) denial: DenialLine,
}

impl Ended<'_> {
    pub(super) fn judge(&self, call: &Call) -> Said {
        match (self.status, call.mode) {
            (ExitStatus::Code(0), Mode::Notify) => Ok(delivered()),
            (ExitStatus::Code(0), Mode::Decide) => answer::parse(call, self.stdout),
            (ExitStatus::Code(NO_PERMISSION), Mode::Decide) => Ok(self.denied()),
            (ExitStatus::Code(TEMPORARY_FAILURE), Mode::Notify) => Err(failure(
                Outcome::HandlerError,
                Retry::Scheduled,
                "the program asks to be tried again later",
            )),
            (ExitStatus::Code(code), _) => {
                let detail = match self.first_error_line {
                    "" => format!("exit code {code}"),
                    line => format!("exit code {code}: {line}"),
                };
                Err(failure(Outcome::HandlerError, Retry::No, detail))
            }
            (ExitStatus::Signal(signal), _) => {
                Err(failure(Outcome::Crashed, Retry::No, format!("killed by signal {signal}")))
            }
            (ExitStatus::Lost, _) => {
                Err(failure(Outcome::Crashed, Retry::No, "ended with the process helper"))
            }
        }
    }

    fn denied(&self) -> Answer {
        let line = Some(self.first_error_line).filter(|line| !line.is_empty()).map(Text::from);
        let reason = match self.denial {
            DenialLine::Text => Reason { text: line, ..Reason::default() },
            DenialLine::Public => Reason { public: line, ..Reason::default() },
        };
        Answer { reason, ..Answer::bare(Decision::Deny) }
    }
}
