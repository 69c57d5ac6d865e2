//! Sessions of browsers. They live in memory: after a restart one logs in again.

use super::tokens::{self, Digest};
use axum::http::HeaderValue;
use jackfield_media::Mono;
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

/// How long a session lasts.
pub(crate) const LOGIN_TIME: Duration = Duration::from_secs(12 * 60 * 60);
/// Sessions at once; the oldest of the token that has most of them makes room, so that nobody logs out others.
const MAX_LOGINS: usize = 1000;

/// A session of a browser.
#[derive(Clone)]
pub(crate) struct Login {
    /// Of the token that it was begun with: it lasts no longer than that.
    pub(crate) token: Digest,
    /// What requests that change something must send, to show that a page of ours makes them.
    pub(crate) csrf: String,
    ends: Mono,
}

impl Login {
    /// Whether this is its CSRF token.
    pub(super) fn is_csrf(&self, header: Option<&HeaderValue>) -> bool {
        header.is_some_and(|header| Digest::of(header.as_bytes()).equals(&Digest::of(self.csrf.as_bytes())))
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

/// All sessions, by the digest of their cookies.
#[derive(Debug, Default)]
pub(super) struct Logins(HashMap<Digest, Login>);

impl Logins {
    /// A new session, and its cookie.
    pub(super) fn begin(&mut self, now: Mono, token: Digest) -> (String, Login) {
        self.0.retain(|_, login| login.ends > now);
        if self.0.len() >= MAX_LOGINS {
            self.make_room();
        }
        let (cookie, csrf) = (tokens::chance(), tokens::chance());
        let login = Login { token, csrf, ends: now.after(LOGIN_TIME) };
        self.0.insert(Digest::of(cookie.as_bytes()), login.clone());
        (cookie, login)
    }

    fn make_room(&mut self) {
        let mut counts: HashMap<Digest, usize> = HashMap::new();
        for login in self.0.values() {
            *counts.entry(login.token).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count).map(|(token, _)| token);
        let of_token = self.0.iter().filter(|(_, login)| most == Some(login.token));
        let oldest = of_token.min_by_key(|(_, login)| login.ends).map(|(cookie, _)| *cookie);
        oldest.and_then(|oldest| self.0.remove(&oldest));
    }

    pub(super) fn find(&self, now: Mono, cookie: &str) -> Option<Login> {
        self.0.get(&Digest::of(cookie.as_bytes())).filter(|login| login.ends > now).cloned()
    }

    /// Whether there is one whose cookie has this digest.
    pub(super) fn has(&self, now: Mono, cookie: &Digest) -> bool {
        self.0.get(cookie).is_some_and(|login| login.ends > now)
    }

    pub(super) fn end(&mut self, cookie: &str) {
        self.0.remove(&Digest::of(cookie.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_by_itself_or_by_its_user_and_the_oldest_makes_room() {
        let at = |seconds| Mono::from_origin(Duration::from_secs(seconds));
        let mut logins = Logins::default();
        let (first, login) = logins.begin(at(0), Digest::of(b"a"));
        assert!(logins.find(at(1), &first).is_some() && logins.find(at(1), "other").is_none());
        assert!(logins.find(Mono::ZERO.after(LOGIN_TIME), &first).is_none());
        assert!(login.is_csrf(Some(&login.csrf.parse().unwrap())));
        assert!(!login.is_csrf(None) && !login.is_csrf(Some(&HeaderValue::from_static("x"))));
        let (second, _) = logins.begin(at(1), Digest::of(b"a"));
        for _ in 0..MAX_LOGINS - 1 {
            logins.begin(at(2), Digest::of(b"a"));
        }
        assert!(logins.find(at(2), &first).is_none() && logins.find(at(2), &second).is_some());
        logins.end(&second);
        assert!(logins.find(at(2), &second).is_none());
    }

    #[test]
    fn who_logs_in_again_and_again_logs_out_nobody_else() {
        let mut logins = Logins::default();
        let (other, _) = logins.begin(Mono::ZERO, Digest::of(b"other"));
        for second in 1..2000 {
            logins.begin(Mono::from_origin(Duration::from_secs(second)), Digest::of(b"a"));
        }
        assert_eq!(logins.0.len(), MAX_LOGINS);
        assert!(logins.find(Mono::ZERO, &other).is_some());
    }
}
