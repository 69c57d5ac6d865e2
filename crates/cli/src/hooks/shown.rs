//! What came of one call, as it is shown: what was asked, what was said, and what it means.

use crate::explain::{indented, of_verdict};
use crate::paint::{Paint, Tone, clean, field, milliseconds, plain};
use jackfield_events::DEFAULT_PUBLIC;
use serde_json::Value;

/// The call as text. Its form is that of the API's `POST hooks/{name}/test`.
pub(super) fn text(paint: Paint, call: &Value) -> String {
    let present = |name: &str| call.get(name).filter(|value| !value.is_null() && **value != "");
    let mut out = String::new();
    let title = |title: &str| paint.tone(Tone::Strong, title) + "\n";
    out.push_str(&title("request"));
    out.push_str(&indented(call.get("request").unwrap_or(&Value::Null)));
    out.push_str(&title("answer"));
    match present("answer") {
        Some(answer) => out.push_str(&indented(answer)),
        None => out.push_str("  nothing\n"),
    }
    let outcome = field(call, "outcome");
    let tone = if outcome == "answered" { Tone::Good } else { Tone::Bad };
    let mut line = |name: &str, text: String| {
        out.push_str(&format!("{} {text}\n", paint.tone(Tone::Faint, &format!("{name:<9}"))));
    };
    line("outcome", paint.tone(tone, &outcome));
    if let Some(detail) = present("detail") {
        line("detail", plain(detail));
    }
    if let Some(verdict) = present("verdict") {
        let verdict = of_verdict(verdict);
        let tone = if verdict.starts_with("deny") { Tone::Bad } else { Tone::Good };
        line("verdict", paint.tone(tone, &verdict));
    }
    if let Some(policy) = present("policy") {
        line("on_error", plain(policy));
    }
    if present("verdict").is_some_and(|verdict| verdict == "deny") {
        let public = call.pointer("/reason/public").and_then(Value::as_str).unwrap_or(DEFAULT_PUBLIC);
        line("reads", clean(public));
    }
    if let Some(key) = present("key") {
        line("key", plain(key));
    }
    let times = [("queued_ms", "queued"), ("connect_ms", "connect"), ("handler_ms", "handler")];
    let times = times.map(|(name, word)| Some((word, present(name)?.as_f64()?)));
    let times: Vec<String> =
        times.into_iter().flatten().map(|(word, ms)| format!("{word} {}", milliseconds(Some(ms)))).collect();
    line("time", times.join(", "));
    if let Some(next) = next(&outcome, present("detail").map(plain).unwrap_or_default().as_str()) {
        line("next", next.to_owned());
    }
    out
}

/// What to do about a call that failed.
pub(super) fn next(outcome: &str, detail: &str) -> Option<&'static str> {
    Some(match outcome {
        "answered" => return None,
        "timeout" => "Answer sooner, flush after each line, or give the hook more time (`timeout`).",
        "connect_error" => {
            "Does it exist, may it be executed, does its first line name an interpreter that is there?"
        }
        "protocol_error" if detail.contains("nobody asked") => {
            "Print one line for each event and nothing else to standard output; logs go to standard error."
        }
        "protocol_error" => {
            "Print one line of JSON with `decision`, or nothing at all; logs go to standard error."
        }
        "handler_error" => "Exit with 0, or with 77 to deny. Answer a webhook with 2xx, 401 or 403.",
        "crashed" => {
            "Its standard error says why; run it by hand with the request above on its standard input."
        }
        _ => return None,
    })
}
