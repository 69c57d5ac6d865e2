//! What happens, as it happens: server-sent events, resumed from the outbox.

use super::filter::{EventFilter, EventsQuery, Since, seq};
use super::frames::{self, Frames, Gone, Queued};
use super::log::kept;
use super::pulse::News;
use crate::auth::{Caller, Pass, Scope};
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
use jackfield_media::Mono;
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
/// How often it is asked whether a client may still follow, and what it may see.
const RENEWAL: Duration = Duration::from_secs(30);
/// What is read for one client at once: it holds that much while it is stuck.
const PIECE: Limit = Limit { records: 256, bytes: 32 * 1024 };

/// What is followed, beside [`EventsQuery`].
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct StreamQuery {
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
/// `{"from","to"}`. A place that the log has not reached is of another log, and everything that is kept comes. A comment line
/// comes at least every 15 s. Without `since` and `Last-Event-ID`, which is the stronger, it begins now. Who reads nothing for 10 s is disconnected, and so is within 30 s whose token was revoked or whose
/// session has ended.
#[utoipa::path(get, path = "/api/v1/events/stream", tag = "events", params(EventsQuery, StreamQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "The `id` that was read last.")),
    responses((status = 200, description = "Server-sent events, without end.", body = String,
            content_type = "text/event-stream"),
        (status = 409, description = "Events are not kept.", body = crate::problem::ProblemBody)),
    security(("bearer" = ["read"])))]
pub(super) async fn follow(
    State(api): State<Api>,
    caller: Caller,
    Extension(pass): Extension<Pass>,
    line: Option<Extension<Line>>,
    headers: HeaderMap,
    Params(wanted): Params<EventsQuery>,
    Params(StreamQuery { include }): Params<StreamQuery>,
) -> Result<Response, Problem> {
    caller.may_somewhere(Scope::Read)?;
    let (filter, since) = wanted.filter(caller);
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
            // Whoever has come further than this log goes has not seen any of it: the folder is a new one.
            let after = if after > outbox.last() { 0 } else { after };
            Some(Source { outbox, news, after })
        }
    };
    let deliveries = match include.deliveries {
        Follows::Yes => Some(api.deps.dispatch.deliveries().follow()),
        Follows::No => None,
    };
    let (frames, body) = Frames::new(line.map(|Extension(line)| line).unwrap_or_default());
    let renewed = clock::now();
    let feed = Feed { filter, source, deliveries, frames, api: api.clone(), pass, renewed };
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

impl Source {
    /// Returns when there may be more to read. Cancel-safe.
    async fn more(&mut self) -> Result<(), Gone> {
        // What the news told of could not be read then: it was not on disk yet, or the disk failed.
        let is_behind = self.news.borrow().up_to > self.after;
        tokio::select! {
            changed = self.news.changed() => changed.map_err(|_ended| Gone),
            () = self.outbox.more_than(self.after), if is_behind => Ok(()),
        }
    }
}

/// What one client is fed with.
struct Feed {
    filter: EventFilter,
    source: Option<Source>,
    deliveries: Option<Follower>,
    frames: Frames,
    api: Api,
    pass: Pass,
    /// When it was asked last whether the client may follow.
    renewed: Mono,
}

/// What there is to do.
enum Turn {
    News,
    Delivery(Option<Followed>),
    /// It is time to be heard of, or to ask whether the client may still follow.
    Due,
}

/// How far a client has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    APlace,
    Now,
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
            self.renew().await?;
            self.beat().await?;
            if self.go_on().await? == Reached::APlace {
                continue;
            }
            match self.turn().await? {
                Turn::News | Turn::Due => {}
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
            }
        }
    }

    /// Whoever may not follow any more is not told any more.
    async fn renew(&mut self) -> Result<(), Gone> {
        let now = clock::now();
        if now < self.renewed.after(RENEWAL) {
            return Ok(());
        }
        self.filter.caller = self.api.auth.renew(self.pass).await.ok_or(Gone)?;
        self.renewed = now;
        Ok(())
    }

    async fn turn(&mut self) -> Result<Turn, Gone> {
        let Self { source, deliveries, frames, renewed, .. } = self;
        let due = frames.last_sent().after(HEARTBEAT).min(renewed.after(RENEWAL));
        let news = async {
            match source {
                Some(source) => source.more().await,
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
            () = clock::sleep_until(due) => Ok(Turn::Due),
            () = frames.ending() => Err(Gone),
        }
    }

    /// Sends a part of what has happened since the place that the client has reached. A filter that fits little of a long log
    /// must not keep the client from hearing that we are there, nor us from asking whether it may still follow.
    async fn go_on(&mut self) -> Result<Reached, Gone> {
        let Some(source) = &mut self.source else { return Ok(Reached::Now) };
        let news = Arc::clone(&source.news.borrow_and_update());
        if news.up_to <= source.after {
            return Ok(Reached::Now);
        }
        let Some(piece) = news.after(source.after).cloned() else {
            let read = source.outbox.read(source.after, PIECE).await;
            if read.events.is_empty() && read.up_to <= source.after {
                // It is not on disk yet, or the disk fails.
                return Ok(Reached::Now);
            }
            // From the beginning, whatever is there is all that was asked for.
            if read.skipped > 0 && source.after > 0 {
                self.frames.send(frames::gap(source.after.saturating_add(1), read.up_to)).await?;
            }
            for event in read.events.iter().filter(|event| self.filter.shows(event)) {
                self.frames.send(frames::event(event)).await?;
            }
            source.after = read.up_to;
            return Ok(Reached::APlace);
        };
        // A client that is slow must not hold what others have long read.
        drop(news);
        for (event, frame) in &piece.events {
            if event.stamp().seq > source.after && self.filter.shows(event) {
                self.frames.send(frame.clone()).await?;
            }
        }
        source.after = piece.up_to;
        Ok(Reached::APlace)
    }

    /// A sign of life, if it is time for one.
    async fn beat(&mut self) -> Result<(), Gone> {
        if clock::now() < self.frames.last_sent().after(HEARTBEAT) {
            return Ok(());
        }
        let place = self.source.as_ref().map(|source| source.after);
        self.frames.send(frames::heartbeat(place)).await
    }
}
