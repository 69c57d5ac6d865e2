//! Reading AMF3 with bounds.

use super::context::{Context, Growth, Traits};
use super::marker;
use crate::amf::{AmfError, Object, Value};
use std::sync::Arc;

/// A name of AMF0 has 16 bits of length.
const MAX_NAME: usize = u16::MAX as usize;
/// The longest class name that an error repeats, in bytes.
const MAX_CLASS_IN_ERROR: usize = 128;

/// Reads values from bytes, with what the message's earlier values left in the context.
#[derive(Debug)]
pub(crate) struct Amf3Reader<'a, 'c> {
    rest: &'a [u8],
    context: &'c mut Context,
}

/// The integer before a value that may be a reference (§1.3.1): its lowest bit tells.
enum Lead {
    /// Into the table of its kind.
    Reference(usize),
    /// The value follows; the other 28 bits are its length or the like.
    Inline(u32),
}

impl<'a, 'c> Amf3Reader<'a, 'c> {
    pub(crate) fn new(rest: &'a [u8], context: &'c mut Context) -> Self {
        Self { rest, context }
    }

    /// The bytes that were not read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next value, which stands `depth` deep in others.
    pub(crate) fn read(&mut self, depth: usize) -> Result<Value, AmfError> {
        let value = self.value(depth)?;
        self.context.expand(value, depth)
    }

    /// The next value; complex values are told as references into the context.
    fn value(&mut self, depth: usize) -> Result<Value, AmfError> {
        self.context.count()?;
        let [kind] = self.fixed()?;
        Ok(match kind {
            marker::UNDEFINED => Value::Undefined,
            marker::NULL => Value::Null,
            marker::FALSE => Value::Boolean(false),
            marker::TRUE => Value::Boolean(true),
            marker::INTEGER => Value::Number(f64::from(signed(self.u29()?))),
            marker::DOUBLE => Value::Number(self.double()?),
            marker::STRING => {
                let text = self.string()?;
                Value::String(self.context.own(&text)?)
            }
            kind => match self.lead()? {
                Lead::Reference(number) => self.context.refer(number)?,
                Lead::Inline(lead) => {
                    let index = self.context.open()?;
                    let value = self.complex(kind, lead, depth)?;
                    self.context.close(index, value)
                }
            },
        })
    }

    fn complex(&mut self, kind: u8, lead: u32, depth: usize) -> Result<Value, AmfError> {
        Ok(match kind {
            marker::XML_DOCUMENT | marker::XML => {
                let text = text(self.bytes(length(lead))?);
                Value::Xml(self.context.own(&text)?)
            }
            marker::DATE => Value::Date { unix_ms: self.double()?, zone: 0 },
            marker::ARRAY => self.array(lead, depth)?,
            marker::OBJECT => self.object(lead, depth)?,
            marker::BYTE_ARRAY => {
                self.bytes(length(lead))?;
                self.context.reduce();
                Value::Unsupported
            }
            marker::VECTOR_INT => {
                self.vector(lead, |own| Ok(Value::Number(f64::from(i32::from_be_bytes(own.fixed()?)))))?
            }
            marker::VECTOR_UINT => {
                self.vector(lead, |own| Ok(Value::Number(f64::from(u32::from_be_bytes(own.fixed()?)))))?
            }
            marker::VECTOR_DOUBLE => self.vector(lead, |own| Ok(Value::Number(own.double()?)))?,
            marker::VECTOR_OBJECT => self.vector_of_objects(lead, depth)?,
            marker::DICTIONARY => self.dictionary(lead, depth)?,
            other => return Err(AmfError::BadMarker(other)),
        })
    }

    /// §3.11: named elements first, then the dense ones.
    fn array(&mut self, dense: u32, depth: usize) -> Result<Value, AmfError> {
        let depth = self.context.deeper(depth)?;
        let mut named = Object::new();
        self.named(&mut named, depth)?;
        if named.is_empty() {
            let mut values = Vec::new();
            for _ in 0..dense {
                values.push(self.value(depth)?);
            }
            return Ok(Value::StrictArray(values));
        }
        for index in 0..dense {
            let value = self.value(depth)?;
            named.push(index.to_string(), value);
        }
        Ok(Value::EcmaArray(named))
    }

    /// §3.12.
    fn object(&mut self, lead: u32, depth: usize) -> Result<Value, AmfError> {
        let traits = self.traits(lead)?;
        let depth = self.context.deeper(depth)?;
        let mut object = Object::new();
        for name in &traits.sealed {
            let name = self.name(name)?;
            let value = self.value(depth)?;
            object.push(name, value);
        }
        if traits.growth == Growth::Dynamic {
            self.named(&mut object, depth)?;
        }
        if traits.class.is_empty() {
            return Ok(Value::Object(object));
        }
        Ok(Value::Typed { class: self.name(&traits.class)?, object })
    }

    /// `lead` is the object's integer without its lowest bit.
    fn traits(&mut self, lead: u32) -> Result<Arc<Traits>, AmfError> {
        if lead & 1 == 0 {
            let known = self.context.traits.get(length(lead >> 1));
            return known.cloned().ok_or(AmfError::BadReference);
        }
        let class = self.string()?;
        if lead & 2 != 0 {
            let end = class.floor_char_boundary(MAX_CLASS_IN_ERROR);
            return Err(AmfError::Externalizable(class.get(..end).unwrap_or_default().into()));
        }
        let growth = if lead & 4 == 0 { Growth::Sealed } else { Growth::Dynamic };
        let mut sealed = Vec::new();
        for _ in 0..lead >> 3 {
            // Names count as values: they may be references of one byte.
            self.context.count()?;
            sealed.push(self.string()?);
        }
        let traits = Arc::new(Traits { class, sealed, growth });
        self.context.traits.push(Arc::clone(&traits));
        Ok(traits)
    }

    /// Names and values up to the empty name.
    fn named(&mut self, object: &mut Object, depth: usize) -> Result<(), AmfError> {
        loop {
            let name = self.string()?;
            if name.is_empty() {
                return Ok(());
            }
            let name = self.name(&name)?;
            let value = self.value(depth)?;
            object.push(name, value);
        }
    }

    /// §3.15: the length, whether it is fixed, the elements.
    fn vector(
        &mut self,
        len: u32,
        mut element: impl FnMut(&mut Self) -> Result<Value, AmfError>,
    ) -> Result<Value, AmfError> {
        self.fixed::<1>()?;
        let mut values = Vec::new();
        for _ in 0..len {
            self.context.count()?;
            values.push(element(self)?);
        }
        Ok(Value::StrictArray(values))
    }

    fn vector_of_objects(&mut self, len: u32, depth: usize) -> Result<Value, AmfError> {
        let depth = self.context.deeper(depth)?;
        self.fixed::<1>()?;
        // The class of the elements; they tell their own.
        self.string()?;
        let mut values = Vec::new();
        for _ in 0..len {
            values.push(self.value(depth)?);
        }
        Ok(Value::StrictArray(values))
    }

    /// §3.16: the number of entries, whether keys are weak, keys and values.
    fn dictionary(&mut self, len: u32, depth: usize) -> Result<Value, AmfError> {
        let depth = self.context.deeper(depth)?;
        self.fixed::<1>()?;
        let mut entries = Object::new();
        for _ in 0..len {
            let key = self.value(depth)?;
            let value = self.value(depth)?;
            let name = match key {
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                Value::Boolean(on) => on.to_string(),
                _ => {
                    self.context.reduce();
                    continue;
                }
            };
            let name = self.name(&name)?;
            entries.push(name, value);
        }
        Ok(Value::EcmaArray(entries))
    }

    /// A name for AMF0.
    fn name(&mut self, name: &str) -> Result<String, AmfError> {
        if name.len() > MAX_NAME {
            self.context.reduce();
        }
        self.context.own(name)
    }

    /// A string, inline or by reference. The empty one has no place in the table (§1.3.2).
    fn string(&mut self) -> Result<Arc<str>, AmfError> {
        match self.lead()? {
            Lead::Reference(number) => {
                self.context.strings.get(number).cloned().ok_or(AmfError::BadReference)
            }
            Lead::Inline(0) => Ok(Arc::from("")),
            Lead::Inline(len) => {
                let text = text(self.bytes(length(len))?);
                let shared: Arc<str> = self.context.own(&text)?.into();
                self.context.strings.push(Arc::clone(&shared));
                Ok(shared)
            }
        }
    }

    fn lead(&mut self) -> Result<Lead, AmfError> {
        let number = self.u29()?;
        Ok(if number & 1 == 0 { Lead::Reference(length(number >> 1)) } else { Lead::Inline(number >> 1) })
    }

    /// §1.3.1: seven bits a byte, the highest bit tells that there are more; the fourth byte has eight.
    fn u29(&mut self) -> Result<u32, AmfError> {
        let mut number = 0;
        for _ in 0..3 {
            let [byte] = self.fixed()?;
            number = number << 7 | u32::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        let [byte] = self.fixed()?;
        Ok(number << 8 | u32::from(byte))
    }

    fn double(&mut self) -> Result<f64, AmfError> {
        Ok(f64::from_be_bytes(self.fixed()?))
    }

    fn bytes(&mut self, len: usize) -> Result<&'a [u8], AmfError> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(AmfError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], AmfError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(AmfError::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }
}

/// Sign extension from 29 bits (§3.6).
fn signed(number: u32) -> i32 {
    (number << 3).cast_signed() >> 3
}

fn length(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
