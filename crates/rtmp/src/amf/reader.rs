//! Reading AMF0 with bounds.

use super::{AmfError, Object, Value, marker};

/// What a message's values may come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AmfLimits {
    /// How deep objects and arrays may nest. Bounds the call stack.
    pub depth: usize,
    /// How many values and properties a message may have in all. Bounds memory: a value takes up to 60
    /// times its bytes on the wire.
    pub values: usize,
}

impl Default for AmfLimits {
    fn default() -> Self {
        Self { depth: 32, values: 4096 }
    }
}

/// Reads the values of one message, one after the other.
#[derive(Debug)]
pub struct AmfReader<'a> {
    rest: &'a [u8],
    limits: AmfLimits,
    values: usize,
    /// Objects and arrays so far: what a reference may point to.
    complex: usize,
}

impl<'a> AmfReader<'a> {
    /// A reader at the beginning of a message.
    #[must_use]
    pub fn new(bytes: &'a [u8], limits: AmfLimits) -> Self {
        Self { rest: bytes, limits, values: 0, complex: 0 }
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
        self.value(0).map(Some)
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
            marker::AVMPLUS => return Err(AmfError::Amf3),
            other => return Err(AmfError::BadMarker(other)),
        })
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
