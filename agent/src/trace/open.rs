//! What is no exchange that ended: requests that hang, requests that the agent's own end cut short,
//! connects that came to nothing.
//!
//! A request that hangs is told of while it does, by a span of its own: INTERNAL, so that nobody
//! counts it as a request, ending where it was looked at, `steth.span.state` says what it is. OTLP has
//! no word for a span that is still open, and the same id sent twice is two spans to many who read it.
//! When the request has ended, its span stands in the same trace where nothing else names another, and
//! links to the one before. What is in flight at the agent's end is a span like any other, that says so
//! and no weight: RED has not counted it.

use std::collections::HashMap;
use std::sync::Arc;

use agent_common::record::ConnectFailed;

use super::ids::{SpanId, TraceId};
use super::link::Missing;
use super::pending::{Pending, Subject};
use super::sampling::{self, Left, Traits};
use super::span::{self, By, Standing};
use super::{Counts, Trace, count_at};
use crate::cluster::Far;
use crate::entity::EntityId;
use crate::event::{ConnId, Nanos, Timestamp};
use crate::protocol::{Exchange, Fault, Role};

/// Requests that hang at once, of which it is remembered that they were told of.
const HANGING: usize = 4096;
/// For how long after it was last seen hanging.
const REMEMBERED: Nanos = Nanos(300_000_000_000);

/// A request: the same while it is open and when it has ended.
type Key = (ConnId, Role, Timestamp);

/// The span that told of a request while it hung.
pub(super) type Report = (TraceId, SpanId);

/// The requests that hang and were told of.
#[derive(Debug, Default)]
pub(super) struct Hanging {
    told: HashMap<Key, (Option<Report>, Timestamp)>,
}

fn key(exchange: &Exchange<'_>) -> Key {
    (exchange.conn, exchange.role, exchange.begun)
}

impl Hanging {
    /// It has ended: what told of it, if anything did.
    pub(super) fn ended(&mut self, exchange: &Exchange<'_>) -> Option<Report> {
        if self.told.is_empty() {
            return None;
        }
        self.told.remove(&key(exchange))?.0
    }

    /// Whether any is remembered.
    pub(super) fn any(&self) -> bool {
        !self.told.is_empty()
    }

    pub(super) fn forget(&mut self, now: Timestamp) {
        self.told.retain(|_, (_, seen)| now.since(*seen) < REMEMBERED);
    }
}

impl Trace {
    /// A request is not over at `exchange.ended`. If it has taken very long, that is told, once.
    pub fn in_flight(&mut self, entity: EntityId, exchange: &Exchange<'_>, counts: &dyn Counts) {
        let now = exchange.ended;
        let took = now.since(exchange.begun);
        if !self.config.sampler.tail || took < self.config.hanging {
            return;
        }
        if let Some((_, seen)) = self.hanging.told.get_mut(&key(exchange)) {
            *seen = now;
            return;
        }
        self.now = self.now.max(now);
        self.counters.seen += 1;
        if self.hanging.told.len() >= HANGING {
            return count_at(&mut self.counters.left, Left::Untaken as usize);
        }
        let mut pending = self.open(entity, exchange, Subject::Hanging);
        pending.learn_far(counts);
        let trace = pending.context().map(|context| context.trace);
        let number = self.ids.number(exchange.begun.0);
        let trace = trace.unwrap_or_else(|| self.ids.trace(number));
        let report = self.tell(&pending, trace, counts);
        self.hanging.told.insert(key(exchange), (report.map(|id| (trace, id)), now));
    }

    /// Keeps a span of its own, if there is room; gives its id.
    fn tell(&mut self, pending: &Pending, trace: TraceId, counts: &dyn Counts) -> Option<SpanId> {
        let traits = Traits { open: true, ..Traits::default() };
        let contexts = pending.context().into_iter();
        let judged = sampling::judge(&self.config.sampler, trace.randomness(), traits, contexts);
        let services = std::iter::once(pending.entity);
        let judged = judged.and_then(|judged| {
            if self.kept.len() >= self.config.untaken {
                return Err(Left::Untaken);
            }
            // Budgets are of the seconds that are decided on.
            let at = Timestamp(self.now.0.saturating_sub(self.config.hold.0));
            self.budget.take(at, &judged, services, 1.0).map(|_| judged)
        });
        let judged = match judged {
            Ok(judged) => judged,
            Err(left) => {
                count_at(&mut self.counters.left, left as usize);
                return None;
            }
        };
        count_at(&mut self.counters.kept, judged.why as usize);
        let context = pending.context();
        let parent =
            context.map(|context| (context.parent, By::Context)).ok_or(Missing::Unfinished);
        match parent {
            Ok((_, by)) => count_at(&mut self.counters.linked, by as usize),
            Err(missing) => count_at(&mut self.counters.roots, missing as usize),
        }
        let id = self.ids.span();
        let standing = Standing { trace, id, parent, why: judged.why, threshold: None };
        let head = self.window.read(pending);
        let route = counts.route(pending.entity, pending.role, head.path);
        self.kept.push(span::span(pending, &head, route.as_ref(), &standing, &self.config.told));
        Some(id)
    }

    /// A request is not over, and nothing more will be seen of it.
    pub fn unfinished(&mut self, entity: EntityId, exchange: &Exchange<'_>, counts: &dyn Counts) {
        self.counters.seen += 1;
        self.now = self.now.max(exchange.ended);
        let mut pending = self.open(entity, exchange, Subject::Unfinished);
        pending.learn_far(counts);
        if let Some(report) = self.hanging.ended(exchange) {
            pending.rare_mut().report = Some(report);
        }
        self.wait(pending, counts);
    }

    /// A connect came to nothing, to `far` if that is known.
    pub fn connect_failed(
        &mut self,
        entity: EntityId,
        failed: &ConnectFailed,
        fault: Fault,
        far: Option<&Arc<Far>>,
        counts: &dyn Counts,
    ) {
        self.counters.seen += 1;
        let head = self.window.headless();
        let mut pending = Pending::connect(entity, failed, fault, head);
        self.now = self.now.max(pending.ended);
        pending.far = far.cloned();
        pending.slow = self.config.slow.is_some_and(|limit| pending.took() >= limit);
        self.wait(pending, counts);
    }

    fn open(&mut self, entity: EntityId, exchange: &Exchange<'_>, subject: Subject) -> Pending {
        let mut pending = Pending::new(entity, exchange, self.window.head(exchange));
        if let Some(context) = super::context::read(&exchange.lines).context {
            pending.rare_mut().context = Some(context);
        }
        pending.subject = subject;
        pending
    }
}
