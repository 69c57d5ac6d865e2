//! Redirects, logins, handshakes: connections until the stream is found.

use crate::peer::{Peer, hasty, listener, url};
use jackfield_rtmp::amf::Object;
use jackfield_rtmp_client::{
    ClientError, Connector, HandshakeChoice, Options, Playback, Publication, RtmpUrl,
};
use std::net::SocketAddr;
use tokio::io::AsyncReadExt;

fn rejected(description: &str) -> Object {
    Object::new()
        .with("level", "error")
        .with("code", "NetConnection.Connect.Rejected")
        .with("description", description)
}

fn moved(address: SocketAddr) -> Object {
    let ex = Object::new().with("code", 302.0).with("redirect", format!("rtmp://{address}/live").as_str());
    rejected("[ AccessManager.Reject ] : [ code=302 ]").with("ex", ex)
}

#[tokio::test]
async fn a_redirect_leads_to_the_other_server() {
    let (first, from) = listener().await;
    let (second, to) = listener().await;
    let client = async {
        let playback = Playback::open(&Connector::default(), url(from), Options::default()).await.unwrap();
        assert_eq!((playback.url().port(), playback.url().name()), (to.port(), "show?key=k"));
        playback.close().await;
    };
    let server = async {
        let mut peer = Peer::accept(&first).await;
        peer.asked().await;
        peer.reject(moved(to)).await;
        let mut peer = Peer::accept(&second).await;
        let connect = peer.asked().await;
        assert_eq!(connect.tc_url.as_str(), format!("rtmp://{to}/live"));
        peer.session.accept_connect().unwrap();
        peer.begin().await;
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn a_ring_of_redirects_ends() {
    let (listener, address) = listener().await;
    let client = async {
        let error =
            Playback::open(&Connector::default(), url(address), Options::default()).await.unwrap_err();
        assert_eq!(error.to_string(), "the server was to be found elsewhere 5 times");
        assert!(!error.is_retryable());
    };
    let server = async {
        for _ in 0..6 {
            let mut peer = Peer::accept(&listener).await;
            peer.asked().await;
            peer.reject(moved(address)).await;
        }
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn a_login_takes_three_connections() {
    let (listener, address) = listener().await;
    let client = async {
        let url = RtmpUrl::parse(&format!("rtmp://user:pass@{address}/live/show")).unwrap();
        Publication::open(&Connector::default(), url, Options::default()).await.unwrap().close().await;
    };
    let server = async {
        let mut peer = Peer::accept(&listener).await;
        assert_eq!(peer.asked().await.query.as_str(), "");
        peer.reject(rejected("[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ")).await;
        let mut peer = Peer::accept(&listener).await;
        assert_eq!(peer.asked().await.query.as_str(), "authmod=adobe&user=user");
        let challenge = "[ AccessManager.Reject ] : [ authmod=adobe ] : \
                         ?reason=needauth&user=user&salt=S&challenge=C&opaque=O";
        peer.reject(rejected(challenge)).await;
        let mut peer = Peer::accept(&listener).await;
        let query = peer.asked().await.query.to_string();
        assert!(query.starts_with("authmod=adobe&user=user&challenge="), "{query}");
        assert!(query.contains("&response=") && query.ends_with("&opaque=O"), "{query}");
        peer.session.accept_connect().unwrap();
        peer.begin().await;
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn a_wrong_password_is_told() {
    let (listener, address) = listener().await;
    let client = async {
        let url = RtmpUrl::parse(&format!("rtmp://user:pass@{address}/live/show")).unwrap();
        let error = Publication::open(&Connector::default(), url, Options::default()).await.unwrap_err();
        assert_eq!(error.to_string(), "the server refused the login");
        let url = RtmpUrl::parse(&format!("rtmp://{address}/live/show")).unwrap();
        let error = Publication::open(&Connector::default(), url, Options::default()).await.unwrap_err();
        assert!(error.to_string().contains("rtmp://user:password@host/app/name"), "{error}");
    };
    let server = async {
        for description in [
            "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=authfailed",
            "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ",
        ] {
            let mut peer = Peer::accept(&listener).await;
            peer.asked().await;
            peer.reject(rejected(description)).await;
        }
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn a_server_that_closes_at_digests_is_met_again_with_the_simple_handshake() {
    let (listener, address) = listener().await;
    let client = async {
        Playback::open(&Connector::default(), url(address), Options::default()).await.unwrap().close().await;
    };
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut c0_c1 = [0; 1537];
        socket.read_exact(&mut c0_c1).await.unwrap();
        assert_ne!(c0_c1.get(5..9), Some(&[0; 4][..]), "a version, as digests need it");
        drop(socket);
        let mut peer = Peer::accept(&listener).await;
        peer.begin().await;
    };
    tokio::join!(client, server);
}

#[tokio::test]
async fn a_server_that_always_closes_is_met_twice_and_no_more() {
    let (listener, address) = listener().await;
    let (connector, mut options) = hasty();
    let client = async {
        let error = Playback::open(&connector, url(address), options).await.unwrap_err();
        assert!(matches!(error, ClientError::ServerClosed | ClientError::Lost(_)), "{error}");
        options.handshake = HandshakeChoice::Simple;
        let error = Playback::open(&connector, url(address), options).await.unwrap_err();
        assert!(matches!(error, ClientError::ServerClosed | ClientError::Lost(_)), "{error}");
    };
    let server = async {
        for _ in 0..3 {
            drop(listener.accept().await.unwrap());
        }
    };
    tokio::join!(client, server);
}
