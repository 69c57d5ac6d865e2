//! The way to the right to play. Between its two steps the service waits for the stream.

use crate::ask::{PlayAsk, names};
use crate::old_name::mask_query;
use crate::wish::{Resolved, Wish};
use crate::{Gate, Refusal};
use jackfield_events::notices::PlayStart;
use jackfield_events::questions::{AuthorizePlay, ResolvePlay};
use jackfield_hub::{PlayGrant, PlayGrantParts};
use jackfield_media::{StreamKey, Text};
use jackfield_sessions::{Connection, Peer};

/// A wish to play whose key is settled.
#[derive(Debug)]
pub struct ResolvedPlay(Resolved<PlayAsk>);

impl ResolvedPlay {
    /// The key that will be played.
    #[must_use]
    pub fn key(&self) -> &StreamKey {
        &self.0.key
    }
}

impl Wish for PlayAsk {
    type Resolve = ResolvePlay;
    type Authorize = AuthorizePlay;

    fn key(&self) -> &StreamKey {
        &self.key
    }

    fn question(&self, peer: &Peer, key: &StreamKey, failopen: Vec<Text>) -> ResolvePlay {
        let (app, stream_name) = names(key);
        ResolvePlay {
            app,
            stream_name,
            client_ip: peer.client.ip(),
            client_port: peer.client.port(),
            protocol: peer.protocol,
            tc_url: self.tc_url.clone(),
            page_url: self.page_url.clone(),
            flash_ver: self.flash_ver.clone(),
            query: self.query.clone(),
            failopen,
        }
    }
}

impl Gate {
    /// Asks which stream is to be played.
    ///
    /// # Errors
    /// [`Refusal`]. Cancel-safe: dropping the future takes the question back.
    pub async fn resolve_play(
        &self,
        connection: &Connection,
        asked: PlayAsk,
    ) -> Result<ResolvedPlay, Refusal> {
        self.resolve(connection, asked).await.map(ResolvedPlay)
    }

    /// Asks whether the player may have the stream, which is there now.
    ///
    /// # Errors
    /// [`Refusal`]. Cancel-safe: dropping the future takes the question back.
    pub async fn authorize_play(
        &self,
        connection: &Connection,
        resolved: ResolvedPlay,
    ) -> Result<PlayGrant, Refusal> {
        let ResolvedPlay(mut resolved) = resolved;
        self.authorize(connection, &mut resolved).await?;
        let Resolved { asked, key, scope, failopen } = resolved;
        let peer = connection.peer();
        let (app, stream_name) = names(&key);
        let query = mask_query(&asked.query, &asked.key, &key);
        let start = PlayStart {
            app,
            stream_name,
            client_ip: peer.client.ip(),
            protocol: peer.protocol,
            query,
            failopen,
        };
        Ok(self.0.minter.play(PlayGrantParts { key, scope, start }))
    }
}
