//! Which events a hook gets, of which streams, and whether it decides.

use crate::config::kinds::OnErrorWord;
use crate::config::problem::Severity;
use crate::config::source::Raw;
use crate::config::table::Given;
use crate::config::tables::{HookTable, ModeWord};
use crate::config::value::{Reading, Value};
use jackfield_events::{EventSet, EventType, Kind, OnError, OrderedBy};
use jackfield_hooks::{Mode, Selector};
use jackfield_media::StreamKey;

/// The events of `on`; a `stdio` hook without it gets every notice.
pub(super) fn events_of(
    keys: &HookTable,
    given: &Given,
    handler: Option<&str>,
    cx: &mut Reading,
) -> EventSet {
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
pub(super) fn mode_of(
    keys: &HookTable,
    given: &Given,
    on: EventSet,
    handler: Option<&str>,
    cx: &mut Reading,
) -> Mode {
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
pub(super) fn on_error_of(
    keys: &HookTable,
    given: &Given,
    on: EventSet,
    cx: &mut Reading,
) -> Option<OnError> {
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

/// Reads `streams`, and warns of a hook that no event can reach.
pub(super) fn streams_of(given: &Given, on: EventSet, cx: &mut Reading) -> Selector {
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
