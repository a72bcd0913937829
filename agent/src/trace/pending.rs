//! An exchange that waits in the window: what its span will be made of.

use std::sync::Arc;

use agent_common::record::ConnectFailed;

use super::carried::Ids;
use super::context::Context;
use super::ids::{SpanId, TraceId};
use super::link::Missing;
use super::open::Report;
use crate::entity::EntityId;
use crate::event::{ConnId, Nanos, Peer, Pid, Timestamp};
use crate::host::conntrack::Taken;
use crate::protocol::{Authority, Course, Exchange, Fault, Kept, Method, Role, Version, Wanted};
use crate::red::{Counted, Sample};

/// The route of an exchange, as it was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// How it reads.
    pub text: Arc<str>,
    /// It is told as `url.template`, not as `http.route`.
    pub template: bool,
}

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// A request with what came of it.
    Request,
    /// A request that hangs.
    Hanging,
    /// A request that is in flight where the agent ends.
    Unfinished,
    /// A connect that came to nothing.
    Connect,
}

/// An exchange, kept.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) subject: Subject,
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
    /// Where it was counted.
    pub(super) counted: Counted,
    pub(super) context: Option<Context>,
    /// What went or came with it in a TCP option.
    pub(super) carried: Option<Ids>,
    /// Its head was not seen whole.
    pub(super) cut: bool,
    pub(super) error: bool,
    pub(super) slow: bool,
    /// What told of it while it hung.
    pub(super) report: Option<Report>,
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
            subject: Subject::Request,
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
            counted: Counted::NOWHERE,
            context: None,
            carried: None,
            cut: false,
            error: false,
            slow: false,
            report: None,
            refused: None,
            before: Timestamp::default(),
            since: Timestamp::default(),
        }
    }

    /// A connect that came to nothing, and has no other end to be joined with.
    pub(super) fn connect(entity: EntityId, failed: &ConnectFailed, fault: Fault) -> Self {
        let begun = Timestamp(failed.begun);
        Self {
            subject: Subject::Connect,
            entity,
            conn: ConnId::default(),
            pid: Pid(failed.tgid),
            taken: None,
            role: Role::Client,
            method: Method::Other,
            version: None,
            status: None,
            fault: Some(fault),
            begun,
            ended: Timestamp(failed.time).max(begun),
            request_body: 0,
            response_body: 0,
            peer: failed.peer,
            position: None,
            course: Course::default(),
            path: "".into(),
            host: None,
            lines: Kept::default(),
            route: None,
            counted: Counted::NOWHERE,
            context: None,
            carried: None,
            joint: None,
            cut: false,
            error: true,
            slow: false,
            report: None,
            refused: Some(Missing::Cause),
            before: Timestamp::default(),
            since: Timestamp::default(),
        }
    }

    /// How long it took, or has taken.
    pub(super) fn took(&self) -> Nanos {
        self.ended.since(self.begun)
    }

    /// What of its span can stand for what was counted.
    pub(super) fn sample(&self, trace: TraceId, span: SpanId) -> Sample {
        Sample {
            role: self.role,
            counted: self.counted,
            route: self.route.as_ref().map(|route| route.text.clone()),
            trace: trace.0,
            span: span.0,
            ended: self.ended,
            values: [self.took().0, self.request_body, self.response_body],
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
