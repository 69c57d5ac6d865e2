//! TLS around a connection of a client that has none, such as our [`Client`](crate::rtmp::Client): what it says to the
//! tunnel's port goes through TLS to the server.

use crate::SOON;
use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, poll};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// What the server hears when the client closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// RFC 8446 §6.1: `close_notify`, as it ought to be.
    CloseNotify,
    /// The socket closes in mid stream, as when a program is killed.
    Silence,
}

/// Connects to `server` by TLS as `localhost`, and returns the port that the one client of this tunnel connects to.
///
/// When either side closes, the other is closed.
///
/// # Errors
/// When nobody listens. A handshake that fails closes the client's connection.
pub fn tunnel(server: SocketAddr, config: Arc<ClientConfig>, farewell: Farewell) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("the tunnel's port")?;
    let address = listener.local_addr()?;
    let socket = TcpStream::connect_timeout(&server, SOON).context("connecting")?;
    socket.set_nodelay(true)?;
    let tls = ClientConnection::new(config, ServerName::try_from("localhost")?)?;
    // It ends with its connections, of which the test has one.
    std::thread::spawn(move || {
        let Ok((plain, _)) = listener.accept() else { return };
        // What goes wrong here closes both, which is what the test sees.
        Tunnel { plain, socket, tls }.pump(farewell).unwrap_or_default();
    });
    Ok(address)
}

struct Tunnel {
    plain: TcpStream,
    socket: TcpStream,
    tls: ClientConnection,
}

impl Tunnel {
    fn pump(mut self, farewell: Farewell) -> Result<()> {
        loop {
            self.flush()?;
            let (from_client, from_server) = self.wait()?;
            if from_server {
                if self.tls.read_tls(&mut self.socket)? == 0 {
                    return Ok(());
                }
                let state = self.tls.process_new_packets().inspect_err(|_| {
                    // The alert that tells the server why.
                    self.tls.write_tls(&mut self.socket).unwrap_or_default();
                })?;
                let mut text = vec![0; state.plaintext_bytes_to_read()];
                self.tls.reader().read_exact(&mut text)?;
                self.plain.write_all(&text)?;
                if state.peer_has_closed() {
                    return Ok(());
                }
            }
            if from_client {
                let mut block = vec![0; 16 * 1024];
                match self.plain.read(&mut block) {
                    Ok(0) => return self.end(farewell),
                    Ok(count) => self.tls.writer().write_all(block.get(..count).unwrap_or_default())?,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => return self.end(farewell),
                }
            }
        }
    }

    /// Waits until the client or the server has something to read.
    fn wait(&self) -> Result<(bool, bool)> {
        let mut both = [PollFd::new(&self.socket, PollFlags::IN), PollFd::new(&self.plain, PollFlags::IN)];
        // What the client says must wait for the end of the handshake.
        let watched = if self.tls.is_handshaking() { 1 } else { 2 };
        let watched = both.get_mut(..watched).context("invariant: there are two")?;
        while let Err(error) = poll(watched, None) {
            anyhow::ensure!(error == rustix::io::Errno::INTR, "poll: {error}");
        }
        let mut ready = both.iter().map(|fd| !fd.revents().is_empty());
        let from_server = ready.next().unwrap_or_default();
        Ok((ready.next().unwrap_or_default(), from_server))
    }

    fn flush(&mut self) -> Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.socket)?;
        }
        Ok(())
    }

    fn end(mut self, farewell: Farewell) -> Result<()> {
        if farewell == Farewell::CloseNotify {
            self.tls.send_close_notify();
            self.flush()?;
            self.socket.shutdown(Shutdown::Write)?;
        }
        Ok(())
    }
}
