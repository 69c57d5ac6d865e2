//! The server as a whole: whether it is well, what it is, how it is configured; reload and drain.

mod trouble;

use crate::auth::{Caller, Scope};
use crate::control::{Draining, ReloadError, Reloaded};
use crate::deps::Api;
use crate::problem::{Problem, ProblemBody};
use crate::query::{Params, Time};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jackfield_runtime::clock;
use serde::{Deserialize, Serialize};
use trouble::{HookProblem, OutboxHealth};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(version))
        .routes(routes!(config))
        .routes(routes!(reload))
        .routes(routes!(drain))
}

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Probe {
    /// Whether the process answers: always 200.
    Live,
    /// Whether it takes new clients: 503 while it drains or stops.
    Ready,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct HealthQuery {
    /// `live` or `ready`; `ready` if absent.
    #[param(inline)]
    probe: Option<Probe>,
}

#[derive(Debug, Serialize, ToSchema)]
struct HealthAnswer {
    /// Whether new clients are taken.
    status: HealthWord,
    /// The hooks that something is wrong with; only for tokens that may read everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    hooks: Option<Vec<HookProblem>>,
    /// Whether notices are kept on disk; only for tokens that may read everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    outbox: Option<OutboxHealth>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum HealthWord {
    Ok,
    Draining,
}

/// Whether the server is well
///
/// Needs no token; with one that may read everything it also names the hooks that something is wrong with.
#[utoipa::path(get, path = "/api/v1/health", tag = "server", params(HealthQuery),
    responses(
        (status = 200, description = "It takes new clients, or lives, if that was asked.", body = HealthAnswer),
        (status = 503, description = "It drains or stops.", body = HealthAnswer),
    ),
    security((), ("bearer" = ["read"])))]
async fn health(
    State(api): State<Api>,
    caller: Option<Caller>,
    Params(query): Params<HealthQuery>,
) -> Response {
    let is_draining = api.deps.health.is_draining();
    let word = if is_draining { HealthWord::Draining } else { HealthWord::Ok };
    let code = match (is_draining, query.probe) {
        (true, None | Some(Probe::Ready)) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    };
    let sees_all = caller.is_some_and(|caller| caller.can(Scope::Read, None));
    let answer = HealthAnswer {
        status: word,
        hooks: if sees_all { Some(trouble::of_hooks(&api).await) } else { None },
        outbox: sees_all.then(|| trouble::of_outbox(&api)),
    };
    (code, Json(answer)).into_response()
}

#[derive(Debug, Serialize, ToSchema)]
struct Version {
    /// The server's version.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// The name of this server in events.
    node: String,
    /// When it started.
    started_at: Time,
    /// How long ago that was.
    uptime_seconds: u64,
}

/// What runs here, and since when
#[utoipa::path(get, path = "/api/v1/version", tag = "server",
    responses((status = 200, description = "Version, node and start.", body = Version)),
    security(("bearer" = ["read"])))]
async fn version(State(api): State<Api>, caller: Caller) -> Result<Json<Version>, Problem> {
    caller.may_somewhere(Scope::Read)?;
    let (since, started_at) = api.started;
    Ok(Json(Version {
        version: env!("CARGO_PKG_VERSION"),
        node: api.deps.node.to_string(),
        started_at: Time(started_at),
        uptime_seconds: (clock::now() - since).as_secs(),
    }))
}

#[derive(Debug, Serialize, ToSchema)]
struct ConfigAnswer {
    /// The tables of the configuration, as `docs/configuration.md` has them.
    #[schema(value_type = Object)]
    config: serde_json::Value,
    /// The same as a file.
    toml: String,
}

/// The configuration as merged
///
/// Flags, environment and file together, with secrets masked.
#[utoipa::path(get, path = "/api/v1/config", tag = "server",
    responses((status = 200, description = "The configuration in force.", body = ConfigAnswer)),
    security(("bearer" = ["read"])))]
async fn config(State(api): State<Api>, caller: Caller) -> Result<Json<ConfigAnswer>, Problem> {
    caller.may(Scope::Read, None)?;
    let configuration = api.deps.control.configuration().await.map_err(Problem::stopping)?;
    Ok(Json(ConfigAnswer { config: configuration.tables, toml: configuration.toml }))
}

#[derive(Debug, Serialize, ToSchema)]
struct ReloadAnswer {
    /// How many hooks there are now.
    hooks: usize,
    /// What is odd, or needs a restart.
    warnings: Vec<String>,
}

/// Read the configuration again
///
/// As SIGHUP does: puts hooks and certificates in force; other keys need a restart.
#[utoipa::path(post, path = "/api/v1/reload", tag = "server",
    responses(
        (status = 200, description = "The new hooks and certificates are in force.", body = ReloadAnswer),
        (status = 422, description = "The configuration is not valid, and nothing has changed: `problems` says why.",
         body = ProblemBody),
    ),
    security(("bearer" = ["operate"])))]
async fn reload(State(api): State<Api>, caller: Caller) -> Result<Json<ReloadAnswer>, Problem> {
    caller.may(Scope::Operate, None)?;
    tracing::info!(token = caller.name(), "The API was asked to reload");
    match api.deps.control.reload().await {
        Ok(Reloaded { hooks, warnings }) => Ok(Json(ReloadAnswer { hooks, warnings })),
        Err(ReloadError::Refused { problems }) => {
            let detail = "The configuration is not valid; the former one stays in force.";
            Err(Problem::unprocessable(detail).with("problems", problems))
        }
        Err(ReloadError::Stopping(stopping)) => Err(Problem::stopping(stopping)),
    }
}

#[derive(Debug, Serialize, ToSchema)]
struct DrainAnswer {
    /// Always `draining`.
    status: HealthWord,
    /// Media connections that are open.
    connections: usize,
}

/// Take in no more clients
///
/// The media listeners close and `health` turns to 503; whoever is connected goes on, hooks and API too. The process stays until
/// it is stopped, for instance when `connections` are gone. It cannot be taken back.
#[utoipa::path(post, path = "/api/v1/drain", tag = "server",
    responses((status = 202, description = "Nobody is taken in any more.", body = DrainAnswer)),
    security(("bearer" = ["operate"])))]
async fn drain(State(api): State<Api>, caller: Caller) -> Result<Response, Problem> {
    caller.may(Scope::Operate, None)?;
    tracing::info!(token = caller.name(), "The API was asked to drain");
    let Draining { connections } = api.deps.control.drain().await.map_err(Problem::stopping)?;
    let answer = DrainAnswer { status: HealthWord::Draining, connections };
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}
