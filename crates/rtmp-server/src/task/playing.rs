//! `play`: from the question to the last packet.

use super::tracks::Judged;
use super::{ConnectionTask, Happened, public};
use crate::format::taste::Taste;
use crate::outlet::RtmpOutlet;
use crate::role::{Role, Wishes};
use jackfield_events::{EndReason, SecretUrl};
use jackfield_gate::{PlayAsk, Refusal};
use jackfield_hub::{NotFound, Paused, PlayGrant, Subscriber, Wanted};
use jackfield_media::{Text, TrackKind};
use jackfield_rtmp::{Play, PlayEnd, status};
use jackfield_runtime::clock;
use std::sync::Arc;

/// Why nothing is played.
pub(super) enum Unplayable {
    /// The gate says so, with this reason.
    Refused(Text),
    /// There is no such stream.
    NotFound,
}

impl ConnectionTask {
    pub(super) fn on_play(&mut self, play: Play) {
        let stream = play.message_stream;
        let ask = PlayAsk {
            key: play.key,
            tc_url: self.told.tc_url.clone(),
            page_url: self.told.page_url.clone(),
            flash_ver: self.told.flash_ver.clone(),
            query: SecretUrl(play.query),
        };
        let gate = self.shared.deps.gate.clone();
        let hub = self.shared.deps.hub.clone();
        let connection = Arc::clone(&self.connection);
        self.roles.set(stream, Role::PlayAsked(Wishes::ALL));
        self.waits.set(stream, async move {
            let answer = async {
                let resolved = gate.resolve_play(&connection, ask).await.map_err(refused)?;
                let until = clock::now().after(hub.config().wait);
                if !hub.wait_live(resolved.key(), until).await {
                    return Err(Unplayable::NotFound);
                }
                gate.authorize_play(&connection, resolved).await.map_err(refused)
            };
            Happened::PlayAnswer(answer.await)
        });
    }

    pub(super) fn on_play_answer(&mut self, stream: u32, answer: Result<PlayGrant, Unplayable>) {
        let Some(Role::PlayAsked(wishes)) = self.roles.remove(stream) else { return };
        match answer {
            Ok(grant) => {
                if self.session.accept_play(stream).is_ok() {
                    self.roles.set(stream, Role::PlayGranted(wishes, grant));
                }
            }
            Err(Unplayable::NotFound) => self.not_found(stream),
            Err(Unplayable::Refused(text)) => {
                if self.session.reject_play(stream, status::PLAY_FAILED, &text).is_ok() {
                    self.end_if_idle(EndReason::Denied);
                }
            }
        }
    }

    /// The client may ask again, or for something else, so the connection stays.
    fn not_found(&mut self, stream: u32) {
        let text = "There is no such stream.";
        if self.session.reject_play(stream, status::PLAY_STREAM_NOT_FOUND, text).is_err() {
            tracing::debug!("The player did not wait for its stream");
        }
    }

    /// Attaches the players whose Play.Start is on its way; their media comes after it.
    pub(super) fn attach_granted(&mut self) {
        let mut granted = Vec::new();
        for (stream, role) in self.roles.iter_mut() {
            if let Role::PlayGranted(wishes, _) = role {
                let wishes = *wishes;
                if let Role::PlayGranted(_, grant) = std::mem::replace(role, Role::Attaching(wishes)) {
                    granted.push((stream, grant));
                }
            }
        }
        for (stream, grant) in granted {
            let (packager, taste) = self.shared.packagers.of(self.session.capabilities());
            let clock = self.shared.config.play_clock;
            let outlet = RtmpOutlet::new(packager, self.writer.clone(), stream, clock);
            let hub = self.shared.deps.hub.clone();
            self.waits.set(stream, async move {
                let attached = hub.play(grant, Box::new(outlet)).await;
                Happened::Attached(attached.map(|subscriber| (subscriber, taste)))
            });
        }
    }

    pub(super) fn on_attached(&mut self, stream: u32, answer: Result<(Subscriber, Option<Taste>), NotFound>) {
        let role = self.roles.remove(stream);
        match (answer, role) {
            (Ok((subscriber, taste)), Some(Role::Attaching(wishes))) => {
                wishes.tell(&subscriber);
                let subscriber = Arc::new(subscriber);
                self.watch(stream, &subscriber, taste.map(Judged::new));
                self.roles.set(stream, Role::Playing(subscriber));
            }
            // The publisher left in this very moment.
            (Err(NotFound), _) => self.tell_player(stream, EndReason::Unpublish),
            (Ok(_unwanted), _) => {}
        }
    }

    pub(super) async fn on_stop_play(&mut self, stream: u32) {
        self.finish_stream(stream, EndReason::ClientDisconnect).await;
    }

    pub(super) fn on_pause(&mut self, stream: u32, paused: bool) {
        let paused = if paused { Paused::Yes } else { Paused::No };
        match self.roles.get_mut(stream) {
            Some(Role::Playing(subscriber)) => subscriber.pause(paused),
            Some(Role::PlayAsked(wishes) | Role::PlayGranted(wishes, _) | Role::Attaching(wishes)) => {
                wishes.paused = paused;
            }
            _ => {}
        }
    }

    pub(super) fn on_receive(&mut self, stream: u32, kind: TrackKind, wanted: bool) {
        let wanted = if wanted { Wanted::Yes } else { Wanted::No };
        match self.roles.get_mut(stream) {
            Some(Role::Playing(subscriber)) => subscriber.receive(kind, wanted),
            Some(Role::PlayAsked(wishes) | Role::PlayGranted(wishes, _) | Role::Attaching(wishes)) => {
                wishes.receive(kind, wanted);
            }
            _ => {}
        }
    }

    /// The hub ended a player.
    pub(super) fn tell_player(&mut self, stream: u32, reason: EndReason) {
        self.ask_to_reconnect(reason);
        let (end, text) = match reason {
            EndReason::Unpublish => (PlayEnd::Unpublished, "The publisher has left."),
            EndReason::SlowSubscriber => (PlayEnd::Finished, "The player is too slow."),
            EndReason::ServerShutdown => (PlayEnd::Finished, "The server stops."),
            _ => (PlayEnd::Finished, "Playing was ended."),
        };
        let told = self.session.play_stopped(stream, end, text);
        // A player whose publisher left may play something else.
        if told.is_ok() && end == PlayEnd::Finished && self.roles.is_empty() {
            self.close(reason, text.into());
        }
    }

    /// A name was refused before anybody was asked; the client was told.
    pub(super) fn on_refused(&mut self, refusal: &jackfield_rtmp::Refusal) {
        let code = refusal.status.code.as_str();
        tracing::debug!(code, "Request refused");
        if matches!(code, status::PUBLISH_BAD_NAME | status::PLAY_STREAM_NOT_FOUND) {
            self.end_if_idle(EndReason::Denied);
        }
    }
}

/// Ends a player; returns when its stop was told.
pub(super) async fn finish_playing(subscriber: Arc<Subscriber>, reason: EndReason) {
    // The wait for its end was taken back, so this is the only one left.
    if let Some(subscriber) = Arc::into_inner(subscriber) {
        subscriber.finish(reason).await;
    }
}

fn refused(refusal: Refusal) -> Unplayable {
    Unplayable::Refused(public(refusal))
}
