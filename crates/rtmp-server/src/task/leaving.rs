//! The end of a connection: sessions first, then the farewell, then the socket.

use super::playing::finish_playing;
use super::publishing::finish_publishing;
use super::{ConnectionTask, End, Parting};
use crate::read_buffer::Read;
use jackfield_events::EndReason;
use jackfield_rtmp::Output;
use jackfield_runtime::clock;
use std::sync::Arc;

impl ConnectionTask {
    /// Ends all sessions, says farewell, and waits a moment for the client to hear it.
    pub(super) async fn leave(&mut self, end: &End) {
        // Questions that are asked are taken back, and nobody else holds the sessions any more.
        self.waits.clear();
        while let Some(role) = self.roles.pop() {
            match role {
                role @ crate::role::Role::Playing(_) => finish_playing(role, end.reason).await,
                role => finish_publishing(role, end.reason).await,
            }
        }
        if let Parting::Farewell(text) = &end.parting {
            self.session.close(text);
            while let Some(output) = self.session.poll_output() {
                if let Output::Write(bytes) = output {
                    self.write(&bytes);
                }
            }
        }
        if !matches!(end.parting, Parting::Silent) {
            let deadline = clock::now().after(self.shared.config.linger);
            // Whoever does not read its farewell in time misses it.
            let _in_time = clock::until(deadline, self.part()).await;
        }
    }

    /// Closes the socket, then tells so.
    pub(super) fn close_socket(self, reason: EndReason) {
        let Self { connection, stream, writer, .. } = self;
        drop((stream, writer));
        if let Some(connection) = Arc::into_inner(connection) {
            connection.close(reason);
        }
    }

    /// Flushes, closes the sending side and waits for the client to close its own. What it still sends is
    /// read and dropped: unread bytes would make the kernel reset the connection and the farewell be lost.
    async fn part(&mut self) {
        if self.writer.flush().await.is_err() {
            return;
        }
        self.writer.shut_down();
        while self.stream.readable().await.is_ok() {
            match self.reader.read(&self.stream) {
                Ok(Read::Some(bytes)) => self.connection.received(bytes.len()),
                Ok(Read::Nothing) => {}
                Ok(Read::End) | Err(_) => return,
            }
        }
    }
}
