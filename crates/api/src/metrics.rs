//! What the server counts, for Prometheus and its like: `GET /metrics` in the text form of OpenMetrics.
//!
//! Nothing is counted here. A scrape reads what the parts of the server count anyway ([`reading`]) and writes it down
//! ([`exposition`]); without scrapes it costs nothing. `docs/metrics.md` lists every metric, and a test compares.
//!
//! **Labels are bounded.** Hooks are those of the configuration, at most 1,000; words are closed sets; streams have a
//! label of their own only while there are at most [`MetricsConfig::max_streams`], above which the metrics of single
//! streams are left out and those of all together stay. No label comes from a client, but for the keys of streams.
//!
//! It is served with a token of the scope `read` beside the API, and without one on `[metrics] listen` ([`open_routes`]):
//! that listener answers nothing else.
//!
//! | specification | version |
//! |---|---|
//! | OpenMetrics | 1.0 |

mod exposition;
mod process;
mod reading;
mod requests;
#[cfg(test)]
mod tests;

use crate::auth::{Caller, Scope};
use crate::deps::Api;
use crate::problem::Problem;
use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jackfield_bus::Bus;
use jackfield_dispatch::Dispatch;
use jackfield_hub::Hub;
use jackfield_media::{Mono, Text};
use jackfield_runtime::clock;
use jackfield_sessions::Connections;
use reading::Reading;
use requests::Requests;
pub(crate) use requests::count;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The media type of OpenMetrics (§4 of its specification).
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the configuration says of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricsConfig {
    /// Streams that have metrics of their own at most; with more of them none has.
    pub max_streams: usize,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self { max_streams: 100 }
    }
}

/// Something that a service counts: what went wrong with its peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The service, such as `rtmp`.
    pub service: &'static str,
    /// What it was, of a closed set.
    pub kind: &'static str,
    /// How often since the server started.
    pub count: u64,
}

/// What is counted is read from these.
#[derive(Debug, Clone)]
pub struct MetricsSources {
    /// Streams.
    pub hub: Hub,
    /// Connections.
    pub connections: Connections,
    /// Hooks and deliveries.
    pub dispatch: Dispatch,
    /// The log of notices, if there is one.
    pub bus: Bus,
    /// The name of this server in events.
    pub node: Text,
}

/// Everything that a scrape tells. Clones are the same.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    sources: MetricsSources,
    config: MetricsConfig,
    started: Mono,
    requests: Requests,
    faults: OnceLock<Box<dyn Fn() -> Vec<Fault> + Send + Sync>>,
    failed_tokens: OnceLock<Arc<AtomicU64>>,
}

impl Metrics {
    /// The figures of these, for a server that starts now.
    #[must_use]
    pub fn new(sources: MetricsSources, config: MetricsConfig) -> Self {
        let (faults, failed_tokens) = (OnceLock::new(), OnceLock::new());
        let (started, requests) = (clock::now(), Requests::default());
        Self(Arc::new(Inner { sources, config, started, requests, faults, failed_tokens }))
    }

    /// Reads what goes wrong with peers of the services there, from now on. The first call counts.
    pub fn count_faults(&self, faults: impl Fn() -> Vec<Fault> + Send + Sync + 'static) {
        // The second one's are not told; there is one composition.
        drop(self.0.faults.set(Box::new(faults)));
    }

    /// Where it is counted how often a token was shown that there is not.
    pub(crate) fn count_failed_tokens(&self, failed: Arc<AtomicU64>) {
        drop(self.0.failed_tokens.set(failed));
    }

    /// Everything as it stands now, as text.
    #[must_use]
    pub fn text(&self) -> String {
        exposition::text(Reading::take(&self.0, clock::now()))
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("config", &self.0.config).finish_non_exhaustive()
    }
}

/// The endpoint, for callers with a token.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// The routes of a listener that asks nobody for a token.
pub fn open_routes(metrics: Metrics) -> Router {
    Router::new().route("/metrics", get(open_metrics)).with_state(metrics)
}

/// What the server counts, as Prometheus reads it
///
/// The text form of OpenMetrics 1.0. A token for some streams only may not: the figures are of all.
#[utoipa::path(get, path = "/metrics", tag = "metrics",
    responses((status = 200, description = "The metrics.", body = String,
        content_type = "application/openmetrics-text")),
    security(("bearer" = ["read"])))]
async fn metrics(State(api): State<Api>, caller: Caller) -> Result<Response, Problem> {
    caller.may(Scope::Read, None)?;
    Ok(answer(&api.deps.metrics))
}

async fn open_metrics(State(metrics): State<Metrics>) -> Response {
    answer(&metrics)
}

fn answer(metrics: &Metrics) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE), (header::CACHE_CONTROL, "no-store")], metrics.text())
        .into_response()
}
