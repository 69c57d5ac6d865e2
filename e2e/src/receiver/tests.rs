//! The receiver as curl sees it.

use super::*;
use crate::tls::Authority;
use crate::{Program, SOON, Scratch};

/// Runs curl; its exit code, and what it printed.
fn curl(args: &[&str]) -> (i32, String) {
    let mut curl =
        Program::new("curl").args(["-sS", "--max-time", "10"]).args(args.iter().copied()).start().unwrap();
    let code = curl.wait(SOON).unwrap().code().unwrap();
    curl.stdout().wait_closed("curl's output", SOON).unwrap();
    (code, curl.stdout().all().join("\n"))
}

fn answering(reply: Reply) -> Receiver {
    Receiver::start(move |_| reply.clone()).unwrap()
}

#[test]
fn requests_arrive_whole_and_are_answered() {
    let body = serde_json::json!({ "decision": "allow" });
    let receiver = answering(Reply::json(200, &body));
    let url = receiver.url("/hook?x=1");
    let (code, out) = curl(&["-d", r#"{"type":"publish_start"}"#, "-H", "Webhook-Id: 7", &url, &url]);
    assert_eq!((code, out), (0, format!("{body}{body}")));
    let request = receiver.wait("request", SOON, |request| request.event().is_some()).unwrap();
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hook?x=1"));
    assert_eq!(
        (request.header("webhook-id"), request.event().as_deref()),
        (Some("7"), Some("publish_start"))
    );
    // Both came over one connection, which was kept.
    assert_eq!(
        receiver.requests().read(|all| all.iter().map(|one| one.connection).collect::<Vec<_>>()),
        [1, 1]
    );
}

#[test]
fn a_body_in_chunks_is_put_together() {
    let receiver = answering(Reply::status(204));
    let (code, _) = curl(&["-H", "Transfer-Encoding: chunked", "-d", "abc", &receiver.url("/")]);
    assert_eq!(code, 0);
    assert_eq!(receiver.requests().all()[0].body, b"abc");
}

#[test]
fn misbehaviour_is_what_the_client_sees() {
    // curl(1), EXIT CODES: 52 empty reply, 56 failure in receiving, 28 timeout, 7 refused, 1 or 8 not HTTP.
    let cases = [
        (Reply::Close, vec![52]),
        (Reply::Reset, vec![56]),
        (Reply::Silence, vec![28]),
        (Reply::Slowly(Duration::from_millis(200), Box::new(Reply::status(200))), vec![28]),
        (Reply::After(Duration::from_secs(30), Box::new(Reply::status(200))), vec![28]),
        (Reply::Raw(b"SMTP ready\r\n".to_vec()), vec![1, 8]),
    ];
    for (reply, codes) in cases {
        let receiver = answering(reply.clone());
        let (code, _) = curl(&["--max-time", "1", &receiver.url("/")]);
        assert!(codes.contains(&code), "{reply:?}: curl ended with {code}");
    }
    assert_eq!(curl(&[&refusing_url().unwrap()]).0, 7);
}

#[test]
fn a_flood_and_a_redirect_arrive() {
    let flood = answering(Reply::Flood { bytes: 64 << 20 });
    assert_eq!(
        curl(&["-o", "/dev/null", "-w", "%{size_download}", &flood.url("/")]),
        (0, "67108864".to_owned())
    );
    let redirect = answering(Reply::redirect(301, "http://example.org/"));
    assert_eq!(
        curl(&["-w", "%{http_code} %{redirect_url}", &redirect.url("/")]).1,
        "301 http://example.org/"
    );
}

#[test]
fn a_latch_holds_the_answer_until_the_test_opens_it() {
    let latch = Latch::default();
    let receiver = answering(Reply::When(latch.clone(), Box::new(Reply::status(200))));
    let mut curl =
        Program::new("curl").args(["-sS", "-w", "%{http_code}", &receiver.url("/")]).start().unwrap();
    receiver.wait("request", SOON, |_| true).unwrap();
    assert!(curl.stdout().is_empty());
    latch.open();
    assert!(curl.wait(SOON).unwrap().success());
}

#[test]
fn tls_is_spoken_and_another_hosts_certificate_is_not_believed() {
    let folder = Scratch::new().unwrap();
    let authority = Authority::new().unwrap();
    let ca = folder.file("ca.pem", &authority.pem()).unwrap();
    let ca = ca.to_str().unwrap();
    let with = |names: &[&str]| {
        let tls = authority.identity(names).unwrap().server(None).unwrap();
        Receiver::start_tls(tls, |_| Reply::json(200, &serde_json::json!({}))).unwrap()
    };
    let right = with(&["localhost", "127.0.0.1"]);
    assert_eq!(curl(&["--cacert", ca, &right.url("/"), &right.named_url("/")]), (0, "{}{}".to_owned()));
    // 60: the certificate is not believed.
    assert_eq!(curl(&[&right.url("/")]).0, 60);
    assert_eq!(curl(&["--cacert", ca, &with(&["elsewhere.example"]).url("/")]).0, 60);
}

#[test]
fn a_receiver_can_want_a_certificate_of_its_clients() {
    let folder = Scratch::new().unwrap();
    let authority = Authority::new().unwrap();
    let tls = authority.identity(&["127.0.0.1"]).unwrap().server(Some(&authority)).unwrap();
    let receiver = Receiver::start_tls(tls, |_| Reply::status(200)).unwrap();
    let client = authority.identity(&["client"]).unwrap();
    let ca = folder.file("ca.pem", &authority.pem()).unwrap();
    let cert = folder.file("cert.pem", &client.certificate_pem()).unwrap();
    let key = folder.file("key.pem", &client.key_pem()).unwrap();
    let [ca, cert, key] = [&ca, &cert, &key].map(|path| path.to_str().unwrap());
    assert_eq!(curl(&["--cacert", ca, "--cert", cert, "--key", key, &receiver.url("/")]).0, 0);
    assert_ne!(curl(&["--cacert", ca, &receiver.url("/")]).0, 0);
}
