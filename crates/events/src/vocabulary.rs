//! The closed sets of words that fields use.

use crate::{Exposure, FieldValue};
use serde_json::Value;
use std::fmt;

macro_rules! words {
    ($( $(#[doc = $doc:literal])+ $name:ident { $( $(#[doc = $vdoc:literal])+ $variant:ident = $word:literal, )* } )*) => { $(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $( $(#[doc = $vdoc])+ $variant, )*
        }

        impl $name {
            /// All the words.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FieldValue for $name {
            const JSON_TYPE: &'static str = "string";

            fn json(&self, _: Exposure<'_>) -> Option<Value> {
                Some(Value::from(self.as_str()))
            }
        }
    )* };
}

words! {
    /// The protocol of a media connection.
    Protocol {
        /// RTMP over TCP.
        Rtmp = "rtmp",
        /// RTMP over TLS.
        Rtmps = "rtmps",
    }
    /// What a publisher asked its stream to be (RTMP 1.0 §7.2.2.6).
    PublishType {
        /// Live, not recorded by request of the client.
        Live = "live",
        /// Recorded into a new file.
        Record = "record",
        /// Recorded at the end of a file.
        Append = "append",
    }
    /// Why a connection was turned away: the setting whose limit it is over.
    ConnectionRefusal {
        /// `[server] max_connections`.
        MaxConnections = "max_connections",
        /// `[server] max_connections_per_address`.
        MaxConnectionsPerAddress = "max_connections_per_address",
        /// `[server] max_connection_rate_per_address`.
        ConnectionRate = "max_connection_rate_per_address",
    }
    /// Why notices are lost.
    LossCause {
        /// The disk is full.
        DiskFull = "disk_full",
        /// The disk cannot be written.
        DiskError = "disk_error",
        /// The disk takes too long.
        DiskSlow = "disk_slow",
        /// Somebody removed the folder in which they were stored.
        LogRemoved = "log_removed",
    }
    /// Why a hook was disabled.
    DisabledReason {
        /// Its webhook answered 410: it is gone for good.
        Gone = "gone",
        /// Somebody disabled it by the API.
        Operator = "operator",
    }
    /// Why a connection, a publish session or a play session ended.
    EndReason {
        /// The peer closed its connection, or left without a word.
        ClientDisconnect = "client_disconnect",
        /// The publisher said that it stops; for a player: its publisher left.
        Unpublish = "unpublish",
        /// Nothing was heard in time.
        Timeout = "timeout",
        /// An operator or limit removed it.
        Kicked = "kicked",
        /// A question was answered with deny.
        Denied = "denied",
        /// Another publisher took the key over.
        Superseded = "superseded",
        /// The peer broke the protocol.
        ProtocolError = "protocol_error",
        /// The server stops.
        ServerShutdown = "server_shutdown",
        /// The server was gone without stopping; told at the next start.
        ServerRestart = "server_restart",
        /// A player took its media too slowly for too long.
        SlowSubscriber = "slow_subscriber",
    }
}
