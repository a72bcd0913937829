//! Application protocols: turns of a connection to [`Exchange`]s, one request with its response.

pub mod http1;
mod lines;

pub use lines::{Kept, Lines, Wanted};

use crate::event::{ConnId, Peer, Pid, Timestamp, Why};

/// Which side of an exchange the observed process was on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// It answered.
    Server,
    /// It asked.
    Client,
}

/// A request method; the closed set of RFC 9110, PATCH and QUERY.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// `CONNECT`
    Connect,
    /// `DELETE`
    Delete,
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `OPTIONS`
    Options,
    /// `PATCH`
    Patch,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `QUERY`
    Query,
    /// `TRACE`
    Trace,
    /// Any other.
    Other,
}

/// The protocol's version as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

/// How an exchange ended that did not end well; a status in itself is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// The connection ended in order before the answer was whole.
    Closed,
    /// The connection was reset before the answer was whole.
    Reset,
    /// The connection or the connect timed out.
    Timeout,
    /// Nobody listened.
    Refused,
    /// The host or the network could not be reached.
    Unreachable,
    /// Another error of the socket.
    Other,
}

/// Where a request was sent, by its own word (Host, absolute target).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    /// Host name or address, without brackets or port.
    pub host: &'a str,
    /// Port, if it was said.
    pub port: Option<u16>,
}

/// One request with its response, or with what came of it.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// The connection.
    pub conn: ConnId,
    /// The observed process.
    pub pid: Pid,
    /// Its side.
    pub role: Role,
    /// What was asked for.
    pub method: Method,
    /// The request target's path, raw, without query; `*` for asterisk-form; empty for authority-form and where none is known.
    pub path: &'a str,
    /// Where it was sent by its own word.
    pub authority: Option<Authority<'a>>,
    /// The version of the response, else of the request.
    pub version: Option<Version>,
    /// The final status, if one came.
    pub status: Option<u16>,
    /// What went wrong below the protocol, if anything.
    pub fault: Option<Fault>,
    /// When the request's first byte had crossed.
    pub begun: Timestamp,
    /// When the response's last byte had crossed, or the connection ended.
    pub ended: Timestamp,
    /// Bytes of the request's body on the wire.
    pub request_body: u64,
    /// Bytes of the response's body on the wire.
    pub response_body: u64,
    /// The other end.
    pub peer: Peer,
    /// What is known of the request's head, as it crossed.
    pub lines: Lines<'a>,
    /// Where in its direction of the connection the request began, counted from where the
    /// connection was seen first.
    pub position: Option<u64>,
    /// Who moved it, and the moments between its begin and its end.
    pub course: Course,
}

/// What is known of an exchange between its begin and its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// The thread that moved the request's first bytes; 0 where it is not known.
    pub asked_by: u32,
    /// The thread that moved the response's first bytes; 0 where none came or it is not known.
    pub answered_by: u32,
    /// When the response's first bytes had crossed.
    pub answered: Option<Timestamp>,
    /// The goroutine that read the request's last bytes, or sent its first, if the program is one of Go; 0 where it
    /// is not known.
    pub routine: u32,
    /// It is the one that moved the response's first bytes.
    pub same: bool,
    /// When the request's last bytes had crossed, if that is known.
    pub taken: Timestamp,
    /// What links it to the exchange that caused it.
    pub steps: Steps,
    /// Where the time between the first bytes of both went.
    pub why: Why,
}

/// In which stretches of its threads' time an exchange's steps fell. A stretch is what a thread does
/// between two sleeps; how often it had slept is the stretch's number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// The stretch of the thread that moved the request's first bytes.
    pub asked: u32,
    /// The stretch of the thread that moved the response's.
    pub answered: u32,
    /// The call that read the request's first bytes would have waited for them.
    pub waits: bool,
    /// The connection's connect, for its first exchange, where that was seen.
    pub opened: Option<Opened>,
}

/// A connect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// When it began.
    pub at: Timestamp,
    /// The thread that called it.
    pub by: u32,
    /// The stretch of that thread.
    pub stretch: u32,
}

/// A request that has begun and is not over.
#[derive(Clone, Copy, Debug)]
pub struct Begun<'a> {
    /// The connection.
    pub conn: ConnId,
    /// The process.
    pub pid: Pid,
    /// Its side.
    pub role: Role,
    /// The request target's path.
    pub path: &'a str,
    /// When its first byte had crossed.
    pub begun: Timestamp,
    /// The other end.
    pub peer: Peer,
    /// As far as it has come.
    pub course: Course,
}

impl<'a> Begun<'a> {
    /// What is known of an exchange that is not over.
    pub fn of(exchange: &Exchange<'a>) -> Self {
        let Exchange { conn, pid, role, path, begun, peer, course, .. } = *exchange;
        Self { conn, pid, role, path, begun, peer, course }
    }
}

impl Method {
    /// The method a token stands for.
    pub fn of(token: &str) -> Self {
        match token {
            "CONNECT" => Self::Connect,
            "DELETE" => Self::Delete,
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "OPTIONS" => Self::Options,
            "PATCH" => Self::Patch,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "QUERY" => Self::Query,
            "TRACE" => Self::Trace,
            _ => Self::Other,
        }
    }
}

/// What the kernel side is told of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Nothing more of it: a tunnel, another protocol, noise.
    Off,
    /// Each call, with the first bytes of each turn.
    Follow,
    /// Each call, with many bytes of each turn: messages do not keep to turns here.
    Full,
}

/// Where a protocol's results go.
pub trait Sink {
    /// An exchange ended.
    fn exchange(&mut self, exchange: &Exchange<'_>);
    /// A sweep shows an exchange that is not over.
    fn begun(&mut self, begun: &Begun<'_>) {
        let _ = begun;
    }
    /// The kernel side should treat the connection so from here on.
    fn verdict(&mut self, conn: ConnId, verdict: Verdict);
}
