//! Events: what there is, what has happened, what happens, and fixtures that are sent as if it had.

pub(crate) mod filter;
mod frames;
mod log;
mod pulse;
mod schema;
mod stream;

pub(crate) use pulse::Pulse;

use crate::auth::{Caller, Pass, Scope};
use crate::body::Strict;
use crate::connections;
use crate::deps::Api;
use crate::problem::Problem;
use crate::query::{Listed, Params};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use filter::{key_of, no_event, numbered};
use jackfield_events::{Event, EventSpec, EventType, FixtureError, FixtureWish, Stamp};
use jackfield_media::ConnId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The endpoints.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(catalogue))
        .routes(routes!(trigger))
        .routes(routes!(stream::follow))
        .routes(routes!(log::list))
        .routes(routes!(one))
}

/// An entry of the catalogue.
#[derive(Debug, Serialize, ToSchema)]
struct EventEntry {
    /// Its name.
    #[schema(example = "publish_start")]
    name: String,
    /// `notice` or `question`.
    kind: String,
    /// When it happens.
    when: String,
    /// The fields of `data`.
    fields: Vec<Value>,
    /// A whole envelope.
    example: Value,
    /// What happens to a question when its hook fails and says nothing else; null for a notice.
    on_error: Option<String>,
}

/// An entry of the catalogue with its schema.
#[derive(Debug, Serialize, ToSchema)]
struct EventDetail {
    #[serde(flatten)]
    entry: EventEntry,
    /// JSON Schema of the envelope.
    schema: Value,
}

impl EventEntry {
    fn of(event: EventType) -> Self {
        let mut json = event.spec().json();
        let mut take = |name: &str| json.get_mut(name).map(Value::take).unwrap_or_default();
        let word = |value: Value| value.as_str().map(str::to_owned);
        Self {
            name: event.name().to_owned(),
            kind: event.spec().kind.as_str().to_owned(),
            when: event.spec().when.trim().to_owned(),
            fields: take("fields").as_array().cloned().unwrap_or_default(),
            example: take("example"),
            on_error: word(take("on_error")),
        }
    }
}

/// Nothing can be asked of the catalogue: it is short.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
struct NoQuery {}

/// List the catalogue
///
/// Every event and question that there is.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", params(NoQuery),
    responses((status = 200, description = "The catalogue.", body = Listed<EventEntry>)),
    security(("bearer" = ["read"])))]
async fn catalogue(
    caller: Caller,
    Params(NoQuery {}): Params<NoQuery>,
) -> Result<Json<Listed<EventEntry>>, Problem> {
    caller.may_somewhere(Scope::Read)?;
    let items = EventType::ALL.iter().map(|event| EventEntry::of(*event)).collect();
    Ok(Json(Listed { items, next: None }))
}

/// Show an event of the catalogue
///
/// With the JSON Schema of its envelope.
#[utoipa::path(get, path = "/api/v1/events/{name}", tag = "events",
    params(("name" = String, Path, description = "Its name, as `publish_start`.")),
    responses((status = 200, description = "The event.", body = EventDetail),
        (status = 404, description = "There is no such event.", body = crate::problem::ProblemBody)),
    security(("bearer" = ["read"])))]
async fn one(caller: Caller, Path(name): Path<String>) -> Result<Json<EventDetail>, Problem> {
    caller.may_somewhere(Scope::Read)?;
    let event = EventType::parse(&name).ok_or_else(|| Problem::not_found(sentence(&no_event(&name))))?;
    Ok(Json(EventDetail { entry: EventEntry::of(event), schema: schema::of(event.spec()) }))
}

/// The connection of an event that did not happen: no client ever has its number.
const NOBODY: ConnId = ConnId(0);
/// Bytes of the envelope of an event that did not happen: those that do happen are far smaller, and each is kept.
const MAX_FIXTURE_BYTES: usize = 64 * 1024;

/// An event that did not happen.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fixture {
    /// Its name.
    #[schema(example = "publish_start")]
    pub(crate) event: String,
    /// Fields of `data` that differ from the catalogue's example; null leaves one out that may be absent.
    #[serde(default)]
    pub(crate) data: Map<String, Value>,
    /// The stream, of an event that has one; `live/show` if absent.
    pub(crate) stream_key: Option<String>,
    /// The connection, of an event that has one.
    pub(crate) conn_id: Option<String>,
}

/// An event that was sent.
#[derive(Debug, Serialize, ToSchema)]
struct Sent {
    /// Its id.
    id: String,
    /// Its place in the order of this node, digits.
    seq: String,
}

/// Send an event that did not happen
///
/// To every hook that wants it, marked `test`, as if it had happened. A question is asked, and its verdict does nothing; it counts
/// as a try of hooks until the verdict is there. A token for some streams names no connection but those of its streams.
#[utoipa::path(post, path = "/api/v1/events/trigger", tag = "events", request_body = Fixture,
    responses((status = 202, description = "It is sent.", body = Sent),
        (status = 429, description = "Too many tries of hooks are under way, or wrong tokens came from this address.",
            body = crate::problem::ProblemBody)),
    security(("bearer" = ["hooks"])))]
async fn trigger(
    State(api): State<Api>,
    caller: Caller,
    Extension(pass): Extension<Pass>,
    Strict(fixture): Strict<Fixture>,
) -> Result<(StatusCode, Json<Sent>), Problem> {
    caller.may_somewhere(Scope::Hooks)?;
    let (event, wish) = fixture.read()?;
    // Once for its key, before anybody gets it.
    let spec = event.spec();
    let draft = make(spec, api.deps.bus.next_stamp(), wish.clone())?;
    caller.may(Scope::Hooks, draft.scope().stream_key.as_ref())?;
    // A hook may act on the connection that it reads of.
    if let Some(conn) = wish.conn_id.filter(|conn| *conn != NOBODY) {
        connections::may_about(&api, &caller, Scope::Hooks, conn)?;
    }
    let stamp = if spec.kind.is_question() {
        let under_way = api.tries.begin(pass)?;
        let question = draft.as_test();
        let stamp = question.stamp().clone();
        let dispatch = api.deps.dispatch.clone();
        drop(api.deps.tasks.spawn("test question", async move {
            drop(dispatch.ask(question).await);
            drop(under_way);
        }));
        stamp
    } else {
        let sent = api.deps.bus.trigger(|stamp| spec.fixture(stamp, wish));
        sent.map_err(|error| wrong_fixture(&error))?.stamp().clone()
    };
    tracing::info!(token = caller.name(), event = event.name(), id = %stamp.id, "An event is sent to try the hooks");
    Ok((StatusCode::ACCEPTED, Json(Sent { id: stamp.id.to_string(), seq: stamp.seq.to_string() })))
}

impl Fixture {
    /// What the catalogue is to make of it.
    ///
    /// # Errors
    /// 422 for names that there are not.
    pub(crate) fn read(self) -> Result<(EventType, FixtureWish), Problem> {
        let wrong =
            |field: &str, detail: String| Problem::unprocessable(sentence(&detail)).with("field", field);
        let event = EventType::parse(&self.event).ok_or_else(|| wrong("event", no_event(&self.event)))?;
        let key = self.stream_key.as_deref().map(key_of).transpose();
        let stream_key = key.map_err(|_bad| wrong("stream_key", "this is no key of a stream".to_owned()))?;
        let conn_id =
            match self.conn_id.as_deref() {
                None => None,
                Some(text) => Some(numbered('c', text).map(ConnId).ok_or_else(|| {
                    wrong("conn_id", "this is no id of a connection, as `c000001`".to_owned())
                })?),
            };
        Ok((event, FixtureWish { data: self.data, stream_key, conn_id }))
    }
}

/// The event of a fixture.
///
/// # Errors
/// 422 for one that the catalogue does not know, and one that is larger than any real one.
pub(crate) fn make(spec: &EventSpec, stamp: Stamp, wish: FixtureWish) -> Result<Event, Problem> {
    let event = spec.fixture(stamp, wish).map_err(|error| wrong_fixture(&error))?;
    let bytes = event.json().len();
    if bytes > MAX_FIXTURE_BYTES {
        let detail = format!("The event has {bytes} bytes, and at most {MAX_FIXTURE_BYTES} are sent.");
        return Err(Problem::unprocessable(detail).with("field", "data"));
    }
    Ok(event)
}

/// 422 for an event that the catalogue does not know.
fn wrong_fixture(error: &FixtureError) -> Problem {
    Problem::unprocessable(sentence(&error.to_string()))
}

/// With a capital letter and its end.
pub(crate) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    let end = if text.ends_with(['?', '.', '!']) { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}
