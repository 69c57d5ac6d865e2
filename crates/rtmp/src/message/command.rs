//! Commands (RTMP 1.0 §7.1.1): a name, a transaction number, values.

use super::{MessageLimits, body};
use crate::Error;
use crate::amf::{AmfError, Object, Value};

/// A command, or the answer to one.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// `connect`, `publish`, `_result`, …
    pub name: String,
    /// Pairs a question with its answer; 0 if no answer is wanted.
    pub transaction: f64,
    /// The command object (null for most) and the arguments.
    pub values: Vec<Value>,
    /// Why the values end before the message does: an object that only its class can read.
    pub unread: Option<AmfError>,
}

impl Command {
    /// Reads a command from a message of either type.
    ///
    /// # Errors
    /// Too long, malformed, or without name and transaction number.
    pub fn decode(kind: u8, body: &[u8], limits: &MessageLimits) -> Result<Self, Error> {
        let limit = limits.command_bytes;
        if body.len() > limit {
            return Err(Error::CommandTooLong { size: body.len(), limit });
        }
        let mut reader = body::values(kind, body, limits.amf);
        let Some(Value::String(name)) = reader.next_value()? else {
            return Err(Error::NotACommand);
        };
        let transaction = match reader.next_value()? {
            Some(Value::Number(number)) => number,
            // Some clients leave it out where no answer is wanted.
            None | Some(Value::Null) => 0.0,
            Some(_) => return Err(Error::NotACommand),
        };
        let mut command = Self { name, transaction, values: Vec::new(), unread: None };
        loop {
            match reader.next_value() {
                Ok(Some(value)) => command.values.push(value),
                Ok(None) => return Ok(command),
                Err(error @ AmfError::Externalizable(_)) => {
                    command.unread = Some(error);
                    return Ok(command);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The command object, if it is one.
    #[must_use]
    pub fn object(&self) -> Option<&Object> {
        self.values.first()?.as_object()
    }

    /// An argument: 0 is the first after the command object.
    #[must_use]
    pub fn argument(&self, index: usize) -> Option<&Value> {
        self.values.get(index + 1)
    }

    /// The text of an argument that is a string.
    #[must_use]
    pub fn text(&self, index: usize) -> Option<&str> {
        self.argument(index)?.as_str()
    }

    /// Whether the sender waits for an answer.
    #[must_use]
    pub fn wants_answer(&self) -> bool {
        self.transaction != 0.0
    }
}
