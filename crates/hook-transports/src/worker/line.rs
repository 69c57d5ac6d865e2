//! The line protocol of workers, version 1, without input or output: which lines a worker may say, and
//! whose answer each is.
//!
//! | line | means |
//! |---|---|
//! | *(plain)* the event's envelope → | please answer by one line; no other is sent until then |
//! | *(plain)* ← one line | the answer: a bare answer, or the event echoed |
//! | ← `{"t":"hello","proto":[1],"concurrency":16}` | as its first line: from now on requests are framed, and so many at once |
//! | `{"t":"event","d":"dlv_…","hook":…,"mode":"decide","attempt":1,"deadline_ms":…,"event":{…}}` → | a framed request |
//! | ← `{"d":"dlv_…","decision":…}` | its answer, in any order; of a notice only `d` |
//! | `{"t":"cancel","d":"dlv_…"}` → | nobody waits for that answer any more; it may come or not |
//! | `{"t":"drain"}` → | no request follows: finish, answer, end. The end of input follows at once |
//!
//! Empty lines mean nothing, in either form. Everything else that a worker says is a [`Violation`], after
//! which nothing it says can be trusted to be the answer to what it was asked: it is replaced. In
//! particular a plain worker that is given up on must be replaced, since its next line would answer
//! somebody else's question.

use jackfield_hooks::{ANSWER_CAP, DeliveryId};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};

/// The version that is spoken here.
const VERSION: u64 = 1;
/// The most requests at once that a worker is believed to want.
const MAX_CONCURRENCY: usize = 1024;
/// Empty lines in a row: some print one after each answer, others for ever.
const MAX_EMPTY_LINES: u32 = 100;
/// Cancelled requests whose answers may still come. A worker with more of them has stopped answering.
const MAX_CANCELLED: usize = 1024;

/// How requests are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The bare envelope.
    Plain,
    /// Within a frame that has the delivery's id.
    Framed,
}

/// What a worker said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Requests are framed from now on, at most so many at once (1 to 1024).
    Hello {
        /// How many.
        concurrency: usize,
    },
    /// The answer to this request.
    Answer {
        /// The request.
        delivery: DeliveryId,
        /// The line, without its end; at most 64 KiB.
        line: Vec<u8>,
    },
    /// The answer to a request that was cancelled.
    Late,
}

/// Why a worker must be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A line without end, or longer than 64 KiB.
    #[error("the worker printed a line of more than 64 KiB")]
    TooLong,
    /// A line when nothing was asked: a banner, a second answer, JSON over several lines.
    #[error("the worker printed a line that nobody asked for")]
    Unasked,
    /// An answer to what it was never asked, or has answered before.
    #[error("the worker answered what it was not asked")]
    Unknown,
    /// In the framed form, a line that is no object, or whose `d` is no delivery.
    #[error("the worker printed a line that is no answer")]
    NoAnswer,
    /// It speaks other versions only.
    #[error("the worker does not speak version 1 of the protocol")]
    Version,
}

/// What has to be done about a request that nobody waits for any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abandon {
    /// Nothing: it has been answered.
    Nothing,
    /// The worker is told.
    Tell,
    /// The worker must be replaced.
    Replace,
}

/// One worker's side of the conversation.
#[derive(Debug)]
pub struct Protocol {
    form: Form,
    first: First,
    concurrency: usize,
    /// The plain request that is not answered. There can be one in the framed form too: sent before the
    /// hello was read.
    plain: Option<DeliveryId>,
    framed: HashSet<DeliveryId>,
    cancelled: VecDeque<DeliveryId>,
    /// What came since the last newline, at most [`ANSWER_CAP`].
    partial: Vec<u8>,
    /// Empty lines since the last other one.
    empty_lines: u32,
}

/// Whether the first line, the only one that can be a hello, has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Expected,
    Read,
}

impl Default for Protocol {
    fn default() -> Self {
        Self {
            form: Form::Plain,
            first: First::Expected,
            concurrency: 1,
            plain: None,
            framed: HashSet::new(),
            cancelled: VecDeque::new(),
            partial: Vec::new(),
            empty_lines: 0,
        }
    }
}

impl Protocol {
    /// The form in which a request has to be sent now; `None` if there is no room for it, or it is under way.
    pub fn begin(&mut self, delivery: DeliveryId) -> Option<Form> {
        let form = self.form;
        let begun = match form {
            Form::Plain => self.plain.is_none().then(|| self.plain = Some(delivery)).is_some(),
            Form::Framed => {
                let room = self.framed.len() + usize::from(self.plain.is_some()) < self.concurrency;
                // The same delivery may be tried again after its first try was cancelled.
                let begun = room && self.plain != Some(delivery) && self.framed.insert(delivery);
                if begun {
                    self.cancelled.retain(|other| *other != delivery);
                }
                begun
            }
        };
        begun.then_some(form)
    }

    /// Nobody waits for this request's answer any more.
    pub fn abandon(&mut self, delivery: DeliveryId) -> Abandon {
        if self.plain == Some(delivery) {
            return Abandon::Replace;
        }
        if !self.framed.remove(&delivery) {
            return Abandon::Nothing;
        }
        if self.cancelled.len() >= MAX_CANCELLED {
            self.cancelled.pop_front();
        }
        self.cancelled.push_back(delivery);
        Abandon::Tell
    }

    /// Takes what the worker printed, in pieces of any size, and adds what it means to `heard`.
    ///
    /// # Errors
    /// [`Violation`]; what was heard before it stands. Nothing may be fed after that.
    pub fn feed(&mut self, bytes: &[u8], heard: &mut Vec<Heard>) -> Result<(), Violation> {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (part, ended) = match piece.split_last() {
                Some((b'\n', part)) => (part, true),
                _ => (piece, false),
            };
            if self.partial.len() + part.len() > ANSWER_CAP {
                return Err(Violation::TooLong);
            }
            self.partial.extend_from_slice(part);
            if ended {
                let line = std::mem::take(&mut self.partial);
                heard.extend(self.line(line)?);
            }
        }
        self.still_trusted()
    }

    /// The beginning of a line is enough to be one that nobody asked for: its end must not be read as the
    /// next answer.
    fn still_trusted(&self) -> Result<(), Violation> {
        let nothing_asked = self.form == Form::Plain && self.plain.is_none() && self.first == First::Read;
        if nothing_asked && !self.partial.trim_ascii().is_empty() { Err(Violation::Unasked) } else { Ok(()) }
    }

    fn line(&mut self, line: Vec<u8>) -> Result<Option<Heard>, Violation> {
        if line.trim_ascii().is_empty() {
            self.empty_lines += 1;
            return if self.empty_lines > MAX_EMPTY_LINES { Err(Violation::Unasked) } else { Ok(None) };
        }
        self.empty_lines = 0;
        if std::mem::replace(&mut self.first, First::Read) == First::Expected
            && let Some(hello) = Hello::parse(&line)
        {
            return self.greet(&hello).map(Some);
        }
        let delivery = match self.form {
            Form::Plain => None,
            Form::Framed => Answer::parse(&line)?.delivery()?,
        };
        let Some(delivery) = delivery else {
            let delivery = self.plain.take().ok_or(Violation::Unasked)?;
            return Ok(Some(Heard::Answer { delivery, line }));
        };
        if self.framed.remove(&delivery) {
            return Ok(Some(Heard::Answer { delivery, line }));
        }
        let place = self.cancelled.iter().position(|other| *other == delivery).ok_or(Violation::Unknown)?;
        self.cancelled.remove(place);
        Ok(Some(Heard::Late))
    }

    fn greet(&mut self, hello: &Hello<'_>) -> Result<Heard, Violation> {
        if !hello.proto.contains(&VERSION) {
            return Err(Violation::Version);
        }
        self.form = Form::Framed;
        let wanted = usize::try_from(hello.concurrency).unwrap_or(MAX_CONCURRENCY);
        self.concurrency = wanted.clamp(1, MAX_CONCURRENCY);
        Ok(Heard::Hello { concurrency: self.concurrency })
    }

    /// How requests are written now.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }
}

/// A worker's first line, if that is a hello.
#[derive(Deserialize)]
struct Hello<'a> {
    #[serde(borrow)]
    t: Cow<'a, str>,
    #[serde(default = "Hello::only_version")]
    proto: Vec<u64>,
    #[serde(default = "Hello::one_at_a_time")]
    concurrency: u64,
}

impl<'a> Hello<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(line).ok().filter(|hello: &Self| hello.t == "hello")
    }

    fn only_version() -> Vec<u64> {
        vec![VERSION]
    }

    fn one_at_a_time() -> u64 {
        1
    }
}

/// What is read of an answer here: whose it is.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    d: Option<Cow<'a, str>>,
}

impl<'a> Answer<'a> {
    fn parse(line: &'a [u8]) -> Result<Self, Violation> {
        // A sequence would be read as the fields of this struct.
        if !line.trim_ascii_start().starts_with(b"{") {
            return Err(Violation::NoAnswer);
        }
        serde_json::from_slice(line).map_err(|_broken| Violation::NoAnswer)
    }

    fn delivery(&self) -> Result<Option<DeliveryId>, Violation> {
        let Some(text) = &self.d else { return Ok(None) };
        let number = text.strip_prefix("dlv_").and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let delivery = number.map(DeliveryId).ok_or(Violation::NoAnswer)?;
        // Only as it was written: `dlv_+1` is none of ours.
        if delivery.to_string() == **text { Ok(Some(delivery)) } else { Err(Violation::NoAnswer) }
    }
}

#[cfg(test)]
mod tests;
