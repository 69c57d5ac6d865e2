//! What the values of one message share: the tables that references point into, and what is left of the
//! bounds.

use crate::amf::{AmfError, AmfLimits, Object, Value};
use std::sync::Arc;

/// The tables of AMF3 (§2.2) and its bounds. One per message: a message that switches to AMF3 several times
/// goes on with the same tables, as Adobe's own reader does.
#[derive(Debug)]
pub(crate) struct Context {
    limits: AmfLimits,
    pub(super) strings: Vec<Arc<str>>,
    pub(super) traits: Vec<Arc<Traits>>,
    /// Objects, arrays and the like in the order of their markers. Inside, one refers to another by
    /// [`Value::Reference`]; `None` while it is being read.
    complex: Vec<Option<Value>>,
    /// Values that were read.
    values: usize,
    /// Values that were handed out, copies included.
    copied: usize,
    /// Bytes of text that may yet be taken into memory.
    text_left: usize,
    fidelity: Fidelity,
}

/// Whether the values say all that was on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fidelity {
    Whole,
    Reduced,
}

/// What an object's class tells of its properties (§3.12).
#[derive(Debug)]
pub(super) struct Traits {
    pub(super) class: Arc<str>,
    pub(super) sealed: Vec<Arc<str>>,
    pub(super) growth: Growth,
}

/// Whether properties follow that the class does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Growth {
    Sealed,
    Dynamic,
}

impl Context {
    /// For a message of this many bytes.
    pub(crate) fn new(limits: AmfLimits, message_bytes: usize) -> Self {
        Self {
            limits,
            strings: Vec::new(),
            traits: Vec::new(),
            complex: Vec::new(),
            values: 0,
            copied: 0,
            // What is there once is taken up to three times: into a table, a value, and what is handed out.
            text_left: message_bytes.saturating_mul(3).saturating_add(limits.repeated_bytes),
            fidelity: Fidelity::Whole,
        }
    }

    /// How many values of the message were read so far, those in AMF0 included.
    pub(crate) fn resume(&mut self, values: usize) {
        self.values = values;
    }

    pub(crate) fn values(&self) -> usize {
        self.values
    }

    pub(crate) fn fidelity(&self) -> Fidelity {
        self.fidelity
    }

    pub(super) fn reduce(&mut self) {
        self.fidelity = Fidelity::Reduced;
    }

    /// Counts a value that is to be read.
    pub(super) fn count(&mut self) -> Result<(), AmfError> {
        self.values += 1;
        within(self.values, self.limits.values)
    }

    /// One step further down.
    pub(super) fn deeper(&self, depth: usize) -> Result<usize, AmfError> {
        deeper(depth, self.limits.depth)
    }

    /// Takes text into memory.
    pub(super) fn own(&mut self, text: &str) -> Result<String, AmfError> {
        spend(&mut self.text_left, text.len(), self.limits)?;
        Ok(text.to_owned())
    }

    /// Begins a complex value.
    pub(super) fn open(&mut self) -> Result<u16, AmfError> {
        let index = u16::try_from(self.complex.len());
        let index = index.map_err(|_full| AmfError::TooManyValues(usize::from(u16::MAX)))?;
        self.complex.push(None);
        Ok(index)
    }

    /// Ends it; what stands for it in the value around it.
    pub(super) fn close(&mut self, index: u16, value: Value) -> Value {
        if let Some(place) = self.complex.get_mut(usize::from(index)) {
            *place = Some(value);
        }
        Value::Reference(index)
    }

    /// What a reference stands for.
    pub(super) fn refer(&mut self, number: usize) -> Result<Value, AmfError> {
        match self.complex.get(number) {
            Some(Some(_)) => {
                u16::try_from(number).map(Value::Reference).map_err(|_wide| AmfError::BadReference)
            }
            // A cycle cannot be told as a tree.
            Some(None) => {
                self.reduce();
                Ok(Value::Null)
            }
            None => Err(AmfError::BadReference),
        }
    }

    /// The value with what its references point to.
    pub(super) fn expand(&mut self, value: Value, depth: usize) -> Result<Value, AmfError> {
        self.copied += 1;
        within(self.copied, self.limits.values)?;
        let mut copy = Copier {
            complex: &self.complex,
            limits: self.limits,
            copied: &mut self.copied,
            text_left: &mut self.text_left,
        };
        match value {
            Value::Reference(index) => copy.complex(index, depth),
            simple => Ok(simple),
        }
    }
}

struct Copier<'a> {
    complex: &'a [Option<Value>],
    limits: AmfLimits,
    copied: &'a mut usize,
    text_left: &'a mut usize,
}

impl Copier<'_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<Value, AmfError> {
        *self.copied += 1;
        within(*self.copied, self.limits.values)?;
        Ok(match value {
            Value::Reference(index) => self.complex(*index, depth)?,
            Value::String(text) => Value::String(self.text(text)?),
            // All others that can stand inside another value are small.
            simple => simple.clone(),
        })
    }

    fn complex(&mut self, index: u16, depth: usize) -> Result<Value, AmfError> {
        let Some(Some(value)) = self.complex.get(usize::from(index)) else {
            return Err(AmfError::BadReference);
        };
        let depth = deeper(depth, self.limits.depth)?;
        Ok(match value {
            Value::Object(object) => Value::Object(self.object(object, depth)?),
            Value::EcmaArray(object) => Value::EcmaArray(self.object(object, depth)?),
            Value::Typed { class, object } => {
                Value::Typed { class: self.text(class)?, object: self.object(object, depth)? }
            }
            Value::StrictArray(values) => Value::StrictArray(
                values.iter().map(|value| self.value(value, depth)).collect::<Result<_, _>>()?,
            ),
            Value::Xml(text) => Value::Xml(self.text(text)?),
            simple => simple.clone(),
        })
    }

    fn object(&mut self, object: &Object, depth: usize) -> Result<Object, AmfError> {
        let mut copy = Object::new();
        for (name, value) in object.iter() {
            let name = self.text(name)?;
            copy.push(name, self.value(value, depth)?);
        }
        Ok(copy)
    }

    fn text(&mut self, text: &str) -> Result<String, AmfError> {
        spend(self.text_left, text.len(), self.limits)?;
        Ok(text.to_owned())
    }
}

fn within(count: usize, limit: usize) -> Result<(), AmfError> {
    if count > limit { Err(AmfError::TooManyValues(limit)) } else { Ok(()) }
}

fn deeper(depth: usize, limit: usize) -> Result<usize, AmfError> {
    if depth >= limit { Err(AmfError::TooDeep(limit)) } else { Ok(depth + 1) }
}

fn spend(left: &mut usize, bytes: usize, limits: AmfLimits) -> Result<(), AmfError> {
    *left = left.checked_sub(bytes).ok_or(AmfError::TooMuchText(limits.repeated_bytes))?;
    Ok(())
}
