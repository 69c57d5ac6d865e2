//! What the API asks about hooks: which are in force, and changes to those that it makes.

use super::Hooks;
use crate::api_hooks::{ApiHooks, MAX_HOOK_BYTES, MAX_HOOKS};
use crate::config::{Config, FieldProblem, Handler, Hook, HookOrigin, QUEUE};
use jackfield_api::{ConfiguredHook, HandlerKind, HookChange, HookOrigin as Origin, HookRefused};
use jackfield_dispatch::Enabled;
use jackfield_events::Masker;
use serde_json::{Map, Value};

impl Hooks {
    /// The hooks in force, in the order of chains.
    pub(crate) fn configured(&self) -> Vec<ConfiguredHook> {
        self.configured.iter().map(shown).collect()
    }

    /// Makes a change in force and on disk, or none of it.
    ///
    /// # Errors
    /// [`HookRefused`].
    pub(crate) fn change(&mut self, config: &Config, change: HookChange) -> Result<(), HookRefused> {
        let mut enabled = None;
        let (name, next) = match change {
            HookChange::Create(body) => {
                let hook = self.read(config, &body)?;
                if self.made.has(&hook.name) {
                    return Err(HookRefused::Exists);
                }
                if self.made.count() >= MAX_HOOKS {
                    return Err(HookRefused::TooMany(MAX_HOOKS));
                }
                // Also where a former one of this id was switched otherwise.
                enabled = Some(if hook.keys.enabled { Enabled::Yes } else { Enabled::No });
                (hook.name, self.made.with(kept_of(body)))
            }
            HookChange::Replace(body) => {
                let name = body.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
                self.must_be_made(&name)?;
                let hook = self.read(config, &body)?;
                let switch = if hook.keys.enabled { Enabled::Yes } else { Enabled::No };
                enabled = body.contains_key("enabled").then_some(switch);
                (hook.name, self.made.with(kept_of(body)))
            }
            HookChange::Delete(name) => {
                self.must_be_made(&name)?;
                let next = self.made.without(&name);
                (name, next)
            }
        };
        self.put_and_keep(config, next)?;
        if let Some(enabled) = enabled {
            // It was made just now.
            drop(self.dispatch.set_enabled_now(&name, enabled));
        }
        Ok(())
    }

    fn put_and_keep(&mut self, config: &Config, next: ApiHooks) -> Result<(), HookRefused> {
        let former = self.made.clone();
        self.put(config, next).map_err(|error| HookRefused::Invalid(vec![(None, error.to_string())]))?;
        let Err(error) = self.made.save() else { return Ok(()) };
        if let Err(error) = self.put(config, former) {
            tracing::error!(%error, "The former hooks cannot be put in force again");
        }
        Err(HookRefused::NotKept(error.to_string()))
    }

    /// Checks a hook; its name must be free among those of the configuration, and its id among all others.
    fn read(&self, config: &Config, body: &Map<String, Value>) -> Result<Hook, HookRefused> {
        if !config.api.allow_programs && crate::config::runs_program(body) {
            return Err(HookRefused::Program);
        }
        if serde_json::to_vec(body).map_or(usize::MAX, |text| text.len()) > MAX_HOOK_BYTES {
            return Err(HookRefused::Invalid(vec![(
                None,
                format!("it is larger than {MAX_HOOK_BYTES} bytes"),
            )]));
        }
        if let Some(name) = body.get("name").and_then(Value::as_str)
            && self.configured.iter().any(|hook| hook.origin != HookOrigin::Api && hook.name == name)
        {
            return Err(HookRefused::Exists);
        }
        let told = |problem: FieldProblem| (problem.field, problem.problem);
        let hook = config.read_api_hook(body);
        let hook = hook.map_err(|problems| HookRefused::Invalid(problems.into_iter().map(told).collect()))?;
        if self.configured.iter().any(|other| other.name != hook.name && other.id() == hook.id()) {
            let problem = format!("the hook `{}` has this id", hook.id());
            return Err(HookRefused::Invalid(vec![(Some("id".to_owned()), problem)]));
        }
        Ok(hook)
    }

    /// Only what the API has made does it change.
    fn must_be_made(&self, name: &str) -> Result<(), HookRefused> {
        if self.made.has(name) {
            return Ok(());
        }
        let is_there = self.configured.iter().any(|hook| hook.name == name);
        Err(if is_there { HookRefused::NotOfApi } else { HookRefused::NotThere })
    }
}

/// What is kept of a body: whether it is enabled is kept with its place among the events.
fn kept_of(mut body: Map<String, Value>) -> Map<String, Value> {
    body.remove("enabled");
    body
}

fn shown(hook: &Hook) -> ConfiguredHook {
    let (handler, target, queue) = match &hook.handler {
        Handler::Run { argv, .. } => (HandlerKind::Run, words(argv), hook.keys.queue.unwrap_or(QUEUE)),
        Handler::Worker { argv, .. } => (HandlerKind::Worker, words(argv), hook.keys.queue.unwrap_or(QUEUE)),
        Handler::Url(webhook) => {
            (HandlerKind::Url, Masker::default().mask(&webhook.url.0), hook.keys.queue.unwrap_or(QUEUE))
        }
        Handler::Stdio { target, queue, .. } => {
            (HandlerKind::Stdio, target.as_str().to_owned(), queue.unwrap_or(STDIO_QUEUE))
        }
    };
    ConfiguredHook {
        name: hook.name.clone(),
        id: hook.id().to_owned(),
        on: hook.on.iter().map(jackfield_events::EventType::name).collect(),
        streams: hook.streams.to_string().split_whitespace().map(str::to_owned).collect(),
        mode: hook.mode,
        handler,
        target,
        origin: match hook.origin {
            HookOrigin::File => Origin::File,
            HookOrigin::Flag => Origin::Flag,
            HookOrigin::Api => Origin::Api,
        },
        queue,
        settings: hook.settings(),
    }
}

/// Notices that wait for a standard stream, if its hook says nothing else.
const STDIO_QUEUE: usize = 4096;

/// Program and arguments; what is secret in URLs is masked.
fn words(argv: &[String]) -> String {
    let masker = Masker::default();
    let shown = |word: &String| if word.contains("://") { masker.mask(word) } else { word.clone() };
    argv.iter().map(shown).collect::<Vec<String>>().join(" ")
}
