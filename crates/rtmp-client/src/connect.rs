//! From a URL to a stream that runs: addresses, sockets, TLS, and as many connections as login and redirects
//! need.

use crate::error::ClientError;
use crate::link::{Driven, Goal, Link};
use crate::socket::Socket;
use crate::tls::{self, Trust, TrustError};
use jackfield_media::Mono;
use jackfield_rtmp::{Approach, Next, Purpose, RtmpUrl, Scheme, StreamConfig, StreamEvent, StreamSession};
use jackfield_runtime::{clock, random};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long each step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Finding the host's addresses.
    pub resolve: Duration,
    /// A TCP connection to one address.
    pub connect: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// RTMP's handshake and the answer to `connect`.
    pub handshake: Duration,
    /// Each later answer; a server may hold a player back until its stream is there.
    pub answer: Duration,
    /// How long a player may be sent nothing, and a server take nothing.
    pub silence: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            resolve: seconds(5),
            connect: seconds(5),
            tls: seconds(10),
            handshake: seconds(10),
            answer: seconds(30),
            silence: seconds(30),
        }
    }
}

/// Makes connections. Clones share the TLS settings.
#[derive(Debug, Clone, Default)]
pub struct Connector {
    /// How long each step may take.
    pub timeouts: Timeouts,
    tls: Option<Arc<ClientConfig>>,
}

impl Connector {
    /// A connector that trusts so. The system's certificates are read here, so keep it.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn new(trust: &Trust) -> Result<Self, TrustError> {
        Ok(Self { timeouts: Timeouts::default(), tls: Some(tls::config(trust)?) })
    }

    /// Opens the stream: as many connections as login and redirects need, until media may flow. The approach
    /// remembers what was learnt, for the next time.
    pub(crate) async fn open(&self, approach: &mut Approach, purpose: Purpose) -> Result<Link, ClientError> {
        if approach.url().name().is_empty() {
            return Err(ClientError::NoName);
        }
        loop {
            let error = match Box::pin(self.open_once(approach, purpose)).await {
                Ok(link) => return Ok(link),
                Err(error) => error,
            };
            let next = match &error {
                ClientError::End(end) => approach.after(end, random::number()),
                ClientError::ServerClosed | ClientError::Lost(_) => approach.after_close(),
                _ => Next::GiveUp(None),
            };
            match next {
                Next::Again => {}
                Next::GiveUp(None) => return Err(error),
                Next::GiveUp(Some(why)) => return Err(why.into()),
            }
        }
    }

    async fn open_once(&self, approach: &mut Approach, purpose: Purpose) -> Result<Link, ClientError> {
        let socket = self.socket(approach.url()).await?;
        let mut config = StreamConfig::new(approach.config(), purpose, approach.url().name());
        config.connect_timeout = self.timeouts.handshake;
        config.answer_timeout = self.timeouts.answer;
        config.silence = self.timeouts.silence;
        let session = StreamSession::new(config, random::number(), clock::now());
        let mut link = Link::new(socket, session, self.timeouts.silence);
        loop {
            match link.drive(Goal::Event).await? {
                Driven::Event(StreamEvent::Started) => return Ok(link),
                Driven::Event(StreamEvent::Connected) => approach.arrived(),
                Driven::Event(_) | Driven::There => {}
            }
        }
    }

    /// A connected socket, with TLS if the URL says so.
    async fn socket(&self, url: &RtmpUrl) -> Result<Socket, ClientError> {
        let tcp = self.tcp(url).await?;
        tcp.set_nodelay(true)?;
        if url.scheme() == Scheme::Rtmp {
            return Ok(Socket::Plain(tcp));
        }
        let config = match &self.tls {
            Some(config) => Arc::clone(config),
            None => tls::config(&Trust::System)?,
        };
        let host = url.host().to_owned();
        let name = match ServerName::try_from(host.clone()) {
            Ok(name) => name,
            Err(error) => {
                let source = io::Error::new(io::ErrorKind::InvalidInput, error);
                return Err(ClientError::Tls { host, source });
            }
        };
        let handshake = TlsConnector::from(config).connect(name, tcp);
        match clock::until(self.deadline(self.timeouts.tls), handshake).await {
            None => Err(ClientError::TlsTimeout(host)),
            Some(Err(source)) => Err(ClientError::Tls { host, source }),
            Some(Ok(stream)) => Ok(Socket::Tls(Box::new(stream))),
        }
    }

    /// Tries each of the host's addresses in turn.
    async fn tcp(&self, url: &RtmpUrl) -> Result<TcpStream, ClientError> {
        let host = url.host();
        let lookup = tokio::net::lookup_host((host, url.port()));
        let addresses: Vec<SocketAddr> =
            match clock::until(self.deadline(self.timeouts.resolve), lookup).await {
                None => return Err(ClientError::ResolveTimeout(host.to_owned())),
                Some(Err(source)) => return Err(ClientError::Resolve { host: host.to_owned(), source }),
                Some(Ok(addresses)) => addresses.collect(),
            };
        let nothing = || io::Error::new(io::ErrorKind::NotFound, "it has no address");
        let mut last = ClientError::Resolve { host: host.to_owned(), source: nothing() };
        for address in addresses {
            let connect = TcpStream::connect(address);
            let source = match clock::until(self.deadline(self.timeouts.connect), connect).await {
                Some(Ok(socket)) => return Ok(socket),
                Some(Err(error)) => error,
                None => io::Error::new(io::ErrorKind::TimedOut, "no answer in time"),
            };
            last = ClientError::Connect { address, source };
        }
        Err(last)
    }

    fn deadline(&self, timeout: Duration) -> Mono {
        clock::now().after(timeout)
    }
}
