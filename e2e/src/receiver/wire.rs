//! One connection of the receiver: requests read, replies written as told.

use super::{Handler, Latch, Reply, Request};
use crate::journal::Journal;
use rustix::net::sockopt::set_socket_linger;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// No server sends an event larger than this; a body over it is not read.
const MAX_BODY: usize = 16 * 1024 * 1024;

pub(super) struct Connection {
    pub(super) number: usize,
    pub(super) requests: Journal<Request>,
    pub(super) handler: Arc<Handler>,
    pub(super) gone: Latch,
}

/// Whether the connection takes another request.
#[derive(PartialEq)]
enum Next {
    Request,
    End,
}

impl Connection {
    /// Serves until the other side closes, or a reply ends it. Errors end it too: the other side is what is tested.
    pub(super) fn serve(&self, socket: TcpStream, tls: Option<Arc<ServerConfig>>) {
        socket.set_nodelay(true).unwrap_or_default();
        let Ok(handle) = socket.try_clone() else { return };
        match tls {
            None => self.requests(socket, &handle),
            Some(tls) => match ServerConnection::new(tls) {
                Ok(tls) => self.requests(StreamOwned::new(tls, socket), &handle),
                Err(_) => Ok(()),
            },
        }
        .unwrap_or_default();
    }

    fn requests(&self, stream: impl Read + Write, socket: &TcpStream) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        while let Some(request) = self.request(&mut stream)? {
            self.requests.push(request.clone());
            let reply = (self.handler)(&request);
            if self.reply(&reply, stream.get_mut(), socket)? == Next::End {
                break;
            }
        }
        Ok(())
    }

    /// RFC 9112: request line, fields, and a body by length or in chunks. None at the end of the connection.
    fn request(&self, stream: &mut impl BufRead) -> io::Result<Option<Request>> {
        let first = line(stream)?;
        let mut words = first.split(' ');
        let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(None) };
        let mut headers = Vec::new();
        loop {
            let field = line(stream)?;
            let Some((name, value)) = field.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let value =
            |name: &str| headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str());
        let body = if value("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
        {
            chunks(stream)?
        } else {
            read(stream, value("content-length").and_then(|length| length.parse().ok()).unwrap_or(0))?
        };
        let (method, path) = (method.to_owned(), path.to_owned());
        Ok(Some(Request { method, path, headers, body, connection: self.number, at: Instant::now() }))
    }

    fn reply(&self, reply: &Reply, stream: &mut impl Write, socket: &TcpStream) -> io::Result<Next> {
        match reply {
            Reply::Full { .. } | Reply::Raw(_) => stream.write_all(&bytes(reply))?,
            Reply::After(pause, reply) => {
                self.gone.wait(*pause);
                return self.reply(reply, stream, socket);
            }
            Reply::When(latch, reply) => {
                while !latch.wait(Duration::from_millis(100)) && !self.gone.wait(Duration::ZERO) {}
                return self.reply(reply, stream, socket);
            }
            Reply::Slowly(pause, reply) => {
                for byte in bytes(reply) {
                    stream.write_all(&[byte])?;
                    stream.flush()?;
                    if self.gone.wait(*pause) {
                        break;
                    }
                }
            }
            Reply::Stall(bytes) => {
                stream.write_all(bytes)?;
                stream.flush()?;
                return self.reply(&Reply::Silence, stream, socket);
            }
            Reply::Silence => while !self.gone.wait(Duration::from_secs(1)) {},
            Reply::Close => {}
            // With a linger time of 0 the close that follows is a reset.
            Reply::Reset => set_socket_linger(socket, Some(Duration::ZERO))?,
            Reply::Flood { bytes } => {
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n")?;
                io::copy(&mut io::repeat(b' ').take(*bytes), stream)?;
            }
        }
        stream.flush()?;
        Ok(if matches!(reply, Reply::Full { .. } | Reply::Slowly(..)) { Next::Request } else { Next::End })
    }
}

/// What a simple reply is on the wire; nothing for the others.
fn bytes(reply: &Reply) -> Vec<u8> {
    match reply {
        Reply::Raw(bytes) => bytes.clone(),
        Reply::Full { status, headers, body } => {
            let headers =
                headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect::<String>();
            // RFC 9110 §15.3.5: 204 has no body and no length.
            let length =
                if *status == 204 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
            let mut out = format!("HTTP/1.1 {status} Test\r\n{headers}{length}\r\n").into_bytes();
            out.extend_from_slice(body);
            out
        }
        _ => vec![],
    }
}

fn line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    stream.take(64 * 1024).read_until(b'\n', &mut line)?;
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

fn read(stream: &mut impl BufRead, length: usize) -> io::Result<Vec<u8>> {
    if length > MAX_BODY {
        return Err(io::Error::other("a body too large for an event"));
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(body)
}

/// RFC 9112 §7.1, without extensions and trailers.
fn chunks(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = usize::from_str_radix(line(stream)?.trim(), 16).map_err(io::Error::other)?;
        body.extend(read(stream, size)?);
        line(stream)?;
        if size == 0 || body.len() > MAX_BODY {
            return Ok(body);
        }
    }
}
