//! The way to the right to publish.

use crate::ask::{PublishAsk, names};
use crate::old_name::{cut_url, mask_query};
use crate::wish::{Resolved, Wish};
use crate::{Gate, Refusal};
use jackfield_events::notices::PublishStart;
use jackfield_events::questions::{AuthorizePublish, ResolvePublish};
use jackfield_hub::{Presence, PublishGrant, PublishGrantParts, Takeover};
use jackfield_media::{StreamKey, Text};
use jackfield_sessions::{Connection, Peer};

impl Wish for PublishAsk {
    type Resolve = ResolvePublish;
    type Authorize = AuthorizePublish;

    fn key(&self) -> &StreamKey {
        &self.key
    }

    fn question(&self, peer: &Peer, key: &StreamKey, failopen: Vec<Text>) -> ResolvePublish {
        let (app, stream_name) = names(key);
        ResolvePublish {
            app,
            stream_name,
            publish_type: self.publish_type,
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
    /// Asks under which key, looks whether that key is free, and asks whether it may be. A busy key is
    /// refused without asking; else its publisher stays until the verdict, and the hub decides once more.
    ///
    /// # Errors
    /// [`Refusal`]. Cancel-safe: dropping the future takes the question back.
    pub async fn publish(&self, connection: &Connection, ask: PublishAsk) -> Result<PublishGrant, Refusal> {
        let mut resolved = self.resolve(connection, ask).await?;
        if self.is_busy(&resolved.key) {
            return Err(Refusal::busy());
        }
        self.authorize(connection, &mut resolved).await?;
        Ok(self.grant_publish(connection.peer(), resolved))
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

    fn grant_publish(&self, peer: &Peer, resolved: Resolved<PublishAsk>) -> PublishGrant {
        let Resolved { asked, key, scope, failopen } = resolved;
        let (app, stream_name) = names(&key);
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
        self.0.minter.publish(PublishGrantParts { key, scope, start, takeover: self.0.takeover })
    }
}
