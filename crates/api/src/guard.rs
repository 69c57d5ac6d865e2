//! What every request to `/api/` goes through: cross-origin rules, a place among those at once, who asks, a time limit, a panic
//! boundary, and headers that keep browsers from guessing and keeping.

use crate::body::MAX_BODY_BYTES;
use crate::deps::Api;
use crate::openapi::Operation;
use crate::problem::Problem;
use crate::query::unknown_word;
use axum::body::Body;
use axum::extract::{MatchedPath, Query, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jackfield_http::Client;
use jackfield_runtime::{catch, clock};
use jackfield_sessions::Origin;
use std::time::Duration;

/// How long a handler may take until its answer begins. A hook's test may take as long as the hook's own timeout.
const REQUEST_TIME: Duration = Duration::from_secs(120);
/// When it is worth to come back to a server that is busy.
const BUSY: Duration = Duration::from_secs(1);

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
    let Some(client) = request.extensions().get::<Client>().copied() else {
        return Err(Problem::internal("The client's address is not known."));
    };
    let open = Open::of(&request);
    let caller = match api.auth.caller(client, request.method(), request.headers()).await {
        // Whoever logs in anew has the cookie of a session that has ended.
        Err(_) if open == Open::Login && !request.headers().contains_key(header::AUTHORIZATION) => None,
        other => other?,
    };
    if caller.is_none() && open == Open::No {
        return Err(Problem::unauthorized("This needs a bearer token."));
    }
    // Health needs no place: it is answered at once, and must be when all else is slow.
    let place = caller.as_ref().map(|_known| api.places.try_acquire()).transpose();
    let _place = place.map_err(|_full| busy())?;
    let logs_in = caller.is_none() && open == Open::Login;
    let login = logs_in.then(|| api.login_places.take(Origin::of(client.addr.ip()))).transpose();
    let _login = login.map_err(|_full| busy())?;
    if let Some(operation) = operation(api, &request) {
        if let (Some(scope), Some(caller)) = (operation.scope, &caller.as_ref().map(|(caller, _)| caller)) {
            caller.may_somewhere(scope)?;
        }
        check_parameters(operation, &request)?;
    }
    if let Some((caller, pass)) = caller {
        request.extensions_mut().insert(caller);
        request.extensions_mut().insert(pass);
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

fn busy() -> Problem {
    Problem::unavailable("Too many requests at once.", BUSY)
}

/// What the document says of this operation. Handlers ask for the scope again, for the stream that they mean; this is asked before
/// anything of the request is read.
fn operation<'a>(api: &'a Api, request: &Request) -> Option<&'a Operation> {
    let path = request.extensions().get::<MatchedPath>()?.as_str();
    api.operations.get(&(plain(request.method()).to_string(), path.to_owned()))
}

/// HEAD is answered as GET is.
fn plain(method: &Method) -> &Method {
    if method == Method::HEAD { &Method::GET } else { method }
}

/// What needs nobody to say who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Health,
    Login,
    No,
}

impl Open {
    fn of(request: &Request) -> Self {
        match (plain(request.method()), request.uri().path()) {
            (&Method::GET, "/api/v1/health") => Self::Health,
            (&Method::POST, "/api/v1/session") => Self::Login,
            _ => Self::No,
        }
    }
}

/// No operation passes over a parameter that it does not know: it may be a filter that is misspelt.
fn check_parameters(operation: &Operation, request: &Request) -> Result<(), Problem> {
    let query: Result<Query<Vec<(String, String)>>, _> = Query::try_from_uri(request.uri());
    let Ok(Query(pairs)) = query else { return Ok(()) };
    let known = || operation.parameters.iter().map(String::as_str);
    match pairs.iter().find(|(name, _)| known().all(|known| known != name)) {
        None => Ok(()),
        Some((name, _)) => Err(unknown_word(name, known(), "parameter", Problem::bad_request)),
    }
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
