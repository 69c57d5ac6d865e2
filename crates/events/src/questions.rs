//! Questions: somebody waits for the verdict. Their `data` is that of the matching start event, with
//! what the client said of itself. Queries and URLs are whole here: a handler decides by them.

use crate::spec::define;
use crate::{Protocol, PublishType, SecretUrl};
use jackfield_media::Text;
use std::net::IpAddr;

/// Defines the two questions of one wish, which have the same fields: under which key, and may it?
macro_rules! define_pair {
    (
        $(#[doc = $when_resolve:literal])+
        Resolve $resolve:ident $wire_resolve:literal logs $log_resolve:literal
        $(#[doc = $when_authorize:literal])+
        Authorize $authorize:ident $wire_authorize:literal logs $log_authorize:literal
        { $( $(#[doc = $about:literal])+ $field:ident : $ty:ty = $example:expr, )* }
    ) => {
        define! {
            $(#[doc = $when_resolve])+
            Resolve $resolve $wire_resolve by Stream logs $log_resolve {
                $( $(#[doc = $about])+ $field: $ty = $example, )*
            }

            $(#[doc = $when_authorize])+
            Authorize $authorize $wire_authorize by Stream logs $log_authorize {
                $( $(#[doc = $about])+ $field: $ty = $example, )*
            }
        }

        impl From<$resolve> for $authorize {
            /// The same fields: whoever asks sets the key that was resolved.
            fn from($resolve { $($field),* }: $resolve) -> Self {
                Self { $($field),* }
            }
        }
    };
}

define! {
    /// Once per connection of a media listener, when its first request is parsed (RTMP: the connect
    /// command) and before anything is served. Deny: it is refused and closed.
    Authorize AuthorizeConnection "authorize_connection" by Connection logs "Connection asked" {
        /// Address of the client.
        client_ip: IpAddr = "203.0.113.7",
        /// Port of the client.
        client_port: u16 = 51234,
        /// Address of the server that the client reached.
        server_ip: IpAddr = "198.51.100.1",
        /// Port of the server that the client reached.
        server_port: u16 = 1935,
        /// Protocol of the listener.
        protocol: Protocol = "rtmp",
        /// App of the connect command.
        app: Text = "live",
        /// URL of the connect command.
        tc_url: SecretUrl = "rtmp://media.example/live?token=abc",
        /// Page that the client says it runs on.
        page_url: SecretUrl = "https://www.example/watch",
        /// Version that the client says it is.
        flash_ver: Option<Text> = "FMLE/3.0 (compatible; Lavf59.27.100)",
        /// Query string of the connect command's URL.
        query: SecretUrl = "token=abc",
    }
}

define_pair! {
    /// A publish command is parsed, before its key is looked up. Replace: it is published under that
    /// key. Deny: it is refused.
    Resolve ResolvePublish "resolve_publish" logs "Publish key asked"

    /// After `resolve_publish`, before the publisher is registered. Deny: it is refused with the
    /// protocol's own error and the public reason.
    Authorize AuthorizePublish "authorize_publish" logs "Publish asked"

    {
        /// First part of the key.
        app: Text = "live",
        /// The rest of the key.
        stream_name: Text = "show",
        /// What the publisher asked for: `live`, `record` or `append`.
        publish_type: PublishType = "live",
        /// Address of the publisher.
        client_ip: IpAddr = "203.0.113.7",
        /// Port of the publisher.
        client_port: u16 = 51234,
        /// Protocol of the publisher.
        protocol: Protocol = "rtmp",
        /// URL of the connect command.
        tc_url: SecretUrl = "rtmp://media.example/live",
        /// Page that the client says it runs on.
        page_url: SecretUrl = "https://www.example/studio",
        /// Version that the client says it is.
        flash_ver: Option<Text> = "FMLE/3.0 (compatible; Lavf59.27.100)",
        /// Query string, without the question mark.
        query: SecretUrl = "token=abc",
        /// Hooks of this session that failed and whose policy let it through.
        failopen: Vec<Text> = ["rename"],
    }
}

define_pair! {
    /// A play command is parsed, before its key is looked up. Replace: that stream is played. Deny: it
    /// is refused.
    Resolve ResolvePlay "resolve_play" logs "Play key asked"

    /// After `resolve_play`, before the player gets its first media. Deny: it is refused.
    Authorize AuthorizePlay "authorize_play" logs "Play asked"

    {
        /// First part of the key.
        app: Text = "live",
        /// The rest of the key.
        stream_name: Text = "show",
        /// Address of the player.
        client_ip: IpAddr = "203.0.113.9",
        /// Port of the player.
        client_port: u16 = 51240,
        /// Protocol of the player.
        protocol: Protocol = "rtmp",
        /// URL of the connect command.
        tc_url: SecretUrl = "rtmp://media.example/live",
        /// Page that the client says it runs on.
        page_url: SecretUrl = "https://www.example/watch",
        /// Version that the client says it is.
        flash_ver: Option<Text> = "LNX 9,0,124,2",
        /// Query string, without the question mark.
        query: SecretUrl = "token=abc",
        /// Hooks of this session that failed and whose policy let it through.
        failopen: Vec<Text> = ["rename"],
    }
}
