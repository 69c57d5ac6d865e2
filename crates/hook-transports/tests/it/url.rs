//! `url` against a receiver that speaks raw bytes, well and badly.

use crate::receiver::{Receiver, Request, respond};
use crate::{Folder, decision, host, notice, outcome, program, question, within};
use jackfield_dispatch::{Call, Reply, Transport};
use jackfield_events::Decision;
use jackfield_hook_transports::{ConfigError, Host, PlainHttp, RunConfig, Secret, UrlConfig, run, url};
use jackfield_hooks::{Outcome, Retry};
use jackfield_runtime::clock;
use std::sync::Arc;
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(300);

async fn hook(config: UrlConfig) -> (Host, Arc<dyn Transport>) {
    let host = host().await;
    let transport = url(config, &host).unwrap();
    (host, transport)
}

/// The reply to one call when the receiver answers it with these bytes.
async fn answered_by(bytes: &[u8], call: Call) -> (Reply, Request) {
    let mut receiver = Receiver::start().await;
    let (_host, transport) = hook(UrlConfig::new(&receiver.url())).await;
    tokio::join!(transport.call(call), async {
        let mut exchange = receiver.accept().await;
        let request = exchange.request().await;
        exchange.send(bytes).await;
        request
    })
}

async fn ask(bytes: &[u8]) -> Reply {
    answered_by(bytes, question()).await.0
}

async fn tell(bytes: &[u8]) -> Reply {
    answered_by(bytes, notice()).await.0
}

#[tokio::test]
async fn a_notice_is_posted_as_the_contract_says() {
    let (reply, request) = answered_by(&respond(200, "", "whatever"), notice()).await;
    assert_eq!(decision(&reply), Ok(Decision::Pass));
    assert_eq!(request.line, "POST /hook?a=b HTTP/1.1");
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("user-agent"), Some("jackfield/test"));
    assert_eq!(request.header("webhook-id"), Some("00000000010000000000000002"));
    let sent: i64 = request.header("webhook-timestamp").unwrap().parse().unwrap();
    assert!((clock::unix_now().seconds() - sent).abs() < 60);
    assert_eq!(request.header("webhook-signature"), None);
    assert_eq!(request.header("hook-name"), None);
    let event: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!((&event["type"], event.get("attempt")), (&"publish_start".into(), None));
}

#[tokio::test]
async fn a_question_has_its_delivery_fields_and_a_signature_by_each_secret() {
    let mut receiver = Receiver::start().await;
    let secrets = vec![Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), Secret::new("old")];
    let headers = vec![("Authorization".to_owned(), "Bearer x".to_owned())];
    let (_host, transport) = hook(UrlConfig { secrets, headers, ..UrlConfig::new(&receiver.url()) }).await;
    let (reply, request) = tokio::join!(transport.call(question()), async {
        let mut exchange = receiver.accept().await;
        let request = exchange.request().await;
        exchange
            .send(&respond(200, "", r#"{"decision":"deny","reason":{"code":"late","public":"Not now."}}"#))
            .await;
        request
    });
    let answer = reply.result.unwrap();
    assert_eq!((answer.decision, answer.reason.public.as_deref()), (Decision::Deny, Some("Not now.")));
    assert_eq!(request.header("authorization"), Some("Bearer x"));
    assert_eq!(request.header("hook-name"), Some("test"));
    assert_eq!(request.header("hook-delivery"), Some("dlv_0000002a"));
    assert_eq!(request.header("hook-attempt"), Some("1"));
    assert!(request.header("hook-deadline-ms").unwrap().parse::<u64>().unwrap() > 0);
    let signatures: Vec<&str> = request.header("webhook-signature").unwrap().split(' ').collect();
    assert_eq!(signatures.len(), 2);
    assert!(signatures.iter().all(|signature| signature.starts_with("v1,")));
    let event: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!((&event["hook"], &event["attempt"]), (&"test".into(), &1.into()));
}

#[tokio::test]
async fn statuses_mean_what_the_contract_says() {
    let passes =
        [respond(204, "", ""), respond(200, "", ""), respond(200, "", "{}"), respond(201, "", " \n")];
    for bytes in passes {
        assert_eq!(decision(&ask(&bytes).await), Ok(Decision::Pass));
    }
    assert_eq!(decision(&ask(&respond(200, "", r#"{"decision":"allow"}"#)).await), Ok(Decision::Allow));
    assert_eq!(outcome(&ask(&respond(200, "", "<html>")).await), Outcome::ProtocolError);
    for status in [401, 403] {
        let answer = ask(&respond(status, "", r#"{"reason":"Pay first."}"#)).await.result.unwrap();
        assert_eq!((answer.decision, answer.reason.public.as_deref()), (Decision::Deny, Some("Pay first.")));
        let answer = ask(&respond(status, "", "<html>")).await.result.unwrap();
        assert_eq!((answer.decision, answer.reason.public), (Decision::Deny, None));
        assert_eq!(outcome(&tell(&respond(status, "", "")).await), Outcome::HandlerError);
    }
    for status in [400, 404, 500, 503, 410] {
        let reply = ask(&respond(status, "", "")).await;
        assert_eq!(decision(&reply), Err((Outcome::HandlerError, &*format!("status {status}"))));
    }
    assert_eq!(decision(&tell(&respond(202, "", "not json")).await), Ok(Decision::Pass));
}

#[tokio::test]
async fn a_notices_status_says_whether_to_try_again() {
    let retry = async |bytes: Vec<u8>| tell(&bytes).await.result.unwrap_err().retry;
    assert_eq!(retry(respond(500, "", "")).await, Retry::Scheduled);
    assert_eq!(retry(respond(410, "", "")).await, Retry::Disable);
    assert_eq!(retry(respond(429, "Retry-After: 7\r\n", "")).await, Retry::After(Duration::from_secs(7)));
    assert_eq!(retry(respond(503, "Retry-After: soon\r\n", "")).await, Retry::Scheduled);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let mut receiver = Receiver::start().await;
    let (_host, transport) = hook(UrlConfig::new(&receiver.url())).await;
    let location = format!("Location: {}\r\n", receiver.url());
    for status in [301, 302, 307, 308] {
        let (reply, ()) = tokio::join!(transport.call(question()), async {
            let mut exchange = receiver.accept().await;
            exchange.request().await;
            exchange.send(&respond(status, &format!("{location}Connection: close\r\n"), "")).await;
        });
        assert_eq!(outcome(&reply), Outcome::HandlerError, "{status}");
    }
    assert!(receiver.is_quiet());
}

#[tokio::test]
async fn connections_are_kept() {
    let mut receiver = Receiver::start().await;
    let (_host, transport) = hook(UrlConfig::new(&receiver.url())).await;
    let calls = async {
        for _ in 0..10 {
            for call in [question(), notice()] {
                transport.call(call).await.result.unwrap();
            }
        }
    };
    let answers = async {
        let mut exchange = receiver.accept().await;
        for _ in 0..20 {
            exchange.request().await;
            exchange.send(&respond(200, "", "{}")).await;
        }
    };
    tokio::join!(calls, answers);
    assert!(receiver.is_quiet(), "one connection served all");
}

#[tokio::test]
async fn nobody_there_is_a_connect_error() {
    let receiver = Receiver::start().await;
    let gone = receiver.url();
    drop(receiver);
    for address in [gone.as_str(), "http://no-such-host.invalid/"] {
        let (_host, transport) =
            hook(UrlConfig { plain_http: PlainHttp::Anywhere, ..UrlConfig::new(address) }).await;
        assert_eq!(outcome(&transport.call(question()).await), Outcome::ConnectError, "{address}");
    }
}

#[tokio::test]
async fn silence_and_slow_bytes_are_a_timeout() {
    let starts: [&[u8]; 4] = [
        b"",
        b"HTTP/1.1 200 OK\r\nX: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;",
    ];
    for start in starts {
        let mut receiver = Receiver::start().await;
        let (_host, transport) = hook(UrlConfig::new(&receiver.url())).await;
        let server = async {
            let mut exchange = receiver.accept().await;
            exchange.request().await;
            exchange.send(start).await;
            // One byte at a time, for as long as somebody listens.
            let byte = start.get(..1).map_or(&b""[..], |_| b"1");
            while !byte.is_empty() && exchange.send(byte).await {
                clock::sleep(Duration::from_millis(20)).await;
            }
            exchange.closed().await;
        };
        let (reply, ()) = tokio::join!(transport.call(within(question(), SHORT)), server);
        assert_eq!(outcome(&reply), Outcome::Timeout, "{}", String::from_utf8_lossy(start));
    }
}

#[tokio::test]
async fn a_denial_whose_reason_does_not_come_is_still_a_denial() {
    let mut receiver = Receiver::start().await;
    let (_host, transport) = hook(UrlConfig::new(&receiver.url())).await;
    let server = async {
        let mut exchange = receiver.accept().await;
        exchange.request().await;
        exchange.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\n{").await;
        exchange.closed().await;
    };
    let (reply, ()) = tokio::join!(transport.call(question()), server);
    assert_eq!(decision(&reply), Ok(Decision::Deny));
}

#[tokio::test]
async fn a_reset_is_a_transport_error() {
    for start in [&b""[..], b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"] {
        let mut receiver = Receiver::start().await;
        let (_host, transport) = hook(UrlConfig::new(&receiver.url())).await;
        let (reply, ()) = tokio::join!(transport.call(question()), async {
            let mut exchange = receiver.accept().await;
            exchange.request().await;
            exchange.send(start).await;
            exchange.reset();
        });
        assert_eq!(outcome(&reply), Outcome::TransportError, "{:?}", reply.result);
    }
    let reply = ask(b"SSH-2.0-OpenSSH_9.2\r\n").await;
    assert_eq!(outcome(&reply), Outcome::TransportError, "{:?}", reply.result);
}

#[tokio::test]
async fn a_huge_body_is_a_protocol_error_and_is_not_read_on() {
    for head in ["Content-Length: 64000000", "Transfer-Encoding: chunked"] {
        let mut receiver = Receiver::start().await;
        let (_host, transport) = hook(UrlConfig::new(&receiver.url())).await;
        let (reply, sent) = tokio::join!(transport.call(question()), async {
            let mut exchange = receiver.accept().await;
            exchange.request().await;
            exchange.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n").as_bytes()).await;
            let chunk = [format!("{:x}\r\n", 65536).as_bytes(), &[b' '; 65536], b"\r\n"].concat();
            let mut sent = 0;
            while sent < 64_000_000 && exchange.send(&chunk).await {
                sent += chunk.len();
            }
            sent
        });
        assert_eq!(outcome(&reply), Outcome::ProtocolError, "{head}: {:?}", reply.result);
        assert!(sent < 32_000_000, "{sent}");
    }
    // Of a notice nobody reads the body.
    let reply = tell(b"HTTP/1.1 200 OK\r\nContent-Length: 64000000\r\n\r\nx").await;
    assert_eq!(decision(&reply), Ok(Decision::Pass));
}

#[tokio::test]
async fn tls_is_verified_and_may_ask_for_our_certificate() {
    let folder = Folder::new();
    let authority = crate::receiver::Authority::new();
    let (ca, cert, key) = (folder.path().join("ca"), folder.path().join("cert"), folder.path().join("key"));
    std::fs::write(&ca, authority.pem()).unwrap();
    let client = authority.issue("client.example");
    std::fs::write(&cert, &client.certificate).unwrap();
    std::fs::write(&key, &client.key).unwrap();

    let served = async |server_name: &str, config: &dyn Fn(UrlConfig) -> UrlConfig| {
        let mut receiver = Receiver::start_tls(&authority, server_name).await;
        let (_host, transport) = hook(config(UrlConfig::new(&receiver.url()))).await;
        let server = async {
            if let Some(mut exchange) = receiver.accept_tls().await {
                exchange.request().await;
                exchange.send(&respond(200, "", "{}")).await;
            }
        };
        tokio::join!(transport.call(question()), server).0
    };
    let both = |config: UrlConfig| UrlConfig {
        ca: Some(ca.clone()),
        cert: Some(cert.clone()),
        key: Some(key.clone()),
        ..config
    };
    assert_eq!(decision(&served("localhost", &both).await), Ok(Decision::Pass));
    let reply = served("other.example", &both).await;
    assert_eq!(outcome(&reply), Outcome::ConnectError, "a certificate of another host: {:?}", reply.result);
    let reply = served("localhost", &|config| config).await;
    assert_eq!(outcome(&reply), Outcome::ConnectError, "an unknown authority: {:?}", reply.result);
    let without = |config: UrlConfig| UrlConfig { ca: Some(ca.clone()), ..config };
    let reply = served("localhost", &without).await;
    assert!(reply.result.is_err(), "no certificate of ours");
}

#[tokio::test]
async fn what_cannot_be_configured_is_said_at_once() {
    let host = host().await;
    let error = |config: UrlConfig| url(config, &host).err().unwrap().to_string();
    let good = || UrlConfig::new("https://chat.example/hook");
    assert!(error(UrlConfig::new("http://chat.example/hook")).contains("plain_http"));
    assert!(error(UrlConfig::new("ftp://x")).contains("no URL"));
    let header =
        |name: &str, value: &str| UrlConfig { headers: vec![(name.to_owned(), value.to_owned())], ..good() };
    assert!(error(header("a b", "c")).contains("a b"));
    assert!(error(header("a", "b\r\nc: d")).contains("cannot be sent"));
    assert!(error(UrlConfig { cert: Some("/x".into()), ..good() }).contains("go together"));
    assert!(error(UrlConfig { ca: Some("/no/such/file".into()), ..good() }).contains("/no/such/file"));
    assert!(error(UrlConfig { ca: Some("/etc/hostname".into()), ..good() }).contains("no certificate"));
    assert!(error(UrlConfig { secrets: vec![Secret::new("whsec_?")], ..good() }).contains("secret"));
    url(good(), &host).unwrap();
}

#[tokio::test]
async fn http_request_is_built_in() {
    let host = host().await;
    let mut receiver = Receiver::start().await;
    let transport = run(program(["http-request", &receiver.url()]), &host).unwrap();
    let (reply, request) = tokio::join!(transport.call(question()), async {
        let mut exchange = receiver.accept().await;
        let request = exchange.request().await;
        exchange.send(&respond(200, "", r#"{"decision":"allow"}"#)).await;
        request
    });
    assert_eq!(decision(&reply), Ok(Decision::Allow));
    assert!(request.line.starts_with("POST /hook"));
    let refused = |config: RunConfig| run(config, &host).err().unwrap();
    assert!(matches!(refused(program(["http-request"])), ConfigError::HttpRequest));
    assert!(matches!(refused(program(["http-request", "http://chat.example/"])), ConfigError::Url(_)));
}

#[tokio::test]
async fn a_cancelled_call_closes_its_connection() {
    let mut receiver = Receiver::start().await;
    let (_host, transport) = hook(UrlConfig::new(&receiver.url())).await;
    let exchange = {
        let call = transport.call(question());
        tokio::pin!(call);
        tokio::select! {
            _ = &mut call => panic!("nobody answered"),
            exchange = async {
                let mut exchange = receiver.accept().await;
                exchange.request().await;
                exchange
            } => exchange,
        }
    };
    exchange.closed().await;
}

#[tokio::test]
async fn draining_ends_what_is_left_at_its_deadline() {
    let mut receiver = Receiver::start().await;
    let (_host, transport) = hook(UrlConfig::new(&receiver.url())).await;
    let (reply, (), _exchange) = tokio::join!(
        transport.call(question()),
        async {
            tokio::task::yield_now().await;
            transport.drain(clock::now().after(SHORT)).await;
        },
        async {
            let mut exchange = receiver.accept().await;
            exchange.request().await;
            exchange
        }
    );
    assert_eq!(outcome(&reply), Outcome::Cancelled);
}
