//! The HTTP API: everything under `/api/`.
//!
//! | path | answer |
//! |---|---|
//! | `GET /api/v1/health` | 200 `{"status":"ok"}`, 503 `{"status":"draining"}` once the server stops |
//! | anything else | 401: it needs a bearer token |
//!
//! [`routes`] makes the routes for the HTTP listener; the composition keeps the [`Health`] and tells it when the
//! server begins to stop.
//!
//! What it does not do: listen, and decide who may do what (no token is accepted yet, so nothing is open).

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use jackfield_http::problem;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the server takes new work. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Health {
    draining: Arc<AtomicBool>,
}

impl Health {
    /// From now on the server is stopping: load balancers should look elsewhere.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// The routes under `/api/`.
pub fn routes(health: Health) -> Router {
    Router::new()
        .route("/api/v1/health", get(answer_health))
        .route("/api", any(refuse))
        .route("/api/", any(refuse))
        .route("/api/{*path}", any(refuse))
        .with_state(health)
}

async fn answer_health(State(health): State<Health>) -> Response {
    let (status, word) = if health.is_draining() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining")
    } else {
        (StatusCode::OK, "ok")
    };
    (status, Json(json!({"status": word}))).into_response()
}

/// RFC 6750 §3: what is missing is a bearer token.
async fn refuse() -> Response {
    let mut response = problem(StatusCode::UNAUTHORIZED, "This needs a bearer token.");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}
