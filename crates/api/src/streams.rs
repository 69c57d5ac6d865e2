//! Streams: list, one, and the end of a publisher.

use crate::auth::{Caller, Scope};
use crate::connections;
use crate::deps::Api;
use crate::problem::{Problem, ProblemBody};
use crate::query::{KeyPath, Listed, Page, Params};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jackfield_events::EndReason;
use jackfield_hub::{Hub, Presence, StreamSnapshot, TrackRate};
use jackfield_media::{StreamKey, Track};
use jackfield_runtime::clock;
use jackfield_sessions::{Connections, Kick};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How long a publisher's stop events are waited for.
const ENDING: Duration = Duration::from_secs(5);
/// What a client is told that is sent away without a reason.
pub(crate) const NO_REASON: &str = "The operator ended this.";
/// Characters of a reason at most: it goes into a status of RTMP and into the log.
const MAX_REASON: usize = 200;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one)).routes(routes!(end_publisher))
}

/// A stream as it is now.
#[derive(Debug, Serialize, ToSchema)]
struct Stream {
    /// Its key, `app/name`.
    #[schema(example = "live/show")]
    key: String,
    /// Whether it has a publisher.
    state: StreamState,
    /// The number of its publish session.
    epoch: u64,
    /// How long the publish session has lasted.
    uptime_seconds: u64,
    /// Viewers, waiting and paused ones included.
    viewers: usize,
    /// Bytes that were received since the stream came to exist.
    bytes_received: u64,
    /// Time between the last two key frames of the first video track; null before there were two.
    key_frame_ms: Option<u64>,
    /// The tracks, by their ids.
    tracks: Vec<StreamTrack>,
    /// Who publishes it, or did last.
    publisher: StreamPublisher,
    /// What it has counted since it came to exist.
    counters: StreamCounts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum StreamState {
    /// It has a publisher.
    Live,
    /// Its publisher has gone and may return.
    Resumable,
}

/// A track; what its configuration does not tell is null.
#[derive(Debug, Serialize, ToSchema)]
struct StreamTrack {
    /// Its id within the stream.
    track: u16,
    /// `video`, `audio` or `data`.
    kind: &'static str,
    /// `h264`, `aac` …
    codec: String,
    /// RFC 6381: `avc1.64001f`.
    codec_string: Option<String>,
    /// Pixels.
    width: Option<u32>,
    /// Pixels.
    height: Option<u32>,
    /// Frames a second, as its configuration tells.
    fps: Option<u32>,
    /// Samples a second.
    sample_rate: Option<u32>,
    /// Channels of sound.
    channels: Option<u32>,
    /// Bits a second over about the last second; null before that.
    bitrate: Option<u64>,
}

#[derive(Debug, Serialize, ToSchema)]
struct StreamPublisher {
    /// Its connection.
    #[schema(example = "c000001")]
    conn_id: Option<String>,
    /// Its session.
    #[schema(example = "s000001")]
    session_id: Option<String>,
    /// Its address; null when the connection has gone.
    #[schema(value_type = Option<String>)]
    client_ip: Option<IpAddr>,
    /// `rtmp`, `rtmps` …
    protocol: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct StreamCounts {
    /// Frames of all kinds and publish sessions.
    frames: u64,
    /// Time stamps that were changed because the publisher's jumped or went back.
    time_repairs: u64,
    /// Frames of superseded publishers, or of a track too many.
    refused_frames: u64,
    /// Frames that slow viewers who have left did not get.
    dropped_frames: u64,
    /// Groups of pictures that were too large to be kept for late joiners.
    uncached_groups: u64,
}

/// Streams
///
/// By key. A token for a prefix sees the streams under it.
#[utoipa::path(get, path = "/api/v1/streams", tag = "streams", params(Page),
    responses((status = 200, description = "A page of streams.", body = Listed<Stream>)),
    security(("bearer" = ["read"])))]
async fn list(
    State(api): State<Api>,
    caller: Caller,
    Params(page): Params<Page>,
) -> Result<Json<Listed<Stream>>, Problem> {
    caller.may_somewhere(Scope::Read)?;
    let after: Option<String> = page.place()?;
    let streams = api.deps.hub.streams();
    let seen = streams
        .iter()
        .filter(|stream| after.as_deref().is_none_or(|after| stream.key.as_str() > after))
        .filter(|stream| caller.can(Scope::Read, Some(&stream.key)))
        .filter_map(|stream| Stream::of(stream, &api.deps.connections));
    Ok(Json(Listed::page(seen, page.limit, |stream| stream.key.clone())))
}

/// One stream
#[utoipa::path(get, path = "/api/v1/streams/{key}", tag = "streams",
    params(("key" = String, Path, description = "Its key, percent-encoded: `live%2Fshow`, or `show` for the app `live`.",
        max_length = 250, pattern = "^[A-Za-z0-9_][A-Za-z0-9_.+@:=~-]{0,127}(/[A-Za-z0-9_][A-Za-z0-9_.+@:=~-]{0,127}){0,4}$")),
    responses(
        (status = 200, description = "The stream.", body = Stream),
        (status = 404, description = "There is no such stream.",
         body = ProblemBody),
    ),
    security(("bearer" = ["read"])))]
async fn one(State(api): State<Api>, caller: Caller, KeyPath(key): KeyPath) -> Result<Json<Stream>, Problem> {
    caller.may(Scope::Read, Some(&key))?;
    let stream = api.deps.hub.stream(&key);
    let stream = stream.and_then(|stream| Stream::of(&stream, &api.deps.connections));
    stream.map(Json).ok_or_else(|| no_stream(&key))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReasonQuery {
    /// What the client is told: up to 200 characters without control characters.
    #[param(max_length = 200, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
    reason: Option<String>,
}

impl ReasonQuery {
    /// What the client is told.
    ///
    /// # Errors
    /// 400 for a text that cannot be shown.
    pub(crate) fn text(&self) -> Result<&str, Problem> {
        let text = self.reason.as_deref().unwrap_or(NO_REASON);
        if text.chars().count() > MAX_REASON || text.chars().any(char::is_control) {
            let detail = format!("`reason` has at most {MAX_REASON} characters, and no control characters.");
            return Err(Problem::bad_request(detail).with("field", "reason"));
        }
        Ok(if text.is_empty() { NO_REASON } else { text })
    }
}

/// End a publisher
///
/// Its connection is closed with the reason; its `publish_stop` says `kicked`. The key is free when this answers.
#[utoipa::path(delete, path = "/api/v1/streams/{key}/publisher", tag = "streams",
    params(
        ("key" = String, Path, description = "The stream's key, percent-encoded: `live%2Fshow`, or `show` for the app `live`.",
        max_length = 250, pattern = "^[A-Za-z0-9_][A-Za-z0-9_.+@:=~-]{0,127}(/[A-Za-z0-9_][A-Za-z0-9_.+@:=~-]{0,127}){0,4}$"),
        ReasonQuery,
    ),
    responses(
        (status = 204, description = "The publisher has gone."),
        (status = 404, description = "The stream has no publisher.",
         body = ProblemBody),
    ),
    security(("bearer" = ["operate"])))]
async fn end_publisher(
    State(api): State<Api>,
    caller: Caller,
    KeyPath(key): KeyPath,
    Params(query): Params<ReasonQuery>,
) -> Result<StatusCode, Problem> {
    caller.may(Scope::Operate, Some(&key))?;
    let text = query.text()?;
    let stream = api.deps.hub.stream(&key).filter(is_live).ok_or_else(|| no_publisher(&key))?;
    tracing::info!(token = caller.name(), stream = %key, "The API ends a publisher");
    // The connection is told first: it is the one that can tell its client why.
    // It goes whole, so not for somebody who may not end all that it does.
    if let Some(id) = stream.publisher.conn_id
        && connections::may_all(&api, &caller, Scope::Operate, id)
    {
        let _gone = api.deps.connections.kick(id, Kick::by_operator(text));
    }
    match end(&api.deps.hub, &key).await {
        Some(()) => Ok(StatusCode::NO_CONTENT),
        None => Err(Problem::unavailable("The stream does not answer.", ENDING)),
    }
}

/// Returns once the key has no publisher.
async fn end(hub: &Hub, key: &StreamKey) -> Option<()> {
    let ended = clock::until(clock::now().after(ENDING), hub.kick_publisher(key, EndReason::Kicked)).await;
    // That it has gone by itself meanwhile is as well.
    ended.map(drop)
}

fn is_live(stream: &StreamSnapshot) -> bool {
    matches!(stream.presence, Presence::Live { .. })
}

fn no_stream(key: &StreamKey) -> Problem {
    Problem::not_found(format!("There is no stream `{key}`."))
}

fn no_publisher(key: &StreamKey) -> Problem {
    Problem::not_found(format!("The stream `{key}` has no publisher."))
}

impl Stream {
    /// `None` for one that has ended and is not out of the table yet.
    fn of(stream: &StreamSnapshot, connections: &Connections) -> Option<Self> {
        let state = match stream.presence {
            Presence::Absent => return None,
            Presence::Live { .. } => StreamState::Live,
            Presence::Resumable => StreamState::Resumable,
        };
        let counters = &stream.counters;
        let connection = stream.publisher.conn_id.and_then(|id| connections.find(id));
        Some(Self {
            key: stream.key.to_string(),
            state,
            epoch: stream.epoch.0,
            uptime_seconds: stream.uptime.as_secs(),
            viewers: stream.viewers,
            bytes_received: counters.bytes,
            key_frame_ms: stream.key_frames.map(millis),
            tracks: stream.tracks.iter().map(|track| StreamTrack::of(track, &stream.rates)).collect(),
            publisher: StreamPublisher {
                conn_id: stream.publisher.conn_id.map(|id| id.to_string()),
                session_id: stream.publisher.session_id.map(|id| id.to_string()),
                client_ip: connection.as_ref().map(|connection| connection.peer.client.ip()),
                protocol: connection.as_ref().map(|connection| connection.peer.protocol.to_string()),
            },
            counters: StreamCounts {
                frames: counters.frames,
                time_repairs: counters.time_repairs,
                refused_frames: counters.refused_frames,
                dropped_frames: counters.dropped_frames,
                uncached_groups: counters.uncached_groups,
            },
        })
    }
}

impl StreamTrack {
    fn of(track: &Track, rates: &[TrackRate]) -> Self {
        let rate = rates.iter().find(|rate| rate.track == track.id);
        Self {
            track: track.id.0,
            kind: track.kind.as_str(),
            codec: track.codec.name().to_string(),
            codec_string: track.codec_string.as_ref().map(ToString::to_string),
            width: track.width,
            height: track.height,
            fps: track.fps,
            sample_rate: track.sample_rate,
            channels: track.channels,
            bitrate: rate.map(|rate| rate.bits_per_second),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
