//! A client of the server's HTTP API: small, on blocking sockets, with the token of its data folder.

use crate::journal::Journal;
use crate::server::Server;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);

/// The API of one server, as one token sees it.
#[derive(Debug, Clone)]
pub struct Api {
    address: SocketAddr,
    token: String,
}

/// What was answered.
#[derive(Debug, Clone)]
pub struct ApiAnswer {
    /// 200, 404 …
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as it came.
    pub text: String,
    /// The same as JSON; null if it is none.
    pub body: Value,
}

impl ApiAnswer {
    /// The first header of this name, in lower case; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(header, _)| header == name).map_or("", |(_, value)| value.as_str())
    }

    /// The same answer, if the status is this.
    ///
    /// # Errors
    /// When it is another.
    pub fn expect(self, status: u16) -> Result<Self> {
        ensure!(self.status == status, "expected {status}, got {}: {}", self.status, self.text);
        Ok(self)
    }
}

impl Api {
    /// The API at this address, with this token; an empty one is not sent.
    pub fn new(address: SocketAddr, token: &str) -> Self {
        Self { address, token: token.to_owned() }
    }

    /// That of a server, with the token that it made at its first start.
    ///
    /// # Errors
    /// When there is none in its data folder.
    pub fn admin(server: &Server) -> Result<Self> {
        let path = server.folder().join("data/admin.token");
        let token = std::fs::read_to_string(path).context("the admin token")?;
        Ok(Self::new(server.http(), token.trim_end()))
    }

    /// The same API with another token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self::new(self.address, token)
    }

    /// The token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The header that shows the token, with the end of its line; empty without a token.
    pub fn authorization(&self) -> String {
        if self.token.is_empty() {
            String::new()
        } else {
            format!("authorization: Bearer {}\r\n", self.token)
        }
    }

    /// `GET /api/v1/…`
    ///
    /// # Errors
    /// When no answer comes.
    pub fn get(&self, path: &str) -> Result<ApiAnswer> {
        self.send("GET", path, None)
    }

    /// `DELETE /api/v1/…`
    ///
    /// # Errors
    /// When no answer comes.
    pub fn delete(&self, path: &str) -> Result<ApiAnswer> {
        self.send("DELETE", path, None)
    }

    /// `POST /api/v1/…` with a body of JSON.
    ///
    /// # Errors
    /// When no answer comes.
    pub fn post(&self, path: &str, body: &Value) -> Result<ApiAnswer> {
        self.send("POST", path, Some(body))
    }

    /// `PUT /api/v1/…` with a body of JSON.
    ///
    /// # Errors
    /// When no answer comes.
    pub fn put(&self, path: &str, body: &Value) -> Result<ApiAnswer> {
        self.send("PUT", path, Some(body))
    }

    /// Any method, on a connection of its own.
    ///
    /// # Errors
    /// When no answer comes.
    pub fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<ApiAnswer> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let kind = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
        let (head, length) = (self.head(method, path), body.len());
        self.raw(&format!("{head}connection: close\r\n{kind}content-length: {length}\r\n\r\n{body}"))
    }

    /// These bytes, whatever they are, on a connection of its own; the answer to its end.
    ///
    /// # Errors
    /// When no answer comes.
    pub fn raw(&self, request: &str) -> Result<ApiAnswer> {
        let line = request.lines().next().unwrap_or_default();
        let mut socket = TcpStream::connect(self.address).context("connecting to the API")?;
        socket.set_read_timeout(Some(ANSWER))?;
        // What is refused early may close before it has read all, and has answered all the same.
        let written = socket.write_all(request.as_bytes());
        let mut answer = Vec::new();
        let read = socket.read_to_end(&mut answer);
        if answer.is_empty() {
            written.and(read.map(drop)).with_context(|| format!("the answer to {line}"))?;
        }
        parse(&answer).with_context(|| format!("the answer to {line}"))
    }

    fn head(&self, method: &str, path: &str) -> String {
        let (address, authorization) = (self.address, self.authorization());
        format!("{method} /api/v1/{path} HTTP/1.1\r\nhost: {address}\r\n{authorization}")
    }

    /// Follows `GET /api/v1/events/stream?…`; `last` is the `Last-Event-ID`.
    ///
    /// # Errors
    /// When it is not answered with 200.
    pub fn follow(&self, query: &str, last: Option<&str>) -> Result<EventStream> {
        let mut socket = TcpStream::connect(self.address).context("connecting to the API")?;
        socket.set_read_timeout(Some(ANSWER))?;
        let last = last.map(|last| format!("Last-Event-ID: {last}\r\n")).unwrap_or_default();
        write!(socket, "{}{last}\r\n", self.head("GET", &format!("events/stream?{query}")))?;
        let mut lines = BufReader::new(socket.try_clone()?);
        let mut line = String::new();
        lines.read_line(&mut line)?;
        ensure!(line.starts_with("HTTP/1.1 200"), "the stream of events: {line}");
        let frames = Journal::default();
        let written = frames.clone();
        std::thread::spawn(move || {
            let mut frame = Frame::default();
            // Its head, and the lengths of chunks, are no fields of a frame.
            for line in lines.lines().map_while(Result::ok) {
                match line.as_str() {
                    "" if frame != Frame::default() => written.push(std::mem::take(&mut frame)),
                    line => frame.take(line),
                }
            }
            written.close();
        });
        Ok(EventStream { socket, frames })
    }

    /// Opens a stream of events and leaves it unread.
    ///
    /// # Errors
    /// When the request cannot be sent.
    pub fn neglect(&self, query: &str) -> Result<TcpStream> {
        let mut socket = TcpStream::connect(self.address).context("connecting to the API")?;
        write!(socket, "{}\r\n", self.head("GET", &format!("events/stream?{query}")))?;
        Ok(socket)
    }
}

/// A frame of server-sent events.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Frame {
    /// `id`.
    pub id: Option<String>,
    /// `event`.
    pub event: String,
    /// `data`, as JSON.
    pub data: Value,
}

impl Frame {
    fn take(&mut self, line: &str) {
        match line.split_once(": ") {
            Some(("id", id)) => self.id = Some(id.to_owned()),
            Some(("event", event)) => self.event = event.to_owned(),
            Some(("data", data)) => self.data = serde_json::from_str(data).unwrap_or_default(),
            _ => {}
        }
    }
}

/// Events as they come. It ends when this value goes.
#[derive(Debug)]
pub struct EventStream {
    socket: TcpStream,
    frames: Journal<Frame>,
}

impl EventStream {
    /// The frames that came.
    pub fn frames(&self) -> &Journal<Frame> {
        &self.frames
    }

    /// Waits for a frame that `which` picks.
    ///
    /// # Errors
    /// When it has not come `within` that time.
    pub fn wait(&self, what: &str, within: Duration, which: impl Fn(&Frame) -> bool) -> Result<Frame> {
        self.frames.wait(what, within, |frames| frames.iter().find(|frame| which(frame)).cloned())
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        drop(self.socket.shutdown(Shutdown::Both));
    }
}

fn parse(answer: &[u8]) -> Result<ApiAnswer> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").context("no head")?;
    let (head, body) = answer.split_at(end);
    let mut lines = std::str::from_utf8(head)?.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status")?.parse()?;
    let header =
        |line: &str| line.split_once(':').map(|(n, v)| (n.to_ascii_lowercase(), v.trim().to_owned()));
    let headers: Vec<(String, String)> = lines.filter_map(header).collect();
    let body = body.get(4..).unwrap_or_default();
    let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = if chunked { unchunked(body)? } else { body.to_vec() };
    let text = String::from_utf8(body)?;
    let body = serde_json::from_str(&text).unwrap_or_default();
    Ok(ApiAnswer { status, headers, text, body })
}

/// RFC 9112 §7.1.
fn unchunked(mut rest: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n").context("no length of a chunk")?;
        let (length, after) = rest.split_at(end);
        let length = usize::from_str_radix(std::str::from_utf8(length)?, 16)?;
        let chunk = after.get(2..2 + length).context("a chunk that is cut off")?;
        if length == 0 {
            return Ok(body);
        }
        body.extend_from_slice(chunk);
        rest = after.get(4 + length..).context("a chunk without its end")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_whole_or_in_chunks() {
        let plain = b"HTTP/1.1 201 Created\r\nX-A: b\r\ncontent-length: 9\r\n\r\n{\"a\":\"b\"}";
        let answer = parse(plain).unwrap();
        assert_eq!((answer.status, answer.header("x-a"), answer.body["a"].as_str()), (201, "b", Some("b")));
        let chunked =
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n[1\r\n3\r\n,2]\r\n0\r\n\r\n";
        assert_eq!(parse(chunked).unwrap().text, "[1,2]");
        assert!(parse(b"HTTP/1.1 200 OK").is_err());
    }
}
