//! One connection: its TLS handshake, the version of HTTP, and its end.

use crate::activity::{Activity, Watched};
use crate::client::{Client, Introduced};
use crate::line::Line;
use axum::Router;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use jackfield_net::Seldom;
use jackfield_runtime::{CancellationToken, Tasks, clock};
use std::io;
use std::pin::pin;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// Bytes of a request's head. A larger one is refused: each connection may hold that much.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Requests of one HTTP/2 connection that are answered at once: each is a task.
const MAX_STREAMS: u32 = 128;
/// How often a silent HTTP/2 client is asked whether it is still there, and how long it has to say so.
const PING_EVERY: Duration = Duration::from_secs(20);
/// How long a client of HTTP/2 that is told to go has to do it.
const GOING: Duration = Duration::from_secs(1);

/// What the connections of one listener share.
#[derive(Clone)]
pub(crate) struct Serving {
    pub(crate) routes: Router,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) header_timeout: Duration,
    /// Where the requests of HTTP/2 run.
    pub(crate) requests: Tasks,
}

/// Serves one connection; ends it after the answers that are under way once `stop` is there, or when a request cuts it.
pub(crate) async fn serve(
    stream: TcpStream,
    client: Client,
    serving: Serving,
    stop: CancellationToken,
) -> Result<(), hyper::Error> {
    let line = Line::new(stop.clone());
    let served = Box::pin(serve_on(stream, client, line.clone(), serving, stop));
    line.until_cut(served).await.unwrap_or(Ok(()))
}

async fn serve_on(
    stream: TcpStream,
    client: Client,
    line: Line,
    serving: Serving,
    stop: CancellationToken,
) -> Result<(), hyper::Error> {
    static BAD_TLS: Seldom = Seldom::new();
    let routes = Introduced::new(serving.routes.clone(), client, line);
    let Some(tls) = &serving.tls else { return serve_http1(stream, routes, serving, stop).await };
    let deadline = clock::now().after(serving.header_timeout);
    let handshake = Box::pin(clock::until(deadline, tls.accept(stream)));
    let handshake = stop.run_until_cancelled(handshake).await;
    match handshake {
        Some(Some(Ok(stream))) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
            Box::pin(serve_http2(stream, routes, serving, stop)).await
        }
        Some(Some(Ok(stream))) => Box::pin(serve_http1(stream, routes, serving, stop)).await,
        // Gone again, as a balancer is that looks whether we listen.
        Some(Some(Err(error))) if is_gone(&error) => Ok(()),
        Some(Some(Err(error))) => {
            if let Some(times) = BAD_TLS.now(clock::now()) {
                tracing::warn!(proto = "https", peer = %client.addr, %error, times, "TLS handshake failed");
            }
            Ok(())
        }
        // Too late, or too slow.
        Some(None) | None => Ok(()),
    }
}

fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | ConnectionReset | BrokenPipe)
}

async fn serve_http1(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    routes: Introduced,
    serving: Serving,
    stop: CancellationToken,
) -> Result<(), hyper::Error> {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(serving.header_timeout)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), routes);
    let mut connection = pin!(connection);
    tokio::select! {
        result = connection.as_mut() => result,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}

/// A client that resets its requests, or sends heads without end, is closed by the library's limits.
async fn serve_http2(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    routes: Introduced,
    serving: Serving,
    stop: CancellationToken,
) -> Result<(), hyper::Error> {
    let activity = Activity::default();
    let service = Watched::new(routes, activity.clone());
    let connection = http2::Builder::new(OnTasks(serving.requests))
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_EVERY)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        result = connection.as_mut() => return result,
        () = activity.idle_for(serving.header_timeout) => {
            connection.as_mut().graceful_shutdown();
            let going = clock::until(clock::now().after(GOING), connection.as_mut());
            return going.await.unwrap_or(Ok(()));
        }
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    // What is being answered is waited for; who only keeps the connection open is not.
    tokio::select! {
        result = connection => result,
        () = activity.idle_for(GOING) => Ok(()),
    }
}

/// Runs what HTTP/2 wants to run beside its connection.
#[derive(Clone)]
struct OnTasks(Tasks);

impl<F> hyper::rt::Executor<F> for OnTasks
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        drop(self.0.spawn("http request", future));
    }
}
