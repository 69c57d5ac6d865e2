//! What happens, as it happens: server-sent events, resumed from the outbox.

use super::filter::{ConnName, EventFilter, EventTypes, SessionName, Since, Streams, seq};
use super::frames::{self, Frames, Gone, Queued};
use super::log::kept;
use super::pulse::News;
use crate::auth::{Caller, Scope};
use crate::deps::Api;
use crate::problem::Problem;
use crate::query::Params;
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use jackfield_bus::Outbox;
use jackfield_dispatch::{Followed, Follower};
use jackfield_http::Line;
use jackfield_journal::Limit;
use jackfield_runtime::clock;
use jackfield_runtime::queue::Receiver;
use serde::{Deserialize, Deserializer, de};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use utoipa::IntoParams;

/// How long a client hears nothing before it hears that we are there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// What is read for one client at once: it holds that much while it is stuck.
const PIECE: Limit = Limit { records: 256, bytes: 32 * 1024 };

/// Which events.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StreamQuery {
    /// Names of events between commas; `*` for any part of a name.
    #[param(value_type = Option<String>, example = "publish_*")]
    r#type: Option<EventTypes>,
    /// Globs of stream keys between commas, as the `streams` of a hook.
    #[param(value_type = Option<String>, example = "live/**")]
    key: Option<Streams>,
    /// Of this session, as `s000001`.
    #[param(value_type = Option<String>)]
    session: Option<SessionName>,
    /// Of this connection, as `c000001`.
    #[param(value_type = Option<String>)]
    conn: Option<ConnName>,
    /// After the event of this `seq`, or from this time on; from now on if absent. `Last-Event-ID` is stronger.
    #[param(value_type = Option<String>)]
    since: Option<Since>,
    /// `events`, `deliveries`, or both between a comma; `events` if absent.
    #[param(value_type = Option<String>)]
    include: Include,
}

/// What is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Include {
    events: Follows,
    deliveries: Follows,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follows {
    Yes,
    No,
}

impl Default for Include {
    fn default() -> Self {
        Self { events: Follows::Yes, deliveries: Follows::No }
    }
}

impl<'de> Deserialize<'de> for Include {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut include = Self { events: Follows::No, deliveries: Follows::No };
        for word in text.split(',') {
            match word {
                "events" => include.events = Follows::Yes,
                "deliveries" => include.deliveries = Follows::Yes,
                _ => return Err(de::Error::custom("`include` is `events`, `deliveries` or both")),
            }
        }
        Ok(include)
    }
}

/// Follow events
///
/// `id` is the event's `seq`, `event` its type and `data` the envelope; deliveries come as `event: delivery` without an id.
/// After a break the stream goes on after `Last-Event-ID`; what the log no longer has is told as `event: gap` with
/// `{"from","to"}`. A comment line comes at least every 15 s. Who reads nothing for 10 s is disconnected.
#[utoipa::path(get, path = "/api/v1/events/stream", tag = "events", params(StreamQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "The `id` that was read last.")),
    responses((status = 200, description = "Server-sent events, without end.", body = String,
            content_type = "text/event-stream"),
        (status = 409, description = "Events are not kept.", body = crate::problem::ProblemBody)),
    security(("bearer" = ["read"])))]
pub(super) async fn follow(
    State(api): State<Api>,
    caller: Caller,
    line: Option<Extension<Line>>,
    headers: HeaderMap,
    Params(query): Params<StreamQuery>,
) -> Result<Response, Problem> {
    caller.may_somewhere(Scope::Read)?;
    let StreamQuery { r#type, key, session, conn, since, include } = query;
    let filter = EventFilter { types: r#type, streams: key, session, conn, caller };
    let place = api.pulse.place()?;
    let source = match include.events {
        Follows::No => None,
        Follows::Yes => {
            let outbox = kept(&api)?;
            // Before the place is looked up: nothing may happen between.
            let news = api.pulse.follow(&outbox, &api.deps.tasks);
            let after = match (last_event_id(&headers)?, since) {
                (Some(seq), _) | (None, Some(Since::Seq(seq))) => seq,
                (None, Some(Since::Time(time))) => outbox.seq_at(time).await,
                (None, None) => outbox.last(),
            };
            Some(Source { outbox, news, after })
        }
    };
    let deliveries = match include.deliveries {
        Follows::Yes => Some(api.deps.dispatch.deliveries().follow()),
        Follows::No => None,
    };
    let (frames, body) = Frames::new(line.map(|Extension(line)| line).unwrap_or_default());
    let feed = Feed { filter, source, deliveries, frames };
    drop(api.deps.tasks.spawn("event stream", async move {
        let _place = place;
        let Gone = feed.run().await;
    }));
    Ok(response(body))
}

/// The `seq` that the client read last. What is no `seq` was not sent by us.
fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let id = value.to_str().ok().filter(|text| !text.is_empty());
    let Some(id) = id else { return Ok(None) };
    let bad = || Problem::bad_request("`Last-Event-ID` is the `id` of an event of this stream: digits.");
    seq(id).map(Some).ok_or_else(bad)
}

fn response(frames: Receiver<Queued>) -> Response {
    let next = |mut frames: Receiver<Queued>| async move {
        // Its room is free once the connection has taken it.
        let (frame, _room) = frames.recv().await?;
        Some((Ok::<_, Infallible>(frame), frames))
    };
    let mut response = Body::from_stream(stream::unfold(frames, next)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that gather answers would hold events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// Where events come from, and how far the client has come.
struct Source {
    outbox: Outbox,
    news: watch::Receiver<Arc<News>>,
    after: u64,
}

/// What one client is fed with.
struct Feed {
    filter: EventFilter,
    source: Option<Source>,
    deliveries: Option<Follower>,
    frames: Frames,
}

/// What there is to do.
enum Turn {
    News,
    Delivery(Option<Followed>),
    Quiet,
}

impl Feed {
    async fn run(mut self) -> Gone {
        match self.feed().await {
            Ok(never) => match never {},
            Err(gone) => gone,
        }
    }

    async fn feed(&mut self) -> Result<Infallible, Gone> {
        self.frames.send(frames::hello()).await?;
        loop {
            self.go_on().await?;
            match self.turn().await? {
                Turn::News => {}
                Turn::Delivery(Some(Followed::Delivery(delivery))) => {
                    if self.filter.shows_delivery(&delivery) {
                        self.frames.send(frames::delivery(&delivery)).await?;
                    }
                }
                Turn::Delivery(Some(Followed::Missed(count))) => {
                    self.frames.send(frames::missed(count)).await?
                }
                // Nothing is kept any more: the server ends.
                Turn::Delivery(None) => return Err(Gone),
                Turn::Quiet => {
                    let place = self.source.as_ref().map(|source| source.after);
                    self.frames.send(frames::heartbeat(place)).await?;
                }
            }
        }
    }

    async fn turn(&mut self) -> Result<Turn, Gone> {
        let Self { source, deliveries, frames, .. } = self;
        let news = async {
            match source {
                Some(source) => source.news.changed().await.map_err(|_ended| Gone),
                None => std::future::pending().await,
            }
        };
        let delivery = async {
            match deliveries {
                Some(deliveries) => deliveries.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            news = news => news.map(|()| Turn::News),
            delivery = delivery => Ok(Turn::Delivery(delivery)),
            () = clock::sleep_until(frames.last_sent().after(HEARTBEAT)) => Ok(Turn::Quiet),
            () = frames.ending() => Err(Gone),
        }
    }

    /// Sends what has happened since the place that the client has reached.
    async fn go_on(&mut self) -> Result<(), Gone> {
        let Some(source) = &mut self.source else { return Ok(()) };
        loop {
            let news = Arc::clone(&source.news.borrow_and_update());
            if news.up_to <= source.after {
                return Ok(());
            }
            let Some(piece) = news.after(source.after).cloned() else {
                let read = source.outbox.read(source.after, PIECE).await;
                if read.events.is_empty() && read.up_to <= source.after {
                    // The disk fails. What comes next tries again.
                    return Ok(());
                }
                // From the beginning, whatever is there is all that was asked for.
                if read.skipped > 0 && source.after > 0 {
                    self.frames.send(frames::gap(source.after.saturating_add(1), read.up_to)).await?;
                }
                for event in read.events.iter().filter(|event| self.filter.shows(event)) {
                    self.frames.send(frames::event(event)).await?;
                }
                source.after = read.up_to;
                continue;
            };
            // A client that is slow must not hold what others have long read.
            drop(news);
            for (event, frame) in &piece.events {
                if event.stamp().seq > source.after && self.filter.shows(event) {
                    self.frames.send(frame.clone()).await?;
                }
            }
            source.after = piece.up_to;
        }
    }
}
