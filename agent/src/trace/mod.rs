//! Exchanges to spans: one each when it is worth keeping, joined where there is evidence.
//!
//! RED has counted an exchange before it comes here. It waits in a [`window`](Config::hold) for the
//! rest of its tree, is joined with what is the same request at the other end of its connection or of
//! the same trace by the word of its head, and then the whole tree is judged at once
//! ([`sampling`]). `seen = kept + left + waiting`, always.

mod carried;
mod cause;
pub mod context;
pub mod ids;
mod link;
mod open;
mod pending;
mod redact;
pub mod sampling;
mod span;
#[cfg(test)]
mod tests;
mod window;

pub use link::Missing;
pub use pending::Route;
pub use span::{By, Kind, Span, Told};

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::entity::EntityId;
use crate::event::{Nanos, Pid, Timestamp};
use crate::host::{Anchor, Translations};
use crate::metric::snapshot::Resource;
use crate::protocol::{Begun, Exchange, Role, Wanted};
use crate::red::route::RouteId;
use crate::red::{Counted, Sample, label};
use agent_common::record;
use carried::Carried;
use cause::Causes;
use context::Found;
use ids::{Ids, SpanId, TraceId};
use link::{Links, Mate};
use open::Hanging;
use pending::{Pending, Subject};
use sampling::{Budget, Left, Sampler, Traits, Why};
use span::Standing;
use window::{At, Window};

/// The name of this family's scope.
pub const SCOPE: &str = "steth/trace";

/// Spans of one tree at most; a trace that has more in the window is judged in parts.
const TREE: usize = 256;
/// For how long a route's usual duration is taken as it is.
const USUAL: Nanos = Nanos(10_000_000_000);
/// Routes whose usual duration is remembered.
const ROUTES: usize = 8192;
/// Kept spans that may wait to become exemplars; what is beyond is none.
const SAMPLES: usize = 4096;
/// How long an idle connection's other end is remembered.
const REMEMBERED: Nanos = Nanos(300_000_000_000);
/// Idle ends that are remembered.
const ENDS: usize = 65_536;

/// What is kept, and how much may wait.
#[derive(Clone, Debug)]
pub struct Config {
    /// How to sample.
    pub sampler: Sampler,
    /// What takes longer is slow, whatever is usual.
    pub slow: Option<Nanos>,
    /// A request in flight for so long is told of while it hangs.
    pub hanging: Nanos,
    /// Spans a second of one service.
    pub per_service: u32,
    /// Spans a second of all.
    pub total: u32,
    /// How long an exchange waits for the rest of its tree.
    pub hold: Nanos,
    /// Bytes of those that wait.
    pub bytes: usize,
    /// Calls of event loops are linked by the slices of the loop they fell in.
    pub slices: bool,
    /// Spans that are kept until somebody takes them.
    pub untaken: usize,
    /// Lines of a head that are needed.
    pub wanted: Wanted,
    /// What is told of requests.
    pub told: Told,
    /// Traces are carried to and from other hosts.
    pub hosts: bool,
    /// Where the ids begin; to be random.
    pub seed: [u64; 4],
}

/// What became of every exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Exchanges that came, and what else is told as a span: requests that hang or are cut short by
    /// the agent's end, connects that failed.
    pub seen: u64,
    /// Spans kept, by why.
    pub kept: [u64; Why::ALL.len()],
    /// Exchanges of which no span was kept, by why not.
    pub left: [u64; Left::ALL.len()],
    /// Spans kept that have a parent, by how it was found.
    pub linked: [u64; By::ALL.len()],
    /// Spans kept that are roots, by why.
    pub roots: [u64; Missing::ALL.len()],
    /// Contexts in heads that made no sense.
    pub malformed: u64,
    /// Heads that were not seen whole and showed no context.
    pub cut: u64,
    /// Steps of exchanges that came too late, or waited too long, to be put in order.
    pub unordered: u64,
    /// Exchanges judged before their time because the window was full.
    pub early: u64,
}

/// Spans of several services, at the clocks they are told in.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// How the clocks stand to each other.
    pub anchor: Anchor,
    /// The spans of each service instance.
    pub services: Vec<(Arc<Resource>, Vec<Span>)>,
}

/// The stage.
#[derive(Debug)]
pub struct Trace {
    config: Config,
    ids: Ids,
    window: Window,
    links: Links,
    carried: Carried,
    causes: Causes,
    budget: Budget,
    kept: Vec<Span>,
    samples: Vec<(EntityId, Sample)>,
    hanging: Hanging,
    usual: HashMap<(EntityId, Role, RouteId), (Timestamp, Option<Nanos>)>,
    now: Timestamp,
    counters: Counters,
}

impl Trace {
    /// A stage that has seen nothing.
    pub fn new(config: Config) -> Self {
        Self {
            ids: Ids::new(config.seed),
            budget: Budget::new(config.per_service, config.total),
            window: Window::default(),
            links: Links::default(),
            carried: Carried::default(),
            causes: Causes::new(config.slices),
            kept: Vec::new(),
            samples: Vec::new(),
            hanging: Hanging::default(),
            usual: HashMap::new(),
            now: Timestamp::default(),
            counters: Counters::default(),
            config,
        }
    }

    /// Takes what goes or comes with a request of which nothing else is known yet.
    pub fn carried(&mut self, record: &record::Carried) {
        self.carried.tell(record, &mut self.window);
    }

    /// Takes what a Unix socket has in common with its other end.
    pub fn joint(&mut self, joint: &record::Joint) {
        self.links.joint(joint);
    }

    /// Takes an exchange with where and under which route it was counted. `usual` gives its route's own p99.
    pub fn observe(
        &mut self,
        entity: EntityId,
        exchange: &Exchange<'_>,
        (counted, route): (Counted, Option<Route>),
        usual: impl FnOnce() -> Option<Nanos>,
    ) {
        self.counters.seen += 1;
        self.now = self.now.max(exchange.ended);
        if self.config.sampler.is_off() {
            return count_at(&mut self.counters.left, Left::Ratio as usize);
        }
        let mut pending =
            Pending::new(entity, exchange, &self.config.wanted, self.config.wanted.bytes);
        let Found { context, malformed } = context::read(&exchange.lines);
        self.counters.malformed += u64::from(malformed);
        self.counters.cut += u64::from(context.is_none() && exchange.lines.is_cut());
        pending.context = context;
        pending.cut = exchange.lines.is_cut();
        pending.carried = self.carried.take(&pending);
        pending.route = route;
        pending.counted = counted;
        let status = exchange.status.unwrap_or(0);
        pending.error = exchange.fault.is_some() || label::is_error(exchange.role, status);
        let took = pending.took();
        pending.report = self.hanging.ended(exchange);
        // What was told of while it hung is told to the end.
        let hung = pending.report.is_some();
        pending.slow = hung
            || self.config.slow.is_some_and(|limit| took >= limit)
            || self
                .usual((entity, exchange.role, counted.route), usual)
                .is_some_and(|usual| took > usual);
        self.wait(pending);
    }

    /// Takes one into the window.
    fn wait(&mut self, mut pending: Pending) {
        let at = self.window.next();
        pending.since = self.now;
        if pending.subject != Subject::Connect {
            pending.before = self.links.add(at, &mut pending, self.now);
            self.causes.add(at, &pending);
            if self.config.hosts {
                self.carried.add(at, &pending);
            }
        }
        self.window.push(pending);
        while self.window.bytes() > self.config.bytes {
            let Some((at, _)) = self.window.oldest() else { break };
            self.counters.early += 1;
            self.judge(at);
        }
    }

    /// A sweep shows an exchange that is not over.
    pub fn begun(&mut self, begun: &Begun<'_>) {
        self.causes.begun(begun);
    }

    /// Everything that had begun before `until` has been told, here or by [`Trace::begun`].
    pub fn complete(&mut self, until: Timestamp) {
        self.causes.complete(until, self.window.first());
        self.counters.unordered = self.causes.lost();
    }

    /// What is usual for a route, as it was some seconds ago.
    fn usual(
        &mut self,
        route: (EntityId, Role, RouteId),
        read: impl FnOnce() -> Option<Nanos>,
    ) -> Option<Nanos> {
        let now = self.now;
        if let Some((due, usual)) = self.usual.get(&route)
            && *due > now
        {
            return *usual;
        }
        if self.usual.len() >= ROUTES {
            self.usual.clear();
        }
        let usual = read();
        self.usual.insert(route, (Timestamp(now.0.saturating_add(USUAL.0)), usual));
        usual
    }

    /// Processes with connections of which it is to be found out whether they are translated; each is asked for
    /// once.
    pub fn strangers(&mut self) -> Vec<Pid> {
        self.links.strangers()
    }

    /// Takes in how servers see connections that are translated.
    pub fn translate(&mut self, all: &Translations) {
        self.links.translate(&mut self.window, all);
    }

    /// Time has come to `now`: what has waited long enough is judged.
    pub fn tick(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        while let Some((at, oldest)) = self.window.oldest()
            && self.now.since(oldest.since) >= self.config.hold
        {
            self.judge(at);
        }
        let after = if self.links.len() > ENDS { self.config.hold } else { REMEMBERED };
        self.links.forget(self.now, after);
        self.hanging.forget(self.now);
        self.carried.forget(self.now);
    }

    /// Everything that waits is judged now: nothing more will come.
    pub fn finish(&mut self) {
        self.complete(Timestamp(u64::MAX));
        while let Some((at, _)) = self.window.oldest() {
            self.judge(at);
        }
    }

    /// The spans kept since this was asked.
    pub fn take(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.kept)
    }

    /// The spans kept since this was asked, to stand for what was counted of them.
    pub fn samples(&mut self) -> Vec<(EntityId, Sample)> {
        std::mem::take(&mut self.samples)
    }

    /// Judges the tree that an exchange belongs to.
    fn judge(&mut self, first: At) {
        // Trees are judged in the order of their first members, many at a time: the budget is of the
        // second in which those came.
        let since = self.window.get(first).map_or(self.now, |first| first.since);
        let tree = self.tree(first);
        let caused = tree.keys().map(|at| (*at, self.causes.parent(*at)));
        let caused: BTreeMap<At, Result<(At, By), Missing>> = caused.collect();
        let mut members = Vec::with_capacity(tree.len());
        for (at, mate) in tree {
            if let Some(pending) = self.window.take(at) {
                self.links.remove(at, &pending);
                self.carried.remove(at, &pending);
                self.causes.remove(at);
                members.push((at, mate, pending));
            }
        }
        let contexts = || members.iter().filter_map(|(.., pending)| pending.context.as_ref());
        let told = || members.iter().find_map(|(.., pending)| pending.report);
        let trace = contexts().next().map(|context| context.trace);
        let trace = trace.or_else(|| carried::trace(members.iter().map(|(.., pending)| pending)));
        let trace = trace.or_else(|| told().map(|(trace, _)| trace));
        let trace = trace.unwrap_or_else(|| self.ids.trace());
        let traits = Traits {
            error: members.iter().any(|(.., pending)| pending.error),
            slow: members.iter().any(|(.., pending)| pending.slow),
            open: members.iter().any(|(.., pending)| pending.subject == Subject::Unfinished),
        };
        let judged = sampling::judge(&self.config.sampler, trace, traits, contexts());
        let judged = judged.and_then(|judged| {
            if self.kept.len() + members.len() > self.config.untaken {
                return Err(Left::Untaken);
            }
            let services = members.iter().map(|(.., pending)| pending.entity);
            let threshold = self.budget.take(since, &judged, services)?;
            Ok((judged.why, threshold))
        });
        let count = members.len() as u64;
        let (why, threshold) = match judged {
            Ok(judged) => judged,
            Err(left) => {
                if let Some(total) = self.counters.left.get_mut(left as usize) {
                    *total += count;
                }
                return;
            }
        };
        if let Some(total) = self.counters.kept.get_mut(why as usize) {
            *total += count;
        }
        let mut ids: BTreeMap<At, (TraceId, SpanId)> = BTreeMap::new();
        for (at, _, pending) in &members {
            let sent = pending.carried.filter(|_| pending.role == Role::Client);
            let id = sent.map_or_else(|| self.ids.span(), |sent| sent.span);
            ids.insert(*at, (carried::apart(pending).unwrap_or(trace), id));
        }
        for (at, mate, pending) in &members {
            let Some((trace, id)) = ids.get(at).copied() else { continue };
            let within = |of: &At| ids.get(of).filter(|(of, _)| *of == trace).map(|(_, id)| *id);
            let parent = match parent(pending, *mate, trace, &ids) {
                Err(Missing::Cause) if pending.subject != Subject::Connect => {
                    match caused.get(at) {
                        Some(Ok((parent, by))) => {
                            within(parent).map(|id| (id, *by)).ok_or(Missing::Unsettled)
                        }
                        Some(Err(missing)) => Err(*missing),
                        None => Err(Missing::Unsettled),
                    }
                }
                parent => parent,
            };
            match parent {
                Ok((_, by)) => count_at(&mut self.counters.linked, by as usize),
                Err(missing) => count_at(&mut self.counters.roots, missing as usize),
            }
            let standing = Standing { trace, id, parent, why, threshold };
            if pending.subject == Subject::Request && self.samples.len() < SAMPLES {
                self.samples.push((pending.entity, pending.sample(trace, id)));
            }
            self.kept.push(span::span(pending, &standing, &self.config.told));
        }
    }

    /// What belongs together with an exchange, and which of it is one with what at the other end.
    fn tree(&mut self, first: At) -> BTreeMap<At, Mate> {
        let mut tree: BTreeMap<At, Mate> = BTreeMap::new();
        let mut open = vec![first];
        // Both ends of a connection carry the same context: there is one trace at most.
        let mut traced = false;
        while let Some(at) = open.pop() {
            if tree.contains_key(&at) {
                continue;
            }
            if let Some(context) = self.window.get(at).and_then(|one| one.context.as_ref())
                && !std::mem::replace(&mut traced, true)
            {
                open.extend(self.window.of_trace(context.trace, TREE));
            }
            let mate = self.mate(at);
            tree.insert(at, mate);
            if let Mate::Is(other) = mate {
                open.push(other);
            }
            if tree.len() >= TREE {
                break;
            }
            // What a call says of its trace itself goes before what is found out about it.
            let silent = |at: &At| self.window.get(*at).is_some_and(|one| one.context.is_none());
            if silent(&at)
                && let Ok((parent, _)) = self.causes.parent(at)
            {
                open.push(parent);
            }
            open.extend(self.causes.children(at).iter().copied().filter(silent));
        }
        tree
    }

    /// The same exchange at the other end, if that is on this host and in the window.
    fn mate(&mut self, at: At) -> Mate {
        let carried = |window: &Window, at| window.get(at).and_then(|one| one.carried);
        if let Some(other) = self.window.get(at).and_then(|one| self.carried.mate(one)) {
            return Mate::Is(other);
        }
        let own = carried(&self.window, at);
        match self.links.mate(&mut self.window, at) {
            // What was carried says whose each is.
            Mate::Is(other)
                if own.zip(carried(&self.window, other)).is_some_and(|(a, b)| a != b) =>
            {
                Mate::None(Missing::Peer)
            }
            mate => mate,
        }
    }

    /// What became of every exchange.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Exchanges that wait, and bytes of them.
    pub fn waiting(&self) -> (usize, usize) {
        (self.window.len(), self.window.bytes())
    }

    /// What it was told.
    pub fn config(&self) -> &Config {
        &self.config
    }
}

/// The parent of an exchange's span: at the other end of its connection, else in its head.
fn parent(
    pending: &Pending,
    mate: Mate,
    trace: TraceId,
    ids: &BTreeMap<At, (TraceId, SpanId)>,
) -> Result<(SpanId, By), Missing> {
    let is_server = pending.role == Role::Server;
    let joined = match mate {
        Mate::Is(other) if is_server => ids.get(&other).filter(|(of, _)| *of == trace),
        _ => None,
    };
    let came = pending.carried.filter(|_| is_server);
    if let Some((_, parent)) = joined {
        let by = if came.is_some() { By::Option } else { By::Connection };
        return Ok((*parent, by));
    }
    if let Some(came) = came {
        return if carried::hides(pending) {
            Err(Missing::Cut)
        } else {
            Ok((came.span, By::Option))
        };
    }
    match (&pending.context, mate) {
        (Some(context), _) => Ok((context.parent, By::Context)),
        (None, Mate::None(missing)) if is_server => Err(missing),
        (None, _) => Err(Missing::Cause),
    }
}

fn count_at(counts: &mut [u64], at: usize) {
    if let Some(count) = counts.get_mut(at) {
        *count += 1;
    }
}
