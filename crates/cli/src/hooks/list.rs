//! `jackfield hooks list`, `enable` and `disable`.

use crate::failed::{Exit, Failed, meant};
use crate::paint::{Paint, Tone, cell, field, head, milliseconds, plain, print};
use crate::remote::{Api, Remote};
use jackfield_net::outbound::Method;
use serde_json::{Value, json};

/// Names of events that are written out; more are counted.
const MOST_EVENTS: usize = 3;

#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// As JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Named {
    /// The hook.
    name: String,

    /// As JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: Remote,
}

pub(super) async fn run(options: List) -> anyhow::Result<()> {
    let api = Api::new(options.remote)?;
    let hooks = all(&api).await?;
    if options.json {
        return print(&format!("{:#}\n", json!({ "items": hooks }))).map(drop);
    }
    if hooks.is_empty() {
        return print("No hooks. `jackfield hooks init --lang python DIR` writes one to start with.\n")
            .map(drop);
    }
    print(&table(Paint::of_stdout(), &hooks)).map(drop)
}

/// Switches a hook on or off.
pub(super) async fn switch(options: Named, verb: &str) -> anyhow::Result<()> {
    let api = Api::new(options.remote)?;
    match api.send(Method::POST, &["hooks", &options.name, verb], &[], None).await {
        Ok(_) => {}
        Err(error) => return Err(unknown(&api, &options.name, error).await),
    }
    let text = match options.json {
        true => format!("{}\n", json!({"hook": options.name, "enabled": verb == "enable"})),
        false => format!("{} is {verb}d.\n", options.name),
    };
    print(&text).map(drop)
}

async fn all(api: &Api) -> anyhow::Result<Vec<Value>> {
    let mut hooks = Vec::new();
    api.list(&["hooks"], &[], 100_000, |hook| {
        hooks.push(hook);
        Ok(())
    })
    .await?;
    Ok(hooks)
}

/// An error about a hook that is not there names the nearest one.
pub(super) async fn unknown(api: &Api, name: &str, error: anyhow::Error) -> anyhow::Error {
    if error.downcast_ref::<Failed>().is_none_or(|failed| failed.exit != Exit::Missing) {
        return error;
    }
    not_there(name, &all(api).await.unwrap_or_default()).into()
}

/// For a filter that picks nothing: is there a hook of this name?
///
/// # Errors
/// If there is none, with the nearest one.
pub(crate) async fn must_be_there(api: &Api, name: &str) -> anyhow::Result<()> {
    let hooks = all(api).await?;
    if hooks.iter().any(|hook| field(hook, "name") == name) {
        Ok(())
    } else {
        Err(not_there(name, &hooks).into())
    }
}

fn not_there(name: &str, hooks: &[Value]) -> Failed {
    let names: Vec<String> = hooks.iter().map(|hook| field(hook, "name")).collect();
    let near = meant(name, names.iter().map(String::as_str));
    let next = match names.as_slice() {
        [] => "The server has no hooks.".to_owned(),
        _ => "`jackfield hooks list` shows those that there are. A program is meant by its path: ./NAME."
            .to_owned(),
    };
    Failed::new(Exit::Missing, format!("the server has no hook `{name}`{near}"), next)
}

fn table(paint: Paint, hooks: &[Value]) -> String {
    let mut rows = vec![head(&[
        "NAME",
        "ON",
        "MODE",
        "HANDLER",
        "STATE",
        "WAITING",
        "P50",
        "P99",
        "OUTCOMES",
        "LAST ERROR",
    ])];
    rows.extend(hooks.iter().map(row));
    paint.table(&rows)
}

fn row(hook: &Value) -> Vec<(Tone, String)> {
    let state = field(hook, "state");
    let tone = match state.as_str() {
        "ok" => Tone::Good,
        "disabled" | "half_open" => Tone::Doubtful,
        _ => Tone::Bad,
    };
    let lag = hook.pointer("/lag/events").and_then(Value::as_u64).unwrap_or_default();
    let waiting = hook.get("waiting").and_then(Value::as_u64).unwrap_or_default().max(lag);
    let handler = |name: &str| {
        let path = format!("/latency/handler/{name}");
        cell(milliseconds(hook.pointer(&path).and_then(Value::as_f64)))
    };
    vec![
        (Tone::Strong, field(hook, "name")),
        cell(events(hook)),
        cell(field(hook, "mode")),
        cell(hook.pointer("/handler/type").map_or_else(|| "-".to_owned(), plain)),
        (tone, state),
        cell(waiting.to_string()),
        handler("p50_ms"),
        handler("p99_ms"),
        cell(outcomes(hook)),
        (Tone::Faint, last_error(hook)),
    ]
}

fn events(hook: &Value) -> String {
    match hook.get("on").and_then(Value::as_array) {
        Some(on) if on.len() <= MOST_EVENTS => on.iter().map(plain).collect::<Vec<_>>().join(","),
        Some(on) => format!("{} events", on.len()),
        None => field(hook, "on"),
    }
}

/// Outcomes that happened: `answered 12, timeout 1`.
fn outcomes(hook: &Value) -> String {
    let all = hook.get("outcomes").and_then(Value::as_object).into_iter().flatten();
    let counted = all.filter_map(|(name, count)| Some((name, count.as_u64().filter(|count| *count > 0)?)));
    let text: Vec<String> = counted.map(|(name, count)| format!("{name} {count}")).collect();
    if text.is_empty() { "-".to_owned() } else { text.join(", ") }
}

fn last_error(hook: &Value) -> String {
    let Some(error) = hook.get("last_error").filter(|error| error.is_object()) else { return "-".to_owned() };
    let (outcome, detail) = (field(error, "outcome"), field(error, "detail"));
    if detail == "-" || detail.is_empty() { outcome } else { format!("{outcome}: {detail}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_a_row_with_what_matters() {
        let hooks = [json!({
            "name": "auth", "on": ["authorize_publish"], "mode": "decide", "handler": {"type": "worker"},
            "state": "breaker_open", "waiting": 2, "lag": {"events": 7, "seconds": 1.5},
            "outcomes": {"answered": 12, "timeout": 1, "late": 0},
            "latency": {"handler": {"p50_ms": 0.4, "p99_ms": null}},
            "last_error": {"outcome": "timeout", "detail": "no answer in time"},
        })];
        let table = table(Paint::PLAIN, &hooks);
        let row: Vec<&str> =
            table.lines().nth(1).unwrap().split("  ").filter(|cell| !cell.is_empty()).collect();
        let row: Vec<&str> = row.into_iter().map(str::trim).collect();
        assert_eq!(
            row,
            [
                "auth",
                "authorize_publish",
                "decide",
                "worker",
                "breaker_open",
                "7",
                "0.40 ms",
                "-",
                "answered 12, timeout 1",
                "timeout: no answer in time"
            ]
        );
    }
}
