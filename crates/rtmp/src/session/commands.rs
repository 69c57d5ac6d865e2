//! Commands: who acts on which, and all that need no file of their own.

use super::event::{Event, Refusal};
use super::status::{self, Status};
use super::streams::Role;
use super::{Phase, ServerSession};
use crate::Error;
use crate::amf::Value;
use crate::message::{Command, UserControl};
use jackfield_media::TrackKind;
use std::time::Duration;

impl ServerSession {
    pub(super) fn on_command(&mut self, stream: u32, command: &Command) -> Result<(), Error> {
        if command.name == "connect" {
            return self.on_connect(command);
        }
        if !matches!(self.phase, Phase::Connected) {
            return Err(Error::NotConnected);
        }
        if let Some(error) = &command.unread {
            self.counters.unknown_commands += 1;
            self.answer_error(command, &format!("The command cannot be read: {error}."));
            return Ok(());
        }
        match command.name.as_str() {
            "createStream" => self.on_create_stream(command),
            "publish" => self.on_publish(stream, command),
            "play" => self.on_play(stream, command),
            "deleteStream" => self.on_delete_stream(command),
            "closeStream" => self.on_close_stream(stream),
            "releaseStream" | "FCPublish" | "FCUnpublish" | "FCSubscribe" | "FCUnsubscribe" => {
                self.on_flash_communication(command);
            }
            "pause" | "pauseRaw" => self.on_pause(stream, command),
            "receiveAudio" => self.on_receive(stream, TrackKind::Audio, command),
            "receiveVideo" => self.on_receive(stream, TrackKind::Video, command),
            // A live stream has no length.
            "getStreamLength" => self.answer(command, Value::Number(0.0)),
            "_checkbw" => self.answer(command, Value::Undefined),
            "checkBandwidth" => self.on_check_bandwidth(command),
            "seek" => self.refuse_command(stream, command, status::SEEK_FAILED, "A live stream cannot seek."),
            "play2" => {
                let description = "Switching streams is not supported.";
                self.refuse_command(stream, command, status::PLAY_FAILED, description);
            }
            // Answers to what we never ask, and what clients tell each other.
            "_result" | "_error" | "onStatus" => {}
            _ => self.on_unknown_command(command),
        }
        Ok(())
    }

    fn on_create_stream(&mut self, command: &Command) {
        match self.streams.create() {
            Some(id) => self.answer(command, Value::Number(f64::from(id))),
            None => self.answer_error(command, "There are too many message streams."),
        }
    }

    fn on_delete_stream(&mut self, command: &Command) {
        let wanted = command.argument(0).and_then(Value::as_number).unwrap_or_default();
        let known = self.streams.ids().into_iter().find(|id| f64::from(*id) == wanted);
        if let Some(id) = known {
            let role = self.streams.delete(id);
            self.report_stop(id, role);
        }
    }

    fn on_close_stream(&mut self, id: u32) {
        let role = self.streams.stop(id);
        match &role {
            Some(Role::Publishing(_)) => {
                Status::note(status::UNPUBLISH_SUCCESS, "Publishing has ended.").write(&mut self.outbox, id);
            }
            Some(Role::Playing) => {
                Status::note(status::PLAY_STOP, "Playing has ended.").write(&mut self.outbox, id);
            }
            _ => {}
        }
        self.report_stop(id, role);
    }

    pub(super) fn report_stop(&mut self, message_stream: u32, role: Option<Role>) {
        match role {
            Some(Role::Publishing(_) | Role::PublishAsked(_)) => {
                self.events.push_back(Event::Unpublish { message_stream });
            }
            Some(Role::Playing | Role::PlayAsked(_)) => {
                self.events.push_back(Event::StopPlay { message_stream });
            }
            Some(Role::Idle) | None => {}
        }
    }

    fn on_pause(&mut self, id: u32, command: &Command) {
        let paused = command.argument(0).and_then(Value::as_bool).unwrap_or(true);
        if !matches!(self.streams.role(id), Some(Role::Playing)) {
            return self.refuse_command(id, command, status::STREAM_FAILED, "Nothing is being played.");
        }
        let (event, status) = if paused {
            (UserControl::StreamEof(id), Status::note(status::PAUSE_NOTIFY, "Paused."))
        } else {
            (UserControl::StreamBegin(id), Status::note(status::UNPAUSE_NOTIFY, "Going on."))
        };
        self.outbox.user_control(event);
        status.write(&mut self.outbox, id);
        self.events.push_back(Event::Pause { message_stream: id, paused });
    }

    fn on_receive(&mut self, id: u32, kind: TrackKind, command: &Command) {
        let wanted = command.argument(0).and_then(Value::as_bool).unwrap_or(true);
        if let Some(Role::Playing | Role::PlayAsked(_)) = self.streams.role(id) {
            self.events.push_back(Event::Receive { message_stream: id, kind, wanted });
        }
    }

    pub(super) fn on_user_control(&mut self, event: UserControl) {
        match event {
            UserControl::PingRequest(number) => self.outbox.user_control(UserControl::PingResponse(number)),
            UserControl::PingResponse(number) => {
                if let Some(after) = self.pulse.on_pong(number) {
                    self.events.push_back(Event::Pong { after });
                }
            }
            UserControl::SetBufferLength { message_stream, ms } => {
                let length = Duration::from_millis(u64::from(ms));
                self.events.push_back(Event::BufferLength { message_stream, length });
            }
            // The others are the server's to say.
            _ => {}
        }
    }

    fn on_unknown_command(&mut self, command: &Command) {
        self.counters.unknown_commands += 1;
        self.answer_error(command, "The command is not known.");
    }

    pub(super) fn answer(&mut self, command: &Command, value: Value) {
        if command.wants_answer() {
            self.outbox.command(0, "_result", command.transaction, &[Value::Null, value]);
        }
    }

    fn answer_error(&mut self, command: &Command, description: &str) {
        if command.wants_answer() {
            let status = Status::error(status::CALL_FAILED, description).to_object();
            self.outbox.command(0, "_error", command.transaction, &[Value::Null, status.into()]);
        }
    }

    fn refuse_command(&mut self, id: u32, command: &Command, code: &str, description: &str) {
        self.answer_error(command, description);
        let status = Status::error(code, description);
        status.write(&mut self.outbox, id);
        self.events.push_back(Event::Refused(Refusal { message_stream: id, status }));
    }
}
