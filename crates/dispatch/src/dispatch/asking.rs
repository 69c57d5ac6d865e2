//! A question in its asker's task: what comes for it lies in its mailbox, and its calls are made here.

use super::driving::make;
use super::{Handler, Inner};
use crate::Reply;
use jackfield_events::{Event, Verdict};
use jackfield_hooks::{CallId, QuestionId, Request};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// What the core has for one asker.
#[derive(Debug)]
pub(super) enum Mail {
    Call(Box<Request<Handler>>),
    Cancel(CallId),
    Verdict(Verdict),
}

/// Bounded by the chain: a question has one call at a time, so what lies here is at most the end of
/// one, the next, and the verdict.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    mail: VecDeque<Mail>,
    waker: Option<Waker>,
}

impl Mailbox {
    pub(super) fn put(&mut self, mail: Mail) {
        self.mail.push_back(mail);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// An open question. Dropped before its verdict, it is cancelled.
struct Asked<'a> {
    inner: &'a Arc<Inner>,
    question: QuestionId,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        // The verdict closes the mailbox.
        if self.inner.state().mailboxes.remove(&self.question).is_some() {
            self.inner.input(None, |state, now| state.core.cancel_question(now, self.question));
        }
    }
}

type Calling = Pin<Box<dyn Future<Output = Reply> + Send>>;

enum Step {
    Mail(Mail),
    Replied(CallId, Reply),
}

pub(super) async fn ask(inner: &Arc<Inner>, event: Arc<Event>) -> Verdict {
    let question = inner.input(None, |state, now| {
        let question = state.core.ask(now, event, state.budget);
        state.mailboxes.insert(question, Mailbox::default());
        question
    });
    let asked = Asked { inner, question };
    let mut calling: Option<(CallId, Calling)> = None;
    loop {
        match poll_fn(|context| asked.poll(context, &mut calling)).await {
            Step::Mail(Mail::Call(request)) => calling = Some((request.call, Box::pin(make(*request)))),
            Step::Mail(Mail::Cancel(call)) => calling = calling.filter(|(running, _)| *running != call),
            Step::Mail(Mail::Verdict(verdict)) => return verdict,
            Step::Replied(call, reply) => {
                calling = None;
                inner.finished(call, reply);
            }
        }
    }
}

impl Asked<'_> {
    fn poll(&self, context: &mut Context<'_>, calling: &mut Option<(CallId, Calling)>) -> Poll<Step> {
        if let Some(mail) = self.take_mail(context) {
            return Poll::Ready(Step::Mail(mail));
        }
        let Some((call, future)) = calling else { return Poll::Pending };
        future.as_mut().poll(context).map(|reply| Step::Replied(*call, reply))
    }

    fn take_mail(&self, context: &Context<'_>) -> Option<Mail> {
        let mut state = self.inner.state();
        let mailbox = state.mailboxes.get_mut(&self.question)?;
        let mail = mailbox.mail.pop_front();
        match mail {
            None => mailbox.waker = Some(context.waker().clone()),
            Some(Mail::Verdict(_)) => drop(state.mailboxes.remove(&self.question)),
            Some(_) => {}
        }
        mail
    }
}
