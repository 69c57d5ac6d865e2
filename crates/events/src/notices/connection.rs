//! The life of a connection to a media listener.

use crate::spec::define;
use crate::{EndReason, Protocol};
use std::net::IpAddr;

define! {
    /// A TCP connection to a media listener is accepted.
    Notice ConnectionAccept "connection_accept" by Connection logs "Connection accepted" {
        /// Address of the client; behind a trusted proxy the one that the proxy told.
        client_ip: IpAddr = "203.0.113.7",
        /// Port of the client.
        client_port: u16 = 51234,
        /// Address of the server that the client reached.
        server_ip: IpAddr = "198.51.100.1",
        /// Port of the server that the client reached.
        server_port: u16 = 1935,
        /// Protocol of the listener: `rtmp`.
        protocol: Protocol = "rtmp",
    }

    /// The RTMP handshake is done; TLS before it, if any.
    Notice HandshakeComplete "handshake_complete" by Connection logs "Handshake complete" {
        /// Address of the client.
        client_ip: IpAddr = "203.0.113.7",
        /// Protocol of the listener.
        protocol: Protocol = "rtmp",
        /// Whether the connection is encrypted.
        tls: bool = false,
        /// Milliseconds since the connection was accepted.
        elapsed_ms: u64 = 12,
    }

    /// The connection is gone, for any reason.
    Notice ConnectionClose "connection_close" by Connection logs "Connection closed" {
        /// Address of the client.
        client_ip: IpAddr = "203.0.113.7",
        /// Protocol of the listener.
        protocol: Protocol = "rtmp",
        /// Why it ended.
        reason: EndReason = "client_disconnect",
        /// Whole seconds since it was accepted.
        duration_seconds: u64 = 61,
        /// Milliseconds since it was accepted.
        duration_ms: u64 = 61_204,
        /// Bytes read from its socket.
        bytes_received: u64 = 18_350_080,
        /// Bytes written to its socket.
        bytes_sent: u64 = 4096,
    }
}
