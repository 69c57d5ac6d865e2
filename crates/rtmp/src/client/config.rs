//! What a client session is set to.

use crate::amf::Object;
use crate::chunk::HeaderForm;
use crate::handshake::HandshakeKind;
use crate::session::Limits;

/// What a client tells of enhanced RTMP in `connect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Announce {
    /// Nothing, as clients did before there was any.
    #[default]
    Nothing,
    /// That it passes on every codec, and heeds requests to reconnect.
    Everything,
}

/// Settings of a [`ClientSession`](super::ClientSession).
#[derive(Debug, Clone, PartialEq)]
pub struct ClientConfig {
    /// The app, with its query if it has one.
    pub app: String,
    /// The whole URL up to the app.
    pub tc_url: String,
    /// How the client calls itself.
    pub flash_ver: String,
    /// What it tells of enhanced RTMP.
    pub announce: Announce,
    /// Further properties of `connect`.
    pub properties: Object,
    /// Which handshake to begin with.
    pub handshake: HandshakeKind,
    /// Payload bytes of the chunks that we send: 1 to 2²⁴-1.
    pub chunk_size: u32,
    /// Which chunk headers to write.
    pub header_form: HeaderForm,
    /// Acknowledgements are sent every so many bytes, until the server tells a window.
    pub window_bytes: u32,
    /// What the server may declare.
    pub limits: Limits,
}

impl ClientConfig {
    /// Settings for an app and its URL: simple handshake, chunks of 4096 bytes, short headers.
    #[must_use]
    pub fn new(app: &str, tc_url: &str) -> Self {
        Self {
            app: app.to_owned(),
            tc_url: tc_url.to_owned(),
            flash_ver: "FMLE/3.0 (compatible; Jackfield)".to_owned(),
            announce: Announce::Nothing,
            properties: Object::new(),
            handshake: HandshakeKind::Simple,
            chunk_size: 4096,
            header_form: HeaderForm::Shortest,
            window_bytes: 2_500_000,
            limits: Limits::default(),
        }
    }
}
