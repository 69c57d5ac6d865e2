//! The one who asks, as handlers see it.

use super::scope::{Grant, Scope};
use crate::problem::Problem;
use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use jackfield_media::StreamKey;
use std::sync::Arc;

/// Who sends a request, known by a token or a session. The middleware has put it into the request; a handler takes it as an
/// argument, or `Option<Caller>` where nobody needs to say who they are.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    name: Arc<str>,
    grants: Arc<[Grant]>,
}

impl Caller {
    pub(crate) fn new(name: Arc<str>, grants: Arc<[Grant]>) -> Self {
        Self { name, grants }
    }

    /// The token's name, for the log.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What it may, as answers show it.
    pub(crate) fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// Whether it may do that with this stream; `None` is what is no stream's: the configuration, hooks, a connection without a
    /// stream.
    ///
    /// # Errors
    /// 403. It says the same of streams that there are and that there are not.
    pub(crate) fn may(&self, scope: Scope, key: Option<&StreamKey>) -> Result<(), Problem> {
        if self.can(scope, key) {
            return Ok(());
        }
        Err(Problem::forbidden(match key {
            Some(_) if self.can_somewhere(scope) => {
                format!("This token's scope `{scope}` does not cover this stream.")
            }
            None if self.can_somewhere(scope) => {
                format!(
                    "This needs the scope `{scope}` for everything, and this token has it for some streams."
                )
            }
            _ => format!("This needs a token with the scope `{scope}`."),
        }))
    }

    /// Whether it may do that with some stream, or all: for lists, which then leave out what it may not see
    /// ([`Caller::can`]).
    ///
    /// # Errors
    /// 403.
    pub(crate) fn may_somewhere(&self, scope: Scope) -> Result<(), Problem> {
        if self.can_somewhere(scope) {
            return Ok(());
        }
        Err(Problem::forbidden(format!("This needs a token with the scope `{scope}`.")))
    }

    /// As [`Caller::may`], for a filter.
    pub(crate) fn can(&self, scope: Scope, key: Option<&StreamKey>) -> bool {
        self.grants.iter().any(|grant| grant.allows(scope, key))
    }

    fn can_somewhere(&self, scope: Scope) -> bool {
        self.grants.iter().any(|grant| grant.scope == scope)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| Problem::unauthorized("This needs a bearer token."))
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Problem> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}
