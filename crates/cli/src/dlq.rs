//! `jackfield dlq`: notices that could not be delivered, kept until somebody looks.

use crate::explain::indented;
use crate::failed::{Exit, Failed};
use crate::hooks::must_be_there;
use crate::paint::{Paint, Tone, cell, clean, field, head, plain, print};
use crate::remote::{Api, Remote, Since};
use anyhow::Context;
use jackfield_net::outbound::Method;
use serde_json::{Map, Value, json};

/// A time that everything is before.
const END_OF_TIME: &str = "9999-01-01T00:00:00Z";

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Dlq {
    /// List dead letters, newest first.
    List(List),
    /// Show one: what was sent, and how each try ended.
    Show(One),
    /// Deliver them again: one, those that a filter picks, or all.
    Replay(Chosen),
    /// Throw them away: one, those that a filter picks, or all.
    Drop(Chosen),
}

#[derive(Debug, clap::Args)]
pub(crate) struct List {
    #[command(flatten)]
    filter: Filter,

    /// At most so many.
    #[arg(long, value_name = "NUMBER", default_value = "100")]
    limit: usize,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
pub(crate) struct One {
    /// The dead letter, as `dlq list` names it.
    id: String,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Chosen {
    /// One dead letter, as `dlq list` names it.
    #[arg(conflicts_with_all = ["all", "hook", "event", "key", "since", "until"])]
    id: Option<String>,

    #[command(flatten)]
    filter: Filter,

    /// All of them.
    #[arg(long, conflicts_with_all = ["hook", "event", "key", "since", "until"])]
    all: bool,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Filter {
    /// Only of this hook.
    #[arg(long, value_name = "NAME")]
    hook: Option<String>,

    /// Only of this event.
    #[arg(long, value_name = "EVENT")]
    event: Option<String>,

    /// Only of this stream.
    #[arg(long, value_name = "STREAM")]
    key: Option<String>,

    /// From when on: a time, or how long ago (10m).
    #[arg(long, value_name = "WHEN")]
    since: Option<Since>,

    /// Up to when.
    #[arg(long, value_name = "WHEN")]
    until: Option<Since>,
}

#[derive(Debug, clap::Args)]
struct Common {
    /// As JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: Remote,
}

impl Filter {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let time = |since: &Option<Since>| since.as_ref().map(Since::text);
        let pairs = [
            ("hook", self.hook.clone()),
            ("event", self.event.clone()),
            ("key", self.key.clone()),
            ("since", time(&self.since)),
            ("until", time(&self.until)),
        ];
        pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    fn body(&self) -> Value {
        let pairs = self.pairs().into_iter().map(|(name, value)| (name.to_owned(), Value::from(value)));
        Value::Object(pairs.collect::<Map<String, Value>>())
    }
}

/// Does what was typed.
pub(crate) async fn run(command: Dlq) -> anyhow::Result<()> {
    match command {
        Dlq::List(options) => list(options).await,
        Dlq::Show(One { id, common }) => {
            let api = Api::new(common.remote)?;
            let letter = api.get(&["dead-letters", &id], &[]).await.map_err(|error| missing(error, &id))?;
            print(&if common.json { format!("{letter:#}\n") } else { told(Paint::of_stdout(), &letter) })
                .map(drop)
        }
        Dlq::Replay(options) => replay(options).await,
        Dlq::Drop(options) => throw_away(options).await,
    }
}

async fn list(options: List) -> anyhow::Result<()> {
    let api = Api::new(options.common.remote)?;
    let mut items = Vec::new();
    let query = options.filter.pairs();
    api.list(&["dead-letters"], &query, options.limit, |item| {
        items.push(item);
        Ok(())
    })
    .await?;
    if let (Some(hook), []) = (&options.filter.hook, items.as_slice()) {
        must_be_there(&api, hook).await?;
    }
    if options.common.json {
        return print(&format!("{:#}\n", json!({ "items": items }))).map(drop);
    }
    if items.is_empty() {
        return print("No dead letters.\n").map(drop);
    }
    let paint = Paint::of_stdout();
    let mut rows = vec![head(&["ID", "SINCE", "HOOK", "EVENT", "KEY", "TRIES", "OUTCOME", "DETAIL"])];
    rows.extend(items.iter().map(|item| {
        let text = |name| cell(field(item, name));
        let outcome = (Tone::Bad, field(item, "outcome"));
        vec![
            text("id"),
            cell(to_the_second(&field(item, "at"))),
            text("hook"),
            text("event"),
            text("key"),
            text("attempts"),
            outcome,
            text("detail"),
        ]
    }));
    print(&paint.table(&rows)).map(drop)
}

/// `2026-11-21 11:55:32` of an RFC 3339 time.
fn to_the_second(time: &str) -> String {
    time.get(..19).unwrap_or(time).replacen('T', " ", 1)
}

/// One dead letter with what was sent.
fn told(paint: Paint, letter: &Value) -> String {
    let object = letter.as_object().cloned().unwrap_or_default();
    let mut out = String::new();
    for (name, value) in object.iter().filter(|(name, _)| *name != "request") {
        let value =
            if value.is_object() || value.is_array() { clean(&value.to_string()) } else { plain(value) };
        out.push_str(&format!("{} {value}\n", paint.tone(Tone::Faint, &format!("{:<10}", clean(name)))));
    }
    if let Some(request) = object.get("request") {
        out.push_str(&format!("{}\n{}", paint.tone(Tone::Faint, "request"), indented(request)));
    }
    out
}

async fn replay(options: Chosen) -> anyhow::Result<()> {
    let what = options.what()?;
    let api = Api::new(options.common.remote)?;
    let (answer, text) = match what {
        What::One(id) => {
            let answer = api.send(Method::POST, &["dead-letters", &id, "replay"], &[], None).await;
            let text = format!("{} is sent once more{UNTIL}", clean(&id));
            (answer.map_err(|error| missing(error, &id))?, text)
        }
        What::Filter => {
            let body = options.filter.body();
            let answer = api.send(Method::POST, &["dead-letters", "replay"], &[], Some(&body)).await?;
            let text = format!("{} sent once more{UNTIL}", counted(&answer, "replayed")?);
            (answer, text)
        }
    };
    print(&if options.common.json { format!("{answer}\n") } else { text }).map(drop)
}

async fn throw_away(options: Chosen) -> anyhow::Result<()> {
    let what = options.what()?;
    let api = Api::new(options.common.remote)?;
    let (answer, text) = match what {
        What::One(id) => {
            let answer = api.send(Method::DELETE, &["dead-letters", &id], &[], None).await;
            answer.map_err(|error| missing(error, &id))?;
            (json!({"dropped": 1}), format!("{} is thrown away.\n", clean(&id)))
        }
        What::Filter => {
            // The server wants to be told which; a time that all are before says all.
            let all = [("until", END_OF_TIME.to_owned())];
            let filter = options.filter.pairs();
            let query = if options.all { &all[..] } else { &filter };
            let answer = api.send(Method::DELETE, &["dead-letters"], query, None).await?;
            let text = format!("{} thrown away.\n", counted(&answer, "dropped")?);
            (answer, text)
        }
    };
    print(&if options.common.json { format!("{answer}\n") } else { text }).map(drop)
}

/// What a replay begins, and how to see its end.
const UNTIL: &str = "; what is delivered leaves `jackfield dlq list`.\n";

/// `1 dead letter is`, `5 dead letters are`.
fn counted(answer: &Value, name: &str) -> anyhow::Result<String> {
    let count = answer.get(name).and_then(Value::as_u64).context("the server does not say how many")?;
    Ok(if count == 1 { "1 dead letter is".to_owned() } else { format!("{count} dead letters are") })
}

/// Which dead letters are meant.
enum What {
    One(String),
    Filter,
}

impl Chosen {
    /// Nothing typed is not everything meant.
    fn what(&self) -> Result<What, Failed> {
        if let Some(id) = &self.id {
            return Ok(What::One(id.clone()));
        }
        if self.all || !self.filter.pairs().is_empty() {
            return Ok(What::Filter);
        }
        let next = "Name one as `jackfield dlq list` does, pick some by --hook, --event, --key, --since and --until, \
                    or take --all.";
        Err(Failed::new(Exit::Usage, "which dead letters?", next))
    }
}

fn missing(error: anyhow::Error, id: &str) -> anyhow::Error {
    if error.downcast_ref::<Failed>().is_none_or(|failed| failed.exit != Exit::Missing) {
        return error;
    }
    let wrong = format!("there is no dead letter `{}`", clean(id));
    Failed::new(Exit::Missing, wrong, "`jackfield dlq list` shows those that there are.").into()
}
