//! Types of settings with a grammar of their own.

use super::problem::Severity;
use super::source::{At, Entry, Node, Raw};
use super::value::{Reading, Value, quoted};
use jackfield_api::Origins;
use jackfield_bus::{Fsync, SpareFolder};
use jackfield_events::EventType;
use jackfield_hook_transports::{ProgramError, Secret as SigningKey};
use jackfield_media::{StreamKey, UnixTime};
use jackfield_net::ListenAddr;
use jackfield_net::proxy::Network;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// How often the log of events may be synced.
const FSYNC_INTERVALS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(60);

impl Value for ListenAddr {
    const TYPE: &'static str = "address";

    fn read(node: &Node, cx: &mut Reading) -> Option<Self> {
        let text = String::read(node, cx)?;
        text.parse().ok().or_else(|| {
            cx.refuse(
                &node.at,
                format!("`{text}` is no address to listen on"),
                "write it like `:1935`, `127.0.0.1:1935` or `[::1]:1935`",
            )
        })
    }

    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

/// Addresses to listen on, or `off`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenOrOff(pub Vec<ListenAddr>);

impl Value for ListenOrOff {
    const TYPE: &'static str = "list of addresses, or `off`";

    fn read(node: &Node, cx: &mut Reading) -> Option<Self> {
        match &node.raw {
            Raw::Text(text) | Raw::Loose(text) if text == "off" => Some(Self(Vec::new())),
            _ => Vec::read(node, cx).map(Self),
        }
    }

    fn show(&self) -> String {
        if self.0.is_empty() { quoted("off") } else { self.0.show() }
    }
}

/// When the log of events is synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FsyncWord(pub Fsync);

impl Value for FsyncWord {
    const TYPE: &'static str = "word `interval:DURATION`, `always` or `off`";

    fn read(node: &Node, cx: &mut Reading) -> Option<Self> {
        let text = String::read(node, cx)?;
        Some(Self(match (text.as_str(), text.strip_prefix("interval:")) {
            ("always", _) => Fsync::Always,
            ("off", _) => Fsync::Off,
            (_, Some(interval)) => match super::value::parse_duration(interval) {
                Some(interval) if FSYNC_INTERVALS.contains(&interval) => Fsync::Interval(interval),
                _ => {
                    return cx.refuse(
                        &node.at,
                        "this is no interval",
                        "must be from `interval:1ms` to `interval:1m`",
                    );
                }
            },
            (other, None) => {
                return super::value::unknown_word(cx, &node.at, other, &["interval:20ms", "always", "off"]);
            }
        }))
    }

    fn show(&self) -> String {
        match self.0 {
            Fsync::Interval(interval) => {
                quoted(&format!("interval:{}", super::value::show_duration(interval)))
            }
            Fsync::Always => quoted("always"),
            Fsync::Off => quoted("off"),
        }
    }
}

/// Where the newest events outlive the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpareWord {
    /// Where such things lie.
    Auto,
    /// Nowhere.
    Off,
    /// In this folder.
    At(PathBuf),
}

impl SpareWord {
    /// The folders that it means.
    #[must_use]
    pub fn folder(&self) -> SpareFolder {
        match self {
            Self::Off => SpareFolder::Off,
            Self::At(folder) => SpareFolder::At(folder.clone()),
            Self::Auto => {
                // systemd names the folders of `RuntimeDirectory=`, one behind the other.
                let named = std::env::var_os("RUNTIME_DIRECTORY").unwrap_or_default();
                let named = std::env::split_paths(&named).filter(|path| path.is_absolute());
                SpareFolder::FirstOf(named.chain([PathBuf::from("/dev/shm")]).collect())
            }
        }
    }
}

impl Value for SpareWord {
    const TYPE: &'static str = "absolute path, or the word `auto` or `off`";

    fn read(node: &Node, cx: &mut Reading) -> Option<Self> {
        let text = String::read(node, cx)?;
        match text.as_str() {
            "auto" => Some(Self::Auto),
            "off" => Some(Self::Off),
            path if path.starts_with('/') && !path.contains('\0') => Some(Self::At(path.into())),
            other => super::value::unknown_word(cx, &node.at, other, &["auto", "off", "/a/folder"]),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Auto => quoted("auto"),
            Self::Off => quoted("off"),
            Self::At(folder) => quoted(&folder.to_string_lossy()),
        }
    }
}

/// Origins of pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiOrigins(pub Origins);

impl Value for ApiOrigins {
    const TYPE: &'static str = "list of origins";

    fn read(node: &Node, cx: &mut Reading) -> Option<Self> {
        let texts: Vec<String> = Vec::read(node, cx)?;
        match Origins::parse(texts.iter().map(String::as_str)) {
            Ok(origins) => Some(Self(origins)),
            Err(error) => {
                cx.refuse(&node.at, error.to_string(), "must be `scheme://host` or `scheme://host:port`")
            }
        }
    }

    fn show(&self) -> String {
        self.0.texts().map(str::to_owned).collect::<Vec<String>>().show()
    }
}

/// A network of proxies: `10.0.0.0/8`, or one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyNetwork {
    /// As it was written.
    pub text: String,
    /// What it means.
    pub network: Network,
}

impl Value for ProxyNetwork {
    const TYPE: &'static str = "network";

    fn read(node: &Node, cx: &mut Reading) -> Option<Self> {
        let text = String::read(node, cx)?;
        match text.parse() {
            Ok(network) => Some(Self { text, network }),
            Err(_) => {
                let title = format!("`{text}` is no network");
                cx.refuse(&node.at, title, "write it like `10.0.0.0/8`, `192.0.2.1` or `fd00::/8`")
            }
        }
    }

    fn show(&self) -> String {
        quoted(&self.text)
    }
}

/// A program with its arguments. Shown with the secrets of URLs masked, also by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Command(pub Vec<String>);

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.show())
    }
}

impl Value for Command {
    const TYPE: &'static str = "string or list";

    fn read(node: &Node, cx: &mut Reading) -> Option<Self> {
        let words = match &node.raw {
            Raw::Text(text) | Raw::Loose(text) => match jackfield_hook_transports::words(text) {
                Ok(words) => words,
                Err(ProgramError::Unfinished(_)) => {
                    return cx.refuse(&node.at, "a quote is not closed", "cannot be split into words");
                }
                Err(_) => Vec::new(),
            },
            _ => Vec::read(node, cx)?,
        };
        if words.first().is_none_or(String::is_empty) {
            return cx.refuse(&node.at, "there is no program", "must name a program");
        }
        if words.iter().any(|word| word.contains('\0')) {
            return cx.refuse(&node.at, "a NUL in a command", "cannot be given to a program");
        }
        Some(Self(words))
    }

    fn show(&self) -> String {
        let masker = jackfield_events::Masker::default();
        let shown = |word: &String| if word.contains("://") { masker.mask(word) } else { word.clone() };
        self.0.iter().map(shown).collect::<Vec<String>>().show()
    }
}

/// One name or glob of `on`, with the events that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventNames {
    /// As it was written.
    pub pattern: String,
    /// What it matches, never nothing.
    pub events: Vec<EventType>,
}

impl Value for EventNames {
    const TYPE: &'static str = "event";

    fn read(node: &Node, cx: &mut Reading) -> Option<Self> {
        let pattern = String::read(node, cx)?;
        let events: Vec<EventType> = EventType::matching(&pattern).collect();
        if events.is_empty() {
            let names = EventType::ALL.iter().map(|event| event.name());
            let label = "`jackfield events` lists them";
            return cx.refuse_word(&node.at, format!("unknown event `{pattern}`"), label, &pattern, names);
        }
        Some(Self { pattern, events })
    }

    fn show(&self) -> String {
        quoted(&self.pattern)
    }
}

/// What a failure of a question's hook means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnErrorWord {
    /// `deny`.
    Deny,
    /// `allow`.
    Allow,
    /// `keep`.
    Keep,
    /// `value:KEY`.
    Value(String),
}

impl Value for OnErrorWord {
    const TYPE: &'static str = "word `deny`, `allow`, `keep`, or `value:KEY`";

    fn read(node: &Node, cx: &mut Reading) -> Option<Self> {
        let text = String::read(node, cx)?;
        match (text.as_str(), text.strip_prefix("value:")) {
            ("deny", _) => Some(Self::Deny),
            ("allow", _) => Some(Self::Allow),
            ("keep", _) => Some(Self::Keep),
            (_, Some(key)) => match StreamKey::parse(key) {
                Ok(_) => Some(Self::Value(key.to_owned())),
                Err(error) => cx.refuse(&node.at, error.to_string(), "must be a stream key, as `live/show`"),
            },
            (other, None) => {
                super::value::unknown_word(cx, &node.at, other, &["deny", "allow", "keep", "value:KEY"])
            }
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Deny => quoted("deny"),
            Self::Allow => quoted("allow"),
            Self::Keep => quoted("keep"),
            Self::Value(key) => quoted(&format!("value:{key}")),
        }
    }
}

/// Where in the log of events a hook begins that is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartWord {
    /// With what happens from now on.
    Now,
    /// With the oldest event of the log.
    Beginning,
    /// With the first event at or after a time.
    At {
        /// As it was written.
        text: String,
        /// What it means.
        time: UnixTime,
    },
}

impl Value for StartWord {
    const TYPE: &'static str = "word `now`, `beginning`, or a time of RFC 3339";

    fn read(node: &Node, cx: &mut Reading) -> Option<Self> {
        let text = String::read(node, cx)?;
        match text.as_str() {
            "now" => return Some(Self::Now),
            "beginning" => return Some(Self::Beginning),
            _ => {}
        }
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            return Some(Self::At { time: UnixTime(time.as_microsecond()), text });
        }
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            return cx.refuse(&node.at, "this is no time", "write it like `2026-01-31T12:00:00Z`");
        }
        super::value::unknown_word(cx, &node.at, &text, &["now", "beginning"])
    }

    fn show(&self) -> String {
        match self {
            Self::Now => quoted("now"),
            Self::Beginning => quoted("beginning"),
            Self::At { text, .. } => quoted(text),
        }
    }
}

/// A text that is printed nowhere: `Debug` and `Display` show `…`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself, to be used and not kept.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// A secret and how it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRef {
    /// `env:NAME` or `file:PATH`, which is no secret; `None` when it stands in the configuration itself.
    pub from: Option<String>,
    /// The secret.
    pub secret: Secret,
}

impl Value for SecretRef {
    const TYPE: &'static str = "secret";

    fn read(node: &Node, cx: &mut Reading) -> Option<Self> {
        let text = String::read(node, cx)?;
        let secret = if let Some(name) = text.strip_prefix("env:") {
            cx.secret_variables.insert(name.to_owned());
            match cx.environment.get(name).cloned() {
                Some(value) => value,
                None => {
                    let title = format!("the variable {name} is not set");
                    return cx.refuse(&node.at, title, "must be set when the server starts");
                }
            }
        } else if let Some(path) = text.strip_prefix("file:") {
            read_secret(path, &node.at, cx)?
        } else {
            return Some(Self { from: None, secret: Secret(text) });
        };
        if secret.is_empty() {
            return cx.refuse(&node.at, "the secret is empty", "must have a value");
        }
        Some(Self { from: Some(text), secret: Secret(secret) })
    }

    fn show(&self) -> String {
        quoted(self.from.as_deref().unwrap_or("…"))
    }
}

/// The key of a webhook's signature. What is written like neither `env:NAME` nor `file:PATH` may be one of
/// these misspelt, and would sign with its own name; only a `whsec_…` says that it is the key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningSecret(pub SecretRef);

impl Value for SigningSecret {
    const TYPE: &'static str = "secret";

    fn read(node: &Node, cx: &mut Reading) -> Option<Self> {
        let read = SecretRef::read(node, cx)?;
        let text = read.secret.reveal();
        if read.from.is_none() && !text.starts_with("whsec_") {
            return cx.refuse(&node.at, "this is no secret", "write it like `env:NAME` or `file:PATH`");
        }
        if let Err(error) = SigningKey::new(text).check() {
            return cx.refuse(&node.at, error.to_string(), "cannot sign");
        }
        if read.from.is_none() {
            let label = "whoever reads the file has it; `env:NAME` or `file:PATH` keeps it apart";
            cx.note(Severity::Warning, &node.at, "a secret stands in the configuration itself", label, None);
        }
        Some(Self(read))
    }

    fn show(&self) -> String {
        self.0.show()
    }
}

/// A file's text without the newline at its end.
fn read_secret(path: &str, at: &At, cx: &mut Reading) -> Option<String> {
    let path = cx.sources.resolve(at, path.as_ref());
    match super::source::read_file(&path) {
        Ok(source) => Some(source.text.trim_end_matches(['\r', '\n']).to_owned()),
        Err(error) => cx.refuse(at, format!("cannot read {}", path.display()), error),
    }
}

/// One entry of `env`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Variable {
    /// A glob of names to pass on.
    Pass(String),
    /// A variable to set.
    Set(String, Secret),
}

impl Value for Variable {
    const TYPE: &'static str = "`NAME` or `NAME=value`";

    fn read(node: &Node, cx: &mut Reading) -> Option<Self> {
        let text = String::read(node, cx)?;
        let (name, value) = text.split_once('=').map_or((text.as_str(), None), |(n, v)| (n, Some(v)));
        let glob = value.is_none();
        let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || (glob && c == '*');
        let starts = name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty();
        if starts || !name.chars().all(good) || text.contains('\0') {
            let title = format!("`{name}` is no name of a variable");
            return cx.refuse(&node.at, title, "write it like `NAME`, `AWS_*` or `NAME=value`");
        }
        Some(match value {
            None => Self::Pass(name.to_owned()),
            Some(value) => Self::Set(name.to_owned(), Secret(value.to_owned())),
        })
    }

    fn show(&self) -> String {
        match self {
            Self::Pass(glob) => quoted(glob),
            Self::Set(name, _) => quoted(&format!("{name}=…")),
        }
    }
}

/// Headers of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, SecretRef)>);

impl Value for Headers {
    const TYPE: &'static str = "table of strings";

    fn read(node: &Node, cx: &mut Reading) -> Option<Self> {
        let Raw::Table(entries) = &node.raw else {
            let title = format!("expected a table, found {}", node.raw.kind());
            return cx.refuse(&node.at, title, "write it like { Authorization = \"env:TOKEN\" }");
        };
        let headers: Vec<_> = entries.iter().map(|entry| read_header(entry, cx)).collect();
        headers.into_iter().collect::<Option<_>>().map(Self)
    }

    fn show(&self) -> String {
        let pairs: Vec<String> =
            self.0.iter().map(|(name, value)| format!("{} = {}", quoted(name), value.show())).collect();
        if pairs.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", pairs.join(", ")) }
    }
}

fn read_header(entry: &Entry, cx: &mut Reading) -> Option<(String, SecretRef)> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if entry.key.is_empty() || !entry.key.chars().all(token) {
        return cx.refuse(&entry.key_at, format!("`{}` is no name of a header", entry.key), "not HTTP");
    }
    let value = SecretRef::read(&entry.value, cx)?;
    if value.secret.reveal().chars().any(char::is_control) {
        return cx.refuse(&entry.value.at, "a header with a control character", "cannot be sent");
    }
    Some((entry.key.clone(), value))
}

/// The URL of a webhook. Shown with its secrets masked, also by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(pub String);

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.show())
    }
}

impl Value for Url {
    const TYPE: &'static str = "URL";

    fn read(node: &Node, cx: &mut Reading) -> Option<Self> {
        String::read(node, cx).map(Self)
    }

    fn show(&self) -> String {
        quoted(&jackfield_events::Masker::default().mask(&self.0))
    }
}
