//! From the first byte to the answer to `connect`.

use super::event::{Connect, Event};
use super::status::{self, Status};
use super::{Phase, ServerSession, Step, Withdrawn};
use crate::amf::{Object, Value};
use crate::handshake::Progress;
use crate::message::{BandwidthLimit, Command};
use crate::url::{self, NameError};
use crate::{Capabilities, Error};
use jackfield_media::{StreamKey, Text};

/// What clients look at to tell what a server can do. The number is that of the Flash Media Server that
/// old players want to see.
const FMS_VERSION: &str = "FMS/3,0,1,123";
const CAPABILITIES: f64 = 31.0;

impl ServerSession {
    pub(super) fn advance_handshake(&mut self) -> Result<Step, Error> {
        let Phase::Handshake(handshake) = &mut self.phase else {
            return Ok(Step::Idle);
        };
        match handshake.advance(&mut self.input, self.outbox.raw())? {
            Progress::Pending => Ok(Step::Idle),
            Progress::Done(kind) => {
                self.phase = Phase::AwaitConnect;
                self.events.push_back(Event::HandshakeDone(kind));
                Ok(Step::Progress)
            }
        }
    }

    pub(super) fn on_connect(&mut self, command: &Command) -> Result<(), Error> {
        if !matches!(self.phase, Phase::AwaitConnect) {
            return Err(Error::ConnectedTwice);
        }
        if let Some(error) = &command.unread {
            let description = format!("connect cannot be read: {error}.");
            self.write_rejection(command.transaction, &description);
            return Err(error.clone().into());
        }
        let empty = Object::new();
        match parse_connect(command.object().unwrap_or(&empty)) {
            Ok(connect) => {
                self.app = connect.app.clone();
                self.connect_query = connect.query.clone();
                self.capabilities = connect.capabilities;
                let object_encoding = connect.object_encoding;
                self.phase = Phase::Connecting { transaction: command.transaction, object_encoding };
                self.events.push_back(Event::Connect(Box::new(connect)));
                Ok(())
            }
            Err(error) => {
                let description = format!("Refused by its app or URL: {error}.");
                self.write_rejection(command.transaction, &description);
                Err(Error::BadConnect(error))
            }
        }
    }

    /// Answers `connect`: it may.
    ///
    /// # Errors
    /// [`Withdrawn`] if no answer is awaited.
    pub fn accept_connect(&mut self) -> Result<(), Withdrawn> {
        let Phase::Connecting { transaction, object_encoding } = self.phase else {
            return Err(Withdrawn);
        };
        self.phase = Phase::Connected;
        self.pulse.used(self.pulse.now());
        let window = self.config.window_bytes;
        self.outbox.window_ack_size(window);
        self.outbox.set_peer_bandwidth(window, BandwidthLimit::Dynamic);
        self.outbox.set_chunk_size(self.chunk_size());
        let mut properties =
            Object::new().with("fmsVer", FMS_VERSION).with("capabilities", CAPABILITIES).with("mode", 1.0);
        // Clients that announced nothing see what they have always seen.
        if self.capabilities.is_enhanced() {
            Capabilities::announce_forwarder(&mut properties);
        }
        let status = Status::note(status::CONNECT_SUCCESS, "Connection succeeded.");
        // Flash fails a connection of AMF3 that is answered with AMF0. It reads AMF0 all the same, which
        // Flash Media Server prefers to write, too.
        let answer = status.to_object().with("objectEncoding", f64::from(object_encoding));
        self.outbox.command(0, "_result", transaction, &[properties.into(), answer.into()]);
        Ok(())
    }

    /// Answers `connect`: it may not, and is told why. The session ends.
    ///
    /// # Errors
    /// [`Withdrawn`] if no answer is awaited.
    pub fn reject_connect(&mut self, description: &str) -> Result<(), Withdrawn> {
        let Phase::Connecting { transaction, .. } = self.phase else {
            return Err(Withdrawn);
        };
        self.write_rejection(transaction, description);
        self.finish(Error::Refused);
        Ok(())
    }

    fn write_rejection(&mut self, transaction: f64, description: &str) {
        let status = Status::error(status::CONNECT_REJECTED, description).to_object();
        self.outbox.command(0, "_error", transaction, &[Value::Null, status.into()]);
    }
}

fn parse_connect(object: &Object) -> Result<Connect, NameError> {
    let text = |name| -> Result<Text, NameError> {
        let text = object.text(name).unwrap_or_default();
        url::check_text(text)?;
        Ok(Text::from(text))
    };
    let (raw_app, app_query) = url::split_query(object.text("app").unwrap_or_default());
    url::check_text(app_query)?;
    let app = url::app_path(raw_app)?;
    // The app must be able to begin a key, whatever name follows.
    StreamKey::join(&app, "x")?;
    let tc_url = text("tcUrl")?;
    let query = if app_query.is_empty() { url::query_of_url(&tc_url) } else { app_query };
    let encoding = object.find("objectEncoding").and_then(Value::as_number);
    Ok(Connect {
        app: app.into(),
        query: query.into(),
        vhost: url::parameter(query, "vhost").map(Text::from),
        page_url: text("pageUrl")?,
        swf_url: text("swfUrl")?,
        flash_ver: text("flashVer")?,
        object_encoding: if encoding == Some(3.0) { 3 } else { 0 },
        capabilities: Capabilities::parse(object),
        properties: object.clone(),
        tc_url,
    })
}
