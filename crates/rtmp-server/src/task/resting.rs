//! A publisher that nobody watches is read ten times a second.
//!
//! To take in a stream costs waking up more than anything else: 75 messages a second of 2.5 Mbit/s, and for each of them
//! the kernel, the runtime, this task and the stream's find their memory cold. While nobody watches, nobody gains by that. So
//! what comes waits in the socket, in the kernel's own buffer, and is taken in all at once: 12 to 15 ms of CPU in 8 s where it
//! were 39 to 46.
//!
//! What is late by it, by [`PAUSE`] at most: events of what the publisher sends (its end as a socket is not), and the first
//! pictures of the first viewer, who has the cached group of pictures before them.

use super::{ConnectionTask, Reads};
use crate::role::Role;
use jackfield_media::Mono;
use jackfield_net::Socket;
use jackfield_runtime::clock;
use std::time::Duration;

/// A stream must have been without a viewer for so long: streams begin, and viewers come back after a moment.
const UNWATCHED: Duration = Duration::from_secs(2);
/// Time between two looks at the socket.
const PAUSE: Duration = Duration::from_millis(100);
/// So many bytes are not left to wait: nearly what one read takes.
const WATER: u16 = 60_000;

/// When to look at a socket that is left alone, if the kernel does not call before.
#[derive(Debug, Default)]
pub(super) struct Rest(Option<Mono>);

impl Rest {
    pub(super) fn until(&self) -> Option<Mono> {
        self.0
    }
}

impl ConnectionTask {
    /// Lets the socket rest, or has it wake us again for all that comes.
    pub(super) fn rest(&mut self) {
        let Socket::Plain(stream) = &self.socket else { return };
        let rests = self.is_unwatched();
        if rests == self.rest.0.is_some() {
            return;
        }
        // Where the kernel cannot, it goes on waking us.
        if jackfield_net::set_low_water(stream, if rests { WATER } else { 1 }).is_ok() {
            self.rest.0 = rests.then(|| clock::now().after(PAUSE));
        }
    }

    /// Whether the connection does nothing but publish what nobody watches.
    fn is_unwatched(&self) -> bool {
        !self.roles.is_empty()
            && self.roles.iter().all(|role| match role {
                Role::Publishing { publisher, .. } => publisher.unwatched_for(clock::now()) >= UNWATCHED,
                _ => false,
            })
    }

    /// It is time to look at the socket, or the client's time is up.
    pub(super) async fn on_deadline(&mut self, reads: Reads) {
        let now = clock::now();
        let is_rested = self.rest.0.is_some_and(|until| until <= now);
        // A server that stood still has not read what its peers sent in time: they are judged by that.
        if reads == Reads::Yes && (is_rested || jackfield_net::has_unread(self.socket.tcp())) {
            self.look().await;
        } else {
            self.session.handle_timeout(now);
        }
    }

    /// Reads what there is, though the kernel has not called.
    async fn look(&mut self) {
        let read = match &self.socket {
            Socket::Plain(stream) => self.reader.read_unasked(stream),
            Socket::Tls(socket) => {
                // At once; an error shows when it is read.
                socket.tcp().readable().await.unwrap_or_default();
                self.reader.read(&self.socket)
            }
        };
        self.on_read(read);
        if self.rest.0.is_some() {
            self.rest.0 = Some(clock::now().after(PAUSE));
        }
    }
}
