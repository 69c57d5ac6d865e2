//! A handler that is called without a server, by the server's own code: the same transports, and the same engine
//! for the verdict.

use super::Kind;
use crate::failed::{Exit, Failed};
use jackfield_dispatch::{Call, Reply, Transport};
use jackfield_events::{Answer, Decision, DeliveryFields, Event, EventSet, Masker, OnError, Reason, Verdict};
use jackfield_hook_transports::{
    ConfigError, DenialLine, Host, PlainHttp, ProgramConfig, ProgramError, RunConfig, UrlConfig,
    WorkerConfig, run, url, words, worker,
};
use jackfield_hooks::{Core, CoreConfig, DeliveryId, HookSpec, Mode, Output, Request, Settled};
use jackfield_media::Mono;
use jackfield_net::outbound::Outbound;
use jackfield_process::{Launcher, LauncherConfig};
use jackfield_runtime::{Tasks, clock};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// The name of a hook that has none.
pub(super) const NAME: &str = "test";
/// How long a handler is given to end.
const LEAVE: Duration = Duration::from_secs(3);
/// Between SIGTERM and SIGKILL for what is left of programs.
const GRACE: Duration = Duration::from_secs(2);
/// How long a worker may take for an answer, if nothing else is said.
const WORKER_ANSWERS: Duration = Duration::from_secs(2);
/// What a question may take beyond the hook's own time.
const SPARE: Duration = Duration::from_secs(1);

/// What is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Handler {
    Run(Vec<String>),
    Worker(Vec<String>),
    Url(String),
}

impl Handler {
    /// Reads what was typed; `None` is the name of a hook of the running server.
    ///
    /// # Errors
    /// When it cannot be told what is meant.
    pub(super) fn parse(text: &str, kind: Kind) -> Result<Option<Self>, Failed> {
        if text.starts_with("http://") || text.starts_with("https://") {
            if kind == Kind::Worker {
                return Err(Failed::new(Exit::Usage, "a URL is no worker", "Leave --worker out."));
            }
            return Ok(Some(Self::Url(text.to_owned())));
        }
        let words = words(text).map_err(|error| Failed::new(Exit::Usage, error, ""))?;
        let first = words.first().map_or("", String::as_str);
        if kind == Kind::Run && !first.contains('/') && words.len() == 1 {
            if Path::new(first).is_file() {
                let next = format!("A program is meant by its path: ./{first}");
                return Err(Failed::new(
                    Exit::Usage,
                    format!("`{first}` is read as the name of a hook"),
                    next,
                ));
            }
            return Ok(None);
        }
        Ok(Some(match kind {
            Kind::Worker => Self::Worker(words),
            Kind::Run => Self::Run(words),
        }))
    }
}

/// What handlers need that a server has.
pub(super) struct Local {
    pub(super) host: Host,
}

impl Local {
    pub(super) async fn start() -> anyhow::Result<Self> {
        show_what_handlers_print();
        let tasks = Tasks::new();
        let launcher = Launcher::start(LauncherConfig::default(), &tasks).await?;
        let outbound = Outbound::new(64, concat!("jackfield/", env!("CARGO_PKG_VERSION")));
        Ok(Self { host: Host { launcher, outbound, tasks, masker: Masker::default() } })
    }

    /// Ends all that was started, also what programs have left in the background.
    pub(super) async fn stop(self) {
        // What cannot be ended is a program that the kernel does not let go of.
        self.host.launcher.stop(GRACE).await.ok();
        self.host.tasks.stop(clock::now().after(GRACE)).await;
    }

    /// The server's transport to the handler.
    ///
    /// # Errors
    /// What the server would say of such a hook at its start.
    pub(super) fn transport(&self, handler: &Handler) -> anyhow::Result<Arc<dyn Transport>> {
        let made = match handler {
            Handler::Run(words) => {
                let config = RunConfig { denial: DenialLine::Public, ..RunConfig::new(program(words)?) };
                run(config, &self.host)
            }
            Handler::Worker(words) => {
                let config = WorkerConfig { max: 1, ..WorkerConfig::new(program(words)?) };
                worker(config, &self.host)
            }
            Handler::Url(text) => {
                let config = UrlConfig { plain_http: PlainHttp::Anywhere, ..UrlConfig::new(text) };
                url(config, &self.host)
            }
        };
        made.map_err(|error| unusable(&error).into())
    }

    /// Makes one call and tells what came of it, in the form of the API's `POST hooks/{name}/test`.
    pub(super) async fn call(
        &self,
        handler: &Handler,
        event: Event,
        timeout: Option<Duration>,
    ) -> anyhow::Result<Value> {
        let transport = self.transport(handler)?;
        // A worker that dies at once is started again and again: nobody wants to watch that for as long as a notice may take.
        let timeout = timeout.or(matches!(handler, Handler::Worker(_)).then_some(WORKER_ANSWERS));
        let called = Box::pin(Called::make(&transport, Arc::new(event), timeout)).await;
        transport.drain(clock::now().after(LEAVE)).await;
        Ok(called.json())
    }
}

fn program(words: &[String]) -> anyhow::Result<ProgramConfig> {
    let base: PathBuf = std::env::current_dir()?;
    Ok(ProgramConfig::new(NAME, words.to_vec(), base))
}

fn unusable(error: &ConfigError) -> Failed {
    let next = match error {
        ConfigError::Program(ProgramError::NotExecutable(path)) => {
            format!("chmod +x {}", path.display())
        }
        ConfigError::Program(ProgramError::Missing(_)) => {
            "`jackfield hooks init --lang python DIR` writes one to start with.".to_owned()
        }
        _ => String::new(),
    };
    Failed::new(Exit::Missing, error, next)
}

/// What programs print goes to standard error, as it goes to the server's log.
fn show_what_handlers_print() {
    let lines = fmt::layer().without_time().with_level(false).with_target(false).with_ansi(false);
    let only = Targets::new()
        .with_target("jackfield_hook_transports::output", LevelFilter::INFO)
        .with_target("jackfield_hook_transports", LevelFilter::WARN);
    let log = tracing_subscriber::registry().with(lines.with_writer(std::io::stderr).with_filter(only));
    // A log that is there already, as in tests, stays.
    drop(log.try_init());
}

/// One call and what came of it.
pub(super) struct Called {
    event: Arc<Event>,
    timeout: Duration,
    pub(super) reply: Reply,
    /// Of a question.
    pub(super) judged: Option<(Settled, Verdict)>,
}

impl Called {
    /// Makes the call as the server would: a question through the engine, for its verdict.
    pub(super) async fn make(
        transport: &Arc<dyn Transport>,
        event: Arc<Event>,
        timeout: Option<Duration>,
    ) -> Self {
        let of_a_question = event.spec().kind.is_question();
        let mode = if of_a_question { Mode::Decide } else { Mode::Notify };
        let usual = HookSpec::new(NAME, EventSet::EMPTY.with(event.event_type()), mode);
        let timeout = timeout.unwrap_or(match mode {
            Mode::Decide => usual.question_timeout,
            Mode::Notify => usual.notice_timeout,
        });
        if mode == Mode::Notify {
            let call = call(DeliveryId(1), mode, &event, clock::now().after(timeout));
            let reply = transport.call(call).await;
            return Self { event, timeout, reply, judged: None };
        }
        let hook = HookSpec { question_timeout: timeout, ..usual };
        let (reply, judged) = ask(transport, hook, Arc::clone(&event)).await;
        Self { event, timeout, reply, judged: Some(judged) }
    }

    /// The word of its outcome.
    pub(super) fn outcome(&self) -> &'static str {
        match &self.reply.result {
            Ok(_) => "answered",
            Err(failure) => failure.outcome.as_str(),
        }
    }

    /// What the failure says of itself.
    pub(super) fn detail(&self) -> &str {
        self.reply.result.as_ref().err().map_or("", |failure| failure.detail.as_str())
    }

    fn json(&self) -> Value {
        let deadline_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        let delivery = DeliveryFields { hook: NAME, attempt: 1, deadline_ms };
        let request = self.event.json_for(0, self.judged.is_some().then_some(&delivery));
        let mut call = json!({
            "request": serde_json::from_slice::<Value>(&request).unwrap_or_default(),
            "outcome": self.outcome(),
            "detail": self.detail(),
            "queued_ms": 0,
            "connect_ms": milliseconds(self.reply.connect),
            "handler_ms": milliseconds(self.reply.handler),
        });
        if let Some((settled, verdict)) = &self.judged {
            // The engine may find an answer to be none that fits the question.
            call["outcome"] = settled.outcome.as_str().into();
            call["detail"] = settled.detail.as_str().into();
            call["policy"] = settled.policy.as_ref().map(OnError::word).into();
            call["decision"] = settled.decision.as_ref().map(word).into();
            call["answer"] = self.reply.result.as_ref().ok().map(answer).into();
            match verdict {
                Verdict::Allow { key, .. } => {
                    call["verdict"] = "allow".into();
                    call["key"] = key.as_ref().map(|key| key.as_str()).into();
                }
                Verdict::Deny(denial) => {
                    call["verdict"] = "deny".into();
                    call["reason"] = reason(&denial.reason);
                }
            }
        }
        call
    }
}

/// Asks one hook through the engine.
async fn ask(
    transport: &Arc<dyn Transport>,
    hook: HookSpec,
    event: Arc<Event>,
) -> (Reply, (Settled, Verdict)) {
    let mut core: Core<()> = Core::new(&CoreConfig { notice_concurrency: 1, seed: 1 }, Masker::default());
    let budget = hook.question_timeout + SPARE;
    core.replace_hooks(clock::now(), vec![(hook, ())]);
    core.ask(clock::now(), event, budget);
    let (mut reply, mut settled) = (None, None);
    loop {
        match core.poll_output() {
            Some(Output::Call(request)) => {
                let Request { call: id, delivery, mode, event, deadline, .. } = request;
                let answer = transport.call(call(delivery, mode, &event, deadline)).await;
                core.answer(clock::now(), id, answer.result.clone());
                reply = Some(answer);
            }
            Some(Output::Settled(end)) => settled = Some(end),
            Some(Output::Verdict { verdict, .. }) => {
                let reply = reply.expect("invariant: the only hook is called before the verdict");
                let settled = settled.expect("invariant: a call is settled before the verdict");
                return (reply, (settled, verdict));
            }
            Some(_other) => {}
            None => core.tick(core.poll_timeout().unwrap_or_else(clock::never)),
        }
    }
}

fn call(delivery: DeliveryId, mode: Mode, event: &Arc<Event>, deadline: Mono) -> Call {
    Call { delivery, hook: NAME.into(), mode, event: Arc::clone(event), attempt: 1, num_dropped: 0, deadline }
}

fn word(decision: &Decision) -> &'static str {
    match decision {
        Decision::Pass => "pass",
        Decision::Allow => "allow",
        Decision::Deny => "deny",
        Decision::Replace(_) => "replace",
    }
}

fn answer(answer: &Answer) -> Value {
    let mut shown = json!({ "decision": word(&answer.decision) });
    if let Decision::Replace(value) = &answer.decision {
        shown["value"] = value.as_str().into();
    }
    if answer.reason != Reason::default() {
        shown["reason"] = reason(&answer.reason);
    }
    for (name, value) in &answer.tags {
        shown["tags"][name.as_str()] = value.as_str().into();
    }
    if answer.unknown_fields > 0 {
        shown["unknown_fields"] = answer.unknown_fields.into();
    }
    shown
}

fn reason(reason: &Reason) -> Value {
    let parts = [("code", &reason.code), ("text", &reason.text), ("public", &reason.public)];
    let said =
        parts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.as_ref()?.as_str().into())));
    Value::Object(said.collect())
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_program_and_a_word_a_hook_of_the_server() {
        let parse = |text, kind| Handler::parse(text, kind).unwrap();
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            parse("./auth.py --x 'a b'", Kind::Run),
            Some(Handler::Run(words(&["./auth.py", "--x", "a b"])))
        );
        assert_eq!(
            parse("python3 auth.py", Kind::Worker),
            Some(Handler::Worker(words(&["python3", "auth.py"])))
        );
        assert_eq!(parse("cat", Kind::Worker), Some(Handler::Worker(words(&["cat"]))));
        assert_eq!(parse("http://h/x", Kind::Run), Some(Handler::Url("http://h/x".to_owned())));
        assert_eq!(parse("auth", Kind::Run), None);
        assert!(Handler::parse("http://h/x", Kind::Worker).is_err());
        assert!(Handler::parse("./a 'b", Kind::Run).is_err());
        assert!(Handler::parse("Cargo.toml", Kind::Run).is_err());
    }
}
