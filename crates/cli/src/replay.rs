//! `jackfield replay`: deliveries once more, one or many.

#![expect(clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

mod steps;

pub(crate) use steps::Steps;

use crate::client::Stop;
use crate::failed::{Exit, Failed};
use crate::hooks::must_be_there;
use crate::paint::{clean, plain, print};
use crate::remote::{Api, Query, Remote, Since};
use jackfield_net::outbound::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Deliveries of one replay. Each is an id in memory, and a call of the API.
const MOST: usize = 1_000_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Replay {
    /// A delivery (dlv_…), as `jackfield tail` and the log name it.
    #[arg(conflicts_with_all = ["hook", "event", "key", "outcome", "since", "until"])]
    id: Option<String>,

    /// All notices that this hook got, oldest first, with --since.
    #[arg(long, value_name = "NAME", requires = "since")]
    hook: Option<String>,

    /// From when on: a time, or how long ago (10m).
    #[arg(long, value_name = "WHEN")]
    since: Option<Since>,

    /// Up to when.
    #[arg(long, value_name = "WHEN")]
    until: Option<Since>,

    /// Only of this event.
    #[arg(long, value_name = "EVENT")]
    event: Option<String>,

    /// Only of this stream.
    #[arg(long, value_name = "STREAM")]
    key: Option<String>,

    /// Only those that ended like this: answered, timeout, handler_error …
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<String>,

    /// Only say how many it would be.
    #[arg(long)]
    dry_run: bool,

    /// As JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: Remote,
}

/// Replays one delivery, or all that fit.
pub(crate) async fn run(options: Replay) -> anyhow::Result<()> {
    let api = Api::new(options.remote.clone())?;
    if let Some(id) = &options.id {
        if options.dry_run {
            return said(&options, 0, 1);
        }
        let answer = replay(&api, id).await.map_err(|error| missing(error, id))?;
        let text = match options.json {
            true => format!("{answer}\n"),
            false => format!("{id} is sent once more. `jackfield tail --since 1m` shows what comes of it.\n"),
        };
        return print(&text).map(drop);
    }
    if options.hook.is_none() {
        let next = "Name one (dlv_…) as `jackfield tail` does, or all of a hook by --hook NAME --since WHEN.";
        return Err(Failed::new(Exit::Usage, "which delivery?", next).into());
    }
    let ids = matching(&api, &options).await?;
    if let (Some(hook), []) = (&options.hook, ids.as_slice()) {
        must_be_there(&api, hook).await?;
    }
    if options.dry_run {
        return said(&options, 0, ids.len());
    }
    let mut stop = Stop::new()?;
    let mut steps = Steps::new("replayed", ids.len());
    let mut gone = 0;
    for id in &ids {
        let answer = tokio::select! {
            answer = replay(&api, id) => answer,
            () = stop.asked() => break,
        };
        match answer {
            Ok(_) => steps.step(),
            // A delivery that has left the store meanwhile must not end the replay of the others.
            Err(error) if is_missing(&error) => gone += 1,
            Err(error) => {
                steps.end();
                eprintln!("jackfield: stopped at {id}, after {} of {}", steps.done(), ids.len());
                return Err(error);
            }
        }
    }
    steps.end();
    if gone > 0 {
        eprintln!("jackfield: {gone} were not kept any more");
    }
    said(&options, steps.done(), ids.len())
}

fn said(options: &Replay, done: usize, of: usize) -> anyhow::Result<()> {
    let text = match (options.json, options.dry_run) {
        (true, _) => format!("{}\n", json!({"replayed": done, "matching": of})),
        (_, true) => format!("{of} would be replayed.\n"),
        _ => format!("{done} of {of} replayed.\n"),
    };
    print(&text).map(drop)
}

async fn replay(api: &Api, id: &str) -> anyhow::Result<Value> {
    api.send(Method::POST, &["deliveries", id, "replay"], &[], None).await
}

fn is_missing(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Failed>().is_some_and(|failed| failed.exit == Exit::Missing)
}

fn missing(error: anyhow::Error, id: &str) -> anyhow::Error {
    if !is_missing(&error) {
        return error;
    }
    let wrong = format!("there is no delivery `{}`, or it is not kept any more", clean(id));
    let next = "`jackfield tail` names those that are made, `jackfield explain SESSION` those of a session.";
    Failed::new(Exit::Missing, wrong, next).into()
}

/// The deliveries of all notices that fit, in the order of their events, one of each: a list has an item for each attempt
/// and for each former replay.
async fn matching(api: &Api, options: &Replay) -> anyhow::Result<Vec<String>> {
    let time = |since: &Option<Since>| since.as_ref().map(Since::text);
    let query: Vec<(&str, String)> = [
        ("hook", options.hook.clone()),
        ("event", options.event.clone()),
        ("key", options.key.clone()),
        ("outcome", options.outcome.clone()),
        ("since", time(&options.since)),
        ("until", time(&options.until)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect();
    notices(api, &query).await
}

async fn notices(api: &Api, query: &Query<'_>) -> anyhow::Result<Vec<String>> {
    let mut events = BTreeMap::new();
    let mut steps = Steps::without_end("found", "deliveries so far");
    let listed = api.pages(&["deliveries"], query, MOST, |items| {
        steps.steps(items.len());
        for item in items {
            let seq = item.get("seq").and_then(Value::as_str).and_then(|seq| seq.parse::<u64>().ok());
            if let (Some(seq), Some(id)) = (seq, item.get("id").map(plain))
                && item.get("mode").is_some_and(|mode| mode == "notify")
            {
                events.entry(seq).or_insert(id);
            }
        }
        Ok(())
    });
    let listed = listed.await;
    steps.end();
    listed?;
    if steps.done() >= MOST {
        eprintln!(
            "jackfield: these are the newest {MOST}; older ones, if there are any, are reached by --until"
        );
    }
    Ok(events.into_values().collect())
}
