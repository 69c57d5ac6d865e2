//! The task that owns a stream: it alone changes the stream and tells its events.
//!
//! | what can happen | what it does |
//! |---|---|
//! | a publisher is registered | [`Stream::publish`]: decides takeover, then `stream_create`, `publish_stop` of the former, `publish_start` |
//! | frames, a track, the publisher's end | [`Stream::publisher_did`] |
//! | a viewer comes, leaves or is kicked | [`Stream::play`], [`Stream::leave`] |
//! | frames are due, viewers are slow, nobody returned | [`Stream::turn`] |
//! | the hub stops | [`Stream::stop`] |

mod changes;
mod fanout;
mod formats;
mod pace;
mod pairs;
mod report;
mod timeline;
mod viewer;
mod window;

use crate::grant::{PlayGrantParts, PublishGrantParts, Takeover};
use crate::hub::{Busy, Inner, NotFound};
use crate::inbox::{Command, FromPublisher, Work};
use crate::outlet::Outlet;
use crate::publisher::Publisher;
use crate::registry::{Entry, Retired};
use crate::stage::{Chain, Stages};
use crate::status::State;
use crate::subscriber::{Subscriber, ViewerId, Wishes};
use fanout::{Fanout, Joining, end_viewer};
use jackfield_events::EndReason;
use jackfield_media::{Epoch, Frame, Mono, SessionId};
use jackfield_runtime::{CancellationToken, clock};
use pairs::{Announced, Life, PlaySession, PublishSession};
use report::Report;
use std::sync::Arc;
use tokio::sync::oneshot;
use viewer::{Leave, Viewer};

pub(crate) struct Stream {
    hub: Arc<Inner>,
    entry: Arc<Entry>,
    make_stages: Option<Arc<dyn Stages>>,
    stages: Chain,
    fanout: Fanout,
    /// From `stream_create` to `stream_delete`.
    life: Option<Life>,
    session: Option<PublishSession>,
    /// Without a publisher: until when one may return, and why the last one left.
    resumable: Option<(Mono, EndReason)>,
    stopped: bool,
    report: Report,
}

impl Stream {
    pub(crate) fn new(hub: Arc<Inner>, entry: Arc<Entry>, make_stages: Option<Arc<dyn Stages>>) -> Self {
        let fanout = Fanout::new(hub.config.clone());
        Self {
            hub,
            entry,
            make_stages,
            stages: Chain::default(),
            fanout,
            life: None,
            session: None,
            resumable: None,
            stopped: false,
            report: Report::default(),
        }
    }

    pub(crate) async fn run(mut self, stopping: CancellationToken) {
        let mut work = Work::default();
        loop {
            self.entry.inbox.take(&mut work);
            if stopping.is_cancelled() {
                work.stop.get_or_insert(EndReason::ServerShutdown);
            }
            self.turn(&mut work).await;
            if self.life.is_none() {
                match self.hub.registry.retire(&self.entry) {
                    Retired::Yes => return,
                    Retired::No => continue,
                }
            }
            // A publisher that always has something must not keep the thread.
            tokio::task::consume_budget().await;
            let until = self.deadline();
            tokio::select! {
                () = self.entry.inbox.filled() => {}
                () = sleep_until(until) => {}
                () = stopping.cancelled() => {}
            }
        }
    }

    /// When something is to be done though nothing comes.
    fn deadline(&self) -> Option<Mono> {
        let resumable = self.resumable.map(|(until, _)| until);
        [self.fanout.due(), self.fanout.slow_due(), resumable].into_iter().flatten().min()
    }

    /// Handles all that has come, and what is due.
    async fn turn(&mut self, work: &mut Work) {
        let now = clock::now();
        for item in work.media.drain(..) {
            self.publisher_did(now, item).await;
        }
        for leaving in work.leaving.drain(..) {
            self.leave(now, leaving.viewer, leaving.reason);
        }
        for command in work.commands.drain(..) {
            self.command(now, command).await;
        }
        if let Some(reason) = work.stop.take() {
            self.stop(now, reason).await;
        }
        let now = clock::now();
        if self.fanout.due().is_some_and(|due| due <= now) {
            self.flush().await;
        }
        if self.fanout.slow_due().is_some_and(|due| due <= now) {
            let slow = self.fanout.end_slow(now);
            self.dismiss(slow);
        }
        if let Some((_, reason)) = self.resumable.filter(|(until, _)| *until <= now) {
            self.end_life(now, reason);
        }
        self.entry.status.set_viewers(now, self.fanout.viewers());
        self.report.tell(now, &self.entry.status.counters);
        if let Some((rates, key_frames)) = self.session.as_mut().and_then(|session| session.pace(now)) {
            let mut facts = self.entry.status.facts();
            (facts.rates, facts.key_frames) = (rates, key_frames);
        }
    }

    async fn command(&mut self, now: Mono, command: Command) {
        match command {
            Command::Publish { grant, reply } => answer(reply, self.publish(now, *grant).await),
            Command::Play { grant, outlet, reply } => answer(reply, self.play(now, *grant, outlet)),
            Command::KickPublisher { reason, reply } => {
                let found = if self.session.is_some() { Ok(()) } else { Err(NotFound) };
                self.end_session(now, reason).await;
                answer(reply, found);
            }
            Command::KickPlayer { session, reason, reply } => {
                answer(reply, self.kick_player(now, session, reason));
            }
        }
    }

    async fn publish(&mut self, now: Mono, grant: PublishGrantParts) -> Result<Publisher, Busy> {
        if self.stopped {
            return Err(Busy::Stopping);
        }
        if self.session.is_some() {
            let is_stale = self.entry.status.silent_for(now) >= self.hub.config.stale;
            let replaces = match grant.takeover {
                Takeover::Refuse => false,
                Takeover::Stale => is_stale,
                Takeover::Replace => true,
            };
            if !replaces {
                return Err(Busy::Publisher);
            }
            self.flush().await;
            if let Some(former) = self.session.take() {
                former.end(EndReason::Superseded);
            }
        }
        if self.life.is_none() {
            self.begin_life(now);
        }
        let epoch = self.hub.registry.next_epoch(&self.entry.key);
        let session = PublishSession::begin(&self.hub.bus, grant, epoch, now);
        let publisher = Publisher::new(Arc::clone(&self.entry), epoch, Arc::clone(&session.ended));
        self.entry.status.heard(now);
        self.entry.status.watch_ends(now);
        {
            let mut facts = self.entry.status.facts();
            facts.state = State::Live;
            facts.epoch = Some(epoch);
            facts.publisher = session.scope.clone();
            facts.since = now;
            (facts.rates, facts.key_frames) = (Vec::new(), None);
        }
        self.entry.status.set_tracks(Vec::new());
        self.session = Some(session);
        self.resumable = None;
        self.fanout.new_session();
        self.hub.registry.came(&self.entry.key);
        Ok(publisher)
    }

    async fn publisher_did(&mut self, now: Mono, item: FromPublisher) {
        match item {
            FromPublisher::Frames(epoch, frames) => self.frames(now, epoch, frames),
            FromPublisher::Track(epoch, track) => {
                let Some(session) = self.session.as_mut().filter(|session| session.epoch == epoch) else {
                    return;
                };
                let id = track.id;
                if session.announce(now, *track) == Announced::New {
                    self.entry.status.set_tracks(session.tracks());
                    if let Some(track) = session.track(id) {
                        self.fanout.announce(now, &track);
                    }
                }
            }
            FromPublisher::Finish(epoch, reason) => {
                if self.session.as_ref().is_some_and(|session| session.epoch == epoch) {
                    self.end_session(now, reason).await;
                }
            }
        }
    }

    fn frames(&mut self, now: Mono, epoch: Epoch, mut frames: Vec<Frame>) {
        let counters = &self.entry.status.counters;
        let Some(session) = self.session.as_mut().filter(|session| session.epoch == epoch) else {
            // The fence: whoever was superseded has no say any more.
            counters.refused_frames.add(frames.len() as u64);
            return;
        };
        session.tell_changes(now);
        self.stages.run(&mut frames);
        for frame in frames {
            if session.count(&frame).is_err() {
                counters.refused_frames.add(1);
                continue;
            }
            counters.frames.add(1);
            counters.bytes.add(frame.held_bytes() as u64);
            let track = session.track(frame.track);
            self.fanout.push(now, frame, track, &self.entry.status);
        }
    }

    fn play(
        &mut self,
        now: Mono,
        grant: PlayGrantParts,
        outlet: Box<dyn Outlet>,
    ) -> Result<Subscriber, NotFound> {
        if self.life.is_none() || self.stopped {
            return Err(NotFound);
        }
        let id = self.hub.next_viewer();
        let session = PlaySession::new(&self.hub.bus, grant, Arc::clone(&self.entry), id);
        let wishes = Arc::new(Wishes::default());
        let (entry, ended) = (Arc::clone(&self.entry), Arc::clone(&session.ended));
        let subscriber = Subscriber::new(entry, id, Arc::clone(&wishes), ended);
        let epoch = self.session.as_ref().map(|session| session.epoch);
        let leaving = self.fanout.attach(now, epoch, Joining { id, session, outlet, wishes });
        self.dismiss(leaving);
        Ok(subscriber)
    }

    fn leave(&mut self, now: Mono, viewer: ViewerId, reason: EndReason) {
        if let Some(viewer) = self.fanout.detach(viewer) {
            self.entry.status.counters.dropped_frames.add(end_viewer(viewer, now, reason));
        }
    }

    fn kick_player(&mut self, now: Mono, session: SessionId, reason: EndReason) -> Result<(), NotFound> {
        let viewer = self.fanout.find(session).ok_or(NotFound)?;
        self.leave(now, viewer, reason);
        Ok(())
    }

    async fn flush(&mut self) {
        let epoch = self.session.as_ref().map(|session| session.epoch);
        let leaving = self.fanout.flush(epoch).await;
        self.dismiss(leaving);
    }

    fn dismiss(&mut self, leaving: Vec<(Viewer, Leave)>) {
        let now = clock::now();
        for (viewer, leave) in leaving {
            self.entry.status.counters.dropped_frames.add(end_viewer(viewer, now, leave.reason()));
        }
    }

    /// Ends the publish session, and the stream with it unless a publisher may return.
    async fn end_session(&mut self, now: Mono, reason: EndReason) {
        if self.session.is_none() {
            return;
        }
        self.flush().await;
        let resume = self.hub.config.resume;
        // Whoever hears of the stop finds the key free.
        self.entry.status.facts().state = if resume.is_zero() { State::Absent } else { State::Resumable };
        if let Some(session) = self.session.take() {
            session.end(reason);
        }
        if resume.is_zero() {
            self.end_life(now, reason);
            return;
        }
        self.resumable = Some((now.after(resume), reason));
        self.fanout.new_session();
    }

    fn begin_life(&mut self, now: Mono) {
        let stages = self.make_stages.as_ref().map(|stages| stages.of(&self.entry.key));
        self.stages = Chain::new(stages.unwrap_or_default());
        self.life = Some(Life::begin(&self.hub.bus, &self.entry.key, now));
    }

    /// Ends the stream: viewers first, so that `stream_delete` is the last that is told of it.
    fn end_life(&mut self, now: Mono, reason: EndReason) {
        self.resumable = None;
        self.entry.status.facts().state = State::Absent;
        // When the server stops, the publisher may be the first to go; its players end for the same reason.
        let is_stop = self.stopped || reason == EndReason::ServerShutdown;
        let told = if is_stop { reason } else { EndReason::Unpublish };
        let missed = self.fanout.end_all(now, told);
        self.entry.status.counters.dropped_frames.add(missed);
        self.fanout = Fanout::new(self.hub.config.clone());
        if let Some(life) = self.life.take() {
            life.end(reason);
        }
    }

    async fn stop(&mut self, now: Mono, reason: EndReason) {
        self.stopped = true;
        self.end_session(now, reason).await;
        if self.life.is_some() {
            self.end_life(now, reason);
        }
    }
}

impl Drop for Stream {
    /// After a panic: closes what is open, in the order in which it would have ended. Else there is
    /// nothing left to close.
    fn drop(&mut self) {
        drop(self.session.take());
        self.fanout.abandon();
        drop(self.life.take());
        self.hub.registry.bury(&self.entry);
    }
}

/// Answers a caller. One that has gone drops what it would have got, and that comes back as its end.
fn answer<T>(reply: oneshot::Sender<T>, answer: T) {
    let _unheard = reply.send(answer);
}

async fn sleep_until(at: Option<Mono>) {
    match at {
        Some(at) => clock::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
