//! Hooks: how each stands, those that the API makes, and trying one.

mod change;
mod control;
mod trial;
mod trying;
mod view;

pub(crate) use trying::Tries;

pub use control::{ConfiguredHook, HandlerKind, HookChange, HookOrigin, HookRefused};

use crate::auth::{Caller, Scope};
use crate::deps::Api;
use crate::problem::Problem;
use crate::query::{Cursor, Listed, Page, Params};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jackfield_dispatch::{Enabled, SwitchError};
use std::time::Duration;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use view::HookView;

/// When a disk that takes nothing may be tried again.
const AFTER_A_DISK: Duration = Duration::from_secs(5);

/// The endpoints.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list, change::create))
        .routes(routes!(one, change::replace, change::delete))
        .routes(routes!(enable))
        .routes(routes!(disable))
        .routes(routes!(trial::try_one))
}

/// List hooks
///
/// In the order of chains: those of the file, of flags, and those that the API made.
#[utoipa::path(get, path = "/api/v1/hooks", tag = "hooks", params(Page),
    responses((status = 200, description = "The hooks.", body = Listed<HookView>)),
    security(("bearer" = ["read"])))]
async fn list(
    State(api): State<Api>,
    caller: Caller,
    Params(page): Params<Page>,
) -> Result<Json<Listed<HookView>>, Problem> {
    caller.may(Scope::Read, None)?;
    let skip: usize = page.place()?.unwrap_or_default();
    let mut views = view::all(&api).await.map_err(Problem::stopping)?;
    let end = skip.saturating_add(page.limit.items());
    let next = (views.len() > end).then(|| Cursor::of(&end));
    views.truncate(end);
    Ok(Json(Listed { items: views.into_iter().skip(skip).collect(), next }))
}

/// Show a hook
#[utoipa::path(get, path = "/api/v1/hooks/{name}", tag = "hooks",
    params(("name" = String, Path, description = "Its name.")),
    responses((status = 200, description = "The hook.", body = HookView),
        (status = 404, description = "There is no such hook.", body = crate::problem::ProblemBody)),
    security(("bearer" = ["read"])))]
async fn one(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<HookView>, Problem> {
    caller.may(Scope::Read, None)?;
    find(&api, &name).await.map(Json)
}

/// Enable a hook
///
/// It goes on where it stood among the events.
#[utoipa::path(post, path = "/api/v1/hooks/{name}/enable", tag = "hooks",
    params(("name" = String, Path, description = "Its name.")),
    responses((status = 204, description = "It is called."),
        (status = 404, description = "There is no such hook.", body = crate::problem::ProblemBody),
        (status = 409, description = "Its handler is always called.", body = crate::problem::ProblemBody),
        (status = 503, description = "It is switched, but the disk did not take that: a restart may forget it.",
            body = crate::problem::ProblemBody)),
    security(("bearer" = ["hooks"])))]
async fn enable(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    switch(&api, &caller, &name, Enabled::Yes).await
}

/// Disable a hook
///
/// It is not asked, and gets what it missed when it is enabled again. It stays so over restarts.
#[utoipa::path(post, path = "/api/v1/hooks/{name}/disable", tag = "hooks",
    params(("name" = String, Path, description = "Its name.")),
    responses((status = 204, description = "It is not called."),
        (status = 404, description = "There is no such hook.", body = crate::problem::ProblemBody),
        (status = 409, description = "Its handler is always called.", body = crate::problem::ProblemBody),
        (status = 503, description = "It is switched, but the disk did not take that: a restart may forget it.",
            body = crate::problem::ProblemBody)),
    security(("bearer" = ["hooks"])))]
async fn disable(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    switch(&api, &caller, &name, Enabled::No).await
}

async fn switch(api: &Api, caller: &Caller, name: &str, enabled: Enabled) -> Result<StatusCode, Problem> {
    caller.may(Scope::Hooks, None)?;
    match api.deps.dispatch.set_enabled(name, enabled).await {
        Ok(()) => {}
        Err(error @ SwitchError::NotKept) => {
            return Err(Problem::unavailable(format!("{error}."), AFTER_A_DISK));
        }
        Err(SwitchError::Unknown(_)) => {
            // What only prints is no hook of the engine.
            find(api, name).await?;
            return Err(Problem::conflict(
                "This hook prints to a standard stream of the server and is always called.",
            ));
        }
    }
    tracing::info!(token = caller.name(), hook = name, ?enabled, "Hook is switched by the API");
    Ok(StatusCode::NO_CONTENT)
}

async fn find(api: &Api, name: &str) -> Result<HookView, Problem> {
    let hook = view::all(api).await.map_err(Problem::stopping)?.into_iter().find(|hook| hook.name() == name);
    hook.ok_or_else(unknown)
}

fn unknown() -> Problem {
    Problem::not_found("There is no hook of this name.")
}
