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

/// The URL of a publisher that was renamed, without its old name: scheme and host stay, the path is the
/// new app.
pub(crate) fn url_after_rename(tc_url: &SecretUrl, new: &StreamKey) -> SecretUrl {
    let host = tc_url.0.split_once("://").map(|(scheme, rest)| {
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        format!("{scheme}://{authority}/{}", new.app())
    });
    SecretUrl(host.unwrap_or_default().into())
}

/// The query of a publisher that was renamed: values that are the old name are masked.
pub(crate) fn query_after_rename(query: &SecretUrl, old: &StreamKey) -> SecretUrl {
    let masked: Vec<String> = query
        .0
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) if value.contains(old.name()) => format!("{name}=***"),
            None if pair.contains(old.name()) => "***".to_owned(),
            _ => pair.to_owned(),
        })
        .collect();
    SecretUrl(masked.join("&").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_name_goes_from_the_url_and_the_query() {
        let (old, new) = (StreamKey::parse("live/a/sk-1").unwrap(), StreamKey::parse("tv/show").unwrap());
        let url = url_after_rename(&"rtmp://h:1935/live/a?x=a/sk-1".into(), &new);
        assert_eq!(url, "rtmp://h:1935/tv".into());
        assert_eq!(url_after_rename(&"".into(), &new), "".into());
        let query = query_after_rename(&"n=1&again=a/sk-1&a/sk-1".into(), &old);
        assert_eq!(query, "n=1&again=***&***".into());
    }
}
