//! The way to the right to play. Between its two steps the service waits for the stream.

use crate::ask::{PlayAsk, names};
use crate::old_name::mask_query;
use crate::{Gate, Refusal};
use jackfield_events::Scope;
use jackfield_events::notices::PlayStart;
use jackfield_events::questions::{AuthorizePlay, ResolvePlay};
use jackfield_hub::{PlayGrant, PlayGrantParts};
use jackfield_media::{StreamKey, Text};
use jackfield_sessions::Connection;

/// A wish to play whose key is settled.
#[derive(Debug)]
pub struct ResolvedPlay {
    asked: PlayAsk,
    key: StreamKey,
    scope: Scope,
    failopen: Vec<Text>,
}

impl ResolvedPlay {
    /// The key that will be played.
    #[must_use]
    pub fn key(&self) -> &StreamKey {
        &self.key
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
        let mut scope = connection.scope();
        scope.session_id = Some(connection.next_session_id());
        scope.stream_key = Some(asked.key.clone());
        let peer = connection.peer();
        let question = |failopen| {
            let (app, stream_name) = names(&asked.key);
            ResolvePlay {
                app,
                stream_name,
                client_ip: peer.client.ip(),
                client_port: peer.client.port(),
                protocol: peer.protocol,
                tc_url: asked.tc_url.clone(),
                page_url: asked.page_url.clone(),
                flash_ver: asked.flash_ver.clone(),
                query: asked.query.clone(),
                failopen,
            }
        };
        let mut failopen = connection.failopen().to_vec();
        let key = self.ask(&scope, question, &mut failopen).await?;
        let key = key.unwrap_or_else(|| asked.key.clone());
        scope.stream_key = Some(key.clone());
        Ok(ResolvedPlay { asked, key, scope, failopen })
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
        let ResolvedPlay { asked, key, scope, mut failopen } = resolved;
        let peer = connection.peer();
        let (app, stream_name) = names(&key);
        let question = |failopen| AuthorizePlay {
            app: app.clone(),
            stream_name: stream_name.clone(),
            client_ip: peer.client.ip(),
            client_port: peer.client.port(),
            protocol: peer.protocol,
            tc_url: asked.tc_url.clone(),
            page_url: asked.page_url.clone(),
            flash_ver: asked.flash_ver.clone(),
            query: asked.query.clone(),
            failopen,
        };
        self.ask(&scope, question, &mut failopen).await?;
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
