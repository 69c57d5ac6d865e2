//! What Flash Media Server had and Flash-era clients still call: FCPublish, FCSubscribe, their counterparts,
//! and the measuring of bandwidth.
//!
//! A server announces the success of FCPublish and FCSubscribe by a call of its own. Encoders and players of
//! one kind call and go on at once; theirs comes with the answer to `publish` or `play`, so that nothing tells
//! success before the application was asked. Those of the other kind wait for it before they go on; they get
//! it when they have waited for a while, and are asked about at `publish` and `play` like everybody else.

use super::ServerSession;
use super::status::{self, Status};
use super::streams::Role;
use crate::amf::Value;
use crate::message::Command;
use crate::url;
use jackfield_media::Mono;
use std::time::Duration;

/// So long after FCPublish without `publish`, or FCSubscribe without `play`, the client is taken to wait.
const PATIENCE: Duration = Duration::from_secs(1);

/// A success message that is owed.
#[derive(Debug)]
pub(super) struct Promise {
    name: String,
    /// When it is sent in any case; `None` once `publish` or `play` has come, whose answer it waits for.
    due: Option<Mono>,
}

impl Promise {
    fn new(name: &str, now: Mono) -> Self {
        Self { name: name.to_owned(), due: Some(now.after(PATIENCE)) }
    }

    fn is_due(&self, now: Mono) -> bool {
        self.due.is_some_and(|due| due <= now)
    }
}

impl ServerSession {
    /// The commands that Flash Media Live Encoder brought, which name a stream and not its id.
    pub(super) fn on_flash_communication(&mut self, command: &Command) {
        let name = command.text(0).unwrap_or_default();
        let now = self.pulse.now();
        self.answer(command, Value::Undefined);
        match command.name.as_str() {
            "FCPublish" => self.promise_announcement(Promise::new(name, now)),
            "FCSubscribe" => self.promise_subscription(Promise::new(name, now)),
            "FCUnpublish" => self.on_fc_unpublish(name),
            _ => {}
        }
    }

    /// A connection may announce several streams before it publishes the first. Beyond the number of message
    /// streams the oldest is forgotten.
    fn promise_announcement(&mut self, mut promise: Promise) {
        let publisher = self.streams.publisher_of(&promise.name);
        if let Some(Role::PublishAsked(_)) = publisher.and_then(|id| self.streams.role(id)) {
            // `publish` came first.
            promise.due = None;
        }
        self.announced.retain(|own| !url::is_same_name(&own.name, &promise.name));
        if self.announced.len() >= self.config.limits.message_streams.max(1) {
            self.announced.remove(0);
        }
        self.announced.push(promise);
    }

    fn promise_subscription(&mut self, mut promise: Promise) {
        if self.streams.asks_to_play() {
            promise.due = None;
        }
        self.subscribed = Some(promise);
    }

    fn on_fc_unpublish(&mut self, name: &str) {
        if let Some(id) = self.streams.publisher_of(name) {
            let role = self.streams.stop(id);
            if let Some(Role::Publishing(_)) = role {
                let status = Status::note(status::UNPUBLISH_SUCCESS, "Publishing has ended.");
                self.call("onFCUnpublish", &status);
                status.write(&mut self.outbox, id);
            }
            self.report_stop(id, role);
        }
    }

    /// Nothing is measured: the call that ends the measuring has no figures, as Flash Media Server's has when
    /// it is set so.
    pub(super) fn on_check_bandwidth(&mut self, command: &Command) {
        self.answer(command, Value::Undefined);
        self.outbox.command(0, "onBWDone", 0.0, &[Value::Null]);
    }

    /// `publish` has come: from now on its answer decides.
    pub(super) fn hold_announcement(&mut self, name: &str) {
        if let Some(promise) = self.announced.iter_mut().find(|own| url::is_same_name(&own.name, name)) {
            promise.due = None;
        }
    }

    /// `play` has come: from now on its answer decides.
    pub(super) fn hold_subscription(&mut self) {
        if let Some(promise) = &mut self.subscribed {
            promise.due = None;
        }
    }

    /// `publish` was accepted.
    pub(super) fn announce(&mut self, name: &str, status: &Status) {
        let announced = self.announced.iter().position(|own| url::is_same_name(&own.name, name));
        if let Some(index) = announced {
            self.announced.remove(index);
            self.call("onFCPublish", status);
        }
    }

    /// `play` was accepted.
    pub(super) fn subscribe(&mut self, status: &Status) {
        if self.subscribed.take().is_some() {
            self.call("onFCSubscribe", status);
        }
    }

    /// When [`keep_promises`](Self::keep_promises) has something to do.
    pub(super) fn next_promise(&self) -> Option<Mono> {
        self.announced.iter().chain(&self.subscribed).filter_map(|promise| promise.due).min()
    }

    /// Sends the success messages for which clients wait.
    pub(super) fn keep_promises(&mut self, now: Mono) {
        let due: Vec<Promise> = self.announced.extract_if(.., |own| own.is_due(now)).collect();
        for promise in due {
            self.call("onFCPublish", &Status::note(status::PUBLISH_START, &promise.name));
        }
        if let Some(promise) = self.subscribed.take_if(|own| own.is_due(now)) {
            self.call("onFCSubscribe", &Status::note(status::PLAY_START, &promise.name));
        }
    }

    /// Some encoders insist on the transaction number, though no answer is wanted.
    fn call(&mut self, name: &str, status: &Status) {
        self.outbox.command(0, name, 0.0, &[Value::Null, status.to_object().into()]);
    }
}
