//! What a client sends, in one piece: nothing of it depends on what the server answers.

use jackfield_media::TrackKind;
use jackfield_rtmp::amf::{self, Object, Value};
use jackfield_rtmp::chunk::{ChunkWriter, HeaderForm, MessageHeader};
use jackfield_rtmp::message::kind;

/// Bytes of a picture: 2.4 Mbit/s at 30 pictures a second.
pub const PICTURE_BYTES: usize = 10_000;

/// Writes a client's messages.
pub struct Client {
    writer: ChunkWriter,
    out: Vec<u8>,
}

impl Client {
    /// With the simple handshake, `connect` and `createStream`.
    pub fn connecting() -> Self {
        let mut client = Self { writer: ChunkWriter::new(HeaderForm::Full), out: Vec::new() };
        client.out.extend([3]);
        client.out.extend([0; 2 * 1536]);
        let object = Object::new().with("app", "live").with("tcUrl", "rtmp://localhost/live");
        client.command(0, "connect", 1.0, &[object.into()]);
        client.command(0, "createStream", 2.0, &[Value::Null]);
        client
    }

    pub fn publish(&mut self) {
        self.message(0, kind::SET_CHUNK_SIZE, 0, &4096_u32.to_be_bytes());
        self.writer.set_chunk_size(4096);
        self.command(1, "publish", 3.0, &[Value::Null, "show".into(), "live".into()]);
    }

    pub fn play(&mut self) {
        self.command(1, "play", 3.0, &[Value::Null, "show".into()]);
    }

    /// The configuration of H.264.
    pub fn configuration(&mut self) {
        let body =
            [0x17, 0, 0, 0, 0, 1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 4, 0x67, 0x64, 0, 0x1f, 1, 0, 2, 0x68, 0xee];
        self.message(1, kind::VIDEO, 0, &body);
    }

    /// A picture of a stream with 30 of them a second and a key frame every two seconds.
    pub fn picture(&mut self, number: u32) {
        let mut body = vec![0x55; PICTURE_BYTES];
        let first = if number.is_multiple_of(60) { 0x17 } else { 0x27 };
        body[..9].copy_from_slice(&[first, 1, 0, 0, 0, 0, 0, 0x27, 0x07]);
        self.message(1, kind::VIDEO, number * 33, &body);
    }

    /// A frame of sound.
    pub fn sound(&mut self, number: u32) {
        let mut body = vec![0x55; 350];
        body[..2].copy_from_slice(&[0xaf, 1]);
        self.message(1, kind::AUDIO, number * 33, &body);
    }

    /// What was written since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    fn command(&mut self, message_stream: u32, name: &str, transaction: f64, values: &[Value]) {
        let mut body = Vec::new();
        amf::write(&name.into(), &mut body);
        amf::write(&transaction.into(), &mut body);
        values.iter().for_each(|value| amf::write(value, &mut body));
        self.message(message_stream, kind::COMMAND_AMF0, 0, &body);
    }

    fn message(&mut self, message_stream: u32, kind: u8, timestamp: u32, body: &[u8]) {
        let header = MessageHeader { chunk_stream: 3, message_stream, kind, timestamp };
        self.writer.write(header, body, &mut self.out);
    }
}

/// Whether frames of this kind are counted.
pub fn is_media(kind: TrackKind) -> bool {
    matches!(kind, TrackKind::Audio | TrackKind::Video)
}
