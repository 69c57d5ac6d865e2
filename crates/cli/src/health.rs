//! `jackfield health`: whether a server takes work, for the health checks of containers and for people.

use crate::paint::{Paint, Tone, field, print};
use crate::remote::{Api, Remote};
use jackfield_runtime::clock;
use serde_json::Value;
use std::time::Duration;

/// An answer that takes longer is as good as none: whoever asks has a limit of its own, such as Docker's 5 s of the image.
const WITHIN: Duration = Duration::from_secs(4);

#[derive(Debug, clap::Args)]
pub(crate) struct Health {
    /// The server's answer as it is.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: Remote,
}

/// Asks once. A server that is about to stop is a failure.
pub(crate) async fn run(options: Health) -> anyhow::Result<()> {
    let api = Api::new(options.remote)?;
    let answer = Box::pin(clock::until(clock::now().after(WITHIN), api.get(&["health"], &[]))).await;
    let answer = answer.ok_or_else(|| api.silent())??;
    let text = if options.json { format!("{answer}\n") } else { told(Paint::of_stdout(), &answer) };
    print(&text).map(drop)
}

/// The state, and with a token the hooks that are not well, and the outbox if it is not.
fn told(paint: Paint, answer: &Value) -> String {
    let status = field(answer, "status");
    let tone = if status == "ok" { Tone::Good } else { Tone::Bad };
    let mut text = format!("{}\n", paint.tone(tone, &status));
    for hook in answer.get("hooks").and_then(Value::as_array).into_iter().flatten() {
        let problem = paint.tone(Tone::Doubtful, &field(hook, "problem"));
        text.push_str(&format!("hook {}: {problem}\n", field(hook, "name")));
    }
    if let Some(outbox) = answer.get("outbox")
        && field(outbox, "state") == "failing"
    {
        let lost = field(outbox, "lost");
        text.push_str(&format!("outbox: {}, {lost} events lost\n", paint.tone(Tone::Bad, "failing")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_well_stands_below_the_state() {
        let told = |answer| told(Paint::PLAIN, &answer);
        assert_eq!(told(json!({"status": "ok"})), "ok\n");
        let sick = json!({
            "status": "ok",
            "hooks": [{"name": "auth", "problem": "breaker_open"}],
            "outbox": {"state": "failing", "lost": 7},
        });
        assert_eq!(told(sick), "ok\nhook auth: breaker_open\noutbox: failing, 7 events lost\n");
    }
}
