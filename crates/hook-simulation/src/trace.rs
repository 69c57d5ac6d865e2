//! A run as text: one line for what went in, one for each thing that came out.

use crate::input::Input;
use jackfield_events::Event;
use jackfield_hooks::Output;
use jackfield_media::Mono;
use std::fmt::Write as _;

/// The lines of a run so far.
#[derive(Debug, Default)]
pub(crate) struct Trace(pub(crate) String);

impl Trace {
    pub(crate) fn input(&mut self, now: Mono, input: &Input) {
        let what = match input {
            Input::Notify(event) => format!("tell {}", name(event)),
            Input::Append(event) => format!("append {}", name(event)),
            Input::Fed => "fed".to_owned(),
            Input::Disable(hook, by) => format!("disable {hook} {by:?}"),
            Input::Crash(cursors) => format!("crash {cursors:?}"),
            Input::Ask { question, event, budget } => {
                format!("ask {question:?} {} budget {budget:?}", name(event))
            }
            Input::Answer { call, result } => match result {
                Ok(answer) => format!("answer {call:?} {:?}", answer.decision),
                Err(failure) => format!("answer {call:?} {} {:?}", failure.outcome, failure.retry),
            },
            Input::Cancel(question) => format!("cancel {question:?}"),
            Input::Tick => "tick".to_owned(),
            Input::Limit(limit) => format!("limit {limit}"),
            Input::Stop => "stop".to_owned(),
            Input::Reload(hooks, cursors) => {
                let mut text = format!("reload {cursors:?}");
                for hook in hooks {
                    self.push(&mut text, format_args!("\n               {hook:?}"));
                }
                text
            }
        };
        self.line(format_args!("{:>12.3?} > {what}", now.since_origin()));
    }

    pub(crate) fn output(&mut self, output: &Output<()>) {
        match output {
            Output::Call(call) => self.line(format_args!(
                "             < call {:?} {} {} attempt {} dropped {} deadline {:?} {:?}",
                call.call,
                call.hook,
                name(&call.event),
                call.attempt,
                call.num_dropped,
                call.deadline.since_origin(),
                call.owner
            )),
            Output::Settled(end) => self.line(format_args!(
                "             < settled {:?} {} {} {} {:?} policy {:?} next {:?} {:?}",
                end.call,
                end.hook,
                name(&end.event),
                end.outcome,
                end.decision,
                end.policy,
                end.next,
                end.owner
            )),
            Output::Dropped(lost) => self.line(format_args!(
                "             < dropped {} {} {:?}",
                lost.hook,
                name(&lost.event),
                lost.cause
            )),
            other => self.line(format_args!("             < {other:?}")),
        }
    }

    pub(crate) fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing into a string cannot fail.
        let _unfailing = writeln!(self.0, "{line}");
    }

    fn push(&self, text: &mut String, part: std::fmt::Arguments<'_>) {
        let _unfailing = text.write_fmt(part);
    }
}

fn name(event: &Event) -> String {
    let scope = event.scope();
    let mut name = format!("#{} {}", event.stamp().seq, event.event_type());
    if let Some(key) = &scope.stream_key {
        name.push(' ');
        name.push_str(key.as_str());
    }
    if let Some(epoch) = scope.epoch {
        name.push_str(&format!(" epoch {epoch}"));
    }
    if let Some(conn) = scope.conn_id {
        name.push_str(&format!(" {conn}"));
    }
    name
}
