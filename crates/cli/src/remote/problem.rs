//! A refusal of the server in words for a person (RFC 9457), and what to do about it.

use super::token::is_this_machine;
use super::{ANSWER, Api};
use crate::failed::{Exit, Failed};
use crate::paint::clean;
use jackfield_net::outbound::{Response, StatusCode};
use jackfield_runtime::clock;
use serde_json::Value;

/// Bytes of a refusal's body.
const MAX_PROBLEM_BYTES: usize = 1 << 20;

impl Api {
    /// What the refusal says.
    pub(super) async fn refused(&self, response: Response) -> anyhow::Error {
        let status = response.status();
        let body = clock::until(clock::now().after(ANSWER), response.body(MAX_PROBLEM_BYTES)).await;
        let body = body.and_then(Result::ok).unwrap_or_default();
        let problem: Option<Value> = serde_json::from_slice(&body).ok().filter(Value::is_object);
        let said = problem.as_ref().map(told);
        if said.is_none() && (status == StatusCode::NOT_FOUND || !status.is_client_error()) {
            return self.no_api(&format!("it says {status}")).into();
        }
        let said = said.filter(|said| !said.is_empty()).unwrap_or_else(|| status.to_string());
        let (exit, next) = self.advice(status);
        Failed::new(exit, format!("the server says: {said}"), next).into()
    }

    fn advice(&self, status: StatusCode) -> (Exit, String) {
        match status {
            StatusCode::UNAUTHORIZED => (Exit::Token, self.about_the_token()),
            StatusCode::FORBIDDEN => (
                Exit::Token,
                "`jackfield token create --scope …` on the server makes a token that may.".to_owned(),
            ),
            StatusCode::NOT_FOUND => (Exit::Missing, String::new()),
            StatusCode::TOO_MANY_REQUESTS => (Exit::Failed, "Wait a minute and try again.".to_owned()),
            StatusCode::SERVICE_UNAVAILABLE => {
                (Exit::Failed, "It is overloaded, or about to stop. Try again later.".to_owned())
            }
            status if status.is_server_error() => {
                (Exit::Failed, "The server's log says more about it.".to_owned())
            }
            _ => (Exit::Failed, String::new()),
        }
    }

    fn about_the_token(&self) -> String {
        let file = self.data_dir.join("admin.token");
        match &self.token {
            None if is_this_machine(&self.base) => format!(
                "It wants a token, and {} cannot be read: name the server's data folder by --data-dir, or give the \
                 token by JACKFIELD_TOKEN.",
                file.display()
            ),
            None => "It wants a token: JACKFIELD_TOKEN or --token gives it.".to_owned(),
            Some(_) => "It does not know this token. Is it one of this server, and not revoked?".to_owned(),
        }
    }
}

/// What a problem says: its detail, or its title, and each of its parts.
fn told(problem: &Value) -> String {
    let text = |name| problem.get(name).and_then(Value::as_str).map(clean);
    let mut said = text("detail").or_else(|| text("title")).unwrap_or_default();
    for part in problem.get("problems").and_then(Value::as_array).into_iter().flatten() {
        let part = part.as_str().map_or_else(|| clean(&part.to_string()), clean);
        said.push_str("\n  ");
        said.push_str(&part);
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_problem_is_told_by_its_detail_or_its_title_with_all_its_parts() {
        assert_eq!(
            told(&json!({"title": "No hook", "detail": "there is no hook `x`"})),
            "there is no hook `x`"
        );
        assert_eq!(told(&json!({"title": "No hook"})), "No hook");
        assert_eq!(
            told(&json!({"title": "Bad", "problems": ["a\x1b", {"b": 1}]})),
            "Bad\n  a\\u{1b}\n  {\"b\":1}"
        );
        assert_eq!(told(&json!({})), "");
    }
}
