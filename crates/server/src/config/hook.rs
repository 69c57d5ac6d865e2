//! A `[[hook]]` table, or a hook of flags, as a checked [`Hook`].

use super::kinds::{OnErrorWord, Secret, SecretRef, Variable};
use super::problem::Severity;
use super::program;
use super::source::{At, Node, Raw};
use super::table::{Given, Table};
use super::tables::{HookTable, ModeWord, StdinWord, StdioForm, StdioTarget};
use super::value::{Reading, Value, either};
use jackfield_events::{EventSet, EventType, Kind, OnError, OrderedBy};
use jackfield_hook_transports::PlainHttp;
use jackfield_hooks::{Mode, Selector};
use jackfield_media::StreamKey;
use jackfield_process::User;
use std::num::NonZeroU64;
use std::path::PathBuf;

/// A checked hook.
#[derive(Debug, Clone)]
pub struct Hook {
    /// Unique among the hooks.
    pub name: String,
    /// The events that it wants.
    pub on: EventSet,
    /// Whether it decides the questions among them.
    pub mode: Mode,
    /// The streams that it is about.
    pub streams: Selector,
    /// What is called.
    pub handler: Handler,
    /// What a failure means, if the hook says so.
    pub on_error: Option<OnError>,
    /// Where it comes from.
    pub origin: HookOrigin,
    /// Every key as it was read.
    pub keys: HookTable,
}

/// Where a hook comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookOrigin {
    /// A `[[hook]]`.
    File,
    /// `--hook-script` or `--hook-webhook`.
    Flag,
}

/// What a hook calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handler {
    /// A program for each event.
    Run {
        /// Program and arguments, as they were given.
        argv: Vec<String>,
        /// Whether the event stands on its standard input.
        stdin: StdinWord,
        /// Where and as whom it runs.
        place: ProgramPlace,
    },
    /// Programs that stay.
    Worker {
        /// Program and arguments, as they were given.
        argv: Vec<String>,
        /// Where and as whom they run.
        place: ProgramPlace,
        /// How many there are.
        pool: PoolSize,
    },
    /// A webhook.
    Url(Webhook),
    /// Standard output or error.
    Stdio {
        /// Which.
        target: StdioTarget,
        /// In which form.
        form: StdioForm,
    },
}

/// How many processes a worker has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSize {
    /// Always.
    pub min: usize,
    /// At most.
    pub max: usize,
    /// Requests that may wait for one.
    pub queue: usize,
    /// Requests after which a process is replaced.
    pub max_requests: Option<NonZeroU64>,
}

/// Where and as whom a program runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramPlace {
    /// Its working directory.
    pub cwd: Cwd,
    /// Where its path starts: the folder of the file, or the working directory. Absolute.
    pub base: PathBuf,
    /// Its user.
    pub user: Option<User>,
    /// Variables passed on and set.
    pub env: Vec<Variable>,
    /// Which environment it starts from.
    pub from: EnvironmentFrom,
}

/// What a program's environment starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvironmentFrom {
    /// The server's own, less what configures the server.
    Server,
    /// Nothing.
    Nothing,
}

/// A program's working directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cwd {
    /// The server's own.
    Server,
    /// A temporary one.
    Private,
    /// This one.
    Path(PathBuf),
}

/// What a webhook needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Where to post.
    pub url: String,
    /// More headers.
    pub headers: Vec<(String, Secret)>,
    /// Keys of the signature.
    pub secrets: Vec<Secret>,
    /// PEM file of authorities.
    pub ca: Option<PathBuf>,
    /// PEM files of the client certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Whether it may go unprotected beyond this machine.
    pub plain_http: PlainHttp,
}

/// The four keys of which a hook has exactly one.
const HANDLERS: [&str; 4] = ["run", "worker", "url", "stdio"];

/// Keys that only some handlers read.
const ONLY_FOR: [(&str, &[&str]); 16] = [
    ("args", &["run", "worker"]),
    ("env", &["run", "worker"]),
    ("env_clear", &["run", "worker"]),
    ("cwd", &["run", "worker"]),
    ("user", &["run", "worker"]),
    ("stdin", &["run"]),
    ("min", &["worker"]),
    ("max", &["worker"]),
    ("max_requests", &["worker"]),
    ("headers", &["url"]),
    ("secret", &["url"]),
    ("ca", &["url"]),
    ("cert", &["url"]),
    ("key", &["url"]),
    ("plain_http", &["url"]),
    ("format", &["stdio"]),
];

/// Reads and checks one hook. `position` counts from 1; `plain_http` is what `[hooks]` says for all.
pub(super) fn read(
    given: &Given,
    position: usize,
    origin: HookOrigin,
    plain_http: bool,
    cx: &mut Reading,
) -> Option<Hook> {
    let before = cx.problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    let mut keys = HookTable::read(given, cx);
    given.refuse_unknown(&HookTable::SPEC, super::table_with, cx);
    let name = keys.name.clone().unwrap_or_else(|| format!("hook-{position}"));
    check_name(given, &name, cx);
    let handler = handler_of(given, cx);
    let on = events_of(&keys, given, handler, cx);
    let on_error = on_error_of(&keys, given, on, cx);
    let mode = mode_of(&keys, given, on, handler, cx);
    let streams = streams_of(given, on, cx);
    keys.plain_http |= plain_http;
    let handler = handler.and_then(|handler| read_handler(handler, &keys, given, cx));
    let after = cx.problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    let hook = Hook { name, on, mode, streams, handler: handler?, on_error, origin, keys };
    (after == before).then_some(hook)
}

fn check_name(given: &Given, name: &str, cx: &mut Reading) {
    let good = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if let Some(value) = given.value("name")
        && (name.is_empty() || name.len() > 64 || !name.chars().all(good))
    {
        let _none: Option<()> =
            cx.refuse(&value.at, format!("`{name}` is no name of a hook"), "1 to 64 of `A-Z a-z 0-9 _ . -`");
    }
}

/// Which of the four handlers the hook has, and that no key of another is there.
fn handler_of(given: &Given, cx: &mut Reading) -> Option<&'static str> {
    let named: Vec<&'static str> =
        HANDLERS.into_iter().filter(|handler| given.value(handler).is_some()).collect();
    let handler = match named.as_slice() {
        [one] => *one,
        [] => {
            let at = given.at.clone()?;
            return cx.refuse(
                &at,
                "the hook calls nothing",
                "needs one of `run`, `worker`, `url` and `stdio`",
            );
        }
        [first, rest @ ..] => {
            for more in rest {
                let at = given.key_at(more)?.clone();
                let title = format!("`{more}` beside `{first}`");
                let _none: Option<()> = cx.refuse(&at, title, "a hook has only one of them");
            }
            return None;
        }
    };
    let posts = handler == "run" && given.value("run").is_some_and(is_http_request);
    for (key, handlers) in ONLY_FOR {
        let fits = handlers.contains(&handler) || (posts && handlers == ["url"]);
        if let (Some(at), false) = (given.key_at(key), fits) {
            let title = format!("`{key}` has no meaning for `{handler}`");
            let _none: Option<()> = cx.refuse(&at.clone(), title, format!("is for {}", either(handlers)));
        }
    }
    Some(handler)
}

/// Whether a `run` is the built-in `http-request URL`.
fn is_http_request(run: &Node) -> bool {
    match &run.raw {
        Raw::Text(text) | Raw::Loose(text) => text.split_whitespace().next() == Some("http-request"),
        Raw::List(words) => {
            matches!(words.first().map(|word| &word.raw), Some(Raw::Text(text)) if text == "http-request")
        }
        _ => false,
    }
}

fn events_of(keys: &HookTable, given: &Given, handler: Option<&str>, cx: &mut Reading) -> EventSet {
    if let Some(on) = &keys.on {
        if let (Some(value), true) = (given.value("on"), on.is_empty()) {
            let _none: Option<()> = cx.refuse(&value.at, "`on` is empty", "must name an event");
        }
        return on.iter().flat_map(|names| names.events.iter().copied()).collect();
    }
    if handler != Some("stdio")
        && given.value("on").is_none()
        && let Some(at) = given.at.clone()
    {
        let _none: Option<()> = cx.refuse(&at, "the hook has no event", "needs `on = [\"…\"]`");
    }
    EventType::ALL.iter().copied().filter(|event| !event.spec().kind.is_question()).collect()
}

/// Whether the hook decides. What it cannot decide is refused, where it says that it does.
fn mode_of(keys: &HookTable, given: &Given, on: EventSet, handler: Option<&str>, cx: &mut Reading) -> Mode {
    let is_question = |event: &EventType| event.spec().kind.is_question();
    match keys.mode {
        None if handler == Some("stdio") || !on.iter().any(|event| is_question(&event)) => Mode::Notify,
        None => Mode::Decide,
        Some(ModeWord::Notify) => Mode::Notify,
        Some(ModeWord::Decide) => {
            if let Some(at) = given.value("mode").map(|value| value.at.clone()) {
                let notice = on.iter().find(|event| !is_question(event));
                if handler == Some("stdio") {
                    let _none: Option<()> = cx.refuse(&at, "`stdio` cannot decide", "must be `notify`");
                } else if let Some(notice) = notice {
                    let title = format!("`{notice}` is a notice: there is nothing to decide");
                    let _none: Option<()> = cx.refuse(&at, title, "must be `notify`, or absent");
                }
            }
            Mode::Decide
        }
    }
}

/// Checks `on_error` against the kinds of the events.
fn on_error_of(keys: &HookTable, given: &Given, on: EventSet, cx: &mut Reading) -> Option<OnError> {
    let word = keys.on_error.as_ref()?;
    let at = given.value("on_error")?.at.clone();
    let first = |kind: Kind| on.iter().find(|event| event.spec().kind == kind);
    let (authorize, resolve) = (first(Kind::Authorize), first(Kind::Resolve));
    if keys.mode == Some(ModeWord::Notify) || (authorize.is_none() && resolve.is_none()) {
        return cx.refuse(&at, "`on_error` without a question", "nobody waits for this hook");
    }
    match (word, authorize, resolve) {
        (OnErrorWord::Deny, ..) => Some(OnError::Deny),
        (OnErrorWord::Allow, None, Some(event)) => cx.refuse(
            &at,
            format!("`allow` is no answer to `{event}`"),
            "must be `deny`, `keep` or `value:KEY`",
        ),
        (OnErrorWord::Keep, Some(event), None) => {
            cx.refuse(&at, format!("`keep` is no answer to `{event}`"), "must be `deny` or `allow`")
        }
        (OnErrorWord::Allow | OnErrorWord::Keep, ..) => Some(OnError::Allow),
        (OnErrorWord::Value(_), Some(event), _) => {
            cx.refuse(&at, format!("a value is no answer to `{event}`"), "must be `deny` or `allow`")
        }
        (OnErrorWord::Value(key), None, _) => Some(OnError::Value(key.as_str().into())),
    }
}

fn read_handler(handler: &str, keys: &HookTable, given: &Given, cx: &mut Reading) -> Option<Handler> {
    let at = given.value(handler)?.at.clone();
    match handler {
        "run" => {
            let mut argv = keys.run.clone()?.0;
            if argv.first().is_some_and(|program| program == "http-request") {
                let [_, url] = argv.as_slice() else {
                    return cx.refuse(&at, "`http-request` takes one URL", "write `http-request URL`");
                };
                return webhook(url.clone(), &at, keys, given, cx).map(Handler::Url);
            }
            let place = place(keys, given, &at, cx);
            program::find(argv.first()?, &at, keys, cx)?;
            argv.extend(keys.args.iter().cloned());
            let stdin = keys.stdin.unwrap_or(StdinWord::Event);
            Some(Handler::Run { argv, stdin, place: place? })
        }
        "worker" => {
            let mut argv = keys.worker.clone()?.0;
            let place = place(keys, given, &at, cx);
            program::find(argv.first()?, &at, keys, cx)?;
            argv.extend(keys.args.iter().cloned());
            let (min, max) = (keys.min, keys.max);
            if let (Some(value), true) = (given.value("min"), min > max && given.value("max").is_some()) {
                return cx.refuse(&value.at, "`min` is above `max`", format!("must be at most {max}"));
            }
            let max_requests = keys.max_requests.and_then(NonZeroU64::new);
            let pool = PoolSize { min, max: max.max(min), queue: keys.queue, max_requests };
            Some(Handler::Worker { argv, place: place?, pool })
        }
        "url" => webhook(keys.url.clone()?.0, &at, keys, given, cx).map(Handler::Url),
        _ => Some(Handler::Stdio { target: keys.stdio?, form: keys.format.unwrap_or(StdioForm::Json) }),
    }
}

fn place(keys: &HookTable, given: &Given, at: &At, cx: &mut Reading) -> Option<ProgramPlace> {
    let cwd = match keys.cwd.as_deref() {
        None => Cwd::Server,
        Some("private") => Cwd::Private,
        Some(path) => {
            let at = given.value("cwd")?.at.clone();
            let path = cx.sources.resolve(&at, path.as_ref());
            if !path.is_dir() {
                return cx.refuse(&at, format!("{} is no folder", path.display()), "must be a folder");
            }
            Cwd::Path(std::path::absolute(path).ok()?)
        }
    };
    let user = match &keys.user {
        None => None,
        Some(name) => {
            let user = name.parse().map_or_else(|_| User::Name(name.clone()), User::Id);
            if let Err(error) = user.uid() {
                let at = given.value("user")?.at.clone();
                return cx.refuse(&at, format!("there is no user `{name}`"), error.to_string());
            }
            Some(user)
        }
    };
    let base = cx.sources.resolve(at, "".as_ref());
    let base = std::path::absolute(if base.as_os_str().is_empty() { ".".into() } else { base }).ok()?;
    let from = if keys.env_clear { EnvironmentFrom::Nothing } else { EnvironmentFrom::Server };
    Some(ProgramPlace { cwd, base, user, env: keys.env.clone(), from })
}

fn webhook(url: String, at: &At, keys: &HookTable, given: &Given, cx: &mut Reading) -> Option<Webhook> {
    let plain_http = if keys.plain_http { PlainHttp::Anywhere } else { PlainHttp::Loopback };
    let url = program::check_url(url, at, plain_http, cx)?;
    for (key, path) in [("ca", &keys.ca), ("cert", &keys.cert), ("key", &keys.key)] {
        if let (Some(path), Some(value)) = (path, given.value(key)) {
            program::check_readable(path, &value.at.clone(), cx)?;
        }
    }
    let identity = match (&keys.cert, &keys.key) {
        (Some(cert), Some(key)) => Some((cert.clone(), key.clone())),
        (None, None) => None,
        (cert, _) => {
            let (there, missing) = if cert.is_some() { ("cert", "key") } else { ("key", "cert") };
            let at = given.key_at(there)?.clone();
            return cx.refuse(&at, format!("`{there}` without `{missing}`"), "both or neither");
        }
    };
    let secret = |reference: &SecretRef| reference.secret.clone();
    let headers = keys.headers.0.iter().map(|(name, value)| (name.clone(), secret(value))).collect();
    let secrets = keys.secret.iter().map(secret).collect();
    Some(Webhook { url, headers, secrets, ca: keys.ca.clone(), identity, plain_http })
}

/// Reads `streams`, and warns of a hook that no event can reach.
fn streams_of(given: &Given, on: EventSet, cx: &mut Reading) -> Selector {
    let Some(value) = given.value("streams").cloned() else { return Selector::default() };
    let nodes = match &value.raw {
        Raw::List(nodes) => nodes.clone(),
        _ => vec![value.clone()],
    };
    let mut globs = Vec::new();
    for node in nodes {
        let Some(glob) = String::read(&node, &mut Reading::default()) else { continue };
        match Selector::parse(&[&glob]) {
            Ok(_) => globs.push(glob),
            Err(error) => {
                let _none: Option<()> =
                    cx.refuse(&node.at, error.to_string(), "must be a glob of stream keys");
            }
        }
    }
    let names_some = globs.iter().any(|glob| !glob.starts_with('!'));
    let of_connections = |event: EventType| event.spec().ordered_by == OrderedBy::Connection;
    let why = if names_some && !on.is_empty() && on.iter().all(of_connections) {
        Some("its events are of connections, which have no stream")
    } else if !globs.is_empty() && !could_match(&globs) {
        Some("no stream key can match")
    } else {
        None
    };
    if let Some(why) = why {
        cx.note(Severity::Warning, &value.at, "this hook can never fire", why, None);
    }
    Selector::parse(&globs).unwrap_or_default()
}

/// Whether some stream key could be selected: a glob that includes and that a key could match, with nothing
/// after it that excludes all; or globs that only exclude, unless one excludes all.
fn could_match(globs: &[String]) -> bool {
    let all_but = globs.iter().all(|glob| glob.starts_with('!'));
    let mut could = all_but;
    for glob in globs {
        match glob.strip_prefix('!') {
            Some("**" | "**/*" | "*/**") => could = false,
            Some(_) => {}
            None => could |= is_possible(glob),
        }
    }
    could
}

/// Whether a key could match: with its stars read as a letter it is one.
fn is_possible(glob: &str) -> bool {
    let whole =
        if glob.contains('/') || glob.starts_with("**") { glob.to_owned() } else { format!("live/{glob}") };
    let sample = whole.replace("**", "a/a").replace('*', "a");
    let short = whole.replace("**", "a").replace('*', "a");
    StreamKey::parse(&sample).is_ok() || StreamKey::parse(&short).is_ok()
}
