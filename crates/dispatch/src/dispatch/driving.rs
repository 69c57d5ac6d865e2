//! What happens under the lock, and the tasks that run for it.

use super::asking::Mail;
use super::{Handler, Inner, State};
use crate::record::{Heard, Record, Timing, is_failure};
use crate::{Call, Reply, Transport};
use jackfield_hooks::{
    CallId, DisabledBy, DropCause, Failure, Outcome, Output, Owner, QuestionId, Request, Retry,
};
use jackfield_media::Mono;
use jackfield_runtime::{CancellationToken, Tasks, catch, clock};
use std::sync::{Arc, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Notify;

impl Inner {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One input to the core, and everything that comes out of it.
    pub(crate) fn input<T>(
        self: &Arc<Self>,
        timing: Option<Timing>,
        input: impl FnOnce(&mut State, Mono) -> T,
    ) -> T {
        let mut records = Vec::new();
        let (result, deliveries) = {
            let mut state = self.state();
            let now = clock::now();
            let result = input(&mut state, now);
            while let Some(output) = state.core.poll_output() {
                self.act(&mut state, now, output, timing, &mut records);
            }
            if let Some(at) = state.core.poll_timeout()
                && state.armed.is_none_or(|armed| at < armed)
            {
                state.armed = Some(at);
                self.sooner.notify_one();
            }
            (result, (!records.is_empty()).then(|| state.trace.deliveries.clone()))
        };
        if records.iter().any(|record| matches!(record, Record::Settled(..) | Record::Dropped(..))) {
            self.ended.notify_waiters();
            self.changed.notify_one();
        }
        // A log that is slow to take its lines must not hold the lock, nor must what keeps deliveries.
        for record in records {
            record.write();
            if let Record::Disabled(hook) = &record {
                self.tell_disabled(hook.clone(), DisabledBy::Handler);
            }
            if let (Some(deliveries), Some(raw)) = (&deliveries, record.into_raw()) {
                deliveries.push(raw);
            }
        }
        result
    }

    pub(super) fn act(
        self: &Arc<Self>,
        state: &mut State,
        now: Mono,
        output: Output<Handler>,
        timing: Option<Timing>,
        records: &mut Vec<Record>,
    ) {
        match output {
            Output::Call(request) => match request.owner {
                Owner::Question(question) => state.post(question, Mail::Call(Box::new(request))),
                Owner::Notice => self.start(state, request),
            },
            Output::Cancel { call, owner: Owner::Question(question) } => {
                state.post(question, Mail::Cancel(call))
            }
            Output::Cancel { call, owner: Owner::Notice } => {
                if let Some(task) = state.running.remove(&call) {
                    task.abort();
                }
            }
            Output::Verdict { question, verdict } => state.post(question, Mail::Verdict(verdict)),
            Output::Settled(settled) => {
                let heard = match is_failure(settled.outcome) {
                    true => state.loudness.hear(now, &settled.hook),
                    false => Heard::Quiet,
                };
                let timing = timing.filter(|timing| timing.call == settled.call);
                state.bury(now, &settled);
                state.trace.settled(now, &settled, timing.as_ref());
                records.push(Record::Settled(Box::new(settled), timing, heard));
            }
            Output::Concluded(concluded) => {
                records.push(Record::Concluded(state.trace.concluded(concluded)));
            }
            Output::Dropped(dropped) => {
                state.bury_dropped(now, &dropped);
                let heard = match dropped.cause {
                    DropCause::QueueFull => state.loudness.hear(now, &dropped.hook),
                    _ => Heard::Quiet,
                };
                records.push(Record::Dropped(dropped, heard));
            }
            Output::Breaker { hook, state } => records.push(Record::Breaker(hook, state)),
            Output::Disabled { hook, hook_id } => {
                state.must_save(hook_id);
                records.push(Record::Disabled(hook));
            }
            Output::Hungry(feed) => state.call_courier(&feed),
        }
    }

    /// Runs the call of a notice in a task of its own.
    pub(super) fn start(self: &Arc<Self>, state: &mut State, request: Request<Handler>) {
        let (id, inner) = (request.call, Arc::clone(self));
        let _context = self.notices.enter();
        let task = self.tasks.spawn("hook-notice", async move {
            let reply = make(request).await;
            inner.finished(id, reply);
        });
        state.running.insert(id, task);
    }

    pub(super) fn finished(self: &Arc<Self>, call: CallId, reply: Reply) {
        let timing = Timing::of(call, &reply);
        self.input(Some(timing), |state, now| {
            if state.running.remove(&call).is_none()
                && let Ok(answer) = &reply.result
            {
                // It is a question's.
                state.trace.answered(call, answer);
            }
            state.core.answer(now, call, reply.result);
        });
    }

    pub(super) async fn quiet(&self, until: Mono) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            {
                let state = self.state();
                if state.core.is_quiet(until) && self.is_all_given(&state, until) {
                    return;
                }
            }
            ended.await;
        }
    }
}

impl State {
    pub(super) fn post(&mut self, question: QuestionId, mail: Mail) {
        if let Some(mailbox) = self.mailboxes.get_mut(&question) {
            mailbox.put(mail);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.sooner.notify_one();
    }
}

/// Makes one call behind a panic boundary.
pub(super) async fn make(request: Request<Handler>) -> Reply {
    let started = clock::now();
    let Request {
        handler: Handler(transport),
        delivery,
        hook,
        mode,
        event,
        attempt,
        num_dropped,
        deadline,
        ..
    } = request;
    let call = Call { delivery, hook, mode, event, attempt, num_dropped, deadline };
    catch(async move { transport.call(call).await }).await.unwrap_or_else(|panicked| Reply {
        result: Err(Failure { retry: Retry::No, ..Failure::new(Outcome::Crashed, panicked.to_string()) }),
        connect: Duration::ZERO,
        handler: clock::now() - started,
        pid: None,
    })
}

/// Sleeps until the core wants to know the time, again and again.
pub(super) async fn ticker(inner: Weak<Inner>, sooner: Arc<Notify>, tasks: Tasks) {
    let stopping = tasks.stopping();
    loop {
        let at = {
            let Some(inner) = inner.upgrade() else { return };
            // Outputs first: they may already need an earlier time than the core has now.
            inner.input(None, |state, now| {
                state.core.tick(now);
                state.armed = Some(Mono::ZERO);
            });
            let mut state = inner.state();
            state.armed = state.core.poll_timeout();
            state.armed
        };
        let wake = at.unwrap_or_else(clock::never);
        tokio::select! {
            () = clock::sleep_until(wake) => {}
            () = sooner.notified() => {}
            () = stopping.cancelled() => return,
        }
    }
}

/// Drains a transport that a reload took out, once the questions that may reach it are over.
pub(super) async fn retire(
    inner: Weak<Inner>,
    transport: Arc<dyn Transport>,
    budget: Duration,
    longest: Duration,
    stopping: CancellationToken,
) {
    tokio::select! {
        () = clock::sleep(budget) => {}
        // The server's own end drains it, and waits for no budget.
        () = stopping.cancelled() => return,
    }
    let Some(inner) = inner.upgrade() else { return };
    let waiting = {
        let mut state = inner.state();
        let place = state.retired.iter().position(|retired| Arc::ptr_eq(retired, &transport));
        place.map(|place| state.retired.swap_remove(place))
    };
    // Otherwise the server's own end drains it.
    if let Some(transport) = waiting {
        transport.drain(clock::now().after(longest)).await;
    }
}
