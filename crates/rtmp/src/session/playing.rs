//! Playing: from `play` to its end.

use super::event::{Event, Play, Reset};
use super::publishing::{StreamName, sentence};
use super::status::{self, Status};
use super::streams::Role;
use super::{ServerSession, Withdrawn};
use crate::amf::Value;
use crate::message::{Command, Outbox, UserControl};

/// Why a play session ends from our side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlayEnd {
    /// The publisher has left.
    Unpublished,
    /// Anything else: a kick, the server's stop.
    Finished,
}

impl ServerSession {
    pub(super) fn on_play(&mut self, id: u32, command: &Command) {
        let StreamName { key, name, query } = match self.stream_name(command.text(0).unwrap_or_default()) {
            Ok(named) => named,
            Err(error) => {
                return self.refuse(id, status::PLAY_STREAM_NOT_FOUND, &sentence(error));
            }
        };
        self.hold_subscription();
        let number = |index| command.argument(index).and_then(Value::as_number);
        let reset = match command.argument(3).and_then(Value::as_bool) {
            Some(false) => Reset::Append,
            _ => Reset::Replace,
        };
        match self.streams.role(id) {
            None => return self.refuse(id, status::PLAY_FAILED, "There is no such message stream."),
            Some(Role::PublishAsked(_) | Role::Publishing(_)) => {
                return self.refuse(id, status::PLAY_FAILED, "The message stream is in use.");
            }
            Some(role) => {
                // A player that asks for another stream leaves the first.
                if let Role::Playing | Role::PlayAsked(_) = std::mem::replace(role, Role::PlayAsked(reset)) {
                    self.events.push_back(Event::StopPlay { message_stream: id });
                }
            }
        }
        self.events.push_back(Event::Play(Play {
            message_stream: id,
            key,
            name,
            query,
            start: number(1).unwrap_or(-2.0),
            duration: number(2).unwrap_or(-1.0),
            reset,
        }));
    }

    /// Answers `play`: it may, and media follows.
    ///
    /// # Errors
    /// [`Withdrawn`] if no answer is awaited on this message stream.
    pub fn accept_play(&mut self, message_stream: u32) -> Result<(), Withdrawn> {
        let reset = match self.streams.role(message_stream) {
            Some(role @ Role::PlayAsked(_)) => match std::mem::replace(role, Role::Playing) {
                Role::PlayAsked(reset) => reset,
                _ => return Err(Withdrawn),
            },
            _ => return Err(Withdrawn),
        };
        self.outbox.user_control(UserControl::StreamBegin(message_stream));
        let start = Status::note(status::PLAY_START, "Playing has begun.");
        self.subscribe(&start);
        let outbox = &mut self.outbox;
        if reset == Reset::Replace {
            Status::note(status::PLAY_RESET, "Playing from the beginning.").write(outbox, message_stream);
        }
        start.write(outbox, message_stream);
        // Lets Flash players read the samples; others skip it.
        let access = [Value::from("|RtmpSampleAccess"), Value::Boolean(true), Value::Boolean(true)];
        outbox.data(message_stream, &access);
        Ok(())
    }

    /// Answers `play`: it may not. `code` is one of [`status`](super::status):
    /// [`PLAY_STREAM_NOT_FOUND`](status::PLAY_STREAM_NOT_FOUND) or [`PLAY_FAILED`](status::PLAY_FAILED).
    /// The connection stays; close it if it is to end.
    ///
    /// # Errors
    /// [`Withdrawn`] if no answer is awaited on this message stream.
    pub fn reject_play(
        &mut self,
        message_stream: u32,
        code: &str,
        description: &str,
    ) -> Result<(), Withdrawn> {
        match self.streams.role(message_stream) {
            Some(role @ Role::PlayAsked(_)) => *role = Role::Idle,
            _ => return Err(Withdrawn),
        }
        Status::error(code, description).write(&mut self.outbox, message_stream);
        Ok(())
    }

    /// Tells a player something of what it plays; playing goes on.
    ///
    /// # Errors
    /// [`Withdrawn`] if nothing is played on this message stream.
    pub fn tell_player(&mut self, message_stream: u32, status: &Status) -> Result<(), Withdrawn> {
        match self.streams.role(message_stream) {
            Some(Role::Playing) => {
                status.write(&mut self.outbox, message_stream);
                Ok(())
            }
            _ => Err(Withdrawn),
        }
    }

    /// Ends a play session from our side: the player is told that its stream has ended.
    ///
    /// # Errors
    /// [`Withdrawn`] if nothing is played on this message stream.
    pub fn play_stopped(
        &mut self,
        message_stream: u32,
        end: PlayEnd,
        description: &str,
    ) -> Result<(), Withdrawn> {
        match self.streams.role(message_stream) {
            Some(role @ Role::Playing) => *role = Role::Idle,
            _ => return Err(Withdrawn),
        }
        write_end(&mut self.outbox, message_stream, end, description);
        Ok(())
    }
}

/// Appends what ends a player's stream: ffmpeg and librtmp stop at either status.
pub(super) fn write_end(outbox: &mut Outbox, message_stream: u32, end: PlayEnd, description: &str) {
    outbox.user_control(UserControl::StreamEof(message_stream));
    if end == PlayEnd::Unpublished {
        Status::note(status::PLAY_UNPUBLISH_NOTIFY, description).write(outbox, message_stream);
    }
    Status::note(status::PLAY_STOP, description).write(outbox, message_stream);
}
