//! What a request carries: JSON, of a limited size, within a limited time, without a field that is not known.

use crate::problem::Problem;
use crate::query::unknown;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use jackfield_runtime::clock;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use std::time::Duration;

/// Bytes of a body at most.
pub(crate) const MAX_BODY_BYTES: usize = 1024 * 1024;
/// How long a client may take for its body.
const BODY_TIME: Duration = Duration::from_secs(10);

/// A JSON body. Not JSON is 415 or 400, too large 413, too slow 408; what is JSON and wrong is 422, an unknown field with the
/// nearest word.
#[derive(Debug)]
pub(crate) struct Strict<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Strict<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(&request) {
            let detail = "The body must be JSON: send `Content-Type: application/json`.";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        let bytes = Bytes::from_request(request, state);
        let Some(bytes) = clock::until(clock::now().after(BODY_TIME), bytes).await else {
            let detail = format!("The body did not come within {} s.", BODY_TIME.as_secs());
            return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail));
        };
        parse(&bytes.map_err(not_read)?).map(Self)
    }
}

fn not_read(error: BytesRejection) -> Problem {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("The body is larger than {MAX_BODY_BYTES} bytes."),
        ),
        _ => Problem::bad_request("The body broke off."),
    }
}

/// `application/json`, with whatever parameters.
fn is_json(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
    essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let error = match serde_json::from_slice(bytes) {
        // Serde takes a list for a struct, field by field.
        Ok(_) if !is_object(bytes) => {
            return Err(Problem::unprocessable("The body must be a JSON object."));
        }
        Ok(body) => return Ok(body),
        Err(error) => error,
    };
    let text = error.to_string();
    match error.classify() {
        Category::Data => Err(unknown(&text, "field", Problem::unprocessable)
            .unwrap_or_else(|| Problem::unprocessable(format!("The body is wrong: {text}.")))),
        Category::Syntax | Category::Eof | Category::Io => {
            Err(Problem::bad_request(format!("The body is not JSON: {text}.")))
        }
    }
}

fn is_object(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"{")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Thing {
        #[expect(dead_code, reason = "only its name counts")]
        retries: u32,
    }

    fn refused(body: &str) -> (u16, String) {
        let problem = parse::<Thing>(body.as_bytes()).unwrap_err();
        let text = format!("{problem:?}");
        (problem.into_response().status().as_u16(), text)
    }

    #[test]
    fn a_body_that_is_wrong_is_refused_with_what_is_wrong() {
        let check = |body: &str, status: u16, says: &str| {
            let (got, text) = refused(body);
            assert!(got == status && text.contains(says), "{body}: {got} {text}");
        };
        check(r#"{"retris": 1}"#, 422, "did you mean `retries`?");
        check(r#"{"colour": 1}"#, 422, "there are retries");
        check(r#"{"retries": "x"}"#, 422, "invalid type");
        check("{}", 422, "missing field");
        check("[1]", 422, "must be a JSON object");
        check("{", 400, "not JSON");
        check("", 400, "not JSON");
        check("\u{0}", 400, "not JSON");
        check(&"[".repeat(100_000), 422, "invalid type");
    }
}
