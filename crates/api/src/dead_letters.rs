//! Notices that were given up: kept until somebody delivers them once more or drops them.

use crate::auth::{Caller, Scope};
use crate::body::Strict;
use crate::deliveries::{Wanted, prefixes};
use crate::deps::Api;
use crate::events::filter::EventName;
use crate::problem::Problem;
use crate::query::{Cursor, Listed, Page, Params, Time, rfc3339};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jackfield_dispatch::{DeadLetter, DeadLetterFilter, DeadLetterId};
use jackfield_events::Event;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The endpoints.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list, drop_all))
        .routes(routes!(replay_all))
        .routes(routes!(one, drop_one))
        .routes(routes!(replay_one))
}

/// Which dead letters are delivered once more: those that fit everything that is given; all, if nothing is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReplayWish {
    /// Of this hook.
    hook: Option<String>,
    /// Of events of this type.
    #[schema(value_type = Option<String>)]
    event: Option<EventName>,
    /// About this stream.
    key: Option<String>,
    /// Given up then or later.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Time>,
    /// Given up before then.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Time>,
}

/// A notice that was given up.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetter)]
struct DeadLetterView {
    /// Its id.
    #[schema(example = "dead_0000002a")]
    id: String,
    /// The hook's name.
    hook: String,
    /// What the event is.
    event: &'static str,
    /// The stream, if the event is about one.
    key: Option<String>,
    /// The connection, if there is one.
    conn_id: Option<String>,
    /// The session, if there is one.
    session_id: Option<String>,
    /// The event's id, which a replay keeps.
    event_id: String,
    /// Its tries.
    attempts: u32,
    /// How the last one ended.
    #[schema(example = "connect_error")]
    outcome: &'static str,
    /// What that failure says of itself.
    detail: String,
    /// When the first try failed.
    first_at: String,
    /// When it was given up last.
    at: String,
}

/// A dead letter with the event.
#[derive(Debug, Serialize, ToSchema)]
struct DeadLetterDetail {
    #[serde(flatten)]
    letter: DeadLetterView,
    /// The envelope.
    request: serde_json::Value,
}

/// How many dead letters are delivered once more.
#[derive(Debug, Serialize, ToSchema)]
struct Replayed {
    /// How many.
    replayed: usize,
}

/// How many dead letters were dropped.
#[derive(Debug, Serialize, ToSchema)]
struct Dropped {
    /// How many.
    dropped: usize,
}

impl From<ReplayWish> for Wanted {
    fn from(ReplayWish { hook, event, key, since, until }: ReplayWish) -> Self {
        Self { hook, event, key, since, until }
    }
}

fn filter(wanted: &Wanted, caller: &Caller, scope: Scope) -> Result<DeadLetterFilter, Problem> {
    Ok(DeadLetterFilter {
        id: None,
        hook: wanted.hook(),
        event: wanted.event(),
        key: wanted.key()?,
        key_prefixes: prefixes(caller, scope),
        since: wanted.since(),
        until: wanted.until(),
    })
}

/// List dead letters
///
/// Notices that were given up; the newest come first.
#[utoipa::path(get, path = "/api/v1/dead-letters", tag = "deliveries", params(Wanted, Page),
    responses((status = 200, description = "The dead letters.", body = Listed<DeadLetterView>)),
    security(("bearer" = ["read"])))]
async fn list(
    State(api): State<Api>,
    caller: Caller,
    Params(wanted): Params<Wanted>,
    Params(page): Params<Page>,
) -> Result<Json<Listed<DeadLetterView>>, Problem> {
    caller.may_somewhere(Scope::Read)?;
    let before = page.place::<u64>()?.map(DeadLetterId);
    let filter = filter(&wanted, &caller, Scope::Read)?;
    let page = api.deps.dispatch.dead_letters().list(&filter, before, page.limit.items());
    Ok(Json(Listed {
        items: page.items.iter().map(|letter| DeadLetterView::of(letter)).collect(),
        next: page.next.map(|id| Cursor::of(&id.0)),
    }))
}

/// Show a dead letter
#[utoipa::path(get, path = "/api/v1/dead-letters/{id}", tag = "deliveries",
    params(("id" = String, Path, description = "The dead letter, as `dead_…`.")),
    responses((status = 200, description = "The dead letter.", body = DeadLetterDetail),
        (status = 404, description = "It is not there any more.", body = crate::problem::ProblemBody)),
    security(("bearer" = ["read"])))]
async fn one(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<DeadLetterDetail>, Problem> {
    let (letter, event) = find(&api, &caller, Scope::Read, &id).await?;
    let request = serde_json::from_slice(event.json()).unwrap_or_default();
    Ok(Json(DeadLetterDetail { letter: DeadLetterView::of(&letter), request }))
}

/// Replay a dead letter
///
/// The same event under the same id, as a new delivery. It is a dead letter until it was delivered.
#[utoipa::path(post, path = "/api/v1/dead-letters/{id}/replay", tag = "deliveries",
    params(("id" = String, Path, description = "The dead letter, as `dead_…`.")),
    responses((status = 202, description = "It is queued.", body = Replayed),
        (status = 404, description = "It is not there any more.", body = crate::problem::ProblemBody),
        (status = 409, description = "Its hook is not there or disabled, or it is being delivered already.",
            body = crate::problem::ProblemBody)),
    security(("bearer" = ["operate"])))]
async fn replay_one(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Replayed>), Problem> {
    let (letter, _event) = find(&api, &caller, Scope::Operate, &id).await?;
    let replayed = api.deps.dispatch.dead_letters().replay(&DeadLetterFilter::one(letter.id));
    if replayed == 0 {
        let detail = "Its hook is not there or disabled, or it is being delivered already.";
        return Err(Problem::conflict(detail));
    }
    tracing::info!(token = caller.name(), hook = %letter.hook, letter = %letter.id, "Dead letter is replayed");
    Ok((StatusCode::ACCEPTED, Json(Replayed { replayed })))
}

/// Replay dead letters
///
/// Those that fit, in the order in which they happened.
#[utoipa::path(post, path = "/api/v1/dead-letters/replay", tag = "deliveries", request_body = ReplayWish,
    responses((status = 200, description = "It goes on in the background.", body = Replayed)),
    security(("bearer" = ["operate"])))]
async fn replay_all(
    State(api): State<Api>,
    caller: Caller,
    Strict(wish): Strict<ReplayWish>,
) -> Result<Json<Replayed>, Problem> {
    caller.may_somewhere(Scope::Operate)?;
    let filter = filter(&wish.into(), &caller, Scope::Operate)?;
    let replayed = api.deps.dispatch.dead_letters().replay(&filter);
    tracing::info!(token = caller.name(), replayed, "Dead letters are replayed");
    Ok(Json(Replayed { replayed }))
}

/// Drop a dead letter
#[utoipa::path(delete, path = "/api/v1/dead-letters/{id}", tag = "deliveries",
    params(("id" = String, Path, description = "The dead letter, as `dead_…`.")),
    responses((status = 204, description = "It is gone."),
        (status = 404, description = "It is not there any more.", body = crate::problem::ProblemBody)),
    security(("bearer" = ["operate"])))]
async fn drop_one(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let (letter, _event) = find(&api, &caller, Scope::Operate, &id).await?;
    if api.deps.dispatch.dead_letters().drop_all(&DeadLetterFilter::one(letter.id)) == 0 {
        return Err(unknown());
    }
    tracing::info!(token = caller.name(), hook = %letter.hook, letter = %letter.id, "Dead letter is dropped");
    Ok(StatusCode::NO_CONTENT)
}

/// Drop dead letters
///
/// Those that fit. A query that says nothing drops nothing.
#[utoipa::path(delete, path = "/api/v1/dead-letters", tag = "deliveries", params(Wanted),
    responses((status = 200, description = "They are gone.", body = Dropped)),
    security(("bearer" = ["operate"])))]
async fn drop_all(
    State(api): State<Api>,
    caller: Caller,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Dropped>, Problem> {
    caller.may_somewhere(Scope::Operate)?;
    if wanted.is_everything() {
        return Err(Problem::bad_request("Say which: by `hook`, `event`, `key`, `since` or `until`."));
    }
    let filter = filter(&wanted, &caller, Scope::Operate)?;
    let dropped = api.deps.dispatch.dead_letters().drop_all(&filter);
    tracing::info!(token = caller.name(), dropped, "Dead letters are dropped");
    Ok(Json(Dropped { dropped }))
}

/// The dead letter, if it is there and the caller may do that with it.
async fn find(
    api: &Api,
    caller: &Caller,
    scope: Scope,
    id: &str,
) -> Result<(Arc<DeadLetter>, Arc<Event>), Problem> {
    caller.may_somewhere(scope)?;
    let id: DeadLetterId = id.parse().map_err(|_bad| unknown())?;
    let found = api.deps.dispatch.dead_letters().one(id).await.ok_or_else(unknown)?;
    caller.may(scope, found.0.key.as_ref())?;
    Ok(found)
}

fn unknown() -> Problem {
    Problem::not_found("There is no such dead letter, or it is not there any more.")
}

impl DeadLetterView {
    fn of(letter: &DeadLetter) -> Self {
        Self {
            id: letter.id.to_string(),
            hook: letter.hook.to_string(),
            event: letter.event.name(),
            key: letter.key.as_ref().map(ToString::to_string),
            conn_id: letter.conn_id.map(|id| id.to_string()),
            session_id: letter.session_id.map(|id| id.to_string()),
            event_id: letter.event_id.to_string(),
            attempts: letter.attempts,
            outcome: letter.outcome.as_str(),
            detail: letter.detail.to_string(),
            first_at: rfc3339(letter.first_at),
            at: rfc3339(letter.at),
        }
    }
}
