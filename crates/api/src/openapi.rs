//! The OpenAPI document: its head, what every operation has in common, and where it is served, for programs and for people.

mod page;

use crate::auth::{Caller, Scope};
use crate::deps::Api;
use crate::problem::ProblemBody;
use crate::query::{Cursor, Limit, Time};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{InfoBuilder, LicenseBuilder, OpenApi};
use utoipa::{OpenApi as _, ToSchema as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";
/// The methods that an entry of `paths` may have.
const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(document)).routes(routes!(docs))
}

#[derive(utoipa::OpenApi)]
#[openapi(
    components(schemas(ProblemBody, Cursor, Limit, Time)),
    tags(
        (name = "server", description = "The server as a whole."),
        (name = "streams", description = "Streams and their publishers."),
        (name = "connections", description = "Media connections."),
        (name = "hooks", description = "Your code: how it stands, and hooks made by the API."),
        (name = "events", description = "What happens and what has happened."),
        (name = "deliveries", description = "Each call of a hook, what was given up, and why a question was answered so."),
        (name = "session", description = "Sessions of browsers."),
        (name = "api", description = "This document."),
    ),
)]
struct Head;

/// The document without its operations.
pub(crate) fn head() -> OpenApi {
    let mut document = Head::openapi();
    document.info = InfoBuilder::new()
        .title("Jackfield")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    let cookie = ApiKey::Cookie(ApiKeyValue::with_description(
        crate::auth::COOKIE,
        "A session of a browser; what changes something also needs the header `X-CSRF-Token`.",
    ));
    components.add_security_scheme("cookie", SecurityScheme::ApiKey(cookie));
    document
}

const ABOUT: &str = "Every request but `GET /api/v1/health` and `POST /api/v1/session` needs `Authorization: Bearer` with the token \
in `<data_dir>/admin.token` or one made by `jackfield token create`. The scopes of a token are `read`, `operate` and `hooks`; \
each operation says which it needs. Errors are `application/problem+json` (RFC 9457). Lists are pages: `items`, and in `next` \
the `cursor` of the next page, or null.";

/// The whole document, with the answers that every operation has.
pub(crate) fn finish(document: OpenApi) -> Value {
    let mut document = serde_json::to_value(document).expect("invariant: the document is plain values");
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for path in paths.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut) {
        for (_, operation) in path.iter_mut().filter(|(method, _)| METHODS.contains(&method.as_str())) {
            if let Some(operation) = operation.as_object_mut() {
                add_security(operation);
                add_answers(operation);
            }
        }
    }
    document
}

/// What the document says of an operation that is checked before its handler is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operation {
    /// The scope that it needs; `None` for one that needs no token, or any.
    pub(crate) scope: Option<Scope>,
    /// The parameters that its query may have.
    pub(crate) parameters: Vec<String>,
}

/// All operations by method and path.
pub(crate) fn operations(document: &Value) -> HashMap<(String, String), Operation> {
    let paths = document.get("paths").and_then(Value::as_object);
    let operations = paths.into_iter().flatten().flat_map(|(path, entry)| {
        let methods = entry.as_object().into_iter().flatten();
        methods.map(move |(method, operation)| ((method.to_ascii_uppercase(), path.clone()), operation))
    });
    operations.map(|(at, operation)| (at, Operation::of(operation))).collect()
}

impl Operation {
    fn of(operation: &Value) -> Self {
        let parameters = operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
        let of_query =
            parameters.filter(|parameter| parameter.get("in").is_some_and(|place| place == "query"));
        let names = of_query.filter_map(|parameter| parameter.get("name")?.as_str().map(str::to_owned));
        Self { scope: scope_of(operation), parameters: names.collect() }
    }
}

fn scope_of(operation: &Value) -> Option<Scope> {
    let ways = operation.get("security")?.as_array()?;
    if ways.contains(&json!({})) {
        return None;
    }
    let scopes = ways.iter().find_map(|way| way.get("bearer"))?.as_array()?;
    let scope = scopes.first()?.as_str()?;
    Some(scope.parse().expect("invariant: the document names scopes that there are"))
}

/// Whoever may use a token may use the cookie of a session too.
fn add_security(operation: &mut Map<String, Value>) {
    let Some(ways) = operation.get_mut("security").and_then(Value::as_array_mut) else { return };
    let bearer = ways.iter().find_map(|way| way.get("bearer").cloned());
    ways.extend(bearer.map(|scopes| json!({"cookie": scopes})));
}

fn add_answers(operation: &mut Map<String, Value>) {
    let is_open =
        operation.get("security").and_then(Value::as_array).is_some_and(|ways| ways.contains(&json!({})));
    let has_body = operation.contains_key("requestBody");
    let has_parameters = operation.contains_key("parameters");
    let mut answers = vec![
        ("401", "The token or the session is missing, unknown or revoked."),
        ("429", "Too many wrong tokens came from this address."),
        ("503", "Too many requests at once, or what is asked for is not available now."),
        ("default", "Any other error."),
    ];
    if !is_open {
        answers.push(("403", "The token does not have the scope, or not for this stream."));
    }
    if has_parameters || has_body {
        answers.push(("400", "The request cannot be understood, or has an unknown parameter."));
    }
    if has_body {
        answers.push(("408", "The body did not come in time."));
        answers.push(("413", "The body is too large."));
        answers.push(("415", "The body is not JSON."));
        answers.push((
            "422",
            "The body is not right: an unknown field, a wrong type, or a value that cannot be.",
        ));
    }
    let responses = operation.entry("responses").or_insert_with(|| json!({}));
    let Some(responses) = responses.as_object_mut() else { return };
    let problem = json!({"$ref": format!("#/components/schemas/{}", ProblemBody::name())});
    for response in responses.values_mut() {
        name_problem(response, &problem);
    }
    for (status, about) in answers {
        let content = json!({PROBLEM: {"schema": problem}});
        responses.entry(status).or_insert_with(|| json!({"description": about, "content": content}));
    }
}

/// Where an operation says that it answers with a problem, that is no plain JSON.
fn name_problem(response: &mut Value, problem: &Value) {
    let Some(content) = response.get_mut("content").and_then(Value::as_object_mut) else { return };
    if content.get(JSON).and_then(|body| body.get("schema")) == Some(problem) {
        let body = content.remove(JSON);
        content.extend(body.map(|body| (PROBLEM.to_owned(), body)));
    }
}

/// The OpenAPI document
///
/// OpenAPI 3.1, made from the code that answers.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "api",
    responses((status = 200, description = "This document.", body = Object)),
    security(("bearer" = [])))]
async fn document(State(api): State<Api>, _caller: Caller) -> Response {
    axum::Json(&api.document).into_response()
}

/// The document for people
#[utoipa::path(get, path = "/api/v1/docs", tag = "api",
    responses((status = 200, description = "This document as a page.", body = String, content_type = "text/html")),
    security(("bearer" = [])))]
async fn docs(State(api): State<Api>, _caller: Caller) -> Response {
    let mut response = page::html(&api.document).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    let policy = HeaderValue::from_str(&page::policy()).expect("invariant: a policy is plain text");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}
