//! Sessions of browsers: a token once, then a cookie.
//!
//! The cookie is `HttpOnly`, so that no script can take it, and `SameSite=Strict`, so that no other site can use it; what changes
//! something also needs the CSRF token, which only a page of this origin can read. A session lasts 12 hours, and no longer
//! than its token.

use crate::auth::{COOKIE, Caller, Grant, LOGIN_TIME, Login};
use crate::body::Strict;
use crate::deps::Api;
use crate::problem::Problem;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use jackfield_http::{Client, Secure};
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(log_in, who, log_out))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LogIn {
    /// A bearer token.
    #[schema(format = Password)]
    token: String,
}

impl fmt::Debug for LogIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogIn")
    }
}

#[derive(Debug, Serialize, ToSchema)]
struct Session {
    /// What to send as `X-CSRF-Token` with each request that changes something; null for a bearer token, which needs none.
    csrf: Option<String>,
    /// The name of the token.
    name: String,
    /// What it may.
    scopes: Vec<Grant>,
}

impl Session {
    fn of(caller: &Caller, login: Option<&Login>) -> Json<Self> {
        Json(Self {
            csrf: login.map(|login| login.csrf.clone()),
            name: caller.name().to_owned(),
            scopes: caller.grants().to_vec(),
        })
    }
}

/// Log in
///
/// For browsers: gives a token once and gets a cookie. Needs no `Authorization`.
#[utoipa::path(post, path = "/api/v1/session", tag = "session", request_body = LogIn,
    responses((status = 200, description = "The session; its cookie is set.", body = Session)),
    security(()))]
async fn log_in(
    State(api): State<Api>,
    Extension(client): Extension<Client>,
    Strict(body): Strict<LogIn>,
) -> Result<Response, Problem> {
    let known = api.auth.token(client, &body.token).await?;
    let (cookie, login) = api.auth.log_in(&known);
    let cookie = set_cookie(client, &cookie, LOGIN_TIME.as_secs());
    Ok(([(header::SET_COOKIE, cookie)], Session::of(&known.caller(), Some(&login))).into_response())
}

/// Who is logged in
#[utoipa::path(get, path = "/api/v1/session", tag = "session",
    responses((status = 200, description = "Who asks, by token or cookie.", body = Session)),
    security(("bearer" = [])))]
async fn who(State(api): State<Api>, caller: Caller, headers: HeaderMap) -> Json<Session> {
    Session::of(&caller, api.auth.login(&headers).as_ref())
}

/// Log out
#[utoipa::path(delete, path = "/api/v1/session", tag = "session",
    responses((status = 204, description = "The session has ended.")),
    security(("bearer" = [])))]
async fn log_out(
    State(api): State<Api>,
    _caller: Caller,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
) -> Response {
    api.auth.log_out(&headers);
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, set_cookie(client, "", 0))]).into_response()
}

fn set_cookie(client: Client, value: &str, seconds: u64) -> HeaderValue {
    let secure = match client.secure {
        Secure::Yes => "; Secure",
        Secure::No => "",
    };
    let text = format!("{COOKIE}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={seconds}{secure}");
    HeaderValue::from_str(&text).expect("invariant: cookies are plain text")
}
