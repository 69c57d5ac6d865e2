//! `publish`: from the question to the last frame.

use super::{ConnectionTask, Happened, public};
use crate::hold::{Batch, Media};
use crate::role::Role;
use jackfield_events::{EndReason, PublishType, SecretUrl};
use jackfield_gate::{PublishAsk, Refusal};
use jackfield_hub::{Busy, PublishGrant, Publisher};
use jackfield_rtmp::{Publish, PublishKind, Status, status};
use jackfield_runtime::clock;
use std::sync::Arc;

impl ConnectionTask {
    pub(super) fn on_publish(&mut self, publish: Publish) {
        let stream = publish.message_stream;
        let ask = PublishAsk {
            key: publish.key,
            publish_type: match publish.kind {
                PublishKind::Live => PublishType::Live,
                PublishKind::Record => PublishType::Record,
                PublishKind::Append => PublishType::Append,
            },
            tc_url: self.told.tc_url.clone(),
            page_url: self.told.page_url.clone(),
            flash_ver: self.told.flash_ver.clone(),
            query: SecretUrl(publish.query),
        };
        let gate = self.shared.deps.gate.clone();
        let connection = Arc::clone(&self.connection);
        self.roles.set(stream, Role::PublishAsked(Batch::default()));
        self.waits.set(stream, async move {
            Happened::PublishAnswer(gate.publish(&connection, ask).await.map(Box::new))
        });
    }

    pub(super) fn on_publish_answer(&mut self, stream: u32, answer: Result<Box<PublishGrant>, Refusal>) {
        let Some(Role::PublishAsked(batch)) = self.roles.remove(stream) else { return };
        match answer {
            Ok(grant) => {
                let hub = self.shared.deps.hub.clone();
                self.roles.set(stream, Role::Registering(batch));
                self.waits.set(stream, async move { Happened::Registered(hub.publish(*grant).await) });
            }
            Err(refusal) => self.refuse_publish(stream, &public(refusal)),
        }
    }

    pub(super) async fn on_registered(&mut self, stream: u32, answer: Result<Publisher, Busy>) {
        let held = self.roles.remove(stream);
        let publisher = match answer {
            Ok(publisher) => publisher,
            Err(busy) => return self.refuse_publish(stream, busy_text(busy)),
        };
        let accepted = self.session.accept_publish(clock::now(), stream);
        let (Some(Role::Registering(batch)), Ok(())) = (held, accepted) else {
            return publisher.finish(EndReason::Unpublish).await;
        };
        let publisher = Arc::new(publisher);
        let watched = Arc::clone(&publisher);
        self.waits.set(stream, async move { Happened::Ended(watched.ended().await) });
        self.roles.set(stream, Role::Publishing { publisher, batch });
    }

    fn refuse_publish(&mut self, stream: u32, text: &str) {
        if self.session.reject_publish(stream, status::PUBLISH_BAD_NAME, text).is_ok() {
            self.end_if_idle(EndReason::Denied);
        }
    }

    pub(super) fn on_media(&mut self, stream: u32, timestamp: i64, media: Media) {
        let Some(Role::PublishAsked(batch) | Role::Registering(batch) | Role::Publishing { batch, .. }) =
            self.roles.get_mut(stream)
        else {
            return;
        };
        if let Err(error) = batch.push(timestamp, media) {
            self.shared.counters.malformed_media(&error);
        }
    }

    /// Whether publishers that are asked about have sent as much as may be held of a connection.
    pub(super) fn is_holding_enough(&self) -> bool {
        let asked = self.roles.iter().filter_map(|role| match role {
            Role::PublishAsked(batch) | Role::Registering(batch) => Some(batch),
            _ => None,
        });
        Batch::are_full(asked, &self.shared.config.hold)
    }

    /// Hands all that was read to the hub. A kick or stop comes before a hub that lags.
    pub(super) async fn deliver_all(&mut self) {
        for (_, role) in self.roles.iter_mut() {
            let Role::Publishing { publisher, batch } = role else { continue };
            if batch.is_empty() {
                continue;
            }
            tokio::select! {
                biased;
                // An end is heard by the wait for it; what comes after it is left out.
                _ended = batch.deliver(publisher) => {}
                () = self.stopping.cancelled() => {}
                _kick = self.connection.kicked() => {}
            }
        }
    }

    pub(super) async fn on_unpublish(&mut self, stream: u32) {
        self.finish_stream(stream, EndReason::Unpublish).await;
    }

    /// The hub ended a publisher: another one took the key, or somebody kicked it.
    pub(super) fn tell_publisher(&mut self, stream: u32, reason: EndReason) {
        self.ask_to_reconnect(reason);
        let text = match reason {
            EndReason::Superseded => "Another publisher has taken over.",
            EndReason::ServerShutdown => "The server stops.",
            _ => "Publishing was ended.",
        };
        let status = Status::note(status::UNPUBLISH_SUCCESS, text);
        if self.session.publish_stopped(stream, &status).is_ok() && self.roles.is_empty() {
            self.close(reason, text.into());
        }
    }
}

/// Ends a publisher after all that it sent; returns when its stop was told.
pub(super) async fn finish_publishing(publisher: Arc<Publisher>, mut batch: Batch, reason: EndReason) {
    // If the session has ended already, that end stands and the frames are left out.
    let _ended = batch.deliver(&publisher).await;
    // The wait for its end was taken back, so this is the only one left.
    if let Some(publisher) = Arc::into_inner(publisher) {
        publisher.finish(reason).await;
    }
}

fn busy_text(busy: Busy) -> &'static str {
    match busy {
        Busy::Publisher => "The stream has a publisher.",
        Busy::Stopping => "The server stops.",
    }
}
