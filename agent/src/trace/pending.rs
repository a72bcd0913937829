//! An exchange that waits in the window: what its span will be made of.

use std::sync::Arc;

use super::carried::Ids;
use super::context::Context;
use super::link::Missing;
use crate::entity::EntityId;
use crate::event::{ConnId, Peer, Pid, Timestamp};
use crate::host::conntrack::Taken;
use crate::protocol::{Authority, Course, Exchange, Fault, Kept, Method, Role, Version, Wanted};

/// The route of an exchange, as it was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// How it reads.
    pub text: Arc<str>,
    /// It is told as `url.template`, not as `http.route`.
    pub template: bool,
}

/// An exchange, kept.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) entity: EntityId,
    pub(super) conn: ConnId,
    pub(super) pid: Pid,
    pub(super) role: Role,
    pub(super) method: Method,
    pub(super) version: Option<Version>,
    pub(super) status: Option<u16>,
    pub(super) fault: Option<Fault>,
    pub(super) begun: Timestamp,
    pub(super) ended: Timestamp,
    pub(super) request_body: u64,
    pub(super) response_body: u64,
    pub(super) peer: Peer,
    /// A Unix socket's: what it has in common with its other end.
    pub(super) joint: Option<u64>,
    /// A client's: how the server sees the connection, where that is not the same.
    pub(super) taken: Option<Taken>,
    pub(super) position: Option<u64>,
    pub(super) course: Course,
    pub(super) path: Box<str>,
    pub(super) host: Option<(Box<str>, Option<u16>)>,
    pub(super) lines: Kept,
    pub(super) route: Option<Route>,
    pub(super) context: Option<Context>,
    /// What went or came with it in a TCP option.
    pub(super) carried: Option<Ids>,
    /// Its head was not seen whole.
    pub(super) cut: bool,
    pub(super) error: bool,
    pub(super) slow: bool,
    /// Why it can be joined with none, once that is known.
    pub(super) refused: Option<Missing>,
    /// When the exchange before it on its connection had ended.
    pub(super) before: Timestamp,
    /// When it came into the window.
    pub(super) since: Timestamp,
}

impl Pending {
    pub(super) fn new(
        entity: EntityId,
        exchange: &Exchange<'_>,
        wanted: &Wanted,
        path: usize,
    ) -> Self {
        let Exchange {
            conn,
            pid,
            role,
            method,
            path: whole,
            authority,
            version,
            status,
            fault,
            begun,
            ended,
            request_body,
            response_body,
            peer,
            lines,
            position,
            course,
        } = *exchange;
        let host = authority.map(|Authority { host, port }| (shortened(host, path).into(), port));
        Self {
            entity,
            conn,
            pid,
            role,
            method,
            version,
            status,
            fault,
            begun,
            ended,
            request_body,
            response_body,
            peer,
            joint: None,
            taken: None,
            position,
            course,
            path: shortened(whole, path).into(),
            host,
            lines: lines.kept(wanted),
            route: None,
            context: None,
            carried: None,
            cut: false,
            error: false,
            slow: false,
            refused: None,
            before: Timestamp::default(),
            since: Timestamp::default(),
        }
    }

    /// Bytes of memory it takes.
    pub(super) fn weight(&self) -> usize {
        let host = self.host.as_ref().map_or(0, |(host, _)| host.len());
        let state = self.context.as_ref().map_or(0, |context| context.state.weight());
        size_of::<Self>() + self.path.len() + host + self.lines.weight() + state
    }
}

/// The first bytes of a text, not ending inside a character.
fn shortened(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}
