//! `jackfield tail`: events and deliveries of a running server, as they happen.

use crate::paint::{Paint, Reader, Tone, clean, field, milliseconds, plain, print};
use crate::remote::{Api, Follow, Following, Remote, Since, Which};
use serde_json::Value;

/// Fields that say nothing that does not stand elsewhere in the line, or nothing that one follows events for.
const LEFT_OUT: [&str; 7] =
    ["app", "stream_name", "tc_url", "client_port", "server_ip", "server_port", "duration_seconds"];

#[derive(Debug, clap::Args)]
pub(crate) struct Tail {
    #[command(flatten)]
    which: Which,

    /// Only of this publish or play session.
    #[arg(long, value_name = "ID")]
    session: Option<String>,

    /// Only of this connection.
    #[arg(long, value_name = "ID")]
    conn: Option<String>,

    /// Begin in the past: a time, how long ago (10m), or an event's seq.
    #[arg(long, value_name = "WHEN")]
    since: Option<Since>,

    /// Show events alone, and not what hooks made of them.
    #[arg(long)]
    no_deliveries: bool,

    /// End after so many events and deliveries.
    #[arg(short = 'n', long, value_name = "NUMBER")]
    count: Option<u64>,

    /// One object of JSON a line: an event as hooks get it, or a delivery.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: Remote,
}

/// Follows until the count is full, nobody reads any more, or a signal.
pub(crate) async fn run(options: Tail) -> anyhow::Result<()> {
    let query = query(&options)?;
    let api = Api::new(options.remote)?;
    let mut following = Following::new(Follow::new(&api, &query, options.since))?;
    let mut left = options.count.unwrap_or(u64::MAX);
    let paint = Paint::of_stdout();
    while left > 0
        && let Some((message, value)) = following.next().await?
    {
        let line = match (message.event.as_str(), options.json) {
            (_, true) => format!("{value}\n"),
            ("delivery", false) => delivery(paint, &value),
            (_, false) => event(paint, &value),
        };
        left -= 1;
        if print(&line)? == Reader::Gone {
            break;
        }
    }
    Ok(())
}

fn query(options: &Tail) -> anyhow::Result<Vec<(&'static str, String)>> {
    let of = |name, value: &Option<String>| value.clone().map(|value| (name, value));
    let include = if options.no_deliveries { "events" } else { "events,deliveries" };
    let of_one = of("session", &options.session).into_iter().chain(of("conn", &options.conn));
    options.which.query(of_one.chain([("include", include.to_owned())]))
}

fn event(paint: Paint, value: &Value) -> String {
    let name = field(value, "type");
    let who = ["stream_key", "conn_id"].map(|name| value.get(name).map(plain)).into_iter().flatten();
    let data = value.get("data").and_then(Value::as_object);
    let details = data.into_iter().flatten().filter(|(name, _)| !LEFT_OUT.contains(&name.as_str()));
    let details: Vec<String> =
        details.map(|(name, value)| format!("{}={}", clean(name), plain(value))).collect();
    let time = paint.tone(Tone::Faint, &time_of_day(value, "time"));
    let name_and_gap = paint.tone(tone_of(&name), &format!("{name:<20}"));
    let who = who.collect::<Vec<_>>().join(" ");
    let test = if value.get("test") == Some(&Value::Bool(true)) { "(test) " } else { "" };
    let details = paint.tone(Tone::Faint, &details.join(" "));
    format!("{time}  {name_and_gap}  {test}{who:<24} {details}").trim_end().to_owned() + "\n"
}

fn delivery(paint: Paint, value: &Value) -> String {
    let outcome = field(value, "outcome");
    let decision = value.get("decision").filter(|decision| !decision.is_null()).map(plain);
    let tone = match (outcome.as_str(), decision.as_deref()) {
        ("answered", Some("deny")) => Tone::Doubtful,
        ("answered", _) => Tone::Good,
        _ => Tone::Bad,
    };
    let took = milliseconds(value.get("handler_ms").and_then(Value::as_f64));
    let said = decision.map_or_else(|| outcome.clone(), |decision| format!("{decision} ({outcome})"));
    let detail = value.get("detail").map(plain).filter(|detail| detail != "-" && !detail.is_empty());
    let attempt = value.get("attempt").and_then(Value::as_u64).filter(|attempt| *attempt > 1);
    let attempt = attempt.map_or_else(String::new, |attempt| format!(", try {attempt}"));
    let time = paint.tone(Tone::Faint, &time_of_day(value, "at"));
    let (hook, event, id) = (field(value, "hook"), field(value, "event"), field(value, "id"));
    let said = paint.tone(tone, &said);
    let detail = detail.map_or_else(String::new, |detail| format!(": {detail}"));
    let id = paint.tone(Tone::Faint, &id);
    format!("{time}    > {hook} {event}: {said} in {took}{attempt}{detail}  {id}\n")
}

fn tone_of(event: &str) -> Tone {
    match event {
        "auth_failed" | "connection_refused" | "events_lost" | "hook_disabled" => Tone::Bad,
        start if start.ends_with("_start") || start.ends_with("_create") => Tone::Good,
        stop if stop.ends_with("_stop") || stop.ends_with("_delete") => Tone::Doubtful,
        _ => Tone::Plain,
    }
}

/// `12:00:01.123` of an RFC 3339 time; the whole text if it is none.
pub(crate) fn time_of_day(value: &Value, name: &str) -> String {
    let text = field(value, name);
    let part = text.get(11..23).filter(|part| part.bytes().all(|byte| b"0123456789:.".contains(&byte)));
    part.map_or_else(|| text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let value = json!({
            "type": "publish_start", "time": "2026-11-21T12:00:01.123456Z", "stream_key": "live/show",
            "conn_id": "c000001", "data": {"app": "live", "publish_type": "live", "query": "a=\u{1b}[2J\n", "n": 5},
        });
        let line = event(Paint::PLAIN, &value);
        assert_eq!(
            line,
            "12:00:01.123  publish_start         live/show c000001        n=5 publish_type=live query=a=\\u{1b}[2J\\n\n"
        );
    }

    #[test]
    fn a_delivery_is_one_line_with_what_came_of_it() {
        let value = json!({
            "id": "dlv_1", "at": "2026-11-21T12:00:01.123456Z", "hook": "auth", "event": "authorize_publish",
            "attempt": 2, "outcome": "answered", "decision": "deny", "handler_ms": 1.26, "detail": null,
        });
        let line = delivery(Paint::PLAIN, &value);
        assert_eq!(
            line,
            "12:00:01.123    > auth authorize_publish: deny (answered) in 1.3 ms, try 2  dlv_1\n"
        );
        let failed = json!({"hook": "x", "event": "e", "outcome": "timeout", "detail": "no answer in time"});
        assert_eq!(delivery(Paint::PLAIN, &failed), "-    > x e: timeout in -: no answer in time  -\n");
    }
}
