//! The way to the right to publish.

use crate::ask::{PublishAsk, names};
use crate::old_name::{cut_url, mask_query};
use crate::{Gate, Refusal};
use jackfield_events::Scope;
use jackfield_events::notices::PublishStart;
use jackfield_events::questions::{AuthorizePublish, ResolvePublish};
use jackfield_hub::{Presence, PublishGrant, PublishGrantParts, Takeover};
use jackfield_media::{StreamKey, Text};
use jackfield_sessions::Connection;

/// A wish to publish whose key is settled.
struct ResolvedPublish {
    asked: PublishAsk,
    key: StreamKey,
    scope: Scope,
    failopen: Vec<Text>,
}

impl Gate {
    /// Asks under which key, looks whether that key is free, and asks whether it may be. A busy key is
    /// refused without asking; else its publisher stays until the verdict, and the hub decides once more.
    ///
    /// # Errors
    /// [`Refusal`]. Cancel-safe: dropping the future takes the question back.
    pub async fn publish(&self, connection: &Connection, ask: PublishAsk) -> Result<PublishGrant, Refusal> {
        let resolved = self.resolve_publish(connection, ask).await?;
        if self.is_busy(&resolved.key) {
            return Err(Refusal::busy());
        }
        self.authorize_publish(connection, resolved).await
    }

    async fn resolve_publish(
        &self,
        connection: &Connection,
        asked: PublishAsk,
    ) -> Result<ResolvedPublish, Refusal> {
        let mut scope = connection.scope();
        scope.session_id = Some(connection.next_session_id());
        scope.stream_key = Some(asked.key.clone());
        let peer = connection.peer();
        let question = |failopen| {
            let (app, stream_name) = names(&asked.key);
            ResolvePublish {
                app,
                stream_name,
                publish_type: asked.publish_type,
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
        Ok(ResolvedPublish { asked, key, scope, failopen })
    }

    fn is_busy(&self, key: &StreamKey) -> bool {
        let Presence::Live { silent_for } = self.0.hub.presence(key) else {
            return false;
        };
        match self.0.takeover {
            Takeover::Replace => false,
            Takeover::Refuse => true,
            Takeover::Stale => silent_for < self.0.hub.config().stale,
        }
    }

    async fn authorize_publish(
        &self,
        connection: &Connection,
        resolved: ResolvedPublish,
    ) -> Result<PublishGrant, Refusal> {
        let ResolvedPublish { asked, key, scope, mut failopen } = resolved;
        let peer = connection.peer();
        let (app, stream_name) = names(&key);
        let question = |failopen| AuthorizePublish {
            app: app.clone(),
            stream_name: stream_name.clone(),
            publish_type: asked.publish_type,
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
        // The key that the client sent is often its secret: after a rename no notice carries it.
        let tc_url = cut_url(&asked.tc_url, &asked.key, &key);
        let query = mask_query(&asked.query, &asked.key, &key);
        let start = PublishStart {
            app,
            stream_name,
            publish_type: asked.publish_type,
            client_ip: peer.client.ip(),
            client_port: peer.client.port(),
            protocol: peer.protocol,
            tc_url,
            query,
            failopen,
        };
        Ok(self.0.minter.publish(PublishGrantParts { key, scope, start, takeover: self.0.takeover }))
    }
}
