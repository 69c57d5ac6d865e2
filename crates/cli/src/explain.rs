//! `jackfield explain`: why a session was let in or turned away.

use crate::failed::{Exit, Failed};
use crate::paint::{Paint, Tone, clean, field, milliseconds, plain, pretty, print};
use crate::remote::{Api, Remote};
use crate::tail::time_of_day;
use serde_json::Value;

#[derive(Debug, clap::Args)]
pub(crate) struct Explain {
    /// A session (s000001) or connection (c000001), as events and the log name it.
    #[arg(value_parser = id)]
    id: String,

    /// As JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: Remote,
}

/// Sessions and connections have ids of their own form; a stream's name is a likely mistake.
fn id(text: &str) -> Result<String, String> {
    let digits = text.strip_prefix(['s', 'c']).filter(|rest| !rest.is_empty());
    if digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit())) {
        return Ok(text.to_owned());
    }
    Err("write a session like s000001 or a connection like c000001; `jackfield tail` shows them".to_owned())
}

/// Shows all questions of a session.
pub(crate) async fn run(options: Explain) -> anyhow::Result<()> {
    let api = Api::new(options.remote)?;
    let document = api.get(&["explain", &options.id], &[]).await.map_err(|error| {
        let missing = error.downcast_ref::<Failed>().is_some_and(|failed| failed.exit == Exit::Missing);
        if !missing {
            return error;
        }
        let wrong = format!("the server knows no questions of `{}`", options.id);
        let next = "Was a hook that decides asked about it, and not too long ago? `jackfield hooks list` shows the \
                    hooks, `jackfield tail --since 1h` what happened.";
        Failed::new(Exit::Missing, wrong, next).into()
    })?;
    let text = if options.json { format!("{document:#}\n") } else { told(Paint::of_stdout(), &document) };
    print(&text).map(drop)
}

fn told(paint: Paint, document: &Value) -> String {
    let mut out = String::new();
    let named = [("session", "session"), ("conn_id", "connection")];
    let named = named.map(|(name, word)| document.get(name).filter(|id| !id.is_null()).map(|id| (word, id)));
    let named: Vec<String> =
        named.into_iter().flatten().map(|(word, id)| format!("{word} {}", plain(id))).collect();
    out.push_str(&paint.tone(Tone::Strong, &named.join(", ")));
    out.push('\n');
    let questions = document.get("questions").and_then(Value::as_array);
    for question in questions.into_iter().flatten() {
        out.push('\n');
        out.push_str(&of_question(paint, question));
    }
    out
}

fn of_question(paint: Paint, question: &Value) -> String {
    let verdict = question.get("verdict").map(of_verdict).unwrap_or_default();
    let tone = if verdict.starts_with("deny") { Tone::Bad } else { Tone::Good };
    let took = milliseconds(question.get("elapsed_ms").and_then(Value::as_f64));
    let mut out = format!(
        "{}  {}  {}  {} after {took}\n",
        time_of_day(question, "at"),
        paint.tone(Tone::Strong, &field(question, "event")),
        field(question, "key"),
        paint.tone(tone, &verdict),
    );
    let steps = question.get("steps").and_then(Value::as_array);
    for step in steps.into_iter().flatten() {
        out.push_str(&of_step(paint, step));
    }
    if let Some(default) = question.get("default").and_then(Value::as_str) {
        let said = match default {
            "no_hook" => "no hook was asked",
            "no_opinion" => "no hook had an opinion",
            "on_error" => "the on_error of a hook that failed",
            other => other,
        };
        out.push_str(&format!("  decided by: {}\n", clean(said)));
    }
    if let Some(public) = question.get("public").filter(|public| public.is_string()) {
        out.push_str(&format!("  the client was told: {}\n", plain(public)));
    }
    out
}

/// Why a hook was not asked.
fn why_not(step: &Value) -> String {
    match step.get("why").and_then(Value::as_str) {
        Some("other_event") => "it is not for this event".to_owned(),
        Some("only_told") => "it is only told".to_owned(),
        Some("other_stream") => "it is not for this stream".to_owned(),
        Some("disabled") => "it is disabled".to_owned(),
        Some("not_reached") => "the verdict stood before".to_owned(),
        _ => field(step, "why"),
    }
}

fn of_step(paint: Paint, step: &Value) -> String {
    let hook = field(step, "hook");
    if step.get("matched") == Some(&Value::Bool(false)) {
        return paint.tone(Tone::Faint, &format!("  - {hook}: not asked, {}", why_not(step))) + "\n";
    }
    let present = |name| step.get(name).filter(|value| !value.is_null() && **value != "");
    let outcome = field(step, "outcome");
    let (tone, said) = match (outcome.as_str(), present("decision")) {
        ("answered", Some(decision)) if *decision == "deny" => (Tone::Bad, of_verdict(decision)),
        ("answered", decision) => (Tone::Good, decision.map_or_else(|| outcome.clone(), of_verdict)),
        _ => (Tone::Bad, outcome.clone()),
    };
    let mut out = format!("  > {hook}: {}", paint.tone(tone, &said));
    if let Some(policy) = present("policy") {
        out.push_str(&format!(", so its on_error acts: {}", plain(policy)));
    }
    let times = [("queued_ms", "queued"), ("connect_ms", "connect"), ("handler_ms", "handler")];
    let times = times.map(|(name, word)| Some((word, present(name)?.as_f64()?)));
    let times: Vec<String> =
        times.into_iter().flatten().map(|(word, ms)| format!("{word} {}", milliseconds(Some(ms)))).collect();
    out.push('\n');
    let mut line = |name: &str, text: String| {
        out.push_str(&format!("      {} {text}\n", paint.tone(Tone::Faint, &format!("{name:<9}"))));
    };
    if !times.is_empty() {
        line("times", times.join(", "));
    }
    for (name, word) in
        [("detail", "detail"), ("answer", "answer"), ("delivery", "delivery"), ("input_sha256", "input")]
    {
        if let Some(value) = present(name) {
            line(word, plain(&brief(value)));
        }
    }
    out
}

/// A verdict or decision as words: a word, or an object with its reason.
pub(crate) fn of_verdict(verdict: &Value) -> String {
    let Some(object) = verdict.as_object() else { return plain(verdict) };
    let word = object.get("verdict").or_else(|| object.get("decision")).map(plain);
    let mut rest = object.clone();
    rest.retain(|name, value| !matches!(name.as_str(), "verdict" | "decision") && !value.is_null());
    let rest = if rest.is_empty() { String::new() } else { plain(&Value::Object(rest)) };
    [word.unwrap_or_default(), rest].join(" ").trim().to_owned()
}

/// An answer without the fields that say nothing.
fn brief(value: &Value) -> Value {
    let Some(object) = value.as_object() else { return value.clone() };
    let says = |value: &Value| !value.is_null() && value.as_object().is_none_or(|object| !object.is_empty());
    let fields = object.iter().map(|(name, value)| (name.clone(), brief(value)));
    Value::Object(fields.filter(|(_, value)| says(value)).collect())
}

/// A request or answer for people, indented.
pub(crate) fn indented(value: &Value) -> String {
    let text = if value.is_string() { plain(value) + "\n" } else { pretty(&brief(value)) };
    text.lines().map(|line| format!("  {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_explanation_tells_who_was_asked_who_was_not_and_what_each_said() {
        let document = json!({"session": "s000001", "conn_id": "c000001", "questions": [{
        "id": "01H", "event": "authorize_publish", "key": "live/show", "at": "2026-11-21T12:00:01.123456Z",
        "verdict": "deny", "default": null, "public": "Wrong.", "elapsed_ms": 1.9, "steps": [
            {"hook": "geo", "matched": false, "why": "other_stream"},
            {"hook": "slow", "matched": true, "outcome": "timeout", "decision": null, "policy": "allow",
             "handler_ms": 2000.0, "detail": "no answer in time"},
            {"hook": "auth", "matched": true, "delivery": "dlv_1", "outcome": "answered", "decision": "deny",
             "policy": null, "queued_ms": 0.1, "connect_ms": 0.0, "handler_ms": 1.8,
             "answer": {"decision": "deny", "tags": {}, "reason": null}, "input_sha256": "ab"},
        ]}]});
        assert_eq!(
            told(Paint::PLAIN, &document),
            "session s000001, connection c000001\n\n\
             12:00:01.123  authorize_publish  live/show  deny after 1.9 ms\n\
             \x20 - geo: not asked, it is not for this stream\n\
             \x20 > slow: timeout, so its on_error acts: allow\n\
             \x20     times     handler 2.0 s\n\
             \x20     detail    no answer in time\n\
             \x20 > auth: deny\n\
             \x20     times     queued 0.10 ms, connect 0.00 ms, handler 1.8 ms\n\
             \x20     answer    {\"decision\":\"deny\"}\n\
             \x20     delivery  dlv_1\n\
             \x20     input     ab\n\
             \x20 the client was told: Wrong.\n"
        );
    }

    #[test]
    fn a_name_is_no_session() {
        assert!(id("s000001").is_ok() && id("c12").is_ok());
        for wrong in ["live/show", "s", "", "x1", "s1a"] {
            assert!(id(wrong).is_err(), "{wrong}");
        }
    }
}
