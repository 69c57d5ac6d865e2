//! `connect`: what the client says of itself, and the gate's answer.

use super::{CONNECTION, ConnectionTask, Happened, Parting, public};
use jackfield_events::{EndReason, SecretUrl};
use jackfield_gate::{ConnectionAsk, Refusal};
use jackfield_media::Text;
use jackfield_rtmp::amf::AmfError;
use jackfield_rtmp::{Connect, Error, Fault};
use std::sync::Arc;

/// The first byte of a TLS connection (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// What `connect` told, for the questions to come.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    pub(super) tc_url: SecretUrl,
    pub(super) page_url: SecretUrl,
    /// `None` if the client does not say what it is.
    pub(super) flash_ver: Option<Text>,
    /// Whether `connect` came.
    connected: bool,
    /// Whether the client was asked to connect anew.
    pub(super) asked_to_reconnect: bool,
}

impl ConnectionTask {
    pub(super) fn on_connect(&mut self, connect: Connect) {
        let Connect { app, tc_url, query, page_url, flash_ver, .. } = connect;
        let flash_ver = Some(flash_ver).filter(|text| !text.is_empty());
        self.told = Told {
            tc_url: SecretUrl(tc_url),
            page_url: SecretUrl(page_url),
            flash_ver,
            connected: true,
            asked_to_reconnect: false,
        };
        let Told { tc_url, page_url, flash_ver, .. } = self.told.clone();
        let ask = ConnectionAsk { app, tc_url, page_url, flash_ver, query: SecretUrl(query) };
        let gate = self.shared.deps.gate.clone();
        let connection = Arc::clone(&self.connection);
        self.waits.set(CONNECTION, async move { Happened::Connect(gate.connection(&connection, ask).await) });
    }

    pub(super) fn on_connect_answer(&mut self, answer: Result<(), Refusal>) {
        let answered = match answer {
            Ok(()) => self.session.accept_connect(),
            Err(refusal) => self.session.reject_connect(&public(refusal)),
        };
        if answered.is_err() {
            tracing::debug!("The client did not wait for the answer to connect");
        }
    }

    /// The state machine has ended the session.
    pub(super) fn on_closed(&mut self, error: &Error) {
        let client = self.connection.peer().client;
        match error {
            Error::Refused => return self.end_with(EndReason::Denied, Parting::Flush),
            // Its own words were queued before this.
            Error::BadConnect(_) => return self.end_with(EndReason::ProtocolError, Parting::Flush),
            Error::Closed => return,
            _ => {}
        }
        if error.is_timeout() {
            tracing::debug!(%error, "Client timed out");
            return self.end_with(EndReason::Timeout, Parting::Silent);
        }
        if error.fault() == Fault::Peer {
            if self.told.connected {
                self.shared.counters.protocol_error(client, error);
            } else {
                match error {
                    Error::Version(TLS_HANDSHAKE) => {
                        self.shared.counters.garbage(client, &"TLS on a listener without it");
                    }
                    error => self.shared.counters.garbage(client, error),
                }
            }
        }
        let parting = match error {
            // It was told which class cannot be read.
            Error::Amf(AmfError::Externalizable(_)) => Parting::Flush,
            _ => Parting::Silent,
        };
        self.end_with(EndReason::ProtocolError, parting);
    }
}
