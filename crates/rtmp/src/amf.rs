//! AMF0 (Action Message Format 0, Adobe, 2007), whole: every marker is read or refused by name. Values in
//! AMF3 within it are read too (`amf3`), and become values of AMF0.
//!
//! The reader takes nothing that a peer declares for granted: nesting and the number of values are
//! bounded by [`AmfLimits`], and memory is taken for values that are there, not for counts.

mod reader;
mod value;
mod writer;

pub use reader::{AmfLimits, AmfReader, Form};
pub use value::{Object, Value};
pub use writer::write;

/// Which rule malformed AMF breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmfError {
    /// A value, or the string that it declares, is longer than what is left.
    #[error("a value reaches beyond its message")]
    Truncated,
    /// Objects and arrays are nested deeper than allowed.
    #[error("nested deeper than {0}")]
    TooDeep(usize),
    /// More values than allowed.
    #[error("more than {0} values")]
    TooManyValues(usize),
    /// A reference to an object that was not yet seen (§2.9), or in AMF3 to a string or class (AMF3 §2.2).
    #[error("a reference to what was not there")]
    BadReference,
    /// A marker that does not exist, is reserved (movie clip, record set), or an end without object.
    #[error("marker {0:#04x} is not allowed here")]
    BadMarker(u8),
    /// References of AMF3 repeat more text than allowed.
    #[error("references repeat more than {0} bytes of text")]
    TooMuchText(usize),
    /// An object of AMF3 that only its class can read (AMF3 §3.12); what comes after it cannot be found.
    #[error("an externalizable object of the class {0:?} cannot be read")]
    Externalizable(Box<str>),
}

/// Type markers (§2.1).
mod marker {
    pub(super) const NUMBER: u8 = 0x00;
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const STRING: u8 = 0x02;
    pub(super) const OBJECT: u8 = 0x03;
    pub(super) const NULL: u8 = 0x05;
    pub(super) const UNDEFINED: u8 = 0x06;
    pub(super) const REFERENCE: u8 = 0x07;
    pub(super) const ECMA_ARRAY: u8 = 0x08;
    pub(super) const OBJECT_END: u8 = 0x09;
    pub(super) const STRICT_ARRAY: u8 = 0x0a;
    pub(super) const DATE: u8 = 0x0b;
    pub(super) const LONG_STRING: u8 = 0x0c;
    pub(super) const UNSUPPORTED: u8 = 0x0d;
    pub(super) const XML: u8 = 0x0f;
    pub(super) const TYPED_OBJECT: u8 = 0x10;
    pub(super) const AVMPLUS: u8 = 0x11;
}

#[cfg(test)]
mod tests;
