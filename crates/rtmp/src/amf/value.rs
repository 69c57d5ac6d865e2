//! Values of AMF0, into which those of AMF3 are read.

/// Any value (AMF0 §2).
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A double.
    Number(f64),
    /// A truth value.
    Boolean(bool),
    /// A string or long string. Bytes that are not UTF-8 were replaced by U+FFFD.
    String(String),
    /// An anonymous object.
    Object(Object),
    /// Nothing.
    Null,
    /// Not even nothing.
    Undefined,
    /// The object or array of this number, counted from 0 in the order of their markers in the
    /// message. It is not followed: references to references can make a tree of any size.
    Reference(u16),
    /// An object with the manners of an array.
    EcmaArray(Object),
    /// Values in order.
    StrictArray(Vec<Self>),
    /// A moment.
    Date {
        /// Milliseconds since 1970 UTC.
        unix_ms: f64,
        /// Reserved; should be 0.
        zone: i16,
    },
    /// What the other side could not express.
    Unsupported,
    /// An XML document.
    Xml(String),
    /// An object with a class.
    Typed {
        /// The name of its class.
        class: String,
        /// Its properties.
        object: Object,
    },
}

impl Value {
    /// The text of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number; of a truth value 1 or 0, since Flash converts too.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Boolean(on) => Some(f64::from(u8::from(*on))),
            _ => None,
        }
    }

    /// The truth value; of a number whether it is not 0.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Boolean(on) => Some(*on),
            Self::Number(number) => Some(*number != 0.0),
            _ => None,
        }
    }

    /// The properties of an object of any kind.
    #[must_use]
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) | Self::EcmaArray(object) | Self::Typed { object, .. } => Some(object),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

/// Properties in the order in which they were written. A name may come twice; the first counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Object(Vec<(String, Value)>);

impl Object {
    /// An object without properties.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// This object and one more property.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.push(name.to_owned(), value.into());
        self
    }

    /// Appends a property.
    pub fn push(&mut self, name: String, value: Value) {
        self.0.push((name, value));
    }

    /// The value of a property.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// The text of a property that is a string.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.find(name)?.as_str()
    }

    /// All properties in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// How many properties there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
