//! Reading AMF0 with bounds, and AMF3 where a message switches to it.

use super::{AmfError, Object, Value, marker};
use crate::amf3::{Amf3Reader, Context, Fidelity};

/// What a message's values may come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AmfLimits {
    /// How deep objects and arrays may nest. Bounds the call stack.
    pub depth: usize,
    /// How many values and properties a message may have in all. Bounds memory: a value takes up to 60
    /// times its bytes on the wire.
    pub values: usize,
    /// How many bytes of text the references of AMF3 may repeat. Bounds memory: a reference of two bytes can
    /// stand for a string as long as the message.
    pub repeated_bytes: usize,
}

impl Default for AmfLimits {
    fn default() -> Self {
        Self { depth: 32, values: 4096, repeated_bytes: 256 << 10 }
    }
}

/// How the values of a message were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// All in AMF0.
    Amf0,
    /// Some in AMF3. The values say the same, so that they can be written in AMF0.
    Converted,
    /// Some in AMF3, and the values do not say all of it.
    Reduced,
}

/// Reads the values of one message, one after the other.
#[derive(Debug)]
pub struct AmfReader<'a> {
    rest: &'a [u8],
    limits: AmfLimits,
    values: usize,
    /// Objects and arrays so far: what a reference may point to.
    complex: usize,
    /// References of AMF0 so far.
    references: usize,
    encoding: Encoding,
    /// From the first value in AMF3 on.
    amf3: Option<Box<Context>>,
}

/// How a value at the top of a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    /// With the marker 0x11 before each that is in AMF3.
    Amf0,
    Amf3,
}

impl<'a> AmfReader<'a> {
    /// A reader at the beginning of a message.
    #[must_use]
    pub fn new(bytes: &'a [u8], limits: AmfLimits) -> Self {
        Self {
            rest: bytes,
            limits,
            values: 0,
            complex: 0,
            references: 0,
            encoding: Encoding::Amf0,
            amf3: None,
        }
    }

    /// A reader of a message whose values are all in AMF3.
    #[must_use]
    pub fn amf3(bytes: &'a [u8], limits: AmfLimits) -> Self {
        Self { encoding: Encoding::Amf3, ..Self::new(bytes, limits) }
    }

    /// How the values that were read so far were written.
    #[must_use]
    pub fn form(&self) -> Form {
        match self.amf3.as_ref().map(|context| context.fidelity()) {
            None => Form::Amf0,
            // The number of what an AMF0 reference means changes with the conversion.
            Some(Fidelity::Whole) if self.references == 0 => Form::Converted,
            Some(_) => Form::Reduced,
        }
    }

    /// The bytes that were not read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next value, or `None` at the end.
    ///
    /// # Errors
    /// [`AmfError`] when the bytes break a rule.
    pub fn next_value(&mut self) -> Result<Option<Value>, AmfError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        match self.encoding {
            Encoding::Amf0 => self.value(0).map(Some),
            Encoding::Amf3 => self.switched(0).map(Some),
        }
    }

    /// All values up to the end.
    ///
    /// # Errors
    /// [`AmfError`] when the bytes break a rule.
    pub fn all(&mut self) -> Result<Vec<Value>, AmfError> {
        let mut values = Vec::new();
        while let Some(value) = self.next_value()? {
            values.push(value);
        }
        Ok(values)
    }

    fn value(&mut self, depth: usize) -> Result<Value, AmfError> {
        self.values += 1;
        if self.values > self.limits.values {
            return Err(AmfError::TooManyValues(self.limits.values));
        }
        let [kind] = self.fixed()?;
        Ok(match kind {
            marker::NUMBER => Value::Number(f64::from_be_bytes(self.fixed()?)),
            marker::BOOLEAN => Value::Boolean(self.fixed::<1>()? != [0]),
            marker::STRING => Value::String(self.short_string()?),
            marker::OBJECT => Value::Object(self.object(depth)?),
            marker::NULL => Value::Null,
            marker::UNDEFINED => Value::Undefined,
            marker::REFERENCE => self.reference()?,
            marker::ECMA_ARRAY => {
                // The count is a hint that encoders get wrong; the end marker decides.
                self.fixed::<4>()?;
                Value::EcmaArray(self.object(depth)?)
            }
            marker::STRICT_ARRAY => Value::StrictArray(self.strict_array(depth)?),
            marker::DATE => Value::Date {
                unix_ms: f64::from_be_bytes(self.fixed()?),
                zone: i16::from_be_bytes(self.fixed()?),
            },
            marker::LONG_STRING => Value::String(self.long_string()?),
            marker::UNSUPPORTED => Value::Unsupported,
            marker::XML => Value::Xml(self.long_string()?),
            marker::TYPED_OBJECT => {
                let class = self.short_string()?;
                Value::Typed { class, object: self.object(depth)? }
            }
            marker::AVMPLUS => self.switched(depth)?,
            other => return Err(AmfError::BadMarker(other)),
        })
    }

    /// A value in AMF3 (AMF0 §3.1).
    fn switched(&mut self, depth: usize) -> Result<Value, AmfError> {
        let limits = self.limits;
        let context = self.amf3.get_or_insert_with(|| Box::new(Context::new(limits, self.rest.len())));
        context.resume(self.values);
        let mut reader = Amf3Reader::new(self.rest, context);
        let value = reader.read(depth)?;
        self.rest = reader.rest();
        self.values = context.values();
        Ok(value)
    }

    fn object(&mut self, depth: usize) -> Result<Object, AmfError> {
        let depth = self.deeper(depth)?;
        let mut object = Object::new();
        loop {
            // Some encoders leave out the end of the last object of a message.
            if self.rest.is_empty() && !object.is_empty() {
                return Ok(object);
            }
            let name = self.short_string()?;
            if name.is_empty() && self.rest.first() == Some(&marker::OBJECT_END) {
                self.fixed::<1>()?;
                return Ok(object);
            }
            let value = self.value(depth)?;
            object.push(name, value);
        }
    }

    fn strict_array(&mut self, depth: usize) -> Result<Vec<Value>, AmfError> {
        let depth = self.deeper(depth)?;
        let count = u32::from_be_bytes(self.fixed()?);
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(self.value(depth)?);
        }
        Ok(values)
    }

    fn reference(&mut self) -> Result<Value, AmfError> {
        let number = u16::from_be_bytes(self.fixed()?);
        if usize::from(number) < self.complex {
            self.references += 1;
            Ok(Value::Reference(number))
        } else {
            Err(AmfError::BadReference)
        }
    }

    fn deeper(&mut self, depth: usize) -> Result<usize, AmfError> {
        self.complex += 1;
        if depth >= self.limits.depth {
            return Err(AmfError::TooDeep(self.limits.depth));
        }
        Ok(depth + 1)
    }

    fn short_string(&mut self) -> Result<String, AmfError> {
        let len = u16::from_be_bytes(self.fixed()?);
        self.text(usize::from(len))
    }

    fn long_string(&mut self) -> Result<String, AmfError> {
        let len = u32::from_be_bytes(self.fixed()?);
        self.text(usize::try_from(len).map_err(|_wide| AmfError::Truncated)?)
    }

    fn text(&mut self, len: usize) -> Result<String, AmfError> {
        let (text, rest) = self.rest.split_at_checked(len).ok_or(AmfError::Truncated)?;
        self.rest = rest;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], AmfError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(AmfError::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }
}
