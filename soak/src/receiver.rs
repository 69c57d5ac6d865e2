//! Receivers of webhooks, good and bad, by the path that is asked for.

use anyhow::{Context, Result};
use jackfield_runtime::{Tasks, clock};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Who asks has given up long before.
const STALL: Duration = Duration::from_secs(5);
const DRIP: Duration = Duration::from_millis(50);

/// Listens, and answers to the end of the process: in a thread of its own, so that the load does not make it slow.
pub(crate) fn start() -> Result<SocketAddr> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").context("the receiver")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || runtime.block_on(accept(listener)));
    Ok(address)
}

async fn accept(listener: std::net::TcpListener) -> Result<()> {
    let (listener, tasks) = (TcpListener::from_std(listener)?, Tasks::new());
    loop {
        // A connection that is gone before it is accepted is none.
        let Ok((socket, _)) = listener.accept().await else { continue };
        drop(tasks.spawn("soak.receiver", async move {
            // The server closes it as it likes.
            let _closed = serve(socket).await;
        }));
    }
}

/// HTTP/1.1 as far as the server under test speaks it (RFC 9112).
async fn serve(socket: TcpStream) -> Result<()> {
    socket.set_nodelay(true)?;
    let mut socket = BufReader::new(socket);
    while let Some(path) = request(&mut socket).await? {
        let answer: &[u8] = match path.as_str() {
            "/good" => b"HTTP/1.1 204 No Content\r\n\r\n",
            "/fails" => b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
            "/denies" => b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
            "/stalls" => {
                clock::sleep(STALL).await;
                return Ok(());
            }
            "/drips" => return drip(&mut socket).await,
            _ => return Ok(()),
        };
        socket.write_all(answer).await?;
    }
    Ok(())
}

/// Reads a request and returns its path; none when there are no more.
async fn request(socket: &mut BufReader<TcpStream>) -> Result<Option<String>> {
    let (mut path, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        if socket.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        match line.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse()?,
            Some(_) => {}
            None => path = line.split(' ').nth(1).map(str::to_owned),
        }
    }
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await?;
    Ok(path)
}

async fn drip(socket: &mut BufReader<TcpStream>) -> Result<()> {
    socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n").await?;
    for _ in 0..STALL.as_millis() / DRIP.as_millis() {
        socket.write_all(b" ").await?;
        clock::sleep(DRIP).await;
    }
    Ok(())
}
