//! A message of a publisher, from its bytes to its frames.

use crate::client::{Client, is_media};
use anyhow::{Result, ensure};
use bytes::Bytes;
use jackfield_containers::flv::Unpacker;
use jackfield_media::Mono;
use jackfield_rtmp::{Event, Output, ServerConfig, ServerSession};

/// A picture and a frame of sound, so often: two messages a turn. They are written before, so that only reading is counted.
pub fn take(turns: usize) -> Result<()> {
    let mut publisher = Publisher::new()?;
    let group: Vec<Bytes> = (0..60).flat_map(|number| publisher.messages(number)).collect();
    for message in group.iter().cycle().take(2 * turns) {
        publisher.send(message.clone())?;
    }
    ensure!(publisher.frames == 2 * turns, "{} frames came out of {turns} turns", publisher.frames);
    Ok(())
}

struct Publisher {
    session: ServerSession,
    client: Client,
    unpacker: Unpacker,
    frames: usize,
}

impl Publisher {
    fn new() -> Result<Self> {
        let mut client = Client::connecting();
        client.publish();
        let session = ServerSession::new(ServerConfig::default(), 5, Mono::ZERO);
        let mut publisher = Self { session, client, unpacker: Unpacker::default(), frames: 0 };
        let commands = publisher.client.take().into();
        publisher.send(commands)?;
        Ok(publisher)
    }

    fn messages(&mut self, number: u32) -> [Bytes; 2] {
        self.client.picture(number);
        let picture = self.client.take().into();
        self.client.sound(number);
        [picture, self.client.take().into()]
    }

    fn send(&mut self, bytes: Bytes) -> Result<()> {
        self.session.handle_input(Mono::ZERO, bytes);
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Event(Event::Connect(_)) => self.session.accept_connect()?,
                Output::Event(Event::Publish(publish)) => {
                    self.session.accept_publish(Mono::ZERO, publish.message_stream)?;
                }
                Output::Event(Event::Media { kind, timestamp, body, .. }) => {
                    let unpacked = self.unpacker.unpack(kind, timestamp, body)?;
                    self.frames += unpacked.filter(|(frame, _)| is_media(frame.kind)).count();
                }
                Output::Closed(error) => return Err(error.into()),
                Output::Event(_) | Output::Write(_) => {}
            }
        }
        Ok(())
    }
}
