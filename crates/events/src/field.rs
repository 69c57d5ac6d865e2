//! Values of fields: how each Rust type looks in JSON, and what of it is secret.

use crate::Masker;
use jackfield_media::{Text, TrackKind};
use serde_json::Value;
use std::fmt;
use std::net::IpAddr;

/// Whether secrets are rendered.
#[derive(Debug, Clone, Copy)]
pub enum Exposure<'a> {
    /// As they are: for questions, whose handlers decide by them.
    Whole,
    /// As `***`: for notices, logs and whatever is kept.
    Masked(&'a Masker),
}

/// A type that can be a field of an event's `data`.
pub trait FieldValue {
    /// The type's name in the catalogue.
    const JSON_TYPE: &'static str;
    /// Whether the value can be absent.
    const OPTIONAL: bool = false;
    /// Whether the value may carry a secret.
    const MASKED: bool = false;

    /// The JSON form; `None` when there is no value.
    fn json(&self, exposure: Exposure<'_>) -> Option<Value>;
}

/// The list that a [`crate::Fact`] renders itself into.
#[derive(Debug)]
pub struct Fields<'a> {
    exposure: Exposure<'a>,
    out: Vec<(&'static str, Value)>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(exposure: Exposure<'a>, capacity: usize) -> Self {
        Self { exposure, out: Vec::with_capacity(capacity) }
    }

    /// Adds a field, unless it has no value.
    pub fn push(&mut self, name: &'static str, value: &impl FieldValue) {
        if let Some(json) = value.json(self.exposure) {
            self.out.push((name, json));
        }
    }

    pub(crate) fn finish(self) -> Vec<(&'static str, Value)> {
        self.out
    }
}

/// A URL or query string that a client sent: its secret parameters are masked outside of questions.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct SecretUrl(pub Text);

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl From<&str> for SecretUrl {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl FieldValue for SecretUrl {
    const JSON_TYPE: &'static str = "string";
    const OPTIONAL: bool = true;
    const MASKED: bool = true;

    fn json(&self, exposure: Exposure<'_>) -> Option<Value> {
        if self.0.is_empty() {
            return None;
        }
        Some(match exposure {
            Exposure::Whole => Value::from(self.0.as_str()),
            Exposure::Masked(masker) => Value::from(masker.mask(&self.0)),
        })
    }
}

impl FieldValue for Text {
    const JSON_TYPE: &'static str = "string";

    fn json(&self, _: Exposure<'_>) -> Option<Value> {
        Some(Value::from(self.as_str()))
    }
}

impl FieldValue for Option<Text> {
    const JSON_TYPE: &'static str = "string";
    const OPTIONAL: bool = true;

    fn json(&self, _: Exposure<'_>) -> Option<Value> {
        self.as_ref().map(|text| Value::from(text.as_str()))
    }
}

/// A list of names, absent when it is empty.
impl FieldValue for Vec<Text> {
    const JSON_TYPE: &'static str = "array";
    const OPTIONAL: bool = true;

    fn json(&self, _: Exposure<'_>) -> Option<Value> {
        (!self.is_empty()).then(|| self.iter().map(|text| Value::from(text.as_str())).collect())
    }
}

impl FieldValue for IpAddr {
    const JSON_TYPE: &'static str = "string";

    fn json(&self, _: Exposure<'_>) -> Option<Value> {
        // A dual-stack listener sees IPv4 clients as ::ffff:a.b.c.d; scripts expect a.b.c.d.
        Some(Value::from(self.to_canonical().to_string()))
    }
}

impl FieldValue for TrackKind {
    const JSON_TYPE: &'static str = "string";

    fn json(&self, _: Exposure<'_>) -> Option<Value> {
        Some(Value::from(self.as_str()))
    }
}

macro_rules! scalar {
    ($($ty:ty => $name:literal),*) => { $(
        impl FieldValue for $ty {
            const JSON_TYPE: &'static str = $name;

            fn json(&self, _: Exposure<'_>) -> Option<Value> {
                Some(Value::from(*self))
            }
        }

        impl FieldValue for Option<$ty> {
            const JSON_TYPE: &'static str = $name;
            const OPTIONAL: bool = true;

            fn json(&self, _: Exposure<'_>) -> Option<Value> {
                self.map(Value::from)
            }
        }
    )* };
}
scalar!(u16 => "integer", u32 => "integer", u64 => "integer", i64 => "integer", bool => "boolean");
