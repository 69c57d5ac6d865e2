//! Configured hooks as hooks of the engine: at the start, and again at each reload.

mod changes;

use crate::api_hooks::{ApiHooks, Idle};
use crate::config::{self, Config, Cwd, EnvironmentFrom, Handler, Hook, HookOrigin, PoolSize, ProgramPlace};
use crate::config::{StartWord, StdinWord, StdioForm, StdioTarget as TargetWord, Variable, Webhook};
use jackfield_bus::{Bus, Sink};
use jackfield_dispatch::{Dispatch, DispatchConfig, Transport};
use jackfield_events::{Event, EventSet, EventType};
use jackfield_hook_transports::{self as transports, ConfigError, DenialLine, EnvEntry, Host, Inherit};
use jackfield_hook_transports::{ENDING_OF_A_PROGRAM, StdioTarget, UrlConfig, WorkerConfig};
use jackfield_hook_transports::{ProgramConfig, RunConfig, Secret, StdinOf, Stdio, StdioConfig, StdioFormat};
use jackfield_hooks::{HookSpec, Mode, NoticeShare, Retries, Selector, Start};
use std::sync::Arc;
use std::time::Duration;

/// The lane of all programs of flags: the stop script never starts before the start script has ended.
const SCRIPTS_OF_FLAGS: &str = "scripts of flags";
/// The hook that `--hook-stdio-format` makes.
const STDIO_OF_FLAGS: &str = "stdio";

/// A hook's handler cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("hook `{name}`: {source}")]
pub struct HookError {
    name: String,
    source: ConfigError,
}

/// The hooks that are in force.
#[derive(Debug)]
pub(crate) struct Hooks {
    dispatch: Dispatch,
    bus: Bus,
    host: Host,
    /// Handlers in force, to be kept by a reload that does not change them.
    kept: Vec<Kept>,
    /// Those that the API has made.
    made: ApiHooks,
    /// All that are in force.
    configured: Vec<Hook>,
}

#[derive(Clone)]
struct Kept {
    name: String,
    handler: Handler,
    streams: Selector,
    origin: HookOrigin,
    built: Built,
}

#[derive(Clone)]
enum Built {
    /// Called by the engine.
    Called(Arc<dyn Transport>),
    /// Fed by the bus, in the order of all events.
    Fed(Arc<Stdio>),
}

impl Hooks {
    /// No hook yet.
    pub(crate) fn new(dispatch: Dispatch, bus: Bus, host: Host, made: ApiHooks) -> Self {
        Self { dispatch, bus, host, kept: Vec::new(), made, configured: Vec::new() }
    }

    /// Puts the configured hooks in force, in the place of the former ones.
    ///
    /// # Errors
    /// [`HookError`]; then the former ones stay.
    pub(crate) fn replace(&mut self, config: &Config) -> Result<(), HookError> {
        self.put(config, self.made.clone())
    }

    /// The same with these hooks of the API, which come last.
    fn put(&mut self, config: &Config, made: ApiHooks) -> Result<(), HookError> {
        let of_flags = config.hooks.stdio_format.map(stdio_hook);
        let (of_api, idle) = made.read(config);
        let hooks: Vec<&Hook> = config.hook.iter().chain(&of_flags).chain(&of_api).collect();
        let mut kept = Vec::new();
        for hook in &hooks {
            let built = self.build(hook).map_err(|source| HookError { name: hook.name.clone(), source })?;
            kept.push(Kept {
                name: hook.name.clone(),
                handler: hook.handler.clone(),
                streams: hook.streams.clone(),
                origin: hook.origin,
                built,
            });
        }
        let mut called: Vec<(HookSpec, Arc<dyn Transport>)> = Vec::new();
        let mut fed = Fed::default();
        for (hook, Kept { built, .. }) in hooks.iter().zip(&kept) {
            match built {
                Built::Called(transport) => called.push((spec(hook, hook.on, config), Arc::clone(transport))),
                Built::Fed(stdio) => {
                    let (questions, notices) = split(hook.on);
                    fed.0.push((notices, Arc::clone(stdio)));
                    if !questions.is_empty() {
                        called.push((spec(hook, questions, config), Arc::clone(stdio) as Arc<dyn Transport>));
                    }
                }
            }
        }
        let configured = hooks.into_iter().cloned().collect();
        self.kept = kept;
        self.configured = configured;
        self.made = made;
        idle.iter().for_each(Idle::warn);
        self.dispatch.set_config(&dispatch_config(config));
        self.dispatch.set_hooks(called);
        // With an outbox they read on in it themselves.
        if self.bus.outbox().is_none() {
            self.bus.set_sink("hooks", self.dispatch.wanted(), Arc::new(self.dispatch.clone()));
        }
        self.bus.set_sink("stdio", fed.wanted(), Arc::new(fed));
        Ok(())
    }

    /// Those that the bus feeds, to be drained at the end.
    pub(crate) fn fed(&self) -> Vec<Arc<Stdio>> {
        let fed = |kept: &Kept| match &kept.built {
            Built::Fed(stdio) => Some(Arc::clone(stdio)),
            Built::Called(_) => None,
        };
        self.kept.iter().filter_map(fed).collect()
    }

    /// The handler in force if nothing of it has changed, else a new one.
    fn build(&self, hook: &Hook) -> Result<Built, ConfigError> {
        let same = self.kept.iter().find(|kept| {
            kept.name == hook.name
                && kept.handler == hook.handler
                && kept.streams == hook.streams
                && kept.origin == hook.origin
        });
        if let Some(kept) = same {
            return Ok(kept.built.clone());
        }
        Ok(Built::Called(match &hook.handler {
            Handler::Run { argv, stdin, place } => {
                let mut run = RunConfig::new(program(hook, argv, place));
                // The engine's own bound holds for questions and for notices, and for calls that are not over.
                run.max_programs = hook.keys.concurrency.saturating_mul(4);
                run.stdin = match stdin {
                    StdinWord::Event => StdinOf::Event,
                    StdinWord::None => StdinOf::None,
                };
                run.denial = match hook.origin {
                    HookOrigin::Flag => DenialLine::Public,
                    HookOrigin::File | HookOrigin::Api => DenialLine::Text,
                };
                transports::run(run, &self.host)?
            }
            Handler::Worker { argv, place, pool } => {
                let PoolSize { min, max, queue, max_requests } = *pool;
                let program = program(hook, argv, place);
                transports::worker(WorkerConfig { program, min, max, queue, max_requests }, &self.host)?
            }
            Handler::Url(webhook) => transports::url(url_config(webhook), &self.host)?,
            Handler::Stdio { target, form, queue } => {
                let to = match target {
                    TargetWord::Stdout => StdioTarget::Stdout,
                    TargetWord::Stderr => StdioTarget::Stderr,
                };
                let format = match form {
                    StdioForm::Json => StdioFormat::Json,
                    StdioForm::Ndjson => StdioFormat::Ndjson,
                    StdioForm::Env => StdioFormat::Env,
                };
                let config = StdioConfig { to, format, streams: hook.streams.clone(), queue: *queue };
                return Ok(Built::Fed(transports::stdio(config, &self.host)));
            }
        }))
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The limits over all hooks.
pub(crate) fn dispatch_config(config: &Config) -> DispatchConfig {
    DispatchConfig {
        notice_concurrency: config.hooks.concurrency,
        question_budget: config.hooks.question_budget,
    }
}

/// Every notice to standard output.
fn stdio_hook(form: StdioForm) -> Hook {
    Hook {
        name: STDIO_OF_FLAGS.to_owned(),
        on: split(EventType::ALL.iter().copied().collect()).1,
        mode: Mode::Notify,
        streams: Selector::default(),
        handler: Handler::Stdio { target: TargetWord::Stdout, form, queue: None },
        on_error: None,
        origin: HookOrigin::Flag,
        keys: config::HookTable::default(),
    }
}

/// Questions and notices apart.
fn split(events: EventSet) -> (EventSet, EventSet) {
    let (questions, notices): (Vec<EventType>, Vec<EventType>) =
        events.iter().partition(|event| event.spec().kind.is_question());
    (questions.into_iter().collect(), notices.into_iter().collect())
}

fn spec(hook: &Hook, on: EventSet, config: &Config) -> HookSpec {
    let keys = &hook.keys;
    let is_run = matches!(hook.handler, Handler::Run { .. });
    let whole = u32::try_from(keys.schedule.len()).unwrap_or(u32::MAX);
    let retries = if is_run { Retries::of_run(keys.retries) } else { Retries::of_delivery(keys.retries) };
    HookSpec {
        id: hook.id().into(),
        revision: hook.revision(),
        streams: hook.streams.clone(),
        notice_timeout: keys.timeout.unwrap_or(config.hooks.timeout),
        ending: if is_run { ENDING_OF_A_PROGRAM } else { Duration::ZERO },
        question_timeout: keys.timeout.unwrap_or(config.hooks.question_timeout),
        on_error: hook.on_error.clone(),
        concurrency: keys.concurrency,
        rate: keys.rate,
        queue: keys.queue.unwrap_or(config::QUEUE),
        retries: if keys.retries.is_none() { Retries { limit: whole, ..retries } } else { retries },
        schedule: keys.schedule.as_slice().into(),
        start: match &keys.from {
            StartWord::Now => Start::Now,
            StartWord::Beginning => Start::Beginning,
            StartWord::At { time, .. } => Start::At(*time),
        },
        dead_letters: keys.dead_letters,
        lane_group: (is_run && hook.origin == HookOrigin::Flag).then(|| SCRIPTS_OF_FLAGS.into()),
        notice_share: match hook.handler {
            Handler::Run { .. } | Handler::Url(_) => NoticeShare::Shared,
            Handler::Worker { .. } | Handler::Stdio { .. } => NoticeShare::Own,
        },
        ..HookSpec::new(&hook.name, on, hook.mode)
    }
}

fn program(hook: &Hook, argv: &[String], place: &ProgramPlace) -> ProgramConfig {
    let entry = |variable: &Variable| match variable {
        Variable::Pass(glob) => EnvEntry::Pass(glob.clone()),
        Variable::Set(name, value) => EnvEntry::Set(name.clone(), value.reveal().to_owned()),
    };
    ProgramConfig {
        inherit: match place.from {
            EnvironmentFrom::Server => Inherit::Server,
            EnvironmentFrom::Nothing => Inherit::Nothing,
        },
        kept_back: place.kept_back.clone(),
        env: place.env.iter().map(entry).collect(),
        cwd: match &place.cwd {
            Cwd::Server => transports::Cwd::Server,
            Cwd::Private => transports::Cwd::Private,
            Cwd::Path(path) => transports::Cwd::Folder(path.clone()),
        },
        user: place.user.clone(),
        ..ProgramConfig::new(&hook.name, argv.to_vec(), place.base.clone())
    }
}

fn url_config(webhook: &Webhook) -> UrlConfig {
    let (cert, key) = webhook.identity.clone().unzip();
    let reveal = |(name, value): &(String, config::Secret)| (name.clone(), value.reveal().to_owned());
    UrlConfig {
        headers: webhook.headers.iter().map(reveal).collect(),
        secrets: webhook.secrets.iter().map(|secret| Secret::new(secret.reveal())).collect(),
        ca: webhook.ca.clone(),
        cert,
        key,
        plain_http: webhook.plain_http,
        reach: webhook.reach.clone(),
        ..UrlConfig::new(&webhook.url.0)
    }
}

/// Sends each event to the standard streams that want it.
#[derive(Debug, Default)]
struct Fed(Vec<(EventSet, Arc<Stdio>)>);

impl Fed {
    fn wanted(&self) -> EventSet {
        self.0.iter().fold(EventSet::EMPTY, |all, (wants, _)| all.union(*wants))
    }
}

impl Sink for Fed {
    fn accept(&self, event: &Arc<Event>) {
        for (wants, stdio) in &self.0 {
            if wants.contains(event.event_type()) {
                stdio.accept(event);
            }
        }
    }
}
