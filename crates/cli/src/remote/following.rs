//! What `tail` and `listen` have in common: which events are followed, and what is told on the way to the next one.

#![expect(clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

use super::{Follow, Next};
use crate::client::Stop;
use crate::failed::{Exit, Failed, meant};
use crate::paint::field;
use jackfield_events::EventType;
use jackfield_net::sse::Message;
use serde_json::Value;

/// Which events are followed.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// Only these events: publish_start,play_*.
    #[arg(long = "type", value_name = "EVENT", value_delimiter = ',')]
    types: Vec<String>,

    /// Only of this stream.
    #[arg(long, value_name = "STREAM")]
    key: Option<String>,
}

impl Which {
    /// As the API is asked for them, behind what else it is asked. The order stays: `listen` keeps its place under it.
    ///
    /// # Errors
    /// An event that there is not, which is asked of no server.
    pub(crate) fn query<'a>(
        &self,
        more: impl IntoIterator<Item = (&'a str, String)>,
    ) -> anyhow::Result<Vec<(&'a str, String)>> {
        for name in &self.types {
            if EventType::parse(name).is_none() && !name.contains('*') {
                let near = meant(name, EventType::ALL.iter().map(|event| event.name()));
                let wrong = format!("unknown event `{name}`{near}");
                return Err(Failed::new(Exit::Usage, wrong, "`jackfield events` lists them.").into());
            }
        }
        let types = (!self.types.is_empty()).then(|| ("type", self.types.join(",")));
        let key = self.key.clone().map(|key| ("key", key));
        Ok(more.into_iter().chain(types).chain(key).collect())
    }
}

/// The events and deliveries of a server, until a signal.
pub(crate) struct Following<'a> {
    follow: Follow<'a>,
    stop: Stop,
}

impl<'a> Following<'a> {
    /// # Errors
    /// When signals cannot be heard.
    pub(crate) fn new(follow: Follow<'a>) -> anyhow::Result<Self> {
        Ok(Self { follow, stop: Stop::new()? })
    }

    /// The next one, with what it says; `None` after a signal. What is missing before it, and that the connection was lost, is
    /// told on standard error.
    ///
    /// # Errors
    /// As [`Follow::next`].
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<(Message, Value)>> {
        loop {
            let next = tokio::select! {
                next = self.follow.next() => next?,
                () = self.stop.asked() => return Ok(None),
            };
            let message = match next {
                Next::Connected => continue,
                Next::Lost(why) => {
                    eprintln!("jackfield: the connection was lost ({why}), trying again");
                    continue;
                }
                Next::Message(message) => message,
            };
            let Ok(value) = serde_json::from_str::<Value>(&message.data) else { continue };
            match missing(&message.event, &value) {
                Some(missing) => eprintln!("jackfield: {missing}"),
                None => return Ok(Some((message, value))),
            }
        }
    }

    /// What comes of this, unless a signal comes before.
    pub(crate) async fn unless_stopped<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.stop.asked() => None,
        }
    }
}

/// What stands in the place of events or deliveries that do not come.
fn missing(event: &str, value: &Value) -> Option<String> {
    match event {
        "gap" => {
            let (from, to) = (field(value, "from"), field(value, "to"));
            Some(format!("the events from {from} to {to} are not in the server's log any more"))
        }
        "deliveries_missed" => {
            Some(format!("{} deliveries were left out: they came too fast", field(value, "count")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_does_not_come_is_told_and_what_comes_is_not_taken_for_it() {
        let gap = missing("gap", &json!({"from": "3", "to": "7"}));
        assert_eq!(gap.as_deref(), Some("the events from 3 to 7 are not in the server's log any more"));
        let missed = missing("deliveries_missed", &json!({"count": 2}));
        assert_eq!(missed.as_deref(), Some("2 deliveries were left out: they came too fast"));
        assert_eq!(missing("publish_start", &json!({"from": "3"})), None);
    }

    #[test]
    fn events_are_asked_for_by_names_that_there_are() {
        let which = |types: &[&str]| Which {
            types: types.iter().copied().map(str::to_owned).collect(),
            key: Some("live/a".to_owned()),
        };
        let query = which(&["publish_start", "play_*"]).query([("include", "events".to_owned())]).unwrap();
        let expect = [("include", "events"), ("type", "publish_start,play_*"), ("key", "live/a")];
        assert_eq!(query, expect.map(|(name, value)| (name, value.to_owned())));
        assert_eq!(which(&[]).query([]).unwrap().len(), 1);
        let wrong = which(&["publish_strat"]).query([]).unwrap_err().to_string();
        assert!(wrong.contains("publish_start"), "{wrong}");
    }
}
