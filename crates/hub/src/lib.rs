//! Where packets meet: one publisher, its tracks, and any number of viewers that can never slow it down.
//!
//! [`Hub::publish`] and [`Hub::play`] take a grant and nothing else. Only a [`Minter`] makes grants, there
//! is one of it, and it belongs to the gate: a path that forgets to ask does not compile.
//!
//! ```
//! use bytes::Bytes;
//! use jackfield_bus::Bus;
//! use jackfield_events::{EndReason, Masker, Protocol, PublishType, Scope, notices::PublishStart};
//! use jackfield_hub::{Hub, HubConfig, Presence, PublishGrantParts, Takeover};
//! use jackfield_media::{Epoch, Frame, FrameClass, MediaTime, StreamKey, TrackId, TrackKind};
//! use jackfield_runtime::Tasks;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let (hub, minter) = Hub::new(HubConfig::default(), Bus::new("node", Masker::default()), Tasks::new());
//! let key = StreamKey::parse("show").unwrap();
//! let start = PublishStart {
//!     app: key.app().into(),
//!     stream_name: key.name().into(),
//!     publish_type: PublishType::Live,
//!     client_ip: "203.0.113.7".parse().unwrap(),
//!     client_port: 51234,
//!     protocol: Protocol::Rtmp,
//!     tc_url: "rtmp://media.example/live".into(),
//!     query: "".into(),
//!     failopen: Vec::new(),
//! };
//! let takeover = Takeover::Stale;
//! let parts = PublishGrantParts { key: key.clone(), scope: Scope::default(), start, takeover };
//! let publisher = hub.publish(minter.publish(parts)).await.expect("nobody else publishes it");
//! assert_eq!(publisher.epoch(), Epoch(1));
//!
//! let frame = Frame {
//!     track: TrackId::AUDIO,
//!     kind: TrackKind::Audio,
//!     class: FrameClass::Inter,
//!     dts: MediaTime::from_ms(0),
//!     pts: MediaTime::from_ms(0),
//!     offset_nanos: 0,
//!     payload: Bytes::from_static(b"sound"),
//!     origin: None,
//! };
//! publisher.send(vec![frame]).await.expect("nobody took the key over");
//! publisher.finish(EndReason::Unpublish).await;
//! hub.stop(EndReason::ServerShutdown).await;
//! assert_eq!(hub.presence(&key), Presence::Absent);
//! # });
//! ```
//!
//! The contract:
//! - One task owns a stream; it is the only one that tells the stream's events, so their order is that of
//!   what happened. Each start has exactly one stop, also if the task panics.
//! - [`Publisher::send`] waits only for the stream's own task, never for a viewer.
//! - A viewer is an [`Outlet`] that never blocks. Its queue is judged in bytes and in time; over it, it
//!   drops to the next key frame, and leaves when it stays over it.
//! - A frame is packaged once for each format ([`Packager`]); all outlets of the format share the result.
//! - Viewers see one time line that does not jump, over takeovers too; see [`StreamCounters`] for how
//!   often that took a repair.
//!
//! What it does not do: it knows no protocol, no socket and no hook; it looks into no payload.

mod config;
mod grant;
mod hub;
mod inbox;
mod outlet;
mod publisher;
mod registry;
mod stage;
mod status;
mod stream;
mod subscriber;

pub use config::HubConfig;
pub use grant::{Minter, PlayGrant, PlayGrantParts, PublishGrant, PublishGrantParts, Takeover};
pub use hub::{Busy, Hub, NotFound};
pub use outlet::{Backlog, Outlet, Packaged, Packager, Packet, Workbench};
pub use publisher::Publisher;
pub use stage::{Stage, Stages};
pub use status::{Presence, StreamCounters, StreamSnapshot, TrackRate, Use};
pub use subscriber::{Paused, Subscriber, TracksSnapshot, Wanted};
