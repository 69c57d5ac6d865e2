//! Hooks that the API makes.

use super::control::{HookChange, HookRefused};
use super::view::HookView;
use super::{find, unknown};
use crate::auth::{Caller, Scope};
use crate::body::Strict;
use crate::deps::Api;
use crate::events::sentence;
use crate::problem::Problem;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// The keys of a `[[hook]]`. Which there are and what they take is the configuration's business; it says what is wrong.
#[derive(Debug, serde::Deserialize)]
#[serde(transparent)]
pub(super) struct HookBody(Map<String, Value>);

impl PartialSchema for HookBody {
    fn schema() -> RefOr<Schema> {
        let text = |about: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(about));
        let body = ObjectBuilder::new()
            .schema_type(Type::Object)
            .property("name", text("Its name: 1 to 64 of `A-Z a-z 0-9 _ . -`."))
            .property("url", text("Where events are posted: a public address, or one in `[api] allow_networks`."))
            .property("on", on())
            .required("url")
            .required("on")
            .description(Some(
                "The keys of a `[[hook]]` of the configuration; `url` is its handler. Nothing in it names a file or \
                 variable of the server: secrets are given as they are, and never shown again.",
            ))
            .examples([json!({"name": "chat", "on": ["publish_start"], "url": "https://chat.example/hook"})]);
        body.into()
    }
}

fn on() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::Array)
        .description(Some("Names of events; `*` for any part of a name."))
        .into()
}

impl ToSchema for HookBody {}

/// Make a hook
///
/// It comes after all others in the order of chains, and is kept over restarts.
#[utoipa::path(post, path = "/api/v1/hooks", tag = "hooks", request_body = HookBody,
    responses((status = 201, description = "It is in force.", body = HookView),
        (status = 409, description = "There is a hook of this name.", body = crate::problem::ProblemBody)),
    security(("bearer" = ["hooks"])))]
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    Strict(HookBody(body)): Strict<HookBody>,
) -> Result<Response, Problem> {
    caller.may(Scope::Hooks, None)?;
    let name = body.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    change(&api, HookChange::Create(body)).await?;
    tracing::info!(token = caller.name(), hook = name, "Hook is made by the API");
    let mut response = (StatusCode::CREATED, Json(find(&api, &name).await?)).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("/api/v1/hooks/{name}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Replace a hook that the API made
///
/// Its place among the events is kept.
#[utoipa::path(put, path = "/api/v1/hooks/{name}", tag = "hooks", request_body = HookBody,
    params(("name" = String, Path, description = "Its name.")),
    responses((status = 200, description = "It is in force.", body = HookView),
        (status = 404, description = "There is no such hook.", body = crate::problem::ProblemBody),
        (status = 409, description = "The API has not made it.", body = crate::problem::ProblemBody)),
    security(("bearer" = ["hooks"])))]
pub(super) async fn replace(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
    Strict(HookBody(mut body)): Strict<HookBody>,
) -> Result<Json<HookView>, Problem> {
    caller.may(Scope::Hooks, None)?;
    match body.get("name").map(Value::as_str) {
        None => {
            body.insert("name".to_owned(), name.clone().into());
        }
        Some(Some(other)) if other == name => {}
        Some(_) => {
            let detail = "A hook is not renamed: `name` must be that of the path, or absent.";
            return Err(Problem::unprocessable(detail).with("field", "name"));
        }
    }
    change(&api, HookChange::Replace(body)).await?;
    tracing::info!(token = caller.name(), hook = name, "Hook is replaced by the API");
    find(&api, &name).await.map(Json)
}

/// Delete a hook that the API made
#[utoipa::path(delete, path = "/api/v1/hooks/{name}", tag = "hooks",
    params(("name" = String, Path, description = "Its name.")),
    responses((status = 204, description = "It is gone."),
        (status = 404, description = "There is no such hook.", body = crate::problem::ProblemBody),
        (status = 409, description = "The API has not made it.", body = crate::problem::ProblemBody)),
    security(("bearer" = ["hooks"])))]
pub(super) async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    caller.may(Scope::Hooks, None)?;
    change(&api, HookChange::Delete(name.clone())).await?;
    tracing::info!(token = caller.name(), hook = name, "Hook is deleted by the API");
    Ok(StatusCode::NO_CONTENT)
}

async fn change(api: &Api, change: HookChange) -> Result<(), Problem> {
    let refused = match api.deps.control.change_hook(change).await {
        Ok(()) => return Ok(()),
        Err(refused) => refused,
    };
    let said = sentence(&refused.to_string());
    Err(match refused {
        HookRefused::NotThere => unknown(),
        HookRefused::NotOfApi | HookRefused::Exists | HookRefused::TooMany(_) => Problem::conflict(said),
        HookRefused::Program => Problem::forbidden(said),
        HookRefused::Invalid(problems) => invalid(problems),
        HookRefused::Stopping(stopping) => Problem::stopping(stopping),
        HookRefused::NotKept(_) => {
            tracing::error!(error = %refused, "A hook made by the API cannot be kept");
            Problem::internal("The hook cannot be kept; the server's log says why.")
        }
    })
}

/// 422 with all that is wrong; one thing is said as it is.
fn invalid(problems: Vec<(Option<String>, String)>) -> Problem {
    let detail = match problems.as_slice() {
        [(_, one)] => sentence(one),
        several => format!("The hook has {} problems.", several.len()),
    };
    let field = problems.iter().find_map(|(field, _)| field.clone());
    let all: Vec<String> = problems
        .into_iter()
        .map(|(field, said)| field.map_or_else(|| said.clone(), |field| format!("`{field}`: {said}")))
        .collect();
    let problem = Problem::unprocessable(detail).with("problems", all);
    match field {
        Some(field) => problem.with("field", field),
        None => problem,
    }
}
