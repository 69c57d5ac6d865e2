//! What every request to `/api/` goes through: cross-origin rules, a place among those at once, who asks, a time limit, a panic
//! boundary, and headers that keep browsers from guessing and keeping.

use crate::auth::Scope;
use crate::body::MAX_BODY_BYTES;
use crate::deps::Api;
use crate::problem::Problem;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jackfield_http::Client;
use jackfield_runtime::{catch, clock};
use std::time::Duration;

/// How long a handler may take until its answer begins. A hook's test may take as long as the hook's own timeout.
const REQUEST_TIME: Duration = Duration::from_secs(120);
/// When it is worth to come back to a server that is busy.
const BUSY: Duration = Duration::from_secs(1);

/// Paths that need nobody to say who they are.
const OPEN: [(Method, &str); 2] = [(Method::GET, "/api/v1/health"), (Method::POST, "/api/v1/session")];

pub(crate) async fn guard(State(api): State<Api>, request: Request, next: Next) -> Response {
    let origins = &api.config.cors;
    if let Some(response) = origins.preflight(request.method(), request.headers()) {
        return response;
    }
    let cors = origins.headers(request.headers());
    let mut response = admit(&api, request, next).await.unwrap_or_else(IntoResponse::into_response);
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.extend(cors);
    response
}

async fn admit(api: &Api, mut request: Request, next: Next) -> Result<Response, Problem> {
    let Ok(_place) = api.places.try_acquire() else {
        return Err(Problem::unavailable("Too many requests at once.", BUSY));
    };
    let Some(client) = request.extensions().get::<Client>().copied() else {
        return Err(Problem::internal("The client's address is not known."));
    };
    let caller = api.auth.caller(client, request.method(), request.headers()).await;
    match caller {
        Ok(Some(caller)) => {
            if let Some(scope) = needed(api, &request) {
                caller.may_somewhere(scope)?;
            }
            request.extensions_mut().insert(caller);
        }
        Ok(None) if is_open(&request) => {}
        Ok(None) => return Err(Problem::unauthorized("This needs a bearer token.")),
        // Whoever logs in anew has the cookie of a session that has ended.
        Err(_) if is_login(&request) => {}
        Err(problem) => return Err(problem),
    }
    check_size(&request)?;
    let answer = clock::until(clock::now().after(REQUEST_TIME), catch(next.run(request))).await;
    match answer {
        Some(Ok(response)) => Ok(response),
        Some(Err(panicked)) => {
            tracing::error!(error = %panicked, "A request to the API panicked");
            Err(Problem::internal("Something broke; the server's log says what."))
        }
        None => {
            let detail = format!("There was no answer within {} s.", REQUEST_TIME.as_secs());
            Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, detail))
        }
    }
}

/// The scope that the document names for this operation. Handlers ask again, for the stream that they mean; this one is asked
/// before anything of the request is read.
fn needed(api: &Api, request: &Request) -> Option<Scope> {
    let path = request.extensions().get::<MatchedPath>()?.as_str();
    api.scopes.get(&(plain(request.method()).to_string(), path.to_owned())).copied()
}

/// HEAD is answered as GET is.
fn plain(method: &Method) -> &Method {
    if method == Method::HEAD { &Method::GET } else { method }
}

fn is_open(request: &Request) -> bool {
    let method = plain(request.method());
    OPEN.iter().any(|(open, path)| open == method && *path == request.uri().path())
}

fn is_login(request: &Request) -> bool {
    let is_path = request.uri().path() == OPEN[1].1 && request.method() == OPEN[1].0;
    is_path && !request.headers().contains_key(header::AUTHORIZATION)
}

/// Says so before a handler is asked, which may take no body at all.
fn check_size(request: &Request) -> Result<(), Problem> {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if length.and_then(|length| length.parse().ok()).is_some_and(|length: usize| length > MAX_BODY_BYTES) {
        let detail = format!("The body is larger than {MAX_BODY_BYTES} bytes.");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    Ok(())
}

/// What is under `/api/` and is no endpoint.
pub(crate) async fn nothing_here(_request: Request<Body>) -> Problem {
    Problem::not_found("There is no such endpoint; `GET /api/v1/docs` lists them.")
}

/// An endpoint, asked by a method that it does not have. The library adds `Allow`.
pub(crate) async fn wrong_method(_request: Request<Body>) -> Problem {
    let detail = "This endpoint does not have that method; the header `Allow` says which it has.";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}
