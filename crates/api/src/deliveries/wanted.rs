//! What is asked for alike of deliveries and of dead letters.

use crate::events::filter::{EventName, key_of};
use crate::problem::Problem;
use crate::query::Time;
use jackfield_events::EventType;
use jackfield_media::{StreamKey, Text, UnixTime};
use serde::Deserialize;
use utoipa::IntoParams;

/// Of which hook and event, about which stream, and when.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Of this hook.
    pub(crate) hook: Option<String>,
    /// Of events of this type.
    #[param(value_type = Option<String>)]
    pub(crate) event: Option<EventName>,
    /// About this stream.
    pub(crate) key: Option<String>,
    /// Ended, or given up, then or later.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(crate) since: Option<Time>,
    /// Ended, or given up, before then.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(crate) until: Option<Time>,
}

impl Wanted {
    /// Whether it says nothing.
    pub(crate) fn is_everything(&self) -> bool {
        let Self { hook, event, key, since, until } = self;
        hook.is_none() && event.is_none() && key.is_none() && since.is_none() && until.is_none()
    }

    pub(crate) fn hook(&self) -> Option<Text> {
        self.hook.as_deref().map(Text::from)
    }

    pub(crate) fn event(&self) -> Option<EventType> {
        self.event.map(|name| name.0)
    }

    /// # Errors
    /// 400 for what is no key of a stream.
    pub(crate) fn key(&self) -> Result<Option<StreamKey>, Problem> {
        self.key.as_deref().map(key_of).transpose()
    }

    pub(crate) fn since(&self) -> Option<UnixTime> {
        self.since.map(|time| time.0)
    }

    pub(crate) fn until(&self) -> Option<UnixTime> {
        self.until.map(|time| time.0)
    }
}
