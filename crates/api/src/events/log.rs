//! What has happened: the events that are kept, a page at a time.

use super::filter::{EventFilter, EventsQuery, Since};
use crate::auth::{Caller, Scope};
use crate::deps::Api;
use crate::problem::Problem;
use crate::query::{Cursor, Page, Params, Time};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use jackfield_bus::{Outbox, Read};
use jackfield_events::Event;
use jackfield_journal::Limit as Batch;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Events that are looked at for one page: a filter that fits few of them must not search for minutes.
const MAX_LOOKED_AT: usize = 20_000;

/// Which events, and from which end, beside [`EventsQuery`].
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct LogQuery {
    /// Before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Time>,
    /// The newest first (`desc`), or the oldest (`asc`).
    #[param(inline)]
    order: Order,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Order {
    #[default]
    Desc,
    Asc,
}

/// Where the next page begins: after or before this `seq`, by the order.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Place {
    seq: u64,
}

/// A page of events.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EventsPage {
    /// The envelopes.
    items: Vec<serde_json::Value>,
    /// The `cursor` of the next page; null at the end.
    next: Option<String>,
}

/// List events
///
/// Those that are kept, a page at a time.
#[utoipa::path(get, path = "/api/v1/events/log", tag = "events", params(EventsQuery, LogQuery, Page),
    responses((status = 200, description = "The events.", body = EventsPage),
        (status = 409, description = "Events are not kept.", body = crate::problem::ProblemBody)),
    security(("bearer" = ["read"])))]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Params(wanted): Params<EventsQuery>,
    Params(LogQuery { until, order }): Params<LogQuery>,
    Params(page): Params<Page>,
) -> Result<Response, Problem> {
    caller.may_somewhere(Scope::Read)?;
    let outbox = kept(&api)?;
    let (filter, since) = wanted.filter(caller);
    let place = page.place::<Place>()?.map(|place| place.seq);
    let after = match since {
        None => 0,
        Some(Since::Seq(seq)) => seq,
        Some(Since::Time(time)) => outbox.seq_at(time).await,
    };
    let end = match until {
        None => u64::MAX,
        Some(time) => outbox.seq_at(time.0).await.saturating_add(1),
    };
    let mut search = Search { outbox, filter, limit: page.limit.items(), looked_at: 0, found: Vec::new() };
    let next = match order {
        Order::Desc => search.back(place.unwrap_or(end).min(end), after).await,
        Order::Asc => search.on(place.unwrap_or(after).max(after), end).await,
    };
    Ok(answer(&search.found, next))
}

/// The outbox.
///
/// # Errors
/// 409 if it is off.
pub(super) fn kept(api: &Api) -> Result<Outbox, Problem> {
    let off = || Problem::conflict("Events are not kept: `[events] outbox` is off.");
    api.deps.bus.outbox().cloned().ok_or_else(off)
}

/// The search for one page.
struct Search {
    outbox: Outbox,
    filter: EventFilter,
    limit: usize,
    looked_at: usize,
    found: Vec<Arc<Event>>,
}

impl Search {
    /// Looks at what is before this, the newest first, down to `after`. Returns where the next page begins.
    async fn back(&mut self, mut before: u64, after: u64) -> Option<u64> {
        while before > after.saturating_add(1) {
            let read = self.outbox.read_back(before, self.batch()).await;
            for event in &read.events {
                if event.stamp().seq <= after {
                    return None;
                }
                if let Some(seq) = self.look_at(event) {
                    return Some(seq);
                }
            }
            if self.is_over(&read, before) {
                return Some(read.up_to);
            }
            before = read.up_to;
        }
        None
    }

    /// Looks at what is after this, the oldest first, up to before `end`.
    async fn on(&mut self, mut after: u64, end: u64) -> Option<u64> {
        while after < end {
            let read = self.outbox.read(after, self.batch()).await;
            for event in &read.events {
                if event.stamp().seq >= end {
                    return None;
                }
                if let Some(seq) = self.look_at(event) {
                    return Some(seq);
                }
            }
            if read.events.is_empty() && read.up_to <= after {
                return None;
            }
            if self.is_over(&read, after) {
                return Some(read.up_to);
            }
            after = read.up_to;
        }
        None
    }

    /// Takes the event if it fits; its `seq` once the page is full.
    fn look_at(&mut self, event: &Arc<Event>) -> Option<u64> {
        self.looked_at += 1;
        if self.filter.shows(event) {
            self.found.push(Arc::clone(event));
        }
        (self.found.len() >= self.limit).then_some(event.stamp().seq)
    }

    /// Whether enough was looked at, or the disk gives nothing at the moment.
    fn is_over(&self, read: &Read, from: u64) -> bool {
        self.looked_at >= MAX_LOOKED_AT || (read.events.is_empty() && read.up_to == from)
    }

    fn batch(&self) -> Batch {
        Batch { records: (self.limit - self.found.len()).clamp(64, 1024), ..Batch::default() }
    }
}

/// The page, with the envelopes as they were serialised.
fn answer(found: &[Arc<Event>], next: Option<u64>) -> Response {
    let mut body = Vec::with_capacity(found.iter().map(|event| event.json().len() + 1).sum::<usize>() + 64);
    body.extend_from_slice(b"{\"items\":[");
    for (index, event) in found.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(event.json());
    }
    let next = next.map(|seq| Cursor::of(&Place { seq }));
    let next = serde_json::to_string(&next).expect("invariant: a cursor is a text");
    body.extend_from_slice(format!("],\"next\":{next}}}").as_bytes());
    let mut response = body.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
