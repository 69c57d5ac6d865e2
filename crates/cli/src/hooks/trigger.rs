//! `jackfield hooks trigger`: an event that did not happen, through the running server.

use super::fixture::{FixtureArgs, event_type};
use crate::paint::{field, print};
use crate::remote::{Api, Remote};
use jackfield_net::outbound::Method;
use serde_json::Value;

#[derive(Debug, clap::Args)]
pub(crate) struct Trigger {
    /// The event: publish_start.
    event: String,

    #[command(flatten)]
    fixture: FixtureArgs,

    /// As JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: Remote,
}

pub(super) async fn run(options: Trigger) -> anyhow::Result<()> {
    let spec = event_type(&options.event)?.spec();
    let body = Value::Object(options.fixture.body(spec)?);
    let api = Api::new(options.remote)?;
    let answer = api.send(Method::POST, &["events", "trigger"], &[], Some(&body)).await?;
    let text = match options.json {
        true => format!("{answer}\n"),
        false => format!(
            "{} is sent with \"test\": true, as {} (seq {}). `jackfield tail --since 1m` shows what comes of it.\n",
            spec.name,
            field(&answer, "id"),
            field(&answer, "seq")
        ),
    };
    print(&text).map(drop)
}
