//! What is to be sent: messages are encoded into one buffer, so that what belongs together goes out in
//! one write.

use super::{BandwidthLimit, UserControl, control_header, kind};
use crate::amf::{self, Value};
use crate::chunk::{ChunkWriter, HeaderForm, MessageHeader};
use bytes::Bytes;

/// The chunk streams that we send on. 2 is the specification's for control messages (§5.4); the others
/// are what servers have always used.
pub(crate) mod chunk_stream {
    /// Protocol and user control.
    pub(crate) const CONTROL: u32 = 2;
    /// Commands of the connection.
    pub(crate) const COMMAND: u32 = 3;
    /// Audio.
    pub(crate) const AUDIO: u8 = 4;
    /// Commands and status of a message stream.
    pub(crate) const STATUS: u32 = 5;
    /// Video.
    pub(crate) const VIDEO: u8 = 6;
    /// Data.
    pub(crate) const DATA: u8 = 8;
}

/// Encoded messages that wait to be sent.
#[derive(Debug)]
pub(crate) struct Outbox {
    writer: ChunkWriter,
    bytes: Vec<u8>,
}

impl Outbox {
    pub(crate) fn new(form: HeaderForm) -> Self {
        Self { writer: ChunkWriter::new(form), bytes: Vec::new() }
    }

    /// For the handshake, which is not chunked.
    pub(crate) fn raw(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// All that waits, as one piece.
    pub(crate) fn take(&mut self) -> Option<Bytes> {
        (!self.bytes.is_empty()).then(|| std::mem::take(&mut self.bytes).into())
    }

    pub(crate) fn message(&mut self, header: MessageHeader, body: &[u8]) {
        self.writer.write(header, body, &mut self.bytes);
    }

    /// Tells the peer our chunk size, and obeys it from the next message on.
    pub(crate) fn set_chunk_size(&mut self, size: u32) {
        self.number(kind::SET_CHUNK_SIZE, size);
        self.writer.set_chunk_size(size);
    }

    pub(crate) fn acknowledgement(&mut self, received: u32) {
        self.number(kind::ACKNOWLEDGEMENT, received);
    }

    pub(crate) fn window_ack_size(&mut self, window: u32) {
        self.number(kind::WINDOW_ACK_SIZE, window);
    }

    pub(crate) fn set_peer_bandwidth(&mut self, window: u32, limit: BandwidthLimit) {
        let [a, b, c, d] = window.to_be_bytes();
        self.message(control_header(kind::SET_PEER_BANDWIDTH), &[a, b, c, d, limit.to_wire()]);
    }

    pub(crate) fn user_control(&mut self, event: UserControl) {
        self.message(control_header(kind::USER_CONTROL), &event.encode());
    }

    /// A command on the message stream; on 0 it is the connection's.
    pub(crate) fn command(&mut self, message_stream: u32, name: &str, transaction: f64, values: &[Value]) {
        let mut body = Vec::with_capacity(256);
        amf::write(&name.into(), &mut body);
        amf::write(&transaction.into(), &mut body);
        values.iter().for_each(|value| amf::write(value, &mut body));
        let chunk_stream = if message_stream == 0 { chunk_stream::COMMAND } else { chunk_stream::STATUS };
        let header = MessageHeader { chunk_stream, message_stream, kind: kind::COMMAND_AMF0, timestamp: 0 };
        self.message(header, &body);
    }

    /// A data message.
    pub(crate) fn data(&mut self, message_stream: u32, values: &[Value]) {
        let mut body = Vec::with_capacity(64);
        values.iter().for_each(|value| amf::write(value, &mut body));
        let header = MessageHeader {
            chunk_stream: chunk_stream::STATUS,
            message_stream,
            kind: kind::DATA_AMF0,
            timestamp: 0,
        };
        self.message(header, &body);
    }

    fn number(&mut self, kind: u8, number: u32) {
        self.message(control_header(kind), &number.to_be_bytes());
    }
}
