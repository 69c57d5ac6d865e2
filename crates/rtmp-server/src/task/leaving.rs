//! The end of a connection: sessions first, then the farewell, then the socket.

use super::playing::finish_playing;
use super::publishing::finish_publishing;
use super::{ConnectionTask, End, Happened, Parting};
use crate::read_buffer::Read;
use crate::role::Role;
use jackfield_events::EndReason;
use jackfield_rtmp::Output;
use jackfield_runtime::clock;
use std::sync::Arc;
use std::time::Duration;

/// How long a client whose connection has ended may take nothing of what is still on its way: some round trips on the worst
/// of links.
const UNTAKEN: Duration = Duration::from_secs(10);

impl ConnectionTask {
    /// Ends all sessions, says farewell, and waits a moment for the client to hear it.
    pub(super) async fn leave(&mut self, end: &End) {
        if matches!(end.parting, Parting::Farewell(_)) {
            self.ask_to_reconnect(end.reason);
            self.write_replies();
        }
        while let Some(stream) = self.roles.any() {
            self.finish_stream(stream, end.reason).await;
        }
        // What is asked about the connection itself is taken back: nobody else holds it any more.
        self.waits.clear();
        if let Parting::Farewell(text) = &end.parting {
            self.session.close(text);
            self.write_replies();
        }
        let parted = match end.parting {
            Parting::Silent => None,
            // Whoever does not read its farewell in time misses it.
            _ => clock::until(clock::now().after(self.shared.config.linger), self.part()).await,
        };
        // Whoever gave no sign of life, was too slow and still is, or has not even taken what came before its farewell
        // does not keep it in our kernel; what others have not taken yet is delivered, as long as they take some of it now
        // and then.
        let is_gone =
            parted.is_none() && matches!(end.reason, EndReason::SlowSubscriber | EndReason::Timeout);
        if is_gone || self.writer.backlog().bytes > 0 {
            self.socket.reset_on_close();
        } else {
            self.socket.give_up_after(UNTAKEN);
        }
    }

    /// When the server stops, clients that announced that they heed it are asked, once and before their farewell, to
    /// connect anew (enhanced RTMP v2, "Reconnect Request"): by then another server may listen here.
    pub(super) fn ask_to_reconnect(&mut self, reason: EndReason) {
        if reason == EndReason::ServerShutdown && !self.told.asked_to_reconnect {
            self.told.asked_to_reconnect = true;
            self.session.request_reconnect(None, "The server stops.");
        }
    }

    /// Hands what the state machine has to say to the writer. What the client says meanwhile is not heard any more.
    fn write_replies(&mut self) {
        while let Some(output) = self.session.poll_output() {
            if let Output::Write(bytes) = output {
                self.write(&bytes);
            }
        }
    }

    /// Closes the socket, then tells so.
    pub(super) fn close_socket(self: Box<Self>, reason: EndReason) {
        self.shared.counters.left_out(self.session.counters());
        self.writer.settle();
        let Self { connection, socket, writer, standing, .. } = *self;
        drop((standing, socket, writer));
        if let Some(connection) = Arc::into_inner(connection) {
            connection.close(reason);
        }
    }

    /// Ends what a message stream is used for; returns when its stop was told, if a start was.
    ///
    /// A question that is asked is taken back. What the hub is asked is waited for: it may have told a start already, and
    /// the stop is told before whatever comes next.
    pub(super) async fn finish_stream(&mut self, stream: u32, reason: EndReason) {
        let wait = self.waits.take(stream);
        match (self.roles.remove(stream), wait) {
            (Some(Role::Publishing { publisher, batch }), wait) => {
                drop(wait);
                finish_publishing(publisher, batch, reason).await;
            }
            (Some(Role::Playing(subscriber)), wait) => {
                drop(wait);
                finish_playing(subscriber, reason).await;
            }
            (Some(Role::Registering(batch)), Some(wait)) => {
                if let Happened::Registered(Ok(publisher)) = wait.await {
                    finish_publishing(Arc::new(publisher), batch, reason).await;
                }
            }
            (Some(Role::Attaching(_)), Some(wait)) => {
                if let Happened::Attached(Ok((subscriber, _))) = wait.await {
                    finish_playing(Arc::new(subscriber), reason).await;
                }
            }
            _ => {}
        }
    }

    /// Flushes, closes the sending side and waits for the client to close its own. What it still sends is
    /// read and dropped: unread bytes would make the kernel reset the connection and the farewell be lost.
    async fn part(&mut self) {
        if self.writer.flush().await.is_err() {
            return;
        }
        self.writer.shut_down();
        while self.socket.tcp().readable().await.is_ok() {
            match self.reader.read(&self.socket) {
                Ok(Read::Some(bytes)) => self.connection.received(bytes.len()),
                Ok(Read::Nothing) => {}
                Ok(Read::End) | Err(_) => return,
            }
        }
    }
}
