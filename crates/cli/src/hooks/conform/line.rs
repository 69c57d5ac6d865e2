//! A worker at its pipes, so that it can be told what the server's own transport never says.

use crate::hooks::local::{Local, NAME};
use jackfield_events::{DeliveryFields, Event};
use jackfield_hook_transports::worker::line::{Form, Heard, Protocol, Violation};
use jackfield_hooks::{DeliveryId, Mode, parse_answer};
use jackfield_process::{Child, Env, ExitStatus, Program, Stdin};
use jackfield_runtime::clock;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;

/// Bytes of standard error that are kept, for the last line.
const MAX_LAST_WORDS: usize = 4096;
/// How long after its end the last words may come.
const LAST_WORDS_FOLLOW: Duration = Duration::from_millis(100);

/// Why a conversation cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Broken {
    /// It could not be started.
    Unstarted(String),
    /// It said what nobody can make sense of.
    Violation(Violation),
    /// It ended.
    Ended(String),
    /// It does not answer.
    Silent,
    /// It does not read.
    Deaf,
    /// It answered, but no answer.
    NoAnswer(String),
}

impl Broken {
    /// In words.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Unstarted(why) => format!("it could not be started: {why}"),
            Self::Violation(violation) => violation.to_string(),
            Self::Ended(how) => how.clone(),
            Self::Silent => "it gave no answer in time".to_owned(),
            Self::Deaf => "it does not read its input".to_owned(),
            Self::NoAnswer(why) => why.clone(),
        }
    }
}

/// A running worker.
pub(super) struct Worker {
    child: Child,
    stdin: Option<pipe::Sender>,
    stdout: pipe::Receiver,
    last_words: Arc<Mutex<Vec<u8>>>,
    protocol: Protocol,
    heard: VecDeque<Heard>,
    next: u64,
    timeout: Duration,
    /// How many at once, once it has said hello.
    pub(super) at_once: Option<usize>,
}

/// What programs of hooks get of our environment.
pub(super) fn environment() -> Env {
    let mut env = Env::of_the_server();
    env.retain(|name| !name.as_encoded_bytes().starts_with(b"JACKFIELD_"));
    env
}

impl Worker {
    pub(super) async fn start(local: &Local, words: &[String], timeout: Duration) -> Result<Self, Broken> {
        let program = Program { env: environment(), stdin: Stdin::Pipe, ..Program::new(words) };
        let unstarted = |why: String| Broken::Unstarted(why);
        let spawned = local.host.launcher.spawn(program).await;
        let mut child = spawned.map_err(|error| unstarted(error.to_string()))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let stdout = stdout.ok_or_else(|| unstarted("it has no pipes".to_owned()))?;
        let last_words = Arc::default();
        if let Some(stderr) = child.stderr.take() {
            drop(local.host.tasks.spawn("conform.stderr", keep_last(stderr, Arc::clone(&last_words))));
        }
        let (protocol, heard) = (Protocol::default(), VecDeque::new());
        Ok(Self { child, stdin, stdout, last_words, protocol, heard, next: 1, timeout, at_once: None })
    }

    /// Waits until it has said hello, at most this long; one that never does is a plain one.
    pub(super) async fn greeted(&mut self, within: Duration) -> Result<(), Broken> {
        let deadline = clock::now().after(within);
        while self.at_once.is_none() {
            match clock::until(deadline, self.read()).await {
                None => return Ok(()),
                Some(read) => read?,
            }
        }
        Ok(())
    }

    /// Sends an event.
    pub(super) async fn send(&mut self, event: &Event) -> Result<DeliveryId, Broken> {
        self.send_changed(event, |_request| {}).await
    }

    /// Sends an event whose request is changed before.
    pub(super) async fn send_changed(
        &mut self,
        event: &Event,
        change: impl FnOnce(&mut Value),
    ) -> Result<DeliveryId, Broken> {
        let (delivery, mut request) = self.begin(event).ok_or(Broken::Silent)?;
        change(&mut request);
        self.write(&line(&request)).await?;
        Ok(delivery)
    }

    /// The request of an event that is to be written now; `None` if there is no room for it.
    pub(super) fn begin(&mut self, event: &Event) -> Option<(DeliveryId, Value)> {
        let delivery = DeliveryId(self.next);
        self.next += 1;
        let form = self.protocol.begin(delivery)?;
        Some((delivery, request(form, delivery, event, self.timeout)))
    }

    /// Writes these bytes, whatever they are.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let Some(stdin) = &mut self.stdin else { return Err(Broken::Deaf) };
        match clock::until(clock::now().after(self.timeout), stdin.write_all(bytes)).await {
            Some(Ok(())) => Ok(()),
            Some(Err(_closed)) => Err(self.how_it_ended().await),
            None => Err(Broken::Deaf),
        }
    }

    /// Waits for the answer to a delivery; it must be one.
    pub(super) async fn answer(&mut self, delivery: DeliveryId, event: &Event) -> Result<(), Broken> {
        let deadline = clock::now().after(self.timeout);
        loop {
            let mine = |heard: &Heard| matches!(heard, Heard::Answer { delivery: of, .. } if *of == delivery);
            if let Some(Heard::Answer { line, .. }) =
                self.heard.iter().position(mine).and_then(|place| self.heard.remove(place))
            {
                let parsed = parse_answer(event.spec().kind, event.stamp().id, &line);
                return parsed.map(drop).map_err(|failure| Broken::NoAnswer(failure.detail));
            }
            clock::until(deadline, self.read()).await.ok_or(Broken::Silent)??;
        }
    }

    /// Sends an event and waits for its answer.
    pub(super) async fn ask(&mut self, event: &Event) -> Result<(), Broken> {
        let delivery = self.send(event).await?;
        self.answer(delivery, event).await
    }

    /// Nobody waits for this any more.
    pub(super) async fn cancel(&mut self, delivery: DeliveryId) -> Result<(), Broken> {
        self.protocol.abandon(delivery);
        self.write(&line(&json!({"t": "cancel", "d": delivery.to_string()}))).await
    }

    async fn read(&mut self) -> Result<(), Broken> {
        let mut chunk = vec![0; 16 * 1024];
        let got = self.stdout.read(&mut chunk).await.unwrap_or(0);
        if got == 0 {
            return Err(self.how_it_ended().await);
        }
        let mut heard = Vec::new();
        let fed = self.protocol.feed(chunk.get(..got).unwrap_or_default(), &mut heard);
        for heard in heard {
            match heard {
                Heard::Hello { concurrency } => self.at_once = Some(concurrency),
                other => self.heard.push_back(other),
            }
        }
        fed.map_err(Broken::Violation)
    }

    async fn how_it_ended(&mut self) -> Broken {
        let status = clock::until(clock::now().after(self.timeout), self.child.wait()).await;
        let Some(status) = status else { return Broken::Ended("it closed its output".to_owned()) };
        clock::sleep(LAST_WORDS_FOLLOW).await;
        let words = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
        let words = String::from_utf8_lossy(&words);
        let last = words.trim_end().lines().next_back().unwrap_or_default();
        let colon = if last.is_empty() { "" } else { ": " };
        Broken::Ended(format!("it ended with {}{colon}{last}", told(status)))
    }

    /// Tells it to finish, and waits until it has.
    pub(super) async fn drain(mut self, within: Duration) -> Option<ExitStatus> {
        if self.protocol.form() == Form::Framed {
            // One that has ended already will not read it.
            drop(self.write(&line(&json!({"t": "drain"}))).await);
        }
        self.stdin = None;
        clock::until(clock::now().after(within), self.child.wait()).await
    }

    /// Sends SIGTERM; what it ends with, if it does before SIGKILL.
    pub(super) async fn terminate(mut self, grace: Duration) -> ExitStatus {
        self.child.terminate(grace);
        self.child.wait().await
    }
}

async fn keep_last(mut stderr: pipe::Receiver, words: Arc<Mutex<Vec<u8>>>) {
    let mut chunk = vec![0; 1024];
    while let Ok(got @ 1..) = stderr.read(&mut chunk).await {
        let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
        words.extend_from_slice(chunk.get(..got).unwrap_or_default());
        let over = words.len().saturating_sub(MAX_LAST_WORDS);
        words.drain(..over);
    }
}

/// The request that a worker of this form gets.
fn request(form: Form, delivery: DeliveryId, event: &Event, timeout: Duration) -> Value {
    let mode = if event.spec().kind.is_question() { Mode::Decide } else { Mode::Notify };
    let deadline_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
    let fields = DeliveryFields { hook: NAME, attempt: 1, deadline_ms };
    let with_fields = form == Form::Plain && mode == Mode::Decide;
    let envelope = event.json_for(0, with_fields.then_some(&fields));
    let envelope: Value = serde_json::from_slice(&envelope).unwrap_or_default();
    match form {
        Form::Plain => envelope,
        Form::Framed => json!({
            "t": "event", "d": delivery.to_string(), "hook": NAME, "mode": mode.as_str(), "attempt": 1,
            "deadline_ms": deadline_ms, "event": envelope,
        }),
    }
}

/// One line of the conversation.
pub(super) fn line(value: &Value) -> Vec<u8> {
    format!("{value}\n").into_bytes()
}

/// An exit status in words.
pub(super) fn told(status: ExitStatus) -> String {
    match status {
        ExitStatus::Code(code) => format!("exit code {code}"),
        ExitStatus::Signal(signal) => format!("signal {signal}"),
        ExitStatus::Lost => "the process helper".to_owned(),
    }
}
