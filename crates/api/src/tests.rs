//! The API as a client sees it, without a socket.

mod document;

use crate::MetricsSources;
use crate::auth::tokens::{NewToken, Scope, TokenFile, TokenStore};
use crate::{
    ApiConfig, ApiDeps, BoxFuture, Configuration, Control, Draining, Health, Metrics, MetricsConfig, Origins,
};
use crate::{ConfiguredHook, HookChange, HookRefused};
use crate::{ReloadError, Reloaded, Stopping};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use futures_util::stream;
use http_body_util::BodyExt;
use jackfield_bus::{Bus, Outbox, OutboxConfig};
use jackfield_dispatch::{Dispatch, DispatchConfig};
use jackfield_events::Masker;
use jackfield_http::{Client, Secure};
use jackfield_hub::{Hub, HubConfig};
use jackfield_media::UnixTime;
use jackfield_runtime::{Tasks, clock};
use jackfield_sessions::{ConnectionLimits, Connections};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tower_service::Service;

/// Who asks.
const CLIENT: Client =
    Client { addr: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), 999), secure: Secure::No };

/// A server that does what it is told.
struct Willing;

impl Control for Willing {
    fn reload(&self) -> BoxFuture<'_, Result<Reloaded, ReloadError>> {
        Box::pin(async {
            Err(ReloadError::Refused { problems: vec!["a.toml:1:1: unknown key `x`".to_owned()] })
        })
    }

    fn drain(&self) -> BoxFuture<'_, Result<Draining, Stopping>> {
        Box::pin(async { Ok(Draining { connections: 3 }) })
    }

    fn configuration(&self) -> BoxFuture<'_, Result<Configuration, Stopping>> {
        Box::pin(async { Err(Stopping) })
    }

    fn hooks(&self) -> BoxFuture<'_, Result<Vec<ConfiguredHook>, Stopping>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn change_hook(&self, _change: HookChange) -> BoxFuture<'_, Result<(), HookRefused>> {
        Box::pin(async { Err(HookRefused::NotThere) })
    }
}

/// The routes, and the folder with their tokens.
struct Kit {
    routes: Router,
    folder: TempDir,
    health: Health,
    hub: Hub,
}

/// What was answered.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
    text: String,
}

impl Answer {
    fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Its status and sentence; an error must be one of ours.
    fn problem(&self) -> (u16, String) {
        let status = self.status.as_u16();
        assert_eq!(self.header(header::CONTENT_TYPE), "application/problem+json", "{self:?}");
        assert_eq!(self.body["status"], status, "{self:?}");
        (status, self.body["detail"].as_str().unwrap().to_owned())
    }
}

impl Kit {
    fn new() -> Self {
        Self::of(|bus, _folder, _tasks| bus)
    }

    /// With a log of events.
    fn with_log() -> Self {
        Self::of(|bus, folder, tasks| {
            let (outbox, _) = Outbox::open(OutboxConfig::new(folder.join("events")), tasks).unwrap();
            bus.with_outbox(outbox, tasks)
        })
    }

    fn of(bus: impl FnOnce(Bus, &Path, &Tasks) -> Bus) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tasks = Tasks::new();
        let bus = bus(Bus::new("node-1", Masker::default()), folder.path(), &tasks);
        let (hub, _) = Hub::new(HubConfig::default(), bus.clone(), tasks.clone());
        let health = Health::default();
        let connections = Connections::new(bus.clone(), ConnectionLimits::default());
        let dispatch = Dispatch::new(DispatchConfig::default(), Masker::default(), &tasks);
        let sources = MetricsSources {
            hub: hub.clone(),
            connections: connections.clone(),
            dispatch: dispatch.clone(),
            bus: bus.clone(),
            node: "node-1".into(),
        };
        let deps = ApiDeps {
            hub: hub.clone(),
            connections,
            dispatch,
            bus,
            metrics: Metrics::new(sources, MetricsConfig::default()),
            control: Arc::new(Willing),
            health: health.clone(),
            tokens: TokenStore::open(folder.path()).unwrap(),
            node: "node-1".into(),
            tasks,
        };
        let config = ApiConfig { cors: Origins::parse(["https://a.example"]).unwrap() };
        Self { routes: crate::routes(deps, config), folder, health, hub }
    }

    fn admin(&self) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("admin.token")).unwrap();
        text.trim_end().to_owned()
    }

    fn token(&self, scopes: &[Scope], prefix: Option<&str>) -> String {
        let name = format!("t{}", jackfield_runtime::random::number());
        let stream_prefixes = prefix.map(|text| text.parse().unwrap()).into_iter().collect();
        let new = NewToken { name, scopes: scopes.to_vec(), stream_prefixes };
        TokenFile::of(self.folder.path()).create(new, UnixTime(0)).unwrap().token.reveal().to_owned()
    }

    async fn send(&self, mut request: Request<Body>) -> Answer {
        request.extensions_mut().insert(CLIENT);
        let response = self.routes.clone().call(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let is_stream = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
        let bytes = match is_stream {
            true => Default::default(),
            false => response.into_body().collect().await.unwrap().to_bytes(),
        };
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status, headers, body, text }
    }

    /// Without a body, with a token unless it is empty.
    async fn ask(&self, method: &str, path: &str, token: &str) -> Answer {
        self.send(request(method, path, token).body(Body::empty()).unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &self.admin()).await
    }

    async fn post(&self, path: &str, kind: &str, body: &str) -> Answer {
        let request = request("POST", path, "").header(header::CONTENT_TYPE, kind);
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }
}

fn request(method: &str, path: &str, token: &str) -> axum::http::request::Builder {
    let request = Request::builder().method(method).uri(path);
    if token.is_empty() { request } else { request.header(header::AUTHORIZATION, format!("Bearer {token}")) }
}

/// Method, path with its places filled in, and needed scope of each documented operation.
fn operations(document: &Value) -> Vec<(String, String, Option<Scope>)> {
    let known = crate::openapi::operations(document);
    let paths = document["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, entry)| {
        entry.as_object().unwrap().keys().map(move |method| (method.to_ascii_uppercase(), path.clone()))
    });
    let filled = all.map(|(method, path)| {
        let scope = known.get(&(method.clone(), path.clone())).and_then(|operation| operation.scope);
        let path = path.replace("connections/{id}", "connections/c000009").replace("{key}", "live%2Fx");
        let parts: Vec<&str> =
            path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect();
        (method, parts.join("/"), scope)
    });
    filled.collect()
}

#[tokio::test]
async fn what_is_no_endpoint_says_so_to_whoever_has_a_token() {
    let kit = Kit::new();
    for path in [
        "/api",
        "/api/",
        "/api/v1",
        "/api/v2/health",
        "/api/v1/streams/",
        "/api/v1/health/x",
        "/api/v1/../../etc/passwd",
        "/api/v1/streams/live/x",
        "/api/v1/%2e%2e/admin.token",
        "/api//v1/streams",
    ] {
        assert_eq!(kit.ask("GET", path, "").await.problem().0, 401, "{path}");
        assert_eq!(kit.get(path).await.problem().0, 404, "{path}");
    }
    let wrong = kit.ask("PATCH", "/api/v1/streams", &kit.admin()).await;
    assert_eq!(wrong.problem().0, 405);
    assert_eq!(wrong.header(header::ALLOW), "GET,HEAD");
    assert_eq!(kit.ask("DELETE", "/api/v1/health", &kit.admin()).await.problem().0, 405);
    assert_eq!(kit.ask("DELETE", "/api/v1/health", "").await.problem().0, 401);
    let head = kit.ask("HEAD", "/api/v1/health", "").await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
}

#[tokio::test]
async fn health_needs_no_token_and_turns_when_the_server_drains() {
    let kit = Kit::new();
    let answer = kit.ask("GET", "/api/v1/health", "").await;
    assert_eq!((answer.status.as_u16(), answer.body), (200, json!({"status": "ok"})));
    let all = json!({"status": "ok", "hooks": [], "outbox": {"state": "off", "lost": 0}});
    assert_eq!(kit.get("/api/v1/health").await.body, all);
    let some = kit.token(&[Scope::Read], Some("live"));
    assert_eq!(kit.ask("GET", "/api/v1/health", &some).await.body, json!({"status": "ok"}));
    assert_eq!(kit.ask("GET", "/api/v1/health", "wrong").await.problem().0, 401);
    kit.health.drain();
    let answer = kit.ask("GET", "/api/v1/health", "").await;
    assert_eq!((answer.status.as_u16(), answer.body), (503, json!({"status": "draining"})));
    assert_eq!(kit.ask("GET", "/api/v1/health?probe=live", "").await.status, 200);
    assert_eq!(kit.ask("GET", "/api/v1/health?probe=ready", "").await.status, 503);
    let (status, detail) = kit.ask("GET", "/api/v1/health?prob=live", "").await.problem();
    assert!(status == 400 && detail.contains("did you mean `probe`?"), "{detail}");
    assert_eq!(kit.ask("GET", "/api/v1/health?probe=dead", "").await.problem().0, 400);
}

#[tokio::test]
async fn a_token_is_good_until_it_is_revoked() {
    let kit = Kit::new();
    let token = kit.token(&[Scope::Read], None);
    let ask = |headers: &'static str| {
        let request =
            Request::get("/api/v1/version").header(header::AUTHORIZATION, headers.replace('T', &token));
        kit.send(request.body(Body::empty()).unwrap())
    };
    assert_eq!(ask("Bearer T").await.body["node"], "node-1");
    assert_eq!(ask("bearer T").await.status, 200);
    for wrong in ["T", "Basic T", "Bearer", "Bearer ", "Bearer T x", "Bearer Tx", "BearerT"] {
        let refused = ask(wrong).await;
        assert_eq!(refused.problem().0, 401, "{wrong}");
        assert_eq!(refused.header(header::WWW_AUTHENTICATE), "Bearer");
        assert!(!refused.text.contains(&token));
    }
    let file = TokenFile::of(kit.folder.path());
    let name = file.read().unwrap().first().unwrap().name.clone();
    file.revoke(&name).unwrap();
    assert_eq!(ask("Bearer T").await.problem().0, 401);
    assert_eq!(kit.get("/api/v1/version").await.status, 200);
}

#[tokio::test]
async fn wrong_tokens_are_slowed_down_and_good_ones_are_not() {
    let kit = Kit::new();
    for _ in 0..10 {
        assert_eq!(kit.ask("GET", "/api/v1/version", "wrong").await.problem().0, 401);
    }
    let slowed = kit.ask("GET", "/api/v1/version", "wrong").await;
    assert_eq!(slowed.problem().0, 429);
    assert!((1..=6).contains(&slowed.header(header::RETRY_AFTER).parse::<u32>().unwrap()), "{slowed:?}");
    let log_in = kit.post("/api/v1/session", "application/json", r#"{"token":"wrong"}"#).await;
    assert_eq!(log_in.problem().0, 429);
    assert_eq!(kit.get("/api/v1/version").await.status, 200);
}

#[tokio::test]
async fn a_token_for_a_prefix_reaches_no_other_stream() {
    let kit = Kit::new();
    let token = kit.token(&[Scope::Read, Scope::Operate], Some("live/a"));
    let status = |method: &'static str, path: &'static str| {
        let asked = kit.ask(method, path, &token);
        async move { asked.await.status.as_u16() }
    };
    assert_eq!(status("GET", "/api/v1/streams").await, 200);
    assert_eq!(status("GET", "/api/v1/streams/live%2Fa").await, 404);
    assert_eq!(status("GET", "/api/v1/streams/live%2fa%2Fb").await, 404);
    assert_eq!(status("GET", "/api/v1/streams/a").await, 404);
    for other in ["live%2Fab", "b", "vod%2Fa"] {
        for path in [format!("/api/v1/streams/{other}"), format!("/api/v1/streams/{other}/publisher")] {
            let method = if path.ends_with("publisher") { "DELETE" } else { "GET" };
            assert_eq!(kit.ask(method, &path, &token).await.problem().0, 403, "{path}");
        }
    }
    assert_eq!(status("DELETE", "/api/v1/streams/a/publisher").await, 404);
    assert_eq!(status("DELETE", "/api/v1/connections/c000001").await, 403);
    assert_eq!(status("GET", "/api/v1/config").await, 403);
    assert_eq!(status("POST", "/api/v1/drain").await, 403);
}

#[tokio::test]
async fn keys_and_ids_and_queries_that_are_none_are_refused() {
    let kit = Kit::new();
    for path in [
        "/api/v1/streams/..%2F..%2Fetc",
        "/api/v1/streams/%00",
        "/api/v1/streams/%ff",
        "/api/v1/streams/a%20b",
        "/api/v1/connections/1",
        "/api/v1/connections/c",
        "/api/v1/connections/c-1",
        "/api/v1/connections/c99999999999999999999",
        "/api/v1/streams?limit=0",
        "/api/v1/streams?limit=1001",
        "/api/v1/streams?limit=x",
        "/api/v1/streams?limit=1&limit=2",
        "/api/v1/streams?cursor=x",
        "/api/v1/connections?cursor=ImEi",
        "/api/v1/streams?colour=red",
        "/api/v1/version?x=1",
        "/api/v1/streams/live%2Fx?limit=1",
        "/api/v1/openapi.json?x",
    ] {
        assert_eq!(kit.get(path).await.problem().0, 400, "{path}");
    }
    let long = format!("/api/v1/streams/{}", "x".repeat(300));
    assert_eq!(kit.get(&long).await.problem().0, 400);
    let reason = format!("/api/v1/connections/c000001?reason={}", "x".repeat(201));
    assert_eq!(kit.ask("DELETE", &reason, &kit.admin()).await.problem().0, 400);
    assert_eq!(
        kit.ask("DELETE", "/api/v1/connections/c000001?reason=a%0Ab", &kit.admin()).await.problem().0,
        400
    );
    let (_, detail) = kit.get("/api/v1/streams?limt=5").await.problem();
    assert!(detail.contains("did you mean `limit`?"), "{detail}");
}

#[tokio::test]
async fn no_operation_passes_over_a_parameter_that_it_does_not_have() {
    let kit = Kit::new();
    let operations = operations(&kit.get("/api/v1/openapi.json").await.body);
    assert!(operations.len() > 30, "{}", operations.len());
    for (method, path, _) in operations {
        let (status, detail) = kit.ask(&method, &format!("{path}?colour=red"), &kit.admin()).await.problem();
        let is_told = detail.starts_with("Unknown parameter `colour`");
        assert!(status == 400 && is_told, "{method} {path}: {status} {detail}");
    }
}

#[tokio::test]
async fn bodies_are_json_of_a_limited_size() {
    let kit = Kit::new();
    let post = |kind: &'static str, body: String| {
        let kit = &kit;
        async move { kit.post("/api/v1/session", kind, &body).await.problem() }
    };
    assert_eq!(post("text/plain", "{}".to_owned()).await.0, 415);
    assert_eq!(post("application/json", "{".to_owned()).await.0, 400);
    assert_eq!(post("application/json; charset=utf-8", "{}".to_owned()).await.0, 422);
    let (status, detail) = post("application/json", r#"{"tokn":"x"}"#.to_owned()).await;
    assert!(status == 422 && detail.contains("did you mean `token`?"), "{detail}");
    assert_eq!(post("application/json", format!("\"{}\"", "x".repeat(1024 * 1024))).await.0, 413);
    // Without a length that says so.
    let chunk = Ok::<_, Infallible>(vec![b' '; 1024 * 1024 + 1]);
    let chunks = Body::from_stream(stream::iter([chunk]));
    let request = request("POST", "/api/v1/session", "").header(header::CONTENT_TYPE, "application/json");
    assert_eq!(kit.send(request.body(chunks).unwrap()).await.problem().0, 413);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_given_up() {
    let kit = Kit::new();
    let never = Body::from_stream(stream::pending::<Result<Vec<u8>, Infallible>>());
    let request = request("POST", "/api/v1/session", "").header(header::CONTENT_TYPE, "application/json");
    assert_eq!(kit.send(request.body(never).unwrap()).await.problem().0, 408);
}

#[tokio::test(start_paused = true)]
async fn slow_logins_of_one_address_keep_no_other_out() {
    let (kit, tasks) = (Kit::new(), Tasks::new());
    let send = |body: Body, last: u8| {
        let request = request("POST", "/api/v1/session", "").header(header::CONTENT_TYPE, "application/json");
        let mut request = request.body(body).unwrap();
        let addr = SocketAddr::new(Ipv4Addr::new(192, 0, 2, last).into(), 999);
        request.extensions_mut().insert(Client { addr, secure: Secure::No });
        let answer = kit.routes.clone().call(request);
        async move { answer.await.unwrap().status().as_u16() }
    };
    let never = || Body::from_stream(stream::pending::<Result<Vec<u8>, Infallible>>());
    let right = || Body::from(json!({"token": kit.admin()}).to_string());
    let slow: Vec<_> = (0..8).map(|_| tasks.spawn("slow login", send(never(), 1))).collect();
    clock::sleep(Duration::from_millis(1)).await;
    assert_eq!((send(right(), 1).await, send(right(), 2).await), (503, 200));
    for slow in slow {
        assert_eq!(slow.join().await, Some(408));
    }
    assert_eq!(send(right(), 1).await, 200);
}

#[tokio::test]
async fn a_browser_logs_in_and_out() {
    let kit = Kit::new();
    let body = json!({"token": kit.admin()}).to_string();
    let session = kit.post("/api/v1/session", "application/json", &body).await;
    let cookie = session.header(header::SET_COOKIE).to_owned();
    assert!(cookie.ends_with("; HttpOnly; SameSite=Strict; Path=/; Max-Age=43200"), "{cookie}");
    assert!(!session.text.contains(&kit.admin()));
    let csrf = session.body["csrf"].as_str().unwrap().to_owned();
    assert_eq!(session.body["scopes"].as_array().unwrap().len(), 3);
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let send = |method: &'static str, path: &'static str, csrf: Option<&str>| {
        let mut request = request(method, path, "").header(header::COOKIE, format!("a=b; {cookie}"));
        if let Some(csrf) = csrf {
            request = request.header("x-csrf-token", csrf);
        }
        kit.send(request.body(Body::empty()).unwrap())
    };
    assert_eq!(send("GET", "/api/v1/session", None).await.body["csrf"], csrf);
    assert_eq!(send("GET", "/api/v1/streams", None).await.status, 200);
    assert_eq!(send("POST", "/api/v1/drain", None).await.problem().0, 403);
    assert_eq!(send("POST", "/api/v1/drain", Some("x")).await.problem().0, 403);
    let drained = send("POST", "/api/v1/drain", Some(&csrf)).await;
    assert_eq!(
        (drained.status.as_u16(), drained.body),
        (202, json!({"status": "draining", "connections": 3}))
    );
    let gone = send("DELETE", "/api/v1/session", Some(&csrf)).await;
    assert!(gone.status == 204 && gone.header(header::SET_COOKIE).contains("Max-Age=0"), "{gone:?}");
    assert_eq!(send("GET", "/api/v1/streams", None).await.problem().0, 401);
}

#[tokio::test]
async fn a_session_ends_with_its_token_and_an_old_cookie_does_not_keep_anybody_out() {
    let kit = Kit::new();
    let token = kit.token(&[Scope::Read], Some("live"));
    let body = json!({"token": token}).to_string();
    let session = kit.post("/api/v1/session", "application/json", &body).await;
    assert_eq!(session.body["scopes"], json!([{"scope": "read", "stream_prefix": "live"}]));
    let cookie = session.header(header::SET_COOKIE).split(';').next().unwrap().to_owned();
    let list = || {
        let request = request("GET", "/api/v1/streams", "").header(header::COOKIE, &cookie);
        kit.send(request.body(Body::empty()).unwrap())
    };
    assert_eq!(list().await.status, 200);
    let file = TokenFile::of(kit.folder.path());
    file.revoke(&file.read().unwrap().first().unwrap().id).unwrap();
    assert_eq!(list().await.problem().0, 401);
    let again = request("POST", "/api/v1/session", "").header(header::COOKIE, &cookie);
    let again = again.header(header::CONTENT_TYPE, "application/json");
    let body = json!({"token": kit.admin()}).to_string();
    assert_eq!(kit.send(again.body(Body::from(body)).unwrap()).await.status, 200);
}

#[tokio::test]
async fn pages_of_other_origins_are_answered_if_the_configuration_names_them() {
    let kit = Kit::new();
    let ask = |method: Method, origin: &'static str, token: String| {
        let request = request(method.as_str(), "/api/v1/streams", &token).header(header::ORIGIN, origin);
        let request = request.header(header::ACCESS_CONTROL_REQUEST_METHOD, "GET");
        kit.send(request.body(Body::empty()).unwrap())
    };
    let asked = ask(Method::OPTIONS, "https://a.example", String::new()).await;
    assert_eq!(
        (asked.status.as_u16(), asked.header(header::ACCESS_CONTROL_ALLOW_ORIGIN)),
        (204, "https://a.example")
    );
    let got = ask(Method::GET, "https://a.example", kit.admin()).await;
    assert_eq!(
        (got.status.as_u16(), got.header(header::ACCESS_CONTROL_ALLOW_ORIGIN)),
        (200, "https://a.example")
    );
    let other = ask(Method::OPTIONS, "https://b.example", String::new()).await;
    assert_eq!((other.problem().0, other.header(header::ACCESS_CONTROL_ALLOW_ORIGIN)), (401, ""));
}

#[tokio::test]
async fn what_the_server_refuses_is_told() {
    let kit = Kit::new();
    let reload = kit.ask("POST", "/api/v1/reload", &kit.admin()).await;
    assert_eq!(reload.problem().0, 422);
    assert_eq!(reload.body["problems"], json!(["a.toml:1:1: unknown key `x`"]));
    assert_eq!(kit.get("/api/v1/config").await.problem().0, 503);
    let headers = kit.get("/api/v1/version").await.headers;
    assert_eq!(
        (&headers[header::CACHE_CONTROL], &headers[header::X_CONTENT_TYPE_OPTIONS]),
        (&"no-store".parse().unwrap(), &"nosniff".parse().unwrap())
    );
    assert!(kit.hub.streams().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_events_ends_with_its_token_and_with_its_session() {
    let kit = Kit::new();
    let token = kit.token(&[Scope::Read], None);
    let login = json!({"token": kit.token(&[Scope::Read], None)}).to_string();
    let session = kit.post("/api/v1/session", "application/json", &login).await;
    let cookie = session.header(header::SET_COOKIE).split(';').next().unwrap().to_owned();
    let follow = |name, value: String| {
        let request = Request::get("/api/v1/events/stream?include=deliveries").header(name, value);
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(CLIENT);
        kit.routes.clone().call(request)
    };
    let by_token = follow(header::AUTHORIZATION, format!("Bearer {token}")).await.unwrap();
    let by_cookie = follow(header::COOKIE, cookie.clone()).await.unwrap();
    let (mut by_token, mut by_cookie) = (by_token.into_body(), by_cookie.into_body());
    // More than the time after which it is asked, and it goes on.
    for _ in 0..10 {
        assert!(by_token.frame().await.unwrap().is_ok() && by_cookie.frame().await.unwrap().is_ok());
    }
    let file = TokenFile::of(kit.folder.path());
    file.revoke(&file.read().unwrap().first().unwrap().id).unwrap();
    let out = request("DELETE", "/api/v1/session", "").header(header::COOKIE, cookie);
    let out = out.header("x-csrf-token", session.body["csrf"].as_str().unwrap());
    assert_eq!(kit.send(out.body(Body::empty()).unwrap()).await.status, 204);
    for body in [by_token, by_cookie] {
        let rest = clock::until(clock::now().after(Duration::from_secs(60)), body.collect()).await;
        assert!(rest.expect("it ends").unwrap().to_bytes().len() < 20);
    }
}

#[tokio::test]
async fn a_token_for_some_streams_sends_nothing_about_other_connections() {
    let kit = Kit::new();
    let token = kit.token(&[Scope::Hooks], Some("live/a"));
    let send = async |token: &str, conn: &str| {
        let body = json!({"event": "publish_start", "stream_key": "live/a", "conn_id": conn});
        let request = request("POST", "/api/v1/events/trigger", token);
        let request = request.header(header::CONTENT_TYPE, "application/json");
        kit.send(request.body(Body::from(body.to_string())).unwrap()).await
    };
    let (status, detail) = send(&token, "c000009").await.problem();
    assert!(status == 403 && detail.contains("connection"), "{status} {detail}");
    // That of nobody, which it has unless told otherwise.
    assert_eq!(send(&token, "c000000").await.status, 202);
    assert_eq!(send(&kit.admin(), "c000009").await.status, 202);
}

#[tokio::test]
async fn an_event_that_did_not_happen_has_a_bound_however_it_is_sent() {
    let kit = Kit::new();
    let body = json!({"event": "publish_start", "data": {"tc_url": "x".repeat(64 * 1024)}}).to_string();
    for path in ["/api/v1/events/trigger", "/api/v1/hooks/x/test"] {
        let request = request("POST", path, &kit.admin()).header(header::CONTENT_TYPE, "application/json");
        let refused = kit.send(request.body(Body::from(body.clone())).unwrap()).await;
        let (status, detail) = refused.problem();
        assert!(status == 422 && detail.contains("65536"), "{path}: {status} {detail}");
    }
}

#[tokio::test]
async fn a_place_beyond_the_log_is_of_another_log_and_this_one_is_told_whole() {
    let kit = Kit::with_log();
    let body = r#"{"event":"stream_create"}"#;
    let request = request("POST", "/api/v1/events/trigger", &kit.admin());
    let request = request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body)).unwrap();
    let sent = kit.send(request).await.body["id"].as_str().unwrap().to_owned();
    for path in ["?since=900000000000", ""] {
        let follow = Request::get(format!("/api/v1/events/stream{path}"));
        let follow = follow.header(header::AUTHORIZATION, format!("Bearer {}", kit.admin()));
        let follow = if path.is_empty() { follow.header("last-event-id", "900000000000") } else { follow };
        let mut follow = follow.body(Body::empty()).unwrap();
        follow.extensions_mut().insert(CLIENT);
        let mut frames = kit.routes.clone().call(follow).await.unwrap().into_body();
        let told = async {
            while let Some(Ok(frame)) = frames.frame().await {
                if frame
                    .into_data()
                    .is_ok_and(|text| text.windows(sent.len()).any(|part| part == sent.as_bytes()))
                {
                    return true;
                }
            }
            false
        };
        assert_eq!(
            clock::until(clock::now().after(Duration::from_secs(10)), told).await,
            Some(true),
            "{path}"
        );
    }
}
