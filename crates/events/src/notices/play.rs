//! The life of a play session.

use crate::spec::define;
use crate::{EndReason, Protocol, SecretUrl};
use jackfield_media::Text;
use std::net::IpAddr;

define! {
    /// A player got its first media.
    Notice PlayStart "play_start" by Stream logs "Play started" {
        /// First part of the key.
        app: Text = "live",
        /// The rest of the key.
        stream_name: Text = "show",
        /// Address of the player.
        client_ip: IpAddr = "203.0.113.9",
        /// Protocol of the player.
        protocol: Protocol = "rtmp",
        /// Query string of the player, without the question mark.
        query: SecretUrl = "token=***",
        /// Hooks that failed and whose policy let the session through.
        failopen: Vec<Text> = ["auth"],
    }

    /// A player that had started left, or was made to.
    Notice PlayStop "play_stop" by Stream logs "Play stopped" {
        /// First part of the key.
        app: Text = "live",
        /// The rest of the key.
        stream_name: Text = "show",
        /// Address of the player.
        client_ip: IpAddr = "203.0.113.9",
        /// Protocol of the player.
        protocol: Protocol = "rtmp",
        /// Why it ended; `unpublish` when its publisher left.
        reason: EndReason = "client_disconnect",
        /// Whole seconds since `play_start`.
        duration_seconds: u64 = 42,
        /// Milliseconds since `play_start`.
        duration_ms: u64 = 42_018,
        /// Bytes of media handed to its socket.
        bytes_sent: u64 = 12_600_000,
        /// Frames that it did not get because it was too slow.
        dropped_frames: u64 = 0,
    }
}
