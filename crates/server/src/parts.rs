//! The parts of a running server: how they are made, and in which order they end.

use crate::api_hooks::ApiHooks;
use crate::config::{self, Config, Flags, Problems, TakeoverWord};
use crate::control::{self, Request, Requests};
use crate::exposure::exposure;
use crate::folder::DataFolder;
use crate::hooks::{Hooks, dispatch_config};
use crate::limits;
use crate::start::StartError;
use crate::tls::Tls;
use crate::visible;
use jackfield_api::tokens::TokenStore;
use jackfield_api::{ApiConfig, ApiDeps, Configuration, Draining, Health, ReloadError, Reloaded};
use jackfield_api::{Metrics, MetricsConfig, MetricsSources};
use jackfield_bus::{Bus, Outbox, OutboxConfig, Recovered};
use jackfield_dispatch::{Dispatch, KeepConfig, KeepError, Transport};
use jackfield_events::{EndReason, Masker};
use jackfield_gate::Gate;
use jackfield_hook_transports::Host;
use jackfield_http::{HttpConfig, HttpServer};
use jackfield_hub::{Hub, HubConfig, Takeover};
use jackfield_net::outbound::Outbound;
use jackfield_process::{Launcher, LauncherConfig};
use jackfield_rtmp::ServerConfig;
use jackfield_rtmp_server::{Deps, RtmpConfig, RtmpServer};
use jackfield_runtime::{Tasks, clock};
use jackfield_sessions::Connections;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// Requests to webhooks under way at once, over all hooks: each holds a descriptor.
const MAX_REQUESTS: usize = 1024;
/// How long clients are given for their farewell.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long programs that are told to end are given before they are killed.
const GRACE: Duration = Duration::from_secs(2);
/// How long tasks that have nothing to do any more are waited for.
const LEFT_OVER: Duration = Duration::from_millis(500);

/// What stands inside a running server, for a program that has the server in its own process: it looks at it, sends
/// clients away, and tells facts of its own.
#[derive(Debug, Clone)]
pub struct Inside {
    /// The connections of clients.
    pub connections: Connections,
    /// The streams.
    pub hub: Hub,
    /// The hooks.
    pub dispatch: Dispatch,
    /// What happens.
    pub bus: Bus,
    /// The addresses of RTMP, in the order of the configuration: clear text first, then TLS.
    pub rtmp: Vec<SocketAddr>,
}

/// Everything that runs.
pub(crate) struct Parts {
    tasks: Tasks,
    launcher: Launcher,
    bus: Bus,
    hooks: Hooks,
    dispatch: Dispatch,
    hub: Hub,
    connections: Connections,
    rtmp: jackfield_rtmp_server::Running,
    http: HttpServer,
    /// The listener of metrics.
    scrapes: HttpServer,
    health: Health,
    tls: Tls,
    requests: Requests,
    config: Config,
    /// Held until nothing writes into it any more.
    _folder: DataFolder,
}

impl Parts {
    /// Builds and starts everything; the listeners come last. Notices are delivered in a runtime of their own.
    pub(crate) async fn start(config: &Config, notices: &Handle) -> Result<Self, StartError> {
        let tasks = Tasks::new();
        // Before anything takes memory or descriptors: its programs inherit neither.
        let launcher = Launcher::start(LauncherConfig::default(), &tasks).await?;
        let max_connections = limits::room_for_connections(config);
        for line in config.warnings.lines() {
            tracing::warn!("Configuration: {line}");
        }
        let folder = DataFolder::take(&config.server.data_dir)?;
        let masker = Masker::new(&config.security.secret_params);
        let bus = Bus::new(&node_name(config), masker.clone());
        let (bus, recovered) = with_outbox(bus, config, &folder, &tasks)?;
        let dispatch =
            Dispatch::with_notices_on(notices.clone(), dispatch_config(config), masker.clone(), &tasks);
        keep_notices(&dispatch, &bus, config, &folder)?;
        dispatch.keep_deliveries(visible::deliveries(config, &folder, masker.clone(), (&tasks, notices))?);
        let user_agent = concat!("jackfield/", env!("CARGO_PKG_VERSION"));
        let outbound = Outbound::new(MAX_REQUESTS, user_agent);
        let host = Host { launcher: launcher.clone(), outbound, tasks: tasks.clone(), masker };
        let made = ApiHooks::load(&config.server.data_dir)?;
        let mut hooks = Hooks::new(dispatch.clone(), bus.clone(), host, made);
        hooks.replace(config)?;
        // Once there is somebody to tell it to, and before anybody can begin anew what it ends.
        bus.close_pairs(&recovered.open);

        let Recovered { epochs, last_conn, last_session, .. } = recovered;
        let (hub, minter) = Hub::with_epochs(hub_config(config), bus.clone(), tasks.clone(), epochs);
        let gate = Gate::new(dispatch.clone(), hub.clone(), minter, bus.clone(), takeover(config));
        gate.slow_guessing(NonZeroU32::new(config.security.max_denials_per_minute));
        let media = limits::media(config, max_connections);
        let connections = Connections::numbered_after(bus.clone(), media, last_conn, last_session);
        let tls = Tls::start(config, &tasks)?;
        let health = Health::default();
        let (remote, requests) = control::remote();
        let sources = MetricsSources {
            hub: hub.clone(),
            connections: connections.clone(),
            dispatch: dispatch.clone(),
            bus: bus.clone(),
            node: node_name(config).into(),
        };
        let metrics = Metrics::new(sources, MetricsConfig { max_streams: config.metrics.max_streams });
        let api = ApiDeps {
            hub: hub.clone(),
            connections: connections.clone(),
            dispatch: dispatch.clone(),
            bus: bus.clone(),
            metrics: metrics.clone(),
            control: Arc::new(remote),
            health: health.clone(),
            tokens: TokenStore::open(&config.server.data_dir)?,
            node: node_name(config).into(),
            tasks: tasks.clone(),
        };
        let console = jackfield_api::console::routes(exposure(config));
        let routes = jackfield_api::routes(api, api_config(config)).merge(console);
        let http = HttpServer::start(http_config(config, &tls), routes, &tasks)?;
        let deps = Deps { gate, hub: hub.clone(), connections: connections.clone(), tasks: tasks.clone() };
        let rtmp = RtmpServer::start(rtmp_config(config, &tls), deps)?;
        let counting = rtmp.counting();
        metrics.count_faults(move || visible::faults(&counting()));
        let scrapes = visible::serve_metrics(config, metrics, &tasks)?;
        let config = config.clone();
        Ok(Self {
            tasks,
            launcher,
            bus,
            hooks,
            dispatch,
            hub,
            connections,
            rtmp,
            http,
            scrapes,
            health,
            tls,
            requests,
            config,
            _folder: folder,
        })
    }

    /// What a program that has the server in its process may hold.
    pub(crate) fn inside(&self) -> Inside {
        Inside {
            connections: self.connections.clone(),
            hub: self.hub.clone(),
            dispatch: self.dispatch.clone(),
            bus: self.bus.clone(),
            rtmp: self.rtmp.addrs().to_vec(),
        }
    }

    /// Reads the configuration again and replaces the certificates and the hooks. A bad one changes neither, but
    /// the certificates that are in force are read again all the same.
    ///
    /// # Errors
    /// What is wrong, which the log has been told.
    pub(crate) fn reload(&mut self, flags: &Flags) -> Result<Reloaded, ReloadError> {
        let config = match Config::load(flags, config::environment()) {
            Ok(config) => config,
            Err(problems) => {
                tracing::error!(
                    problems = problems.count(),
                    "The configuration is not valid, the former hooks stay{}",
                    problems.without_text()
                );
                self.tls.read_again();
                return Err(ReloadError::Refused { problems: lines(&problems) });
            }
        };
        for line in config.warnings.lines() {
            tracing::warn!("Configuration: {line}");
        }
        self.tls.reload(&config);
        if let Err(error) = self.hooks.replace(&config) {
            tracing::error!(%error, "A hook cannot be made, the former hooks stay");
            return Err(ReloadError::Refused { problems: vec![error.to_string()] });
        }
        let mut warnings: Vec<String> = lines(&config.warnings);
        for table in self.config.tables_that_differ(&config) {
            tracing::warn!(table, "Changes of this table need a restart");
            warnings.push(format!("{table}: changes of this table need a restart"));
        }
        tracing::info!(hooks = config.hook.len(), "The hooks have been replaced");
        let hooks = config.hook.len();
        self.in_force(config);
        Ok(Reloaded { hooks, warnings })
    }

    /// The hooks of this configuration are in force; of all else those of the start.
    fn in_force(&mut self, config: Config) {
        self.config.hooks = config.hooks;
        self.config.hook = config.hook;
        self.config.secret_variables = config.secret_variables;
        self.config.api.allow_programs = config.api.allow_programs;
        self.config.api.allow_networks = config.api.allow_networks;
    }

    /// What the API asks for next; never ends. Cancel-safe.
    pub(crate) async fn request(&mut self) -> Request {
        match self.requests.recv().await {
            Some(request) => request,
            None => std::future::pending().await,
        }
    }

    /// Does what the API asks for.
    pub(crate) fn answer(&mut self, request: Request, flags: &Flags) {
        match request {
            Request::Reload(reply) => reply.send(self.reload(flags)),
            Request::Drain(reply) => reply.send(self.drain()),
            Request::Configuration(reply) => reply.send(self.configuration()),
            Request::Hooks(reply) => reply.send(self.hooks.configured()),
            Request::ChangeHook(change, reply) => reply.send(self.hooks.change(&self.config, change)),
        }
    }

    /// Takes in nobody any more; whoever is there goes on.
    fn drain(&self) -> Draining {
        self.health.drain();
        self.rtmp.stop_accepting();
        let connections = self.connections.count();
        tracing::info!(connections, "Draining: nobody is taken in any more");
        Draining { connections }
    }

    fn configuration(&self) -> Configuration {
        let toml = self.config.to_toml();
        let tables = toml::from_str(&toml).unwrap_or_else(|error| {
            tracing::error!(%error, "The merged configuration cannot be read back");
            serde_json::Value::Null
        });
        Configuration { tables, toml }
    }

    /// Stops in order: no more clients, the events of their end, the hooks of these, what programs are left.
    pub(crate) async fn stop(self, drain_timeout: Duration) {
        self.health.drain();
        // The API hears that nothing is done for it any more.
        drop(self.requests);
        tracing::info!("Jackfield stops; a second signal ends it at once");
        let left = self.rtmp.stop(clock::now().after(FAREWELL)).await;
        if left > 0 {
            tracing::warn!(left, "Some connections did not end in time");
        }
        let stopped = clock::until(clock::now().after(FAREWELL), self.hub.stop(EndReason::ServerShutdown));
        if stopped.await.is_none() {
            tracing::error!("Some streams did not end in time: their stop events are lost");
        }
        let deadline = clock::now().after(drain_timeout);
        self.dispatch.drain(deadline).await;
        for stdio in self.hooks.fed() {
            stdio.drain(deadline).await;
        }
        if let Err(error) = self.launcher.stop(GRACE).await {
            tracing::error!(%error, "Some programs could not be ended");
        }
        self.http.stop(clock::now().after(GRACE)).await;
        self.scrapes.stop(clock::now().after(GRACE)).await;
        if clock::until(clock::now().after(FAREWELL), self.bus.close()).await.is_none() {
            tracing::error!("The disk takes no events: what it has not got is lost");
        }
        self.tasks.stop(clock::now().after(LEFT_OVER)).await;
    }
}

/// The bus with its outbox, if there shall be one, and what the last server left there.
fn with_outbox(
    bus: Bus,
    config: &Config,
    folder: &DataFolder,
    tasks: &Tasks,
) -> Result<(Bus, Recovered), StartError> {
    let events = &config.events;
    if !events.outbox {
        return Ok((bus, Recovered::default()));
    }
    let defaults = OutboxConfig::new(folder.events());
    let (outbox, recovered) = Outbox::open(
        OutboxConfig {
            fsync: events.fsync.0,
            retain: events.retain,
            retain_bytes: events.retain_bytes.0,
            // Whole segments are removed: a few of them must be less than what is kept.
            segment_bytes: defaults.segment_bytes.min(events.retain_bytes.0 / 8),
            memory_bytes: usize::try_from(events.memory.0).unwrap_or(usize::MAX),
            spare: events.spare.folder(),
            ..defaults
        },
        tasks,
    )?;
    Ok((bus.with_outbox(outbox, tasks), recovered))
}

/// Feeds hooks from the outbox, if there is one; before anything is told.
fn keep_notices(
    dispatch: &Dispatch,
    bus: &Bus,
    config: &Config,
    folder: &DataFolder,
) -> Result<(), KeepError> {
    dispatch.tell_on(bus);
    let Some(outbox) = bus.outbox().cloned() else { return Ok(()) };
    let (retain, fsync) = (config.events.retain, config.events.fsync.0);
    dispatch.keep_notices(KeepConfig { outbox, folder: folder.events(), retain, fsync })
}

/// Each problem on a line of its own, without the text of the file.
fn lines(problems: &Problems) -> Vec<String> {
    problems.without_text().lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn api_config(config: &Config) -> ApiConfig {
    ApiConfig { cors: config.api.cors.0.clone() }
}

fn node_name(config: &Config) -> String {
    let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    config.server.node.clone().unwrap_or_else(host)
}

fn hub_config(config: &Config) -> HubConfig {
    let hub = &config.hub;
    HubConfig {
        queue_bytes: usize::try_from(hub.queue_bytes.0).unwrap_or(usize::MAX),
        queue: Duration::from_millis(hub.queue_ms),
        slow: Duration::from_millis(hub.slow_ms),
        max_latency: Duration::from_millis(hub.max_latency_ms),
        wait: Duration::from_millis(hub.wait_ms),
        resume: Duration::from_millis(hub.resume_ms),
        ..HubConfig::default()
    }
}

fn takeover(config: &Config) -> Takeover {
    match config.hub.takeover {
        TakeoverWord::Stale => Takeover::Stale,
        TakeoverWord::Refuse => Takeover::Refuse,
        TakeoverWord::Replace => Takeover::Replace,
    }
}

fn http_config(config: &Config, tls: &Tls) -> HttpConfig {
    HttpConfig {
        listen: config.http.listen.0.clone(),
        listen_tls: tls.https.clone(),
        header_timeout: config.http.header_timeout,
        limits: limits::http(config),
        ..HttpConfig::default()
    }
}

fn rtmp_config(config: &Config, tls: &Tls) -> RtmpConfig {
    RtmpConfig {
        listen: config.rtmp.listen.clone(),
        listen_tls: tls.rtmps.clone(),
        session: ServerConfig {
            chunk_size: u32::try_from(config.rtmp.chunk_size.0).unwrap_or(u32::MAX),
            handshake_timeout: config.rtmp.handshake_timeout,
            idle_timeout: config.rtmp.idle_timeout,
            publisher_silence: config.rtmp.publish_timeout,
            ..ServerConfig::default()
        },
        trusted_proxies: limits::proxies(config),
        ..RtmpConfig::default()
    }
}
