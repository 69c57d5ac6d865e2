//! AMF3 (Action Message Format 3, Adobe, 2013), read into the values of AMF0.
//!
//! Only [`AmfReader`](crate::amf::AmfReader) uses it: at the marker by which AMF0 switches, or from the first
//! byte on. What AMF3 has and AMF0 has not becomes the nearest value, and [`Context`] remembers that something
//! was lost:
//!
//! | AMF3 | becomes | is lost |
//! |---|---|---|
//! | integer, double | number | |
//! | string, date, XML, XML document | the same | |
//! | array without names, vectors | strict array | |
//! | array with names | ECMA array; dense elements by their index as name | |
//! | object, typed object | the same | |
//! | reference to a whole value | a copy of it | |
//! | reference to a value that is still being read (a cycle) | null | the reference |
//! | byte array | unsupported | the bytes |
//! | dictionary | ECMA array | entries whose key is an object |
//! | externalizable object | an error that names its class: only its class knows its form | |
//!
//! Bounds: values and nesting as for AMF0, also in what copies make of a message; text that references
//! repeat, by [`AmfLimits::repeated_bytes`](crate::amf::AmfLimits::repeated_bytes).

mod context;
mod reader;

pub(crate) use context::{Context, Fidelity};
pub(crate) use reader::Amf3Reader;

/// Type markers (§3.1).
mod marker {
    pub(super) const UNDEFINED: u8 = 0x00;
    pub(super) const NULL: u8 = 0x01;
    pub(super) const FALSE: u8 = 0x02;
    pub(super) const TRUE: u8 = 0x03;
    pub(super) const INTEGER: u8 = 0x04;
    pub(super) const DOUBLE: u8 = 0x05;
    pub(super) const STRING: u8 = 0x06;
    pub(super) const XML_DOCUMENT: u8 = 0x07;
    pub(super) const DATE: u8 = 0x08;
    pub(super) const ARRAY: u8 = 0x09;
    pub(super) const OBJECT: u8 = 0x0a;
    pub(super) const XML: u8 = 0x0b;
    pub(super) const BYTE_ARRAY: u8 = 0x0c;
    pub(super) const VECTOR_INT: u8 = 0x0d;
    pub(super) const VECTOR_UINT: u8 = 0x0e;
    pub(super) const VECTOR_DOUBLE: u8 = 0x0f;
    pub(super) const VECTOR_OBJECT: u8 = 0x10;
    pub(super) const DICTIONARY: u8 = 0x11;
}

#[cfg(test)]
mod tests;
