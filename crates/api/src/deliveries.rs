//! What became of events: every attempt to deliver one, found again and made once more.

pub(crate) mod view;
mod wanted;

pub(crate) use wanted::Wanted;

use crate::auth::{Caller, Scope};
use crate::deps::Api;
use crate::events::filter::{ConnName, SessionName};
use crate::events::sentence;
use crate::problem::Problem;
use crate::query::{Cursor, Listed, Page, Params};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use bytes::Bytes;
use jackfield_dispatch::{Delivery, DeliveryFilter, DeliveryId, PageOf};
use jackfield_hooks::Outcome;
use jackfield_media::Text;
use serde::{Deserialize, Deserializer, Serialize, de};
use std::sync::Arc;
use ulid::Ulid;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use view::{AnswerView, Attempt, DeliveryView};

/// The endpoints.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one)).routes(routes!(replay))
}

/// Which deliveries, beside [`Wanted`].
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct DeliveriesQuery {
    /// That ended so: `answered`, `timeout` …
    #[param(value_type = Option<String>)]
    outcome: Option<OutcomeName>,
    /// Of this session, as `s000001`.
    #[param(value_type = Option<String>)]
    session: Option<SessionName>,
    /// Of this connection, as `c000001`.
    #[param(value_type = Option<String>)]
    conn: Option<ConnName>,
    /// Of this event, by its id.
    event_id: Option<String>,
}

/// One delivery with what was sent and answered.
#[derive(Debug, Serialize, ToSchema)]
struct DeliveryDetail {
    #[serde(flatten)]
    delivery: DeliveryView,
    /// The envelope; null if it is not kept any more.
    request: Option<serde_json::Value>,
    /// The answer to a question.
    answer: Option<AnswerView>,
    /// Its tries, from the first.
    attempts: Vec<Attempt>,
}

/// A delivery that was begun.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Begun {
    /// The new delivery.
    pub(crate) id: String,
}

/// List deliveries
///
/// Each item is one attempt; the newest come first.
#[utoipa::path(get, path = "/api/v1/deliveries", tag = "deliveries", params(Wanted, DeliveriesQuery, Page),
    responses((status = 200, description = "The attempts.", body = Listed<DeliveryView>)),
    security(("bearer" = ["read"])))]
async fn list(
    State(api): State<Api>,
    caller: Caller,
    Params(wanted): Params<Wanted>,
    Params(query): Params<DeliveriesQuery>,
    Params(page): Params<Page>,
) -> Result<Json<Listed<DeliveryView>>, Problem> {
    caller.may_somewhere(Scope::Read)?;
    let place = page.place::<String>()?.as_deref().map(place).transpose()?;
    let filter = DeliveryFilter {
        hook: wanted.hook(),
        event: wanted.event(),
        key: wanted.key()?,
        key_prefixes: prefixes(&caller, Scope::Read),
        outcome: query.outcome.map(|name| name.0),
        session_id: query.session.map(|name| name.0),
        conn_id: query.conn.map(|name| name.0),
        event_id: query.event_id.as_deref().map(event_id).transpose()?,
        since: wanted.since(),
        until: wanted.until(),
    };
    let page = PageOf { before: place, limit: page.limit.items() };
    let found = api.deps.dispatch.deliveries().list(&filter, page).await;
    Ok(Json(Listed {
        items: found.items.iter().map(|delivery| DeliveryView::of(delivery)).collect(),
        next: found.next.map(|next| Cursor::of(&next.to_string())),
    }))
}

/// Show a delivery
///
/// Its request, its answer, and every attempt.
#[utoipa::path(get, path = "/api/v1/deliveries/{id}", tag = "deliveries",
    params(("id" = String, Path, description = "The delivery, as `dlv_…`.")),
    responses((status = 200, description = "The delivery.", body = DeliveryDetail),
        (status = 404, description = "It is not kept.", body = crate::problem::ProblemBody)),
    security(("bearer" = ["read"])))]
async fn one(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<DeliveryDetail>, Problem> {
    caller.may_somewhere(Scope::Read)?;
    let attempts = find(&api, &id).await?;
    let last = attempts.last().ok_or_else(unknown)?;
    caller.may(Scope::Read, last.key.as_ref())?;
    Ok(Json(DeliveryDetail {
        delivery: DeliveryView::of(last),
        request: request(&api, last).await,
        answer: last.answer.as_ref().map(AnswerView::of),
        attempts: attempts.iter().map(|delivery| Attempt::of(delivery)).collect(),
    }))
}

/// Replay a delivery
///
/// The notice is delivered once more, under its own event id and a new delivery id.
#[utoipa::path(post, path = "/api/v1/deliveries/{id}/replay", tag = "deliveries",
    params(("id" = String, Path, description = "The delivery, as `dlv_…`.")),
    responses((status = 202, description = "It is queued.", body = Begun),
        (status = 404, description = "It is not kept.", body = crate::problem::ProblemBody),
        (status = 409, description = "Its event or its hook is not there any more, or nobody waits for its answer.",
            body = crate::problem::ProblemBody)),
    security(("bearer" = ["operate"])))]
async fn replay(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Begun>), Problem> {
    caller.may_somewhere(Scope::Operate)?;
    let attempts = find(&api, &id).await?;
    let last = attempts.last().ok_or_else(unknown)?;
    caller.may(Scope::Operate, last.key.as_ref())?;
    if last.event.spec().kind.is_question() {
        let detail = "Nobody waits for the answer to this question any more: try the hook with its `test`.";
        return Err(Problem::conflict(detail));
    }
    let begun = api.deps.dispatch.replay_delivery(&last.hook, last.seq).await;
    let id = begun.map_err(|error| Problem::conflict(sentence(&error.to_string())))?;
    tracing::info!(token = caller.name(), hook = %last.hook, delivery = %id, "Delivery is replayed");
    Ok((StatusCode::ACCEPTED, Json(Begun { id: id.to_string() })))
}

async fn find(api: &Api, id: &str) -> Result<Vec<Arc<Delivery>>, Problem> {
    let id = DeliveryId::parse(id).ok_or_else(unknown)?;
    Ok(api.deps.dispatch.deliveries().one(id).await)
}

fn unknown() -> Problem {
    Problem::not_found("There is no such delivery, or it is not kept any more.")
}

/// The envelope that was sent: a question's was kept with it, a notice's stands among the events.
async fn request(api: &Api, delivery: &Delivery) -> Option<serde_json::Value> {
    let kept: Option<Bytes> = match &delivery.request {
        Some(request) => Some(request.clone()),
        None => api.deps.bus.outbox()?.event(delivery.seq).await.map(|event| event.json().clone()),
    };
    serde_json::from_slice(&kept?).ok()
}

/// The first parts of the streams that a caller may do that with, if those are not all.
pub(crate) fn prefixes(caller: &Caller, scope: Scope) -> Option<Vec<Text>> {
    if caller.can(scope, None) {
        return None;
    }
    let prefixes = caller.grants().iter().filter(|grant| grant.scope == scope);
    Some(prefixes.filter_map(|grant| Some(Text::from(grant.stream_prefix.as_ref()?.as_str()))).collect())
}

/// The place that a cursor holds as text.
fn place<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error: T::Err| Problem::bad_request(format!("{error}.")).with("field", "cursor"))
}

fn event_id(text: &str) -> Result<Ulid, Problem> {
    text.parse()
        .map_err(|_bad| Problem::bad_request("`event_id` is the id of an event.").with("field", "event_id"))
}

/// An outcome by its word.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutcomeName(pub(crate) Outcome);

impl<'de> Deserialize<'de> for OutcomeName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let found = Outcome::ALL.iter().find(|outcome| outcome.as_str() == text);
        found.map(|outcome| Self(*outcome)).ok_or_else(|| {
            let words: Vec<&str> = Outcome::ALL.iter().map(|outcome| outcome.as_str()).collect();
            de::Error::custom(format!("`outcome` is one of {}", words.join(", ")))
        })
    }
}
