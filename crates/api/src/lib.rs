//! The HTTP API: everything under `/api/`, described by the OpenAPI 3.1 document that it serves itself.
//!
//! [`routes`] makes the routes for the HTTP listener out of [`ApiDeps`]; what only the composition can do (reading the
//! configuration again, draining) is behind [`Control`]. Which tokens there are is the business of [`tokens`], which the
//! command line uses too.
//!
//! # The contract
//!
//! - Only `GET /api/v1/health` and the login, `POST /api/v1/session`, need no token. Everything else is 401 without one and 403
//!   with one that may not; a token for a prefix of streams sees and touches nothing else.
//! - Errors are `application/problem+json`, also those of paths, methods and bodies that are wrong.
//! - Lists are `{"items":[…],"next":cursor or null}`; unknown parameters of a query are 400, unknown fields of a body 422, with
//!   the nearest word.
//! - A request has a size, a time, and a place among those at once; over them it is 413, 408 and 503.
//!
//! # How to add an endpoint
//!
//! A group of endpoints is a module with `pub(crate) fn routes() -> OpenApiRouter<Api>`, merged in `endpoints` below. A handler
//! carries `#[utoipa::path]`, which is both its route and its place in the document, so the two cannot differ:
//!
//! ```text
//! #[utoipa::path(get, path = "/api/v1/things", tag = "things", params(ThingsQuery, Page),
//!     responses((status = 200, description = "The things.", body = Listed<Thing>)),
//!     security(("bearer" = ["read"])))]
//! async fn list(
//!     State(api): State<Api>,
//!     caller: Caller,                        // who asks; the middleware has checked the token
//!     Params(query): Params<ThingsQuery>,
//!     Params(page): Params<Page>,            // of every list
//! ) -> Result<Json<Listed<Thing>>, Problem> {
//!     caller.may_somewhere(Scope::Read)?;    // 403; for one stream: caller.may(Scope::Read, Some(&key))?
//!     let limit = page.limit.items();
//!     …
//! }
//! ```
//!
//! - The scope in `security` is that of the first line. Whoever does not have it for anything is refused before anything of
//!   the request is read (`guard`); whether it covers this stream is for the handler to ask.
//! - `ThingsQuery` derives `Deserialize` and `IntoParams` and has `#[serde(default)]`. What several operations have in common is a
//!   type of its own, taken beside it: `Page`, `EventsQuery`, `Wanted`. A parameter that is in none of those that `params` names
//!   is refused by `guard`, with the nearest word.
//! - A body is taken by `body::Strict`; its type has `#[serde(deny_unknown_fields)]` and `ToSchema`.
//! - Answers are types with `Serialize` and `ToSchema` of this crate: what goes over the wire is decided at the edge.
//! - The answers that every operation has (401, 403, 429, 503, and 400, 413, 415, 422 where there is something to be wrong)
//!   are put into the document by `openapi`; a handler documents its own.
//!
//! | specification | version |
//! |---|---|
//! | Problem details | RFC 9457 |
//! | Bearer tokens | RFC 6750 |
//! | Cookies, `SameSite` | RFC 6265bis |
//! | OpenAPI | 3.1 |
//! | Cross-origin requests | the Fetch standard, §3.3 |
//!
//! What it does not do: listen, end connections that are slow, TLS (that is `http`), and deciding anything about media.

#![allow(unused_qualifications, reason = "the macros of utoipa write whole paths where our own words stand")]

mod auth;
mod body;
mod connections;
pub mod console;
mod control;
mod cors;
mod dead_letters;
mod deliveries;
mod deps;
mod events;
mod explain;
mod guard;
mod health;
mod hooks;
mod login;
mod metrics;
mod node;
mod openapi;
mod problem;
mod query;
mod shares;
mod streams;
#[cfg(test)]
mod tests;

pub use auth::tokens;
pub use control::{BoxFuture, Configuration, Control, Draining, ReloadError, Reloaded, Stopping};
pub use cors::{BadOrigin, Origins};
pub use deps::{ApiConfig, ApiDeps};
pub use health::Health;
pub use hooks::{ConfiguredHook, HandlerKind, HookChange, HookOrigin, HookRefused};
pub use metrics::{Fault, Metrics, MetricsConfig, MetricsSources, open_routes as metrics_routes};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::any;
use deps::Api;
use utoipa_axum::router::OpenApiRouter;

/// All routes that the HTTP listener serves for us.
pub fn routes(deps: ApiDeps, config: ApiConfig) -> Router {
    let (router, document) = endpoints().split_for_parts();
    let api = Api::new(deps, config, openapi::finish(document));
    api.deps.metrics.count_failed_tokens(api.auth.failed());
    router
        .route("/api", any(guard::nothing_here))
        .route("/api/", any(guard::nothing_here))
        .route("/api/{*path}", any(guard::nothing_here))
        .method_not_allowed_fallback(guard::wrong_method)
        .layer(DefaultBodyLimit::max(body::MAX_BODY_BYTES))
        .layer(from_fn_with_state(api.clone(), guard::guard))
        .layer(from_fn_with_state(api.deps.metrics.clone(), metrics::count))
        .with_state(api)
}

/// Every documented endpoint.
fn endpoints() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(openapi::head())
        .merge(node::routes())
        .merge(login::routes())
        .merge(streams::routes())
        .merge(connections::routes())
        .merge(hooks::routes())
        .merge(events::routes())
        .merge(deliveries::routes())
        .merge(dead_letters::routes())
        .merge(explain::routes())
        .merge(metrics::routes())
        .merge(openapi::routes())
}
