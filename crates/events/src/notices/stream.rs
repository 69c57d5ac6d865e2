//! The life of a stream in the hub.

use crate::EndReason;
use crate::spec::define;
use jackfield_media::Text;

define! {
    /// A stream comes to exist: just before the first `publish_start` of its key.
    Notice StreamCreate "stream_create" by Stream logs "Stream created" {
        /// First part of the key.
        app: Text = "live",
        /// The rest of the key.
        stream_name: Text = "show",
    }

    /// A stream is gone from the hub, after the last `_stop` of its key.
    Notice StreamDelete "stream_delete" by Stream logs "Stream deleted" {
        /// First part of the key.
        app: Text = "live",
        /// The rest of the key.
        stream_name: Text = "show",
        /// Whole seconds since `stream_create`.
        duration_seconds: u64 = 61,
        /// Milliseconds since `stream_create`.
        duration_ms: u64 = 61_102,
        /// Why its last publish session ended.
        reason: EndReason = "unpublish",
    }
}
