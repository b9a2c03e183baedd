//! What a client may take.

use std::time::Duration;

/// What a client may take; the default is for a controller on any network.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections from other machines, all together.
    pub connections: usize,
    /// Of these, connections from where nothing but `/metrics` may be asked for.
    pub outside_connections: usize,
    /// Connections from one of them, or from one IPv6 /48.
    pub connections_per_source: usize,
    /// Connections from this machine, which has places of its own: it has the administrator and perhaps a proxy.
    pub local_connections: usize,
    /// Bytes of a request before its body.
    pub header_bytes: usize,
    /// For a request to arrive, without its body; also how long a connection may be idle between two.
    pub header_read: Duration,
    /// For the body to arrive.
    pub body_read: Duration,
    /// For a client to take anything of an answer.
    pub write_stall: Duration,
    /// For the TLS handshake.
    pub handshake: Duration,
    /// For open requests to be finished when the server stops.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            outside_connections: 128,
            connections_per_source: 64,
            local_connections: 1024,
            header_bytes: 64 << 10,
            header_read: Duration::from_secs(15),
            body_read: Duration::from_secs(60),
            write_stall: Duration::from_secs(30),
            handshake: Duration::from_secs(10),
            shutdown: Duration::from_secs(4),
        }
    }
}
