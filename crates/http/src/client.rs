//! Who is at the other end of a connection, told to every request on it.

use crate::line::Line;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;

/// Who sends a request, and how: among the extensions of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The other end of the connection, which may be a proxy.
    pub addr: SocketAddr,
    /// Whether the connection is encrypted.
    pub secure: Secure,
}

/// Whether a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secure {
    /// By TLS.
    Yes,
    /// In clear text.
    No,
}

/// The routes, as one connection sees them.
#[derive(Clone)]
pub(crate) struct Introduced {
    routes: TowerToHyperService<Router>,
    client: Client,
    line: Line,
}

impl Introduced {
    pub(crate) fn new(routes: Router, client: Client, line: Line) -> Self {
        Self { routes: TowerToHyperService::new(routes), client, line }
    }
}

impl Service<Request<Incoming>> for Introduced {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.client);
        request.extensions_mut().insert(self.line.clone());
        Box::pin(self.routes.call(request))
    }
}
