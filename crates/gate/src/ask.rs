//! What a service knows when it comes to ask.

use jackfield_events::{PublishType, SecretUrl};
use jackfield_media::{StreamKey, Text};

/// A connection's first request.
#[derive(Debug, Clone, Default)]
pub struct ConnectionAsk {
    /// App of the connect command.
    pub app: Text,
    /// Its URL.
    pub tc_url: SecretUrl,
    /// Page that the client says it runs on.
    pub page_url: SecretUrl,
    /// Version that the client says it is.
    pub flash_ver: Option<Text>,
    /// Query string of the URL.
    pub query: SecretUrl,
}

/// A wish to publish.
#[derive(Debug, Clone)]
pub struct PublishAsk {
    /// The key as the client said it.
    pub key: StreamKey,
    /// What the publisher asked for.
    pub publish_type: PublishType,
    /// URL of the connect command.
    pub tc_url: SecretUrl,
    /// Page that the client says it runs on.
    pub page_url: SecretUrl,
    /// Version that the client says it is.
    pub flash_ver: Option<Text>,
    /// Query string, without the question mark.
    pub query: SecretUrl,
}

/// A wish to play.
#[derive(Debug, Clone)]
pub struct PlayAsk {
    /// The key as the client said it.
    pub key: StreamKey,
    /// URL of the connect command.
    pub tc_url: SecretUrl,
    /// Page that the client says it runs on.
    pub page_url: SecretUrl,
    /// Version that the client says it is.
    pub flash_ver: Option<Text>,
    /// Query string, without the question mark.
    pub query: SecretUrl,
}

/// App and name of a key as fields of an event.
pub(crate) fn names(key: &StreamKey) -> (Text, Text) {
    (key.app().into(), key.name().into())
}
