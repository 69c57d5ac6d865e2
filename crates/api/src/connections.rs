//! Media connections: list, one, and sending one away.

use crate::auth::{Caller, Scope};
use crate::deps::Api;
use crate::problem::{Problem, ProblemBody};
use crate::query::{ConnPath, Listed, Page, Params};
use crate::streams::ReasonQuery;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jackfield_hub::Use;
use jackfield_media::{ConnId, StreamKey};
use jackfield_sessions::{ConnectionSnapshot, Kick, Phase};
use serde::Serialize;
use std::collections::HashMap;
use std::net::IpAddr;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one, kick))
}

/// A media connection as it is now.
#[derive(Debug, Serialize, ToSchema)]
struct Connection {
    /// Its id.
    #[schema(example = "c000001")]
    id: String,
    /// The client's address; behind a trusted proxy the one that the proxy told.
    #[schema(value_type = String)]
    client_ip: IpAddr,
    /// `rtmp`, `rtmps` …
    protocol: String,
    /// What it is used for; null when for nothing yet, or any more. One that does both counts as a publisher.
    role: Option<ConnectionRole>,
    /// The stream that it publishes or plays; the first, if there are several.
    stream_key: Option<String>,
    /// How far it is.
    state: ConnectionState,
    /// How long it has been open.
    duration_seconds: u64,
    /// Bytes read from its socket.
    bytes_received: u64,
    /// Bytes written to its socket.
    bytes_sent: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ConnectionRole {
    Publisher,
    Player,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ConnectionState {
    /// The protocol's handshake is under way.
    Handshake,
    /// It is asked whether it may connect, or has not said yet what to.
    Connecting,
    /// It is connected, and neither publishes nor plays.
    Idle,
    /// It publishes.
    Publishing,
    /// It plays, or is about to.
    Playing,
    /// It was told to go.
    Closing,
}

/// What each connection is used for; the publisher's stream first, then by key.
type Uses = HashMap<ConnId, Vec<(ConnectionRole, StreamKey)>>;

/// Connections
///
/// By id. A token for a prefix sees those that publish or play a stream under it.
#[utoipa::path(get, path = "/api/v1/connections", tag = "connections", params(Page),
    responses((status = 200, description = "A page of connections.", body = Listed<Connection>)),
    security(("bearer" = ["read"])))]
async fn list(
    State(api): State<Api>,
    caller: Caller,
    Params(page): Params<Page>,
) -> Result<Json<Listed<Connection>>, Problem> {
    caller.may_somewhere(Scope::Read)?;
    let after: Option<u64> = page.place()?;
    let connections = api.deps.connections.list();
    let uses = uses(&api);
    let seen = connections
        .iter()
        .filter(|connection| after.is_none_or(|after| connection.id.0 > after))
        .filter(|connection| may(&caller, Scope::Read, connection.id, &uses))
        .map(|connection| (connection.id.0, Connection::of(connection, &uses)));
    let Listed { items, next } = Listed::page(seen, page.limit, |(id, _)| *id);
    Ok(Json(Listed { items: items.into_iter().map(|(_, connection)| connection).collect(), next }))
}

/// One connection
#[utoipa::path(get, path = "/api/v1/connections/{id}", tag = "connections",
    params(("id" = String, Path, description = "Its id: `c000001`.", pattern = "^c[0-9]+$")),
    responses(
        (status = 200, description = "The connection.", body = Connection),
        (status = 404, description = "It is not open.",
         body = ProblemBody),
    ),
    security(("bearer" = ["read"])))]
async fn one(
    State(api): State<Api>,
    caller: Caller,
    ConnPath(id): ConnPath,
) -> Result<Json<Connection>, Problem> {
    let uses = uses(&api);
    check(&caller, Scope::Read, id, &uses)?;
    let connection = api.deps.connections.find(id).ok_or_else(|| unknown(id))?;
    Ok(Json(Connection::of(&connection, &uses)))
}

/// Send a connection away
///
/// The client is told the reason, as far as its protocol can: RTMP by a status. Its stop events say `kicked`.
#[utoipa::path(delete, path = "/api/v1/connections/{id}", tag = "connections",
    params(("id" = String, Path, description = "Its id: `c000001`.", pattern = "^c[0-9]+$"), ReasonQuery),
    responses(
        (status = 204, description = "It was told to go."),
        (status = 404, description = "It is not open.",
         body = ProblemBody),
    ),
    security(("bearer" = ["operate"])))]
async fn kick(
    State(api): State<Api>,
    caller: Caller,
    ConnPath(id): ConnPath,
    Params(query): Params<ReasonQuery>,
) -> Result<StatusCode, Problem> {
    check(&caller, Scope::Operate, id, &uses(&api))?;
    let text = query.text()?;
    api.deps.connections.kick(id, Kick::by_operator(text)).map_err(|_gone| unknown(id))?;
    tracing::info!(token = caller.name(), conn = %id, "The API sends a connection away");
    Ok(StatusCode::NO_CONTENT)
}

fn unknown(id: ConnId) -> Problem {
    Problem::not_found(format!("There is no connection `{id}`."))
}

/// Whether the caller may do that with everything that the connection is used for.
fn may(caller: &Caller, scope: Scope, id: ConnId, uses: &Uses) -> bool {
    let streams = uses.get(&id).map(Vec::as_slice).unwrap_or_default();
    match streams {
        [] => caller.can(scope, None),
        some => some.iter().all(|(_, key)| caller.can(scope, Some(key))),
    }
}

/// Whether the caller may do that with all that the connection does.
pub(crate) fn may_all(api: &Api, caller: &Caller, scope: Scope, id: ConnId) -> bool {
    may(caller, scope, id, &uses(api))
}

/// Whether the caller may do that with what is about this connection.
///
/// # Errors
/// 403; the same for a connection that there is and that there is not.
pub(crate) fn may_about(api: &Api, caller: &Caller, scope: Scope, id: ConnId) -> Result<(), Problem> {
    check(caller, scope, id, &uses(api))
}

/// 403 if not; the same for a connection that there is and that there is not.
fn check(caller: &Caller, scope: Scope, id: ConnId, uses: &Uses) -> Result<(), Problem> {
    if may(caller, scope, id, uses) {
        return Ok(());
    }
    caller.may_somewhere(scope)?;
    Err(Problem::forbidden(format!("This token's scope `{scope}` does not cover this connection.")))
}

fn uses(api: &Api) -> Uses {
    let mut uses = Uses::new();
    for (conn, key, used) in api.deps.hub.uses() {
        let role = match used {
            Use::Publish => ConnectionRole::Publisher,
            Use::Play => ConnectionRole::Player,
        };
        uses.entry(conn).or_default().push((role, key));
    }
    uses.values_mut().for_each(|streams| streams.sort());
    uses
}

impl Connection {
    fn of(connection: &ConnectionSnapshot, uses: &Uses) -> Self {
        let used = uses.get(&connection.id).and_then(|streams| streams.first());
        let role = used.map(|(role, _)| *role);
        Self {
            id: connection.id.to_string(),
            client_ip: connection.peer.client.ip(),
            protocol: connection.peer.protocol.to_string(),
            role,
            stream_key: used.map(|(_, key)| key.to_string()),
            state: match (connection.phase, role) {
                (Phase::Closing, _) => ConnectionState::Closing,
                (_, Some(ConnectionRole::Publisher)) => ConnectionState::Publishing,
                (_, Some(ConnectionRole::Player)) => ConnectionState::Playing,
                (Phase::Handshake, None) => ConnectionState::Handshake,
                (Phase::Connecting, None) => ConnectionState::Connecting,
                (Phase::Connected, None) => ConnectionState::Idle,
            },
            duration_seconds: connection.age.as_secs(),
            bytes_received: connection.bytes_received,
            bytes_sent: connection.bytes_sent,
        }
    }
}
