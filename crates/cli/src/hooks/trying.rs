//! `jackfield hooks test`: one call, for real.

use super::Kind;
use super::fixture::{FixtureArgs, event_type};
use super::list::unknown;
use super::local::{Handler, Local};
use super::shown;
use crate::failed::{Exit, Failed};
use crate::paint::{Paint, print};
use crate::remote::{Api, Remote};
use clap::ValueEnum;
use jackfield_net::outbound::Method;
use jiff::SignedDuration;
use serde_json::Value;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(crate) struct Test {
    /// A program with its arguments ('./auth.py --strict'), a URL, or the name of a hook of the running server.
    what: String,

    /// The event that it is called with.
    #[arg(short, long, value_name = "EVENT")]
    event: String,

    #[command(flatten)]
    fixture: FixtureArgs,

    /// The program is a worker: it stays, and answers a line with a line.
    #[arg(long)]
    worker: bool,

    /// The longest time for its answer; of a program or URL [default: 2s of a question and of a worker, 30s of another notice].
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,

    /// Exit with 1 unless this is what comes of it.
    #[arg(long, value_name = "WORD")]
    expect: Option<Expected>,

    /// As JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: Remote,
}

/// What may be expected of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Expected {
    /// The question's verdict is yes.
    Allow,
    /// The question's verdict is no, by the hook's own answer.
    Deny,
    /// The hook has another value.
    Replace,
    /// It answered, whatever it said.
    Answered,
    /// It failed.
    Failure,
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let duration = text.parse::<SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    duration.filter(|duration| !duration.is_zero()).ok_or_else(|| "write it like 2s or 500ms".to_owned())
}

/// Calls it and shows what came of it. The exit is that of a call that failed, or was not as expected.
pub(super) async fn run(options: Test) -> anyhow::Result<Option<Exit>> {
    let spec = event_type(&options.event)?.spec();
    let kind = if options.worker { Kind::Worker } else { Kind::Run };
    let call = match Handler::parse(&options.what, kind)? {
        Some(handler) => {
            let event = options.fixture.event(spec)?;
            let local = Local::start().await?;
            let call = local.call(&handler, event, options.timeout).await;
            local.stop().await;
            call?
        }
        None => {
            let api = Api::new(options.remote)?;
            let body = Value::Object(options.fixture.body(spec)?);
            match api.send(Method::POST, &["hooks", &options.what, "test"], &[], Some(&body)).await {
                Ok(call) => call,
                Err(error) => return Err(unknown(&api, &options.what, error).await),
            }
        }
    };
    print(&if options.json { format!("{call}\n") } else { shown::text(Paint::of_stdout(), &call) })?;
    judge(&call, options.expect)
}

fn judge(call: &Value, expected: Option<Expected>) -> anyhow::Result<Option<Exit>> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let answered = call.get("outcome").is_some_and(|outcome| outcome == "answered");
    let decision = text(call.pointer("/decision/decision").or_else(|| call.get("decision")));
    let verdict = text(call.pointer("/verdict/verdict").or_else(|| call.get("verdict")));
    let Some(expected) = expected else { return Ok((!answered).then_some(Exit::Failed)) };
    let decided = |word| decision.as_deref().is_some_and(|decision| decision.starts_with(word));
    let met = match expected {
        Expected::Allow => answered && verdict.as_deref() == Some("allow"),
        Expected::Deny => answered && decided("deny"),
        Expected::Replace => answered && decided("replace"),
        Expected::Answered => answered,
        Expected::Failure => !answered,
    };
    if met {
        return Ok(None);
    }
    let word = expected.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    Err(Failed::new(Exit::Failed, format!("expected was: {word}"), "").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_expected_is_what_the_hook_itself_said() {
        let denied = json!({"outcome": "answered", "decision": "deny", "verdict": "deny"});
        let failed = json!({"outcome": "timeout", "decision": null, "verdict": "deny"});
        let passed = json!({"outcome": "answered", "decision": "pass", "verdict": "allow"});
        for (call, expected, met) in [
            (&denied, Expected::Deny, true),
            (&failed, Expected::Deny, false),
            (&failed, Expected::Failure, true),
            (&passed, Expected::Allow, true),
            (&passed, Expected::Failure, false),
            (&denied, Expected::Answered, true),
        ] {
            assert_eq!(judge(call, Some(expected)).is_ok(), met, "{call} {expected:?}");
        }
        assert_eq!(judge(&failed, None).unwrap(), Some(Exit::Failed));
        assert_eq!(judge(&denied, None).unwrap(), None);
    }
}
