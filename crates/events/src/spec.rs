//! What the catalogue says of an event, and the macro that says it.

use crate::{EventType, Exposure, Fields, OnError};
use serde_json::Value;

/// What an answer to an event can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A fact; nobody waits for it.
    Notice,
    /// `authorize_*`: allow or deny.
    Authorize,
    /// `resolve_*`: keep, replace or deny.
    Resolve,
}

impl Kind {
    /// `notice` or `question`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Authorize | Self::Resolve => "question",
        }
    }

    /// Whether somebody waits for its answer.
    #[must_use]
    pub const fn is_question(self) -> bool {
        !matches!(self, Self::Notice)
    }
}

/// What keeps the notices of one hook in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderedBy {
    /// Events of one connection, by `conn_id`; they never carry a stream key.
    Connection,
    /// Events of one stream key.
    Stream,
}

/// What becomes of a notice when a hook lags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It is stored, and kept until each hook has it.
    Durable,
    /// Anybody can cause it at any rate: it is held in memory only, and hooks that lag behind that miss it.
    Volatile,
}

impl Class {
    /// What the definition says, if it says something.
    pub(crate) const fn given(given: &[Self]) -> Self {
        match given {
            [class, ..] => *class,
            [] => Self::Durable,
        }
    }
}

/// One field of `data`.
#[derive(Debug)]
pub struct FieldSpec {
    /// Its name in JSON.
    pub name: &'static str,
    /// Its JSON type: `string`, `integer`, `boolean`, `array`.
    pub json_type: &'static str,
    /// What it means, with unit and range.
    pub about: &'static str,
    /// An example value.
    pub example: fn() -> Value,
    /// Whether it is absent at times.
    pub optional: bool,
    /// Whether it may carry a secret, and is masked outside of questions.
    pub masked: bool,
}

/// All that the catalogue says of one event.
#[derive(Debug)]
pub struct EventSpec {
    /// Its place in the catalogue.
    pub event_type: EventType,
    /// Its name on the wire.
    pub name: &'static str,
    /// Notice or question.
    pub kind: Kind,
    /// When it happens.
    pub when: &'static str,
    /// The message of its log line.
    pub log: &'static str,
    /// What orders it.
    pub ordered_by: OrderedBy,
    /// What becomes of it when a hook lags.
    pub class: Class,
    /// The fields of `data`, in order.
    pub fields: &'static [FieldSpec],
}

impl EventSpec {
    /// What happens to a question when its hook fails and says nothing else; `None` for a notice.
    #[must_use]
    pub fn on_error(&self) -> Option<OnError> {
        self.kind.is_question().then_some(OnError::Deny)
    }
}

/// The typed body of an event.
pub trait Fact {
    /// Its place in the catalogue.
    const TYPE: EventType;
    /// What the catalogue says of it.
    const SPEC: EventSpec;

    /// Renders the fields in the catalogue's order.
    fn render(&self, fields: &mut Fields<'_>);

    /// Renders the fields into a new list.
    fn data(&self, exposure: Exposure<'_>) -> Vec<(&'static str, Value)> {
        let mut fields = Fields::new(exposure, Self::SPEC.fields.len());
        self.render(&mut fields);
        fields.finish()
    }
}

/// Defines events: the doc comment is the catalogue's "when", the string its log message.
macro_rules! define {
    ($(
        $(#[doc = $when:literal])+
        $kind:ident $name:ident $wire:literal by $order:ident $(, $class:ident)? logs $log:literal {
            $( $(#[doc = $about:literal])+ $field:ident : $ty:ty = $example:expr, )*
        }
    )*) => { $(
        $(#[doc = $when])+
        #[derive(Debug, Clone)]
        pub struct $name {
            $( $(#[doc = $about])+ pub $field: $ty, )*
        }

        impl $crate::Fact for $name {
            const TYPE: $crate::EventType = $crate::EventType::$name;
            const SPEC: $crate::EventSpec = $crate::EventSpec {
                event_type: Self::TYPE,
                name: $wire,
                kind: $crate::Kind::$kind,
                when: concat!($($when),+),
                log: $log,
                ordered_by: $crate::OrderedBy::$order,
                class: $crate::Class::given(&[ $( $crate::Class::$class )? ]),
                fields: &[ $( $crate::FieldSpec {
                    name: stringify!($field),
                    json_type: <$ty as $crate::FieldValue>::JSON_TYPE,
                    about: concat!($($about),+),
                    example: || serde_json::json!($example),
                    optional: <$ty as $crate::FieldValue>::OPTIONAL,
                    masked: <$ty as $crate::FieldValue>::MASKED,
                }, )* ],
            };

            fn render(&self, fields: &mut $crate::Fields<'_>) {
                $( fields.push(stringify!($field), &self.$field); )*
            }
        }
    )* };
}
pub(crate) use define;
