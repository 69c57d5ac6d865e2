//! The way of a wish through its two questions: under which key, and may it?

use crate::guessing::prefix;
use crate::{About, Gate, Refusal};
use jackfield_events::{Fact, Scope};
use jackfield_media::{StreamKey, Text};
use jackfield_sessions::{Connection, Peer};

/// A wish about a stream, whose key a hook may replace.
pub(crate) trait Wish {
    /// The question that settles the key.
    type Resolve: Fact;
    /// The question that settles the wish. It has the same fields.
    type Authorize: Fact + From<Self::Resolve>;

    /// The key as the client said it.
    fn key(&self) -> &StreamKey;

    /// What the hooks are told of the wish under this key.
    fn question(&self, peer: &Peer, key: &StreamKey, failopen: Vec<Text>) -> Self::Resolve;
}

/// A wish whose key is settled.
#[derive(Debug)]
pub(crate) struct Resolved<W> {
    pub(crate) asked: W,
    pub(crate) key: StreamKey,
    pub(crate) scope: Scope,
    pub(crate) failopen: Vec<Text>,
}

impl Gate {
    /// Asks under which key, as a new session of the connection.
    pub(crate) async fn resolve<W: Wish>(
        &self,
        connection: &Connection,
        asked: W,
    ) -> Result<Resolved<W>, Refusal> {
        let wants = |question| self.0.dispatch.wants(question);
        if wants(W::Resolve::TYPE) || wants(W::Authorize::TYPE) {
            self.take_turn(connection, prefix(asked.key())).await?;
        }
        let mut scope = connection.scope();
        scope.session_id = Some(connection.next_session_id());
        scope.stream_key = Some(asked.key().clone());
        let question = |failopen| asked.question(connection.peer(), asked.key(), failopen);
        let mut failopen = connection.failopen().to_vec();
        let about = About { connection, prefix: prefix(asked.key()), scope: &scope };
        let key = self.ask(about, question, &mut failopen).await?;
        let key = key.unwrap_or_else(|| asked.key().clone());
        scope.stream_key = Some(key.clone());
        Ok(Resolved { asked, key, scope, failopen })
    }

    /// Asks whether it may be granted under its key.
    pub(crate) async fn authorize<W: Wish>(
        &self,
        connection: &Connection,
        resolved: &mut Resolved<W>,
    ) -> Result<(), Refusal> {
        let Resolved { asked, key, scope, failopen } = resolved;
        let question = |failopen| W::Authorize::from(asked.question(connection.peer(), key, failopen));
        // What the client guessed at is the key that it said.
        let about = About { connection, prefix: prefix(asked.key()), scope };
        self.ask(about, question, failopen).await?;
        Ok(())
    }
}
