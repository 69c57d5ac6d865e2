//! The one HTTP listener. Services hand it their routes; it accepts, bounds and ends the connections.
//!
//! ```
//! use axum::{Router, routing::get};
//! use jackfield_http::{HttpConfig, HttpServer};
//! use jackfield_runtime::{Tasks, clock};
//! use std::time::Duration;
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let routes = Router::new().route("/hello", get(|| async { "hello" }));
//! let config = HttpConfig { listen: vec!["127.0.0.1:0".parse().unwrap()], ..HttpConfig::default() };
//! let server = HttpServer::start(config, routes, &Tasks::new()).unwrap();
//! assert_ne!(server.addrs()[0].port(), 0);
//! server.stop(clock::now().after(Duration::from_secs(1))).await;
//! # });
//! ```
//!
//! Contract: a client that does not send a request's head in time is closed, and so is one that takes nothing of its
//! answers, and one over the limits on connections, in all and of its address; a stop lets requests that are being answered end. Every request carries its [`Client`] and its
//! [`Line`] among its extensions. What nobody serves is 404. Errors are
//! `application/problem+json` ([`problem`]).
//!
//! | specification | version |
//! |---|---|
//! | HTTP/1.1 | RFC 9112 |
//! | HTTP/2, under TLS only | RFC 9113 |
//! | Application-layer protocol negotiation | RFC 7301 |
//! | Problem details | RFC 9457 |
//!
//! What it does not do: TLS itself (that is `net`), HTTP/2 in clear text, authentication (its routes do), media.

mod activity;
mod client;
mod connection;
mod door;
mod line;
mod problem;
mod server;

pub use client::{Client, Secure};
pub use jackfield_net::{BindError, ConnectionLimits, ConnectionRate, ListenAddr};
pub use line::Line;
pub use problem::problem;
pub use server::{HttpConfig, HttpServer};
