//! The 100 requests: a table of rows, each with a method and status of its own, so that a wrong count says what went wrong.

pub mod client;
pub mod message;
pub mod server;

use super::report::Tally;

/// The name the agent shall give to the server, by `OTEL_SERVICE_NAME`.
pub const SERVER: &str = "smoke-server";
/// The name the agent shall give to the client.
pub const CLIENT: &str = "smoke-client";
/// The port of both loopback addresses.
pub const PORT: u16 = 8080;
/// The Unix stream socket.
pub const SOCKET: &str = "/run/smoke.sock";

/// How a row's requests reach the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// 127.0.0.1.
    V4,
    /// `::1`.
    V6,
    /// A Unix stream socket.
    Unix,
}

/// How the bytes of a row's requests are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// A request in one write, the next after its answer.
    Whole,
    /// A request in three writes, the head cut in the middle.
    Split,
    /// All requests of a connection in one write.
    Pipelined,
}

/// Some requests that are alike.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Told apart from every other row by method and status together.
    pub method: &'static str,
    /// What the server answers with.
    pub status: u16,
    /// The way to the server.
    pub transport: Transport,
    /// The way of writing.
    pub writing: Writing,
    /// Connections opened, one after the other.
    pub connections: u64,
    /// Requests on each.
    pub requests: u64,
    /// Bytes of the request's body.
    pub body: usize,
}

const PLAIN: Row = Row {
    method: "GET",
    status: 200,
    transport: Transport::V4,
    writing: Writing::Whole,
    connections: 1,
    requests: 1,
    body: 0,
};

/// One hundred requests.
pub const ROWS: [Row; 10] = [
    Row { requests: 25, ..PLAIN },
    Row { method: "POST", connections: 10, body: 300, ..PLAIN },
    Row { status: 404, connections: 5, requests: 2, ..PLAIN },
    Row { status: 500, requests: 10, ..PLAIN },
    Row { method: "PUT", transport: Transport::V6, requests: 10, body: 20_000, ..PLAIN },
    Row { method: "DELETE", status: 204, transport: Transport::V6, connections: 10, ..PLAIN },
    Row { method: "HEAD", requests: 5, ..PLAIN },
    Row { method: "PATCH", writing: Writing::Split, requests: 5, body: 10, ..PLAIN },
    Row { method: "OPTIONS", writing: Writing::Pipelined, requests: 10, ..PLAIN },
    Row { method: "QUERY", transport: Transport::Unix, requests: 5, body: 10, ..PLAIN },
];

impl Row {
    /// What this row is called in a tally.
    pub fn key(&self) -> String {
        key(self.method, self.status)
    }
}

/// What a request is called in a tally.
pub fn key(method: &str, status: u16) -> String {
    format!("{method} {status}")
}

/// What everybody shall have counted.
pub fn expected() -> Tally {
    ROWS.iter().map(|row| (row.key(), row.connections * row.requests)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_one_hundred_requests_in_rows_of_their_own() {
        assert_eq!(expected().values().sum::<u64>(), 100);
        assert_eq!(expected().len(), ROWS.len());
    }
}
