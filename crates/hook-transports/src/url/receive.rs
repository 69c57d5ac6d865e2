//! What a receiver's answer means.

use super::not_sent;
use crate::answer::{self, MAX_ANSWER_BYTES};
use crate::reply::{Said, delivered, failure};
use jackfield_dispatch::Call;
use jackfield_events::{Answer, Decision};
use jackfield_hooks::{Failure, Outcome, Receiver, Retry};
use jackfield_media::{Mono, UnixTime};
use jackfield_net::outbound::header::RETRY_AFTER;
use jackfield_net::outbound::{Response, StatusCode};
use jackfield_runtime::clock;
use std::time::Duration;

/// How long the body of a delivered notice is waited for, so that its connection can be kept.
const REST_OF_NOTICE: Duration = Duration::from_millis(250);
/// How long the reason of a denial is waited for. It mostly comes with the head.
const REST_OF_DENIAL: Duration = Duration::from_secs(1);

/// Any 2xx is success.
pub(super) async fn of_notice(call: &Call, response: Response) -> Said {
    let status = response.status();
    let retry = match status {
        StatusCode::GONE => Retry::Disable,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            response.header(RETRY_AFTER).and_then(retry_after).map_or(Retry::Scheduled, Retry::After)
        }
        _ => Retry::Scheduled,
    };
    let rest = rest(call.deadline, clock::now(), REST_OF_NOTICE);
    drop(clock::until(rest, response.body(MAX_ANSWER_BYTES)).await);
    if status.is_success() { Ok(delivered()) } else { Err(bad_status(status, retry)) }
}

/// The body of a 2xx is the answer.
pub(super) async fn of_question(call: &Call, response: Response) -> Said {
    let status = response.status();
    if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
        // The status says no; the body can only say why.
        let rest = rest(call.deadline, clock::now(), REST_OF_DENIAL);
        let body = clock::until(rest, response.body(MAX_ANSWER_BYTES)).await;
        let body = body.and_then(Result::ok).unwrap_or_default();
        return Ok(Answer { reason: answer::parse_reason(&body), ..Answer::bare(Decision::Deny) });
    }
    if !status.is_success() {
        return Err(bad_status(status, Retry::Scheduled));
    }
    let body = response.body(MAX_ANSWER_BYTES).await.map_err(|error| not_sent(&error))?;
    answer::parse(call, &body)
}

/// Until when the rest of an answer is waited for whose head has said all that counts: well before the deadline of the
/// call, or a body that does not come would turn a yes or a no into a timeout.
fn rest(deadline: Mono, now: Mono, longest: Duration) -> Mono {
    now.after(((deadline - now) / 2).min(longest))
}

fn bad_status(status: StatusCode, retry: Retry) -> Failure {
    // A gateway, or a server that starts or stops, speaks for a receiver that is not there.
    let receiver = match status {
        StatusCode::TOO_MANY_REQUESTS => Receiver::Busy,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            Receiver::Away
        }
        _ => Receiver::Here,
    };
    Failure { receiver, ..failure(Outcome::HandlerError, retry, format!("status {}", status.as_u16())) }
}

/// Seconds, or a date (RFC 9110 §10.2.3).
fn retry_after(value: &str) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp().as_microsecond();
    let UnixTime(now) = clock::unix_now();
    Some(Duration::from_micros(u64::try_from(date.saturating_sub(now)).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_head_has_said_never_waits_for_its_body_until_the_deadline() {
        let now = Mono::ZERO.after(Duration::from_secs(5));
        let after = |ms| now.after(Duration::from_millis(ms));
        assert_eq!(rest(after(10_000), now, REST_OF_NOTICE), after(250));
        assert_eq!(rest(after(10_000), now, REST_OF_DENIAL), after(1000));
        assert_eq!(rest(after(200), now, REST_OF_NOTICE), after(100));
        assert_eq!(rest(Mono::ZERO, now, REST_OF_NOTICE), now);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after("120"), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert!(retry_after("Fri, 01 Jan 2100 00:00:00 GMT").is_some_and(|wait| !wait.is_zero()));
        assert_eq!(retry_after("soon"), None);
        assert_eq!(retry_after("-5"), None);
    }
}
