//! Links across hosts: trace and span id that came with a request in a TCP option, or went with it.
//!
//! The client's kernel side chooses both ids when the request's first byte leaves, long before anybody knows
//! what the request is or whether it is worth keeping. Both agents are told the position of that byte in
//! the connection's stream with the ids, and nothing is joined but the exchange that begins at that very position:
//!
//! - the client's span has the id that was sent; the server's span is its child;
//! - the trace is the one of the context in the request's head, which both ends see, else the one that was sent;
//! - a server's head that was not seen whole and shows no context may hide one that the client's agent has seen:
//!   the trace is not known then, and the span stays a root ([`Missing::Cut`](super::Missing::Cut));
//! - where both ends are on this host, they are joined by the same evidence, through any port translation.
//!
//! What is sent is never taken back. A client's request that turns out to belong to another trace by what is
//! known of this host alone keeps the id that it was sent with, and its trace ([`apart`]):
//! the other host has told it already.

use std::collections::HashMap;

use agent_common::record;

use super::ids::{SpanId, TraceId};
use super::pending::Pending;
use super::window::{At, Window};
use crate::event::{ConnId, Nanos, Timestamp};
use crate::protocol::{Exchange, Role};

/// Requests in flight that are remembered.
const MOST: usize = 65_536;
/// For how long a request in flight is.
const REMEMBERED: Nanos = Nanos(600_000_000_000);
/// Between two looks at what is older.
const LOOK: Nanos = Nanos(10_000_000_000);

/// What went or came with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) trace: TraceId,
    /// The client's.
    pub(super) span: SpanId,
}

/// What is known of requests that have not ended, and of those in the window.
#[derive(Debug, Default)]
pub(super) struct Carried {
    /// By connection and position, until the exchange comes.
    flying: HashMap<(ConnId, u64), (Timestamp, Role, Ids)>,
    /// Those in the window by the client's span: the client's end, the server's end.
    ends: HashMap<SpanId, [Option<At>; 2]>,
    /// Those in the window of which nothing has been told: a sweep may show an exchange before the ring
    /// is read that says what it began with.
    bare: HashMap<(ConnId, u64), At>,
    due: Timestamp,
    /// Left out because there were too many.
    pub(super) over: u64,
}

impl Carried {
    /// A request began with these ids.
    pub(super) fn tell(&mut self, record: &record::Carried, window: &mut Window) {
        let (trace, span) = (TraceId(record.trace), SpanId(record.span));
        if trace == TraceId::default() || span == SpanId::default() {
            return;
        }
        let role = match record.direction {
            0 => Role::Server,
            _ => Role::Client,
        };
        let of = (ConnId(record.conn), record.position);
        if let Some(at) = self.bare.remove(&of)
            && window.get(at).is_some_and(|pending| pending.role == role)
        {
            window.name(at, Ids { trace, span });
            if let Some(pending) = window.get(at) {
                self.add(at, pending);
            }
            return;
        }
        if self.flying.len() >= MOST {
            self.over += 1;
            return;
        }
        self.flying.insert(of, (Timestamp(record.time), role, Ids { trace, span }));
    }

    /// Whether any request may have had something with it.
    pub(super) fn any(&self) -> bool {
        !self.flying.is_empty()
    }

    /// What went or came with an exchange that has ended.
    pub(super) fn take(&mut self, exchange: &Exchange<'_>) -> Option<Ids> {
        if self.flying.is_empty() {
            return None;
        }
        let (_, role, ids) = self.flying.remove(&(exchange.conn, exchange.position?))?;
        (role == exchange.role).then_some(ids)
    }

    /// One comes into the window.
    pub(super) fn add(&mut self, at: At, pending: &Pending) {
        let Some(Ids { span, .. }) = pending.carried() else {
            self.bare.extend(pending.position.map(|position| ((pending.conn, position), at)));
            return;
        };
        if let Some(place) = self.ends.entry(span).or_default().get_mut(end(pending.role)) {
            *place = Some(at);
        }
    }

    /// The same exchange at the other end.
    pub(super) fn mate(&self, pending: &Pending) -> Option<At> {
        let [client, server] = *self.ends.get(&pending.carried()?.span)?;
        match pending.role {
            Role::Client => server,
            Role::Server => client,
        }
    }

    /// One has left the window.
    pub(super) fn remove(&mut self, at: At, pending: &Pending) {
        let Some(Ids { span, .. }) = pending.carried() else {
            if let Some(position) = pending.position {
                self.bare.remove(&(pending.conn, position));
            }
            return;
        };
        if let Some(ends) = self.ends.get_mut(&span) {
            ends.iter_mut().filter(|place| **place == Some(at)).for_each(|place| *place = None);
            if *ends == [None; 2] {
                self.ends.remove(&span);
            }
        }
    }

    /// Forgets what never became an exchange: connections of other protocols, requests that were filtered out.
    pub(super) fn forget(&mut self, now: Timestamp) {
        if now < self.due {
            return;
        }
        self.due = Timestamp(now.0.saturating_add(LOOK.0));
        self.flying.retain(|_, (time, ..)| now.since(*time) < REMEMBERED);
    }
}

fn end(role: Role) -> usize {
    match role {
        Role::Client => 0,
        Role::Server => 1,
    }
}

/// The trace of a tree in which no head names one: that which came from elsewhere, else one that was sent.
pub(super) fn trace<'a>(mut members: impl Iterator<Item = &'a Pending>) -> Option<TraceId> {
    let mut sent = None;
    let came = members.find_map(|pending| {
        let ids = pending.carried().filter(|_| !hides(pending))?;
        if pending.role == Role::Client {
            sent.get_or_insert(ids.trace);
            return None;
        }
        Some(ids.trace)
    });
    came.or(sent)
}

/// The trace of an exchange by what was carried with it alone.
pub(super) fn apart(pending: &Pending) -> Option<TraceId> {
    let known = pending.context().is_none() && !hides(pending);
    pending.carried().filter(|_| known).map(|ids| ids.trace)
}

/// Whether a server's head may name a trace that was not seen.
pub(super) fn hides(pending: &Pending) -> bool {
    pending.role == Role::Server && pending.head.is_cut() && pending.context().is_none()
}
