//! Reading a hook: its name, its one handler and what the handler needs.

use super::events::{events_of, mode_of, on_error_of, streams_of};
use super::{Cwd, EnvironmentFrom, Handler, Hook, HookOrigin, PoolSize, ProgramPlace, QUEUE, Webhook};
use crate::config::kinds::{SecretRef, Url};
use crate::config::problem::Severity;
use crate::config::source::{At, Node, Raw};
use crate::config::table::{Given, Table};
use crate::config::tables::{HookTable, StdinWord, StdioForm};
use crate::config::value::{Reading, either};
use crate::config::{certificates, program, table_with};
use jackfield_hook_transports::PlainHttp;
use jackfield_net::outbound::Reach;
use jackfield_process::User;
use std::num::NonZeroU64;
use std::time::Duration;

/// Pauses of a schedule, and how long each may be.
const LONGEST_SCHEDULE: usize = 32;
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The four keys of which a hook has exactly one.
const HANDLERS: [&str; 4] = ["run", "worker", "url", "stdio"];

/// Keys that only some handlers read.
const ONLY_FOR: [(&str, &[&str]); 20] = [
    ("id", &["run", "worker", "url"]),
    ("schedule", &["run", "worker", "url"]),
    ("from", &["run", "worker", "url"]),
    ("dead_letters", &["run", "worker", "url"]),
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

/// Reads and checks one hook; its name, and the hook if nothing is wrong with it. `position` counts from 1;
/// `plain_http` is what `[hooks]` says for all.
pub(in crate::config) fn read(
    given: &Given,
    position: usize,
    origin: HookOrigin,
    plain_http: bool,
    cx: &mut Reading,
) -> (String, Option<Hook>) {
    let before = cx.problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    let mut keys = HookTable::read(given, cx);
    given.refuse_unknown(&HookTable::SPEC, table_with, cx);
    let name = keys.name.clone().unwrap_or_else(|| format!("hook-{position}"));
    check_name(given, "name", &name, cx);
    check_name(given, "id", keys.id.as_deref().unwrap_or(&name), cx);
    check_schedule(given, &keys, cx);
    let handler = handler_of(given, cx);
    let on = events_of(&keys, given, handler, cx);
    let on_error = on_error_of(&keys, given, on, cx);
    let mode = mode_of(&keys, given, on, handler, cx);
    let streams = streams_of(given, on, cx);
    keys.plain_http |= plain_http;
    let handler = handler.and_then(|handler| read_handler(handler, &keys, given, cx));
    let after = cx.problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    let handler = handler.filter(|_| after == before);
    let hook = handler.map(|handler| Hook {
        name: name.clone(),
        on,
        mode,
        streams,
        handler,
        on_error,
        origin,
        keys,
    });
    (name, hook)
}

/// Checks the name or the id, whichever `key` is.
fn check_name(given: &Given, key: &str, name: &str, cx: &mut Reading) {
    let good = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if let Some(value) = given.value(key)
        && (name.is_empty() || name.len() > 64 || !name.chars().all(good))
    {
        let title = format!("`{name}` is no {key} of a hook");
        let _none: Option<()> = cx.refuse(&value.at, title, "1 to 64 of `A-Z a-z 0-9 _ . -`");
    }
}

/// A schedule has 1 to 32 pauses of 10 ms to 7 days.
fn check_schedule(given: &Given, keys: &HookTable, cx: &mut Reading) {
    let Some(value) = given.value("schedule") else { return };
    let pauses = &keys.schedule;
    let wrong = if pauses.is_empty() || pauses.len() > LONGEST_SCHEDULE {
        Some((format!("a schedule of {} pauses", pauses.len()), format!("must have 1 to {LONGEST_SCHEDULE}")))
    } else {
        let bad = pauses.iter().find(|pause| !(SHORTEST_PAUSE..=LONGEST_PAUSE).contains(*pause));
        bad.map(|pause| (format!("a pause of {pause:?}"), "must be 10ms to 7d".to_owned()))
    };
    if let Some((title, label)) = wrong {
        let _none: Option<()> = cx.refuse(&value.at.clone(), title, label);
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

/// Whether the hook's handler reads this key.
pub(in crate::config) fn is_read(key: &str, keys: &HookTable) -> bool {
    let posts = keys.run.as_ref().and_then(|run| run.0.first()).is_some_and(|word| word == "http-request");
    let is_there = |handler: &str| match handler {
        "run" => keys.run.is_some(),
        "worker" => keys.worker.is_some(),
        "url" => keys.url.is_some() || posts,
        _ => keys.stdio.is_some(),
    };
    ONLY_FOR.iter().all(|(only, handlers)| *only != key || handlers.iter().any(|handler| is_there(handler)))
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
            let found = program::find(argv.first()?, &at, keys, cx);
            argv.extend(keys.args.iter().cloned());
            let (min, max) = (keys.min, keys.max);
            if let (Some(value), true) = (given.value("min"), min > max && given.value("max").is_some()) {
                return cx.refuse(&value.at, "`min` is above `max`", format!("must be at most {max}"));
            }
            let max_requests = keys.max_requests.and_then(NonZeroU64::new);
            let pool = PoolSize { min, max: max.max(min), queue: keys.queue.unwrap_or(QUEUE), max_requests };
            found?;
            Some(Handler::Worker { argv, place: place?, pool })
        }
        "url" => webhook(keys.url.clone()?.0, &at, keys, given, cx).map(Handler::Url),
        _ => {
            let form = keys.format.unwrap_or(StdioForm::Json);
            Some(Handler::Stdio { target: keys.stdio?, form, queue: keys.queue })
        }
    }
}

fn place(keys: &HookTable, given: &Given, at: &At, cx: &mut Reading) -> Option<ProgramPlace> {
    let cwd = cwd_of(keys, given, cx);
    let user = keys.user.as_deref().map(|name| user_of(name, given, cx));
    let base = cx.sources.resolve(at, "".as_ref());
    let base = std::path::absolute(if base.as_os_str().is_empty() { ".".into() } else { base }).ok()?;
    let from = if keys.env_clear { EnvironmentFrom::Nothing } else { EnvironmentFrom::Server };
    let user = match user {
        None => None,
        Some(found) => Some(found?),
    };
    // What other hooks read is known when all are read.
    let kept_back = Vec::new();
    Some(ProgramPlace { cwd: cwd?, base, user, kept_back, env: keys.env.clone(), from })
}

fn cwd_of(keys: &HookTable, given: &Given, cx: &mut Reading) -> Option<Cwd> {
    let path = match keys.cwd.as_deref() {
        None => return Some(Cwd::Server),
        Some("private") => return Some(Cwd::Private),
        Some(path) => path,
    };
    let at = given.value("cwd")?.at.clone();
    let path = cx.sources.resolve(&at, path.as_ref());
    if !path.is_dir() {
        return cx.refuse(&at, format!("{} is no folder", path.display()), "must be a folder");
    }
    std::path::absolute(path).ok().map(Cwd::Path)
}

fn user_of(name: &str, given: &Given, cx: &mut Reading) -> Option<User> {
    let user = name.parse().map_or_else(|_| User::Name(name.to_owned()), User::Id);
    match user.uid() {
        Ok(_) => Some(user),
        Err(error) => {
            let at = given.value("user")?.at.clone();
            cx.refuse(&at, format!("there is no user `{name}`"), error.to_string())
        }
    }
}

fn webhook(url: String, at: &At, keys: &HookTable, given: &Given, cx: &mut Reading) -> Option<Webhook> {
    let plain_http = if keys.plain_http { PlainHttp::Anywhere } else { PlainHttp::Loopback };
    let url = program::check_url(url, at, plain_http, cx);
    certificates::check_webhook(given, keys, cx);
    let identity = keys.cert.clone().zip(keys.key.clone());
    let secret = |reference: &SecretRef| reference.secret.clone();
    let headers = keys.headers.0.iter().map(|(name, value)| (name.clone(), secret(value))).collect();
    let secrets = keys.secret.iter().map(|key| secret(&key.0)).collect();
    Some(Webhook {
        url: Url(url?),
        headers,
        secrets,
        ca: keys.ca.clone(),
        identity,
        plain_http,
        reach: Reach::Anywhere,
    })
}
