//! Posting an event as the server's webhooks do: Standard Webhooks.

#![expect(clippy::print_stderr, reason = "a command-line tool talks to its terminal")]

use crate::failed::{Exit, Failed};
use anyhow::Context;
use jackfield_hook_transports::{PlainHttp, Secret, Signer, check_url};
use jackfield_net::outbound::header::{CONTENT_TYPE, HeaderValue};
use jackfield_net::outbound::{Client, ClientConfig, Method, Outbound, Request, Url};
use jackfield_runtime::{clock, random};
use serde_json::Value;
use std::time::Duration;

/// The server's own limit for a notice.
const ANSWER: Duration = Duration::from_secs(30);
/// The pause before a receiver that is not there is tried again: doubled each time, up to the last.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(15);
/// Bytes of an answer, of which nothing is read: an answer that was read whole keeps its connection.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// The status with which a receiver says that it wants no more.
const GONE: u16 = 410;

/// Posts events.
pub(super) struct Forward {
    url: Url,
    client: Client,
    signer: Signer,
}

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) took: Duration,
    pub(super) tries: u32,
}

/// Where events are posted.
///
/// # Errors
/// For what is no URL of HTTP, or where others could read what is posted.
pub(super) fn target(url: &str, plain: PlainHttp) -> Result<Url, Failed> {
    check_url(url, plain).map_err(|error| {
        let next =
            "Write it like http://127.0.0.1:3000/hook; --plain-http allows http:// beyond this machine.";
        Failed::new(Exit::Usage, error, next)
    })
}

impl Forward {
    pub(super) fn new(url: Url, secret: &str) -> anyhow::Result<Self> {
        let outbound = Outbound::new(1, concat!("jackfield/", env!("CARGO_PKG_VERSION")));
        let client = outbound.client(ClientConfig::default())?;
        let signer = Signer::new(&[Secret::new(secret)])?;
        Ok(Self { url, client, signer })
    }

    /// Posts the event until somebody answers, whatever the answer is. A receiver that is not there is waited for, so
    /// that one can be restarted without losing an event.
    ///
    /// # Errors
    /// When the receiver wants no more (410), or the event has no id.
    pub(super) async fn until_answered(&self, envelope: &Value, body: &str) -> anyhow::Result<Answered> {
        let id = envelope.get("id").and_then(Value::as_str);
        let id = id.filter(|id| id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let id = id.context("the server sent an event without an id")?;
        let (mut tries, mut pause) = (0, FIRST_PAUSE);
        loop {
            tries += 1;
            let began = clock::now();
            match self.post(id, body).await {
                Ok(GONE) => {
                    let wrong = format!("{} wants no more events (410)", self.url);
                    return Err(Failed::new(Exit::Failed, wrong, "").into());
                }
                Ok(status) => return Ok(Answered { status, took: clock::now() - began, tries }),
                Err(why) => {
                    if tries == 1 {
                        eprintln!("jackfield: {} does not answer ({why}), trying again", self.url);
                    }
                    clock::sleep(random::jittered(pause)).await;
                    pause = (pause * 2).min(LAST_PAUSE);
                }
            }
        }
    }

    async fn post(&self, id: &str, body: &str) -> Result<u16, String> {
        let mut request = Request::new(Method::POST, self.url.clone());
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.signer.sign(headers, id, clock::unix_now(), body.as_bytes());
        *request.body_mut() = Some(body.to_owned().into());
        let answer = async {
            let place = self.client.place().await;
            let response = self.client.send(place, request).await.map_err(|error| error.to_string())?;
            let status = response.status().as_u16();
            // Only so that the connection is kept; a body that is too long or breaks off changes nothing.
            drop(response.body(MAX_ANSWER_BYTES).await);
            Ok(status)
        };
        clock::until(clock::now().after(ANSWER), answer)
            .await
            .unwrap_or_else(|| Err("no answer in time".to_owned()))
    }
}
