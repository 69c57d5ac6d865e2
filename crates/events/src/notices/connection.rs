//! The life of a connection to a media listener.

use crate::spec::define;
use crate::{ConnectionRefusal, EndReason, Protocol};
use jackfield_media::Text;
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

    /// Connections are turned away because there are too many, before anything was told of them. Told at most every
    /// 10 s for each reason.
    Notice ConnectionRefused "connection_refused" by Connection, Volatile logs "Connections refused" {
        /// Address of the last one.
        client_ip: IpAddr = "203.0.113.7",
        /// Protocol of its listener.
        protocol: Protocol = "rtmp",
        /// The setting whose limit it was over: `max_connections`, `max_connections_per_address` or
        /// `max_connection_rate_per_address`.
        reason: ConnectionRefusal = "max_connection_rate_per_address",
        /// How many were turned away for this reason since it was told last.
        times: u64 = 312,
    }

    /// A hook answered deny. The name of the stream is not told: a guess may be close to somebody's key.
    Notice AuthFailed "auth_failed" by Connection, Volatile logs "Client denied" {
        /// Address of the client.
        client_ip: IpAddr = "203.0.113.7",
        /// Protocol of the client.
        protocol: Protocol = "rtmp",
        /// What was asked: `authorize_connection`, `authorize_publish` …
        question: Text = "authorize_publish",
        /// App of the client.
        app: Text = "live",
        /// The hook that said no.
        hook: Text = "auth",
        /// What it gave as reason, for machines.
        code: Option<Text> = "bad_token",
        /// Denials that count against the client's address now; absent if none are counted for it.
        denials: Option<u32> = 6,
        /// Milliseconds that the next question about this address will wait.
        delay_ms: u64 = 2000,
        /// Questions about this address that were refused without being asked since this was told of it last.
        unasked: u64 = 0,
    }
}
