//! `jackfield listen`: the events of a server, posted to a URL of this machine as its webhooks would be.

#![expect(clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

mod forward;
mod state;

use crate::paint::{Paint, Reader, Tone, field, milliseconds, print};
use crate::remote::{Api, Follow, Following, Remote, Since, Which};
use crate::tail::time_of_day;
use forward::{Answered, Forward};
use jackfield_hook_transports::PlainHttp;
use serde_json::{Value, json};
use state::State;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(crate) struct Listen {
    /// Where events are posted: http://127.0.0.1:3000/hook.
    #[arg(long, value_name = "URL")]
    forward: String,

    #[command(flatten)]
    which: Which,

    /// Begin there and not where the last run stopped: a time, how long ago (10m), or an event's seq.
    #[arg(long, value_name = "WHEN")]
    since: Option<Since>,

    /// What signs: whsec_… [default: one that is made at the first run, and shown].
    #[arg(long, value_name = "SECRET", env = "WEBHOOK_SECRET", hide_env_values = true)]
    secret: Option<String>,

    /// Where it is kept how far this came [default: a file for each server and URL in the user's state folder].
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,

    /// Post over http:// beyond this machine too, where others can read it.
    #[arg(long)]
    plain_http: bool,

    /// End after so many events.
    #[arg(short = 'n', long, value_name = "NUMBER")]
    count: Option<u64>,

    /// One object of JSON for each post.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: Remote,
}

/// Follows and posts until the count is full, nobody reads any more, or a signal.
pub(crate) async fn run(options: Listen) -> anyhow::Result<()> {
    let query = options.which.query([("include", "events".to_owned())])?;
    let api = Api::new(options.remote)?;
    let plain = if options.plain_http { PlainHttp::Anywhere } else { PlainHttp::Loopback };
    let url = forward::target(&options.forward, plain)?;
    let mut state = State::open(options.state, &api.address(), &options.forward, &query)?;
    let secret = match options.secret {
        Some(given) => given,
        None => {
            // Whoever started this needs it to check what comes; nobody else sees this terminal.
            let secret = state.secret()?;
            eprintln!("jackfield: signed with {secret}");
            secret
        }
    };
    let forward = Forward::new(url, &secret)?;
    let since = options.since.or_else(|| state.after());
    if let Some(since) = &since {
        eprintln!("jackfield: going on after {}", since.text());
    }
    let following = Following::new(Follow::new(&api, &query, since))?;
    let form = if options.json { Form::Json } else { Form::Text(Paint::of_stdout()) };
    let count = options.count.unwrap_or(u64::MAX);
    let posted = Box::pin(post_all(following, &forward, &mut state, form, count)).await;
    // Whatever ended it.
    state.keep()?;
    posted
}

async fn post_all(
    mut following: Following<'_>,
    forward: &Forward,
    state: &mut State,
    form: Form,
    mut left: u64,
) -> anyhow::Result<()> {
    while left > 0
        && let Some((message, envelope)) = following.next().await?
    {
        // After a signal it is posted again by the next run.
        let answer = Box::pin(forward.until_answered(&envelope, &message.data));
        let answered = following.unless_stopped(answer).await;
        let Some(answered) = answered.transpose()? else { break };
        if let Some(seq) = message.id {
            state.reached(&seq)?;
        }
        left -= 1;
        if print(&line(form, &envelope, &answered))? == Reader::Gone {
            break;
        }
    }
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Text(Paint),
    Json,
}

fn line(form: Form, envelope: &Value, answered: &Answered) -> String {
    let took = answered.took.as_secs_f64() * 1e3;
    let Form::Text(paint) = form else {
        let line = json!({
            "id": envelope.get("id"), "seq": envelope.get("seq"), "type": envelope.get("type"),
            "status": answered.status, "elapsed_ms": (took * 1e3).round() / 1e3, "tries": answered.tries,
        });
        return format!("{line}\n");
    };
    let tone = match answered.status {
        200..300 => Tone::Good,
        _ => Tone::Bad,
    };
    let tries = if answered.tries > 1 { format!(", try {}", answered.tries) } else { String::new() };
    format!(
        "{}  {:<20}  {:<24} {} in {}{tries}\n",
        paint.tone(Tone::Faint, &time_of_day(envelope, "time")),
        field(envelope, "type"),
        ["stream_key", "conn_id"].map(|name| field(envelope, name)).join(" "),
        paint.tone(tone, &answered.status.to_string()),
        milliseconds(Some(took)),
    )
}
