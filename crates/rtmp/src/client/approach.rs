//! From a URL to a stream, over as many connections as it takes: [`Approach`].

use super::login::{Login, LoginError, Reply};
use super::url::{RtmpUrl, UrlError};
use super::{Announce, ClientConfig, StreamEnd};
use crate::Error;
use crate::handshake::{DigestScheme, HandshakeKind};

/// Redirects that are followed, as web browsers do a few.
const MAX_REDIRECTS: u8 = 5;

/// Which handshake to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HandshakeChoice {
    /// With digests; a server that fails at them is met again with the simple form.
    #[default]
    DigestFirst,
    /// The simple form only.
    Simple,
}

/// Why an approach gave up, if it knows more than the connection's end tells.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApproachError {
    /// No login.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// A place that the server sent us to is no URL.
    #[error("the server told another place, but {0}")]
    Place(#[from] UrlError),
    /// Every place told another one.
    #[error("the server was to be found elsewhere {0} times")]
    TooManyRedirects(u8),
}

/// What to do after a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Connect again at once, to [`Approach::url`] with [`Approach::config`].
    Again,
    /// It will not do, and this is why, if it is not the connection's own end.
    GiveUp(Option<ApproachError>),
}

/// What is learnt on the way to a stream, from one connection to the next: the place after redirects, the
/// login's challenge, the handshake that the server knows.
#[derive(Debug, Clone)]
pub struct Approach {
    origin: RtmpUrl,
    url: RtmpUrl,
    login: Login,
    /// What the login adds to the app's query.
    query: String,
    redirects: u8,
    choice: HandshakeChoice,
    handshake: Handshake,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handshake {
    /// The first bytes are still to come.
    Trying,
    /// The server has answered `connect`, whatever it said.
    Works,
    FellBack,
}

impl Approach {
    /// An approach to this stream.
    #[must_use]
    pub fn new(url: RtmpUrl, choice: HandshakeChoice) -> Self {
        Self {
            origin: url.clone(),
            url,
            login: Login::default(),
            query: String::new(),
            redirects: 0,
            choice,
            handshake: Handshake::Trying,
        }
    }

    /// Where to connect to now.
    #[must_use]
    pub fn url(&self) -> &RtmpUrl {
        &self.url
    }

    /// The settings of the next connection.
    #[must_use]
    pub fn config(&self) -> ClientConfig {
        let mut config =
            ClientConfig::new(&self.url.app_with(&self.query), &self.url.tc_url_with(&self.query));
        config.announce = Announce::Everything;
        config.handshake = match (self.choice, self.handshake) {
            (HandshakeChoice::DigestFirst, Handshake::Trying | Handshake::Works) => {
                HandshakeKind::Digest(DigestScheme::Scheme1)
            }
            _ => HandshakeKind::Simple,
        };
        config
    }

    /// The server has accepted `connect`: another time begins with no redirects counted.
    pub fn arrived(&mut self) {
        self.redirects = 0;
        self.login = Login::default();
        if self.handshake == Handshake::Trying {
            self.handshake = Handshake::Works;
        }
    }

    /// The server closed before the stream began.
    pub fn after_close(&mut self) -> Next {
        if self.choice == HandshakeChoice::DigestFirst && self.handshake == Handshake::Trying {
            self.handshake = Handshake::FellBack;
            return Next::Again;
        }
        Next::GiveUp(None)
    }

    /// The connection ended so before the stream began. `chance` is a random number for the login.
    pub fn after(&mut self, end: &StreamEnd, chance: u64) -> Next {
        match end {
            StreamEnd::Protocol(Error::Digest) => self.after_close(),
            StreamEnd::Redirected { tc_url } => self.follow(tc_url),
            StreamEnd::Rejected(status) => {
                let app = crate::url::split_query(self.url.app()).0.to_owned();
                let login = &mut self.login;
                match login.on_rejection(&status.description, &app, self.url.credentials(), chance) {
                    Ok(Reply::Unrelated) => Next::GiveUp(None),
                    Ok(Reply::Query(query)) => {
                        self.query = query;
                        Next::Again
                    }
                    Err(error) => Next::GiveUp(Some(error.into())),
                }
            }
            _ => Next::GiveUp(None),
        }
    }

    /// A running stream is to go on elsewhere, or with `None` at the same place.
    ///
    /// # Errors
    /// The place is no URL.
    pub fn reconnect_at(&mut self, tc_url: Option<&str>) -> Result<(), UrlError> {
        if let Some(tc_url) = tc_url {
            self.go(self.url.moved(tc_url)?);
        }
        self.begin_again();
        Ok(())
    }

    /// A running stream was lost: the next connection goes to where the first one went.
    pub fn start_over(&mut self) {
        self.url.clone_from(&self.origin);
        self.begin_again();
    }

    fn follow(&mut self, tc_url: &str) -> Next {
        if self.redirects == MAX_REDIRECTS {
            return Next::GiveUp(Some(ApproachError::TooManyRedirects(MAX_REDIRECTS)));
        }
        self.redirects += 1;
        match self.url.moved(tc_url) {
            Err(error) => Next::GiveUp(Some(error.into())),
            Ok(url) => {
                self.go(url);
                self.login = Login::default();
                self.query.clear();
                Next::Again
            }
        }
    }

    /// Another server may know another handshake.
    fn go(&mut self, url: RtmpUrl) {
        if (url.host(), url.port()) != (self.url.host(), self.url.port()) {
            self.handshake = Handshake::Trying;
        }
        self.url = url;
    }

    fn begin_again(&mut self) {
        self.redirects = 0;
        self.login = Login::default();
        // An answered challenge is used up.
        self.query.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Status;

    fn approach() -> Approach {
        Approach::new(RtmpUrl::parse("rtmp://u:p@h/live/show").unwrap(), HandshakeChoice::DigestFirst)
    }

    fn rejected(description: &str) -> StreamEnd {
        StreamEnd::Rejected(Status::error("NetConnection.Connect.Rejected", description))
    }

    #[test]
    fn a_server_that_fails_at_digests_is_met_once_more_with_the_simple_form() {
        let mut approach = approach();
        assert!(matches!(approach.config().handshake, HandshakeKind::Digest(_)));
        assert_eq!(approach.after(&StreamEnd::Protocol(Error::Digest), 0), Next::Again);
        assert_eq!(approach.config().handshake, HandshakeKind::Simple);
        assert_eq!(approach.after_close(), Next::GiveUp(None));
    }

    #[test]
    fn redirects_are_followed_five_times() {
        let mut approach = approach();
        for number in 0..5 {
            let tc_url = format!("rtmp://h{number}/live");
            assert_eq!(approach.after(&StreamEnd::Redirected { tc_url }, 0), Next::Again);
            assert_eq!(approach.url().tc_url(), format!("rtmp://h{number}/live"));
            assert_eq!(approach.url().name(), "show");
        }
        let tc_url = "rtmp://x/live".to_owned();
        let end = StreamEnd::Redirected { tc_url };
        assert_eq!(approach.after(&end, 0), Next::GiveUp(Some(ApproachError::TooManyRedirects(5))));
        approach.arrived();
        assert_eq!(approach.after(&end, 0), Next::Again);
        approach.start_over();
        assert_eq!(approach.url().tc_url(), "rtmp://h/live");
    }

    #[test]
    fn the_login_goes_into_app_and_url() {
        let mut approach = approach();
        let need = rejected("[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ");
        assert_eq!(approach.after(&need, 0), Next::Again);
        let config = approach.config();
        assert_eq!(config.app, "live?authmod=adobe&user=u");
        assert_eq!(config.tc_url, "rtmp://h/live?authmod=adobe&user=u");
        assert_eq!(approach.after(&rejected("No."), 0), Next::GiveUp(None));
    }

    #[test]
    fn another_host_does_not_learn_the_password() {
        let mut approach = approach();
        let end = StreamEnd::Redirected { tc_url: "rtmp://other/live".to_owned() };
        assert_eq!(approach.after(&end, 0), Next::Again);
        let need = rejected("[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ");
        assert_eq!(approach.after(&need, 0), Next::GiveUp(Some(LoginError::Missing.into())));
    }
}
