//! Status objects: what clients are told, and the codes that they know (RTMP 1.0 §7.2.2 and the
//! ActionScript reference of `NetStatusEvent`).

use crate::amf::{Object, Value};
use crate::message::Outbox;
use jackfield_media::Text;

/// `connect` was accepted.
pub const CONNECT_SUCCESS: &str = "NetConnection.Connect.Success";
/// `connect` was refused.
pub const CONNECT_REJECTED: &str = "NetConnection.Connect.Rejected";
/// The server closes the connection.
pub const CONNECT_CLOSED: &str = "NetConnection.Connect.Closed";
/// The client should connect anew (Enhanced RTMP v2).
pub const RECONNECT_REQUEST: &str = "NetConnection.Connect.ReconnectRequest";
/// A command failed or is not known.
pub const CALL_FAILED: &str = "NetConnection.Call.Failed";
/// The publisher may send.
pub const PUBLISH_START: &str = "NetStream.Publish.Start";
/// The publisher may not have this name.
pub const PUBLISH_BAD_NAME: &str = "NetStream.Publish.BadName";
/// The publisher stopped.
pub const UNPUBLISH_SUCCESS: &str = "NetStream.Unpublish.Success";
/// An earlier playlist was forgotten.
pub const PLAY_RESET: &str = "NetStream.Play.Reset";
/// Playing begins.
pub const PLAY_START: &str = "NetStream.Play.Start";
/// Playing failed.
pub const PLAY_FAILED: &str = "NetStream.Play.Failed";
/// There is no such stream.
pub const PLAY_STREAM_NOT_FOUND: &str = "NetStream.Play.StreamNotFound";
/// Playing has ended.
pub const PLAY_STOP: &str = "NetStream.Play.Stop";
/// The player can take none of the stream's tracks, as it told in `connect`.
pub const PLAY_NO_SUPPORTED_TRACK_FOUND: &str = "NetStream.Play.NoSupportedTrackFound";
/// Some tracks are left out because the player cannot take them. In no specification; the description names them.
pub const PLAY_UNSUPPORTED_TRACK: &str = "NetStream.Play.UnsupportedTrack";
/// The publisher of what is played has left.
pub const PLAY_UNPUBLISH_NOTIFY: &str = "NetStream.Play.UnpublishNotify";
/// The publisher of what is played is there again.
pub const PLAY_PUBLISH_NOTIFY: &str = "NetStream.Play.PublishNotify";
/// The player paused.
pub const PAUSE_NOTIFY: &str = "NetStream.Pause.Notify";
/// The player went on.
pub const UNPAUSE_NOTIFY: &str = "NetStream.Unpause.Notify";
/// Seeking is not possible.
pub const SEEK_FAILED: &str = "NetStream.Seek.Failed";
/// Something about a message stream failed.
pub const STREAM_FAILED: &str = "NetStream.Failed";

/// How grave a status is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// All is well.
    Status,
    /// Something was refused or failed.
    Error,
}

impl Level {
    /// `status` or `error`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Error => "error",
        }
    }
}

/// A status object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// How grave it is.
    pub level: Level,
    /// For programs: `NetStream.Publish.BadName`.
    pub code: Text,
    /// For people.
    pub description: Text,
}

impl Status {
    /// A status of level `status`.
    #[must_use]
    pub fn note(code: &str, description: &str) -> Self {
        Self { level: Level::Status, code: code.into(), description: description.into() }
    }

    /// A status of level `error`.
    #[must_use]
    pub fn error(code: &str, description: &str) -> Self {
        Self { level: Level::Error, code: code.into(), description: description.into() }
    }

    /// As AMF.
    pub(crate) fn to_object(&self) -> Object {
        Object::new()
            .with("level", self.level.as_str())
            .with("code", self.code.as_str())
            .with("description", self.description.as_str())
    }

    /// Reads it from AMF; what is missing is empty.
    pub(crate) fn from_object(object: &Object) -> Self {
        let text = |name| Text::from(object.text(name).unwrap_or_default());
        let level = if object.text("level") == Some("error") { Level::Error } else { Level::Status };
        Self { level, code: text("code"), description: text("description") }
    }

    /// Appends it as `onStatus` of a message stream.
    pub(crate) fn write(&self, outbox: &mut Outbox, message_stream: u32) {
        outbox.command(message_stream, "onStatus", 0.0, &[Value::Null, self.to_object().into()]);
    }
}
