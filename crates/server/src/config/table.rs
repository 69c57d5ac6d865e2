//! What a table of the configuration is: one macro line per key drives reading, defaults, ranges, flags,
//! the merged print-out, the reference and the example.

use super::problem::Severity;
use super::source::{At, Entry, Node, Source, parse_value};
use super::value::{Reading, Value};

/// What the reference says of one key.
#[derive(Debug)]
pub(super) struct KeySpec {
    pub(super) name: &'static str,
    /// Its type's name.
    pub(super) value_type: &'static str,
    /// As TOML; `none` when the key is absent by default.
    pub(super) default: &'static str,
    /// A value to show, as TOML.
    pub(super) example: &'static str,
    /// Least and greatest value, as TOML.
    pub(super) range: Option<(&'static str, &'static str)>,
    pub(super) about: &'static str,
    /// The flag that sets it, without the dashes.
    pub(super) flag: Option<&'static str>,
    /// All that it can be, if that is a few words.
    pub(super) words: &'static [&'static str],
    /// Whether a value can be read and is in range; what is wrong is noted.
    pub(super) reads: fn(&Node, &mut Reading, &Self) -> bool,
}

impl KeySpec {
    /// The default as TOML, if there is one.
    pub(super) fn default(&self) -> Option<&'static str> {
        (self.default != "none").then_some(self.default)
    }

    /// What it means, on one line.
    pub(super) fn about(&self) -> &'static str {
        self.about.trim()
    }
}

/// What the reference says of a table.
#[derive(Debug)]
pub(super) struct TableSpec {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) keys: &'static [KeySpec],
}

/// The struct of a table.
pub(super) trait Table: Sized {
    const SPEC: TableSpec;

    /// Reads every key, from the last source that gives it.
    fn read(given: &Given, cx: &mut Reading) -> Self;

    /// Every key with its value as TOML, empty where there is none.
    fn show(&self) -> Vec<(&'static KeySpec, String)>;
}

/// What the sources give for one table, weakest source first.
#[derive(Debug, Default)]
pub(super) struct Given {
    entries: Vec<Entry>,
    /// Where the table stands, for what is missing in it.
    pub(super) at: Option<At>,
}

impl Given {
    pub(super) fn new(at: Option<At>, entries: Vec<Entry>) -> Self {
        Self { entries, at }
    }

    /// Adds what a stronger source gives.
    pub(super) fn add(&mut self, key: &str, value: Node) {
        self.entries.push(Entry { key: key.to_owned(), key_at: value.at.clone(), value });
    }

    /// Where the key stands in the strongest source.
    pub(super) fn key_at(&self, key: &str) -> Option<&At> {
        self.entries.iter().rev().find(|entry| entry.key == key).map(|entry| &entry.key_at)
    }

    /// What the strongest source gives for the key.
    pub(super) fn value(&self, key: &str) -> Option<&Node> {
        self.entries.iter().rev().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// Reads a key. Every source's value is checked, also one that a stronger source covers.
    pub(super) fn read<T: Value>(&self, keys: &[KeySpec], name: &str, cx: &mut Reading) -> T {
        let spec = keys.iter().find(|key| key.name == name).expect("invariant: the macro names its own keys");
        let mut read = None;
        for entry in self.entries.iter().filter(|entry| entry.key == name) {
            let value = T::read(&entry.value, cx).filter(|value| in_range(value, spec, &entry.value, cx));
            read = value.or(read);
        }
        read.or_else(|| default(spec)).expect("invariant: every default reads as its own type")
    }

    /// Refuses every key that is not one of these; `elsewhere` names the tables that have a key.
    pub(super) fn refuse_unknown(
        &self,
        table: &TableSpec,
        elsewhere: impl Fn(&str) -> Option<&'static str>,
        cx: &mut Reading,
    ) {
        for entry in &self.entries {
            if table.keys.iter().any(|key| key.name == entry.key) {
                continue;
            }
            let title = format!("unknown key `{}`", entry.key);
            let near = super::problem::nearest(&entry.key, table.keys.iter().map(|key| key.name));
            let help = match (elsewhere(&entry.key), near) {
                (Some(other), _) => Some(format!("`{}` is a key of {other}", entry.key)),
                (None, near) => near.map(|near| format!("did you mean `{near}`?")),
            };
            let label = format!("{} has no such key", table.title());
            cx.note(Severity::Error, &entry.key_at, title, label, help);
        }
    }
}

impl TableSpec {
    /// `[rtmp]`, `[[hook]]`.
    pub(super) fn title(&self) -> String {
        if self.name == "hook" { "[[hook]]".to_owned() } else { format!("[{}]", self.name) }
    }
}

/// The default of a key.
fn default<T: Value>(spec: &KeySpec) -> Option<T> {
    let Some(text) = spec.default() else { return T::absent() };
    let mut cx = Reading::default();
    let source = cx.sources.add(Source { name: String::new(), text: text.to_owned(), base: "".into() });
    T::read(&parse_value(text, source)?, &mut cx)
}

/// Reads a value only to note what is wrong with it.
pub(super) fn reads<T: Value>(node: &Node, cx: &mut Reading, spec: &KeySpec) -> bool {
    T::read(node, cx).is_some_and(|value| in_range(&value, spec, node, cx))
}

fn in_range<T: Value>(value: &T, spec: &KeySpec, node: &Node, cx: &mut Reading) -> bool {
    let Some((low, high)) = spec.range else { return true };
    let bound = |text| {
        let value = T::read(&parse_value(text, usize::MAX)?, &mut Reading::default())?;
        value.scale()
    };
    let Some(at) = value.scale() else { return true };
    if bound(low).is_some_and(|low| at < low) || bound(high).is_some_and(|high| at > high) {
        let title = format!("`{}` is out of range", spec.name);
        let _none: Option<()> = cx.refuse(&node.at, title, format!("must be {low} to {high}"));
        return false;
    }
    true
}

macro_rules! tables {
    ($(
        $(#[doc = $about:literal])+
        $vis:vis struct $name:ident $table:literal {
            $(
                $(#[doc = $doc:literal])+
                $field:ident: $ty:ty = $default:tt $(like $like:tt)? $(in $low:literal ..= $high:literal)? $(flag $flag:literal)?,
            )*
        }
    )*) => { $(
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq)]
        $vis struct $name {
            $( $(#[doc = $doc])+ pub $field: $ty, )*
        }

        impl Default for $name {
            fn default() -> Self {
                <Self as $crate::config::table::Table>::read(&Default::default(), &mut Default::default())
            }
        }

        impl $crate::config::table::Table for $name {
            const SPEC: $crate::config::table::TableSpec = $crate::config::table::TableSpec {
                name: $table,
                about: concat!($($about),+),
                keys: &[ $( $crate::config::table::KeySpec {
                    name: stringify!($field),
                    value_type: <$ty as $crate::config::value::Value>::TYPE,
                    default: stringify!($default),
                    example: match $crate::config::table::optional!($(stringify!($like))?) {
                        Some(like) => like,
                        None => stringify!($default),
                    },
                    range: $crate::config::table::optional!($(stringify!($low), stringify!($high))?),
                    about: concat!($($doc),+),
                    flag: $crate::config::table::optional!($($flag)?),
                    words: <$ty as $crate::config::value::Value>::WORDS,
                    reads: $crate::config::table::reads::<$ty>,
                }, )* ],
            };

            fn read(given: &$crate::config::table::Given, cx: &mut $crate::config::value::Reading) -> Self {
                Self { $( $field: given.read(Self::SPEC.keys, stringify!($field), cx), )* }
            }

            fn show(&self) -> Vec<(&'static $crate::config::table::KeySpec, String)> {
                let shown = [$( $crate::config::value::Value::show(&self.$field), )*];
                const KEYS: &[$crate::config::table::KeySpec] =
                    <$name as $crate::config::table::Table>::SPEC.keys;
                KEYS.iter().zip(shown).collect()
            }
        }
    )* };
}
pub(super) use tables;

macro_rules! optional {
    () => {
        None
    };
    ($one:expr) => {
        Some($one)
    };
    ($one:expr, $two:expr) => {
        Some(($one, $two))
    };
}
pub(super) use optional;
