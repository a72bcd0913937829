//! An exchange that waits in the window: what its span will be made of.

use std::sync::Arc;

use agent_common::record::ConnectFailed;

use super::Counts;
use super::admission::Halves;
use super::carried::Ids;
use super::context::Context;
use super::heads::Place;
use super::ids::{SpanId, TraceId};
use super::link::Missing;
use super::open::Report;
use crate::cluster::Far;
use crate::entity::EntityId;
use crate::event::{ConnId, Nanos, Peer, Pid, Timestamp};
use crate::host::conntrack::Taken;
use crate::protocol::{Course, Exchange, Fault, Method, Role, Version};
use crate::red::{Counted, Route, Sample};

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

/// An exchange, kept. Nearly all of them are never looked at again: small, and what few have stands apart.
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
    pub(super) error: bool,
    pub(super) slow: bool,
    /// Why it can be joined with none, once that is known.
    pub(super) refused: Option<Missing>,
    pub(super) begun: Timestamp,
    pub(super) ended: Timestamp,
    /// When the exchange before it on its connection had ended.
    pub(super) before: Timestamp,
    pub(super) request_body: u64,
    pub(super) response_body: u64,
    pub(super) peer: Peer,
    pub(super) position: Option<u64>,
    pub(super) course: Course,
    /// Where its head is.
    pub(super) head: Place,
    /// Where it was counted.
    pub(super) counted: Counted,
    /// A client's: who is at the other end, by name.
    pub(super) far: Option<Arc<Far>>,
    /// Of what share of all it is.
    pub(super) share: Halves,
    /// What else its process did then is not known: others were not looked at.
    pub(super) apart: bool,
    rare: Option<Box<Rare>>,
}

/// What few exchanges have.
#[derive(Clone, Debug, Default)]
pub(super) struct Rare {
    pub(super) context: Option<Context>,
    /// What went or came with it in a TCP option.
    pub(super) carried: Option<Ids>,
    /// A Unix socket's: what it has in common with its other end.
    pub(super) joint: Option<u64>,
    /// A client's: how the server sees the connection, where that is not the same.
    pub(super) taken: Option<Taken>,
    /// What told of it while it hung.
    pub(super) report: Option<Report>,
}

impl Pending {
    /// An exchange whose head is kept at `head`.
    #[inline]
    pub(super) fn new(entity: EntityId, exchange: &Exchange<'_>, head: Place) -> Self {
        let Exchange {
            conn,
            pid,
            role,
            method,
            path: _,
            authority: _,
            version,
            status,
            fault,
            begun,
            ended,
            request_body,
            response_body,
            peer,
            lines: _,
            position,
            course,
        } = *exchange;
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
            error: false,
            slow: false,
            refused: None,
            begun,
            ended,
            before: Timestamp::default(),
            request_body,
            response_body,
            peer,
            position,
            course,
            head,
            counted: Counted::NOWHERE,
            far: None,
            share: Halves::WHOLE,
            apart: false,
            rare: None,
        }
    }

    /// A connect that came to nothing, and has no other end to be joined with.
    pub(super) fn connect(
        entity: EntityId,
        failed: &ConnectFailed,
        fault: Fault,
        head: Place,
    ) -> Self {
        let begun = Timestamp(failed.begun);
        Self {
            subject: Subject::Connect,
            entity,
            conn: ConnId::default(),
            pid: Pid(failed.tgid),
            role: Role::Client,
            method: Method::Other,
            version: None,
            status: None,
            fault: Some(fault),
            error: true,
            slow: false,
            refused: Some(Missing::Cause),
            begun,
            ended: Timestamp(failed.time).max(begun),
            before: Timestamp::default(),
            request_body: 0,
            response_body: 0,
            peer: failed.peer,
            position: None,
            course: Course::default(),
            head,
            counted: Counted::NOWHERE,
            far: None,
            share: Halves::WHOLE,
            apart: false,
            rare: None,
        }
    }

    /// Finds out who is at the other end.
    pub(super) fn learn_far(&mut self, counts: &dyn Counts) {
        if self.role == Role::Client {
            self.far = counts.far(self.entity, self.conn, &self.counted);
        }
    }

    /// How long it took, or has taken.
    pub(super) fn took(&self) -> Nanos {
        self.ended.since(self.begun)
    }

    /// What few exchanges have, to be filled in.
    pub(super) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    fn rare<T>(&self, read: impl FnOnce(&Rare) -> Option<T>) -> Option<T> {
        self.rare.as_deref().and_then(read)
    }

    pub(super) fn context(&self) -> Option<&Context> {
        self.rare.as_deref()?.context.as_ref()
    }

    pub(super) fn carried(&self) -> Option<Ids> {
        self.rare(|rare| rare.carried)
    }

    pub(super) fn joint(&self) -> Option<u64> {
        self.rare(|rare| rare.joint)
    }

    pub(super) fn taken(&self) -> Option<Taken> {
        self.rare(|rare| rare.taken)
    }

    pub(super) fn report(&self) -> Option<Report> {
        self.rare(|rare| rare.report)
    }

    /// It is one, not only an attempt at a connection.
    pub(super) fn is_exchange(&self) -> bool {
        self.subject != Subject::Connect
    }

    /// It is to be kept for what it is, whatever the share.
    pub(super) fn is_worth(&self) -> bool {
        self.error || self.slow || self.subject == Subject::Unfinished
    }

    /// What of its span can stand for what was counted.
    pub(super) fn sample(&self, route: Option<&Route>, trace: TraceId, span: SpanId) -> Sample {
        Sample {
            role: self.role,
            counted: self.counted,
            route: route.map(|route| route.text.clone()),
            trace: trace.0,
            span: span.0,
            ended: self.ended,
            values: [self.took().0, self.request_body, self.response_body],
        }
    }

    /// Bytes of memory it takes.
    pub(super) fn weight(&self) -> usize {
        let rare = self.rare.as_deref().map_or(0, |rare| {
            let state = rare.context.as_ref().map_or(0, |context| context.state.weight());
            size_of::<Rare>() + state
        });
        size_of::<Self>() + self.head.weight() + rare
    }
}
