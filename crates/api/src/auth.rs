//! Who asks, and what they may.
//!
//! | module | what it owns |
//! |---|---|
//! | [`tokens`] | the tokens there are, in files of the data folder; the command line uses it too |
//! | `scope` | what a token allows, for which streams |
//! | `caller` | the one who asks, as handlers see it |
//! | `failures` | how often an address has shown a token that there is not |
//! | `logins` | the sessions of browsers |
//!
//! Tokens have 256 bits of chance, or at least 32 characters when an operator wrote them, so guessing one is hopeless at any
//! speed. Failures are slowed down all the same: they cost us, and somebody should know. What is refused then is the *unknown*
//! token; whoever has a good one is served, or everybody behind the proxy of a guesser would be locked out.

mod caller;
mod failures;
mod logins;
mod scope;
pub mod tokens;

pub(crate) use caller::Caller;
pub(crate) use logins::{LOGIN_TIME, Login};
pub(crate) use scope::{Grant, Scope};

use crate::problem::Problem;
use axum::http::{HeaderMap, Method, StatusCode, header};
use failures::Failures;
use jackfield_http::Client;
use jackfield_net::Seldom;
use jackfield_runtime::{Tasks, clock};
use jackfield_sessions::Origin;
use logins::Logins;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
pub(crate) use tokens::Digest;
use tokens::{Known, TokenStore};
use tokio::sync::Semaphore;

/// The cookie of a browser's session.
pub(crate) const COOKIE: &str = "jackfield_session";
/// Tokens that are looked for at once, each on a thread; the others wait.
const MAX_LOOKUPS: usize = 8;
/// The header that every request of a browser's session needs that changes something.
pub(crate) const CSRF_HEADER: &str = "x-csrf-token";

/// By what a caller is known: a token, or a session that was begun with it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass {
    token: Digest,
    /// Of the session's cookie.
    cookie: Option<Digest>,
}

impl Pass {
    /// What is counted by token is counted by this: its sessions are the token's.
    pub(crate) fn token(&self) -> Digest {
        self.token
    }
}

/// Checks tokens and cookies.
pub(crate) struct Auth {
    tokens: TokenStore,
    tasks: Tasks,
    logins: Mutex<Logins>,
    failures: Mutex<Failures>,
    failed: Arc<AtomicU64>,
    lookups: Semaphore,
}

impl Auth {
    pub(crate) fn new(tokens: TokenStore, tasks: Tasks) -> Self {
        Self {
            tokens,
            tasks,
            logins: Mutex::default(),
            failures: Mutex::default(),
            failed: Arc::default(),
            lookups: Semaphore::new(MAX_LOOKUPS),
        }
    }

    /// Who sends this request; `None` if it does not say.
    ///
    /// # Errors
    /// 401 for a token or a session that there is not, 429 after too many of them, 403 for a session without its CSRF token.
    pub(crate) async fn caller(
        &self,
        client: Client,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Option<(Caller, Pass)>, Problem> {
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let token = value.to_str().ok().and_then(bearer);
            let token = token.ok_or_else(|| {
                Problem::unauthorized("The `Authorization` header must be `Bearer` and a token.")
            })?;
            let known = self.token(client, token).await?;
            return Ok(Some((known.caller(), Pass { token: known.digest(), cookie: None })));
        }
        let Some(cookie) = cookie(headers) else { return Ok(None) };
        let login = self.logins().find(clock::now(), cookie);
        let Some(login) = login else {
            return Err(Problem::unauthorized("This session has ended: log in again."));
        };
        let Some(known) = self.find(Sought::Digest(login.token)).await else {
            return Err(Problem::unauthorized("The token of this session was revoked."));
        };
        if !method.is_safe() && !login.is_csrf(headers.get(CSRF_HEADER)) {
            let detail = "A session of a browser must send `X-CSRF-Token` with what changes something.";
            return Err(Problem::forbidden(detail));
        }
        let cookie = Some(Digest::of(cookie.as_bytes()));
        Ok(Some((known.caller(), Pass { token: login.token, cookie })))
    }

    /// Who showed this before and may still ask, and what they may now; for answers that go on for long.
    pub(crate) async fn renew(&self, pass: Pass) -> Option<Caller> {
        if pass.cookie.is_some_and(|cookie| !self.logins().has(clock::now(), &cookie)) {
            return None;
        }
        self.find(Sought::Digest(pass.token)).await.map(|known| known.caller())
    }

    /// The token that a client shows.
    ///
    /// # Errors
    /// 401, or 429.
    pub(crate) async fn token(&self, client: Client, token: &str) -> Result<Known, Problem> {
        if let Some(known) = self.find(Sought::Token(token.to_owned())).await {
            return Ok(known);
        }
        Err(self.failure(client))
    }

    /// Begins a session for this token.
    pub(crate) fn log_in(&self, known: &Known) -> (String, Login) {
        self.logins().begin(clock::now(), known.digest())
    }

    /// The session of these headers, if there is one.
    pub(crate) fn login(&self, headers: &HeaderMap) -> Option<Login> {
        self.logins().find(clock::now(), cookie(headers)?)
    }

    /// Ends the session of these headers.
    pub(crate) fn log_out(&self, headers: &HeaderMap) {
        if let Some(cookie) = cookie(headers) {
            self.logins().end(cookie);
        }
    }

    /// How often a token was shown that there is not.
    pub(crate) fn failed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.failed)
    }

    /// Reads the files of tokens where that blocks nobody.
    async fn find(&self, sought: Sought) -> Option<Known> {
        // Whoever floods us with tokens waits here, and not in the pool of all that blocks.
        let _turn = self.lookups.acquire().await.ok()?;
        let tokens = self.tokens.clone();
        let find = move || match sought {
            Sought::Token(token) => tokens.find(&token),
            Sought::Digest(digest) => tokens.find_digest(&digest),
        };
        self.tasks.blocking("api tokens", find).join().await.flatten()
    }

    fn failure(&self, client: Client) -> Problem {
        static FAILED: Seldom = Seldom::new();
        let now = clock::now();
        self.failed.fetch_add(1, Ordering::Relaxed);
        let peer = client.addr.ip();
        if let Some(times) = FAILED.now(now) {
            tracing::warn!(proto = "http", %peer, times, "Somebody shows a token that there is not");
        }
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        match failures.add(now, Origin::of(peer)) {
            None => Problem::unauthorized("There is no such token."),
            Some(wait) => {
                let detail = "Too many wrong tokens came from this address.";
                Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(wait)
            }
        }
    }

    fn logins(&self) -> std::sync::MutexGuard<'_, Logins> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Sought {
    Token(String),
    Digest(Digest),
}

/// The token of `Bearer …`; the scheme in any case (RFC 9110 §11.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start())
}

/// The value of our cookie.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_stands_behind_its_scheme_and_a_cookie_among_others() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc"), Some("abc"));
        assert_eq!((bearer("Basic abc"), bearer("Bearer"), bearer("")), (None, None, None));
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "a=b; jackfield_session=x=y;c".parse().unwrap());
        assert_eq!(cookie(&headers), Some("x=y"));
        headers.clear();
        headers.append(header::COOKIE, "xjackfield_session=1".parse().unwrap());
        assert_eq!(cookie(&headers), None);
    }
}
