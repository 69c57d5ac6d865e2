//! The life of a publish session and of its tracks.

use crate::spec::define;
use crate::{EndReason, Protocol, PublishType, SecretUrl};
use jackfield_media::{Text, TrackKind};
use std::net::IpAddr;

define! {
    /// A publisher is registered, before it is told so and whether or not media came yet. A player
    /// that connects now is attached and starts with the first key frame.
    Notice PublishStart "publish_start" by Stream logs "Publish started" {
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
        /// URL of the publisher's connect command.
        tc_url: SecretUrl = "rtmp://media.example/live",
        /// Query string of the publisher, without the question mark.
        query: SecretUrl = "token=***&camera=2",
        /// Hooks that failed and whose policy let the session through.
        failopen: Vec<Text> = ["auth"],
    }

    /// A publish session ended, on whatever way.
    Notice PublishStop "publish_stop" by Stream logs "Publish stopped" {
        /// First part of the key.
        app: Text = "live",
        /// The rest of the key.
        stream_name: Text = "show",
        /// Address of the publisher.
        client_ip: IpAddr = "203.0.113.7",
        /// Protocol of the publisher.
        protocol: Protocol = "rtmp",
        /// Why it ended.
        reason: EndReason = "unpublish",
        /// Whole seconds since `publish_start`.
        duration_seconds: u64 = 61,
        /// Milliseconds since `publish_start`.
        duration_ms: u64 = 61_100,
        /// Bytes of media payload received in this session.
        bytes_received: u64 = 18_340_000,
        /// Video messages received in this session.
        video_packets: u64 = 1830,
        /// Audio messages received in this session.
        audio_packets: u64 = 2860,
    }

    /// The first frame of a track arrived in this publish session.
    Notice MediaStart "media_start" by Stream logs "Media started" {
        /// `video`, `audio` or `data`.
        kind: TrackKind = "video",
        /// Number of the track within the stream.
        track: u16 = 1,
        /// Time stamp of that frame in milliseconds, as the publisher sent it.
        first_ms: i64 = 0,
    }

    /// The last frame of a track has arrived: its publish session ended.
    Notice MediaStop "media_stop" by Stream logs "Media stopped" {
        /// `video`, `audio` or `data`.
        kind: TrackKind = "video",
        /// Number of the track within the stream.
        track: u16 = 1,
        /// Time stamp of its first frame in milliseconds, as the publisher sent it.
        first_ms: i64 = 0,
        /// Why it ended.
        reason: EndReason = "unpublish",
        /// Frames of this track in this session.
        frames: u64 = 1830,
        /// Bytes of payload of this track in this session.
        bytes: u64 = 17_400_000,
    }

    /// A track's codec configuration is first known, or changed.
    Notice CodecDetected "codec_detected" by Stream logs "Codec detected" {
        /// Number of the track within the stream.
        track: u16 = 1,
        /// `video` or `audio`.
        kind: TrackKind = "video",
        /// Name of the codec.
        codec: Text = "h264",
        /// Codec string of RFC 6381.
        codec_string: Option<Text> = "avc1.64001f",
        /// Width of the picture in pixels.
        width: Option<u32> = 1280,
        /// Height of the picture in pixels.
        height: Option<u32> = 720,
        /// Frames a second, rounded to an integer.
        fps: Option<u32> = 30,
        /// Profile of the codec.
        profile: Option<Text> = "High",
        /// Level of the codec.
        level: Option<Text> = "3.1",
        /// Samples a second (audio).
        sample_rate: Option<u32> = 48000,
        /// Channels (audio).
        channels: Option<u32> = 2,
    }
}
