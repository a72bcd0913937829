//! Exchanges to spans: one each when it is worth keeping, joined where there is evidence.
//!
//! RED has counted an exchange before it comes here. It waits in a [`window`](Config::hold), as it came. If
//! it is worth it or chance chose it, it is joined with what belongs to it ([`tree`]): the same request at
//! the other end of its connection, what its process called for it, others of the same trace by the
//! word of their heads; and the whole tree is decided on at once ([`judge`]). All others leave the window as
//! they came. `seen = kept + left + waiting`, always.

mod admission;
mod carried;
mod cause;
pub mod context;
mod heads;
pub mod ids;
mod judge;
mod link;
mod open;
mod pending;
mod queue;
mod redact;
pub mod sampling;
mod span;
#[cfg(test)]
mod tests;
mod tree;
mod usual;
mod window;

pub use link::Missing;
pub use span::{By, Kind, Span, Told};

use std::sync::Arc;

use crate::cluster::{Far, Fars};
use crate::entity::{EntityId, Registry};
use crate::event::{ConnId, Nanos, Pid, Timestamp};
use crate::host::{Anchor, Translations};
use crate::metric::snapshot::Resource;
use crate::protocol::{Begun, Exchange, Role, Wanted};
use crate::red::route::RouteId;
use crate::red::{Counted, Red, Route, Sample, label};
use admission::{Admission, Halves};
use agent_common::record;
use carried::Carried;
use cause::Causes;
use context::Found;
use ids::Ids;
use link::Links;
use open::Hanging;
use pending::Pending;
use sampling::{Budget, Left, Parent, Sampler, Why};
use usual::Usual;
use window::{State, Window};

/// The name of this family's scope.
pub const SCOPE: &str = "steth/trace";

/// How long an idle connection's other end is remembered.
const REMEMBERED: Nanos = Nanos(300_000_000_000);
/// Ends beyond which idle ones are forgotten at once.
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
    /// Exchanges a second that are looked at without any bound.
    pub rate: u32,
    /// Spans a second of one service.
    pub per_service: u32,
    /// Spans a second of all.
    pub total: u32,
    /// How long an exchange waits for the rest of its tree, and how long after that it can be part of the tree of
    /// one that came later.
    pub hold: Nanos,
    /// Bytes of those in the window; half of them for those that are not decided on.
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
    /// Ids in TCP options that were left out because too many requests were in flight.
    pub over: u64,
    /// Steps of exchanges that came too late, or waited too long, to be put in order.
    pub unordered: u64,
    /// Exchanges decided on before their time because the window was full.
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

/// What of an exchange is seen at once.
#[derive(Clone, Copy, Debug)]
struct Glance {
    /// Of what share of all it is, if it is of those that are looked at.
    share: Option<Halves>,
    error: bool,
    /// It took longer than the fixed limit.
    slow: bool,
}

/// What those who count are asked.
pub trait Counts {
    /// What 99 % of a route's exchanges took less than, if enough is known to say.
    fn usual(&self, entity: EntityId, role: Role, route: RouteId) -> Option<Nanos>;
    /// The route that a path is counted under by now.
    fn route(&self, entity: EntityId, role: Role, path: &str) -> Option<Route>;
    /// Who is at the other end of a client's connection, by name.
    fn far(&self, entity: EntityId, conn: ConnId, counted: &Counted) -> Option<Arc<Far>>;
}

/// What those who know the processes are asked.
pub trait Processes {
    /// Its program, as it was then, is of Go and keeps the goroutine that runs in a register.
    fn has_goroutines(&mut self, pid: Pid, when: Timestamp) -> bool;
}

impl Processes for Registry {
    fn has_goroutines(&mut self, pid: Pid, when: Timestamp) -> bool {
        Registry::has_goroutines(self, pid, when)
    }
}

impl Counts for Red {
    fn usual(&self, entity: EntityId, role: Role, route: RouteId) -> Option<Nanos> {
        Red::usual(self, entity, role, route)
    }

    fn route(&self, entity: EntityId, role: Role, path: &str) -> Option<Route> {
        Red::route(self, entity, role, path)
    }

    fn far(&self, entity: EntityId, conn: ConnId, counted: &Counted) -> Option<Arc<Far>> {
        Red::far(self, entity, conn, counted)
    }
}

/// The stage.
#[derive(Debug)]
pub struct Trace {
    config: Config,
    ids: Ids,
    admission: Admission,
    window: Window,
    links: Links,
    carried: Carried,
    causes: Causes,
    budget: Budget,
    kept: Vec<Span>,
    samples: Vec<(EntityId, Sample)>,
    hanging: Hanging,
    usual: Usual,
    now: Timestamp,
    counters: Counters,
}

impl Trace {
    /// A stage that has seen nothing.
    pub fn new(config: Config) -> Self {
        Self {
            ids: Ids::new(config.seed),
            admission: Admission::new(config.rate),
            budget: Budget::new(config.per_service, config.total),
            window: Window::new(config.wanted),
            links: Links::default(),
            carried: Carried::default(),
            causes: Causes::new(config.slices),
            kept: Vec::new(),
            samples: Vec::new(),
            hanging: Hanging::default(),
            usual: Usual::default(),
            now: Timestamp::default(),
            counters: Counters::default(),
            config,
        }
    }

    /// Takes what goes or comes with a request of which nothing else is known yet.
    pub fn carried(&mut self, record: &record::Carried) {
        self.carried.tell(record, &mut self.window);
        self.counters.over = self.carried.over;
    }

    /// Takes what a Unix socket has in common with its other end.
    pub fn joint(&mut self, joint: &record::Joint) {
        self.links.joint(joint);
    }

    /// Takes an exchange with where it was counted.
    pub fn observe(
        &mut self,
        entity: EntityId,
        exchange: &Exchange<'_>,
        counted: Counted,
        counts: &dyn Counts,
    ) {
        self.counters.seen += 1;
        self.now = self.now.max(exchange.ended);
        if self.config.sampler.is_off() {
            return count_at(&mut self.counters.left, Left::Ratio as usize);
        }
        let share = self.admission.of(self.now, exchange.begun, &self.ids);
        let took = exchange.ended.since(exchange.begun);
        let status = exchange.status.unwrap_or(0);
        let error = exchange.fault.is_some() || label::is_error(exchange.role, status);
        let slow = self.config.slow.is_some_and(|limit| took >= limit);
        let named = !exchange.lines.is_bare() || self.carried.any() || self.hanging.any();
        if share.is_none() && !(error || slow || named) {
            self.counters.cut += u64::from(exchange.lines.is_cut());
            return self.pass(exchange);
        }
        self.look_over(entity, exchange, counted, Glance { share, error, slow }, counts);
    }

    /// One that is not looked at.
    fn pass(&mut self, exchange: &Exchange<'_>) {
        if self.admission.touches(exchange.begun, exchange.ended, &self.ids) {
            self.causes.witness(exchange);
        }
        count_at(&mut self.counters.left, Left::Rate as usize);
    }

    /// One of which a first glance does not tell that it need not be looked at.
    #[inline(never)]
    fn look_over(
        &mut self,
        entity: EntityId,
        exchange: &Exchange<'_>,
        counted: Counted,
        glance: Glance,
        counts: &dyn Counts,
    ) {
        let Found { context, malformed } = context::read(&exchange.lines);
        self.counters.malformed += u64::from(malformed);
        self.counters.cut += u64::from(context.is_none() && exchange.lines.is_cut());
        let carried = self.carried.take(exchange);
        let report = self.hanging.ended(exchange);
        // What was told of while it hung is told to the end.
        let slow = glance.slow || report.is_some();
        let always = glance.error || slow || context.is_some() || carried.is_some();
        let share = if always { Some(Halves::WHOLE) } else { glance.share };
        let Some(share) = share else { return self.pass(exchange) };
        let mut pending = Pending::new(entity, exchange, self.window.head(exchange));
        pending.counted = counted;
        pending.learn_far(counts);
        (pending.share, pending.apart) = (share, glance.share.is_none());
        pending.error = glance.error;
        pending.slow = slow || {
            let route = (entity, exchange.role, counted.route);
            let took = exchange.ended.since(exchange.begun);
            self.usual.of(route, self.now, counts).is_some_and(|usual| took > usual)
        };
        if context.is_some() || carried.is_some() || report.is_some() {
            let rare = pending.rare_mut();
            (rare.context, rare.carried, rare.report) = (context, carried, report);
        }
        self.wait(pending, counts);
    }

    /// Takes one into the window.
    #[inline]
    fn wait(&mut self, mut pending: Pending, counts: &dyn Counts) {
        let at = self.window.next();
        if pending.is_exchange() {
            self.links.add(&mut pending, self.now, &mut self.window);
            if self.config.hosts {
                self.carried.add(at, &pending);
            }
        }
        self.window.push(pending, self.now);
        // Half of the room is for what is decided on.
        while self.window.open() > self.config.bytes / 2 {
            self.counters.early += 1;
            self.decide(counts);
        }
        while self.window.bytes() > self.config.bytes && self.window.oldest().is_some() {
            self.leave();
        }
    }

    /// A sweep shows an exchange that is not over.
    pub fn begun(&mut self, begun: &Begun<'_>) {
        self.causes.begun(begun);
    }

    /// Everything that had begun before `until` has been told, here or by [`Trace::begun`].
    pub fn complete(&mut self, until: Timestamp) {
        self.causes.complete(until, &self.window);
        self.counters.unordered = self.causes.lost();
    }

    /// Asks of the processes that have come which have goroutines, before what they did is looked at.
    pub fn learn(&mut self, processes: &mut dyn Processes) {
        self.causes.learn(&self.window, processes);
    }

    /// Processes with connections of which it is to be found out whether they are translated; each is asked for
    /// once.
    pub fn strangers(&mut self) -> Vec<Pid> {
        self.links.strangers()
    }

    /// Takes in how servers see connections that are translated, and who has their addresses.
    pub fn translate(&mut self, all: &Translations, fars: Option<&Fars>) {
        self.links.translate(&mut self.window, all, fars);
    }

    /// Time has come to `now`: what has waited long enough is decided on, and what has waited twice as long
    /// leaves.
    pub fn tick(&mut self, now: Timestamp, counts: &dyn Counts) {
        self.now = self.now.max(now);
        let (now, hold) = (self.now, self.config.hold.0);
        while self.window.undecided().is_some_and(|(_, next)| now.since(next.since).0 >= hold) {
            self.decide(counts);
        }
        let twice = hold.saturating_mul(2);
        while self.window.oldest().is_some_and(|(_, old)| now.since(old.since).0 >= twice) {
            self.leave();
        }
        self.window.tidy();
        let after = if self.links.len() > ENDS { Nanos(0) } else { REMEMBERED };
        self.links.forget(self.now, after, self.window.first());
        self.hanging.forget(self.now);
        self.carried.forget(self.now);
    }

    /// Everything that waits is decided on now: nothing more will come.
    pub fn finish(&mut self, counts: &dyn Counts) {
        self.complete(Timestamp(u64::MAX));
        while self.window.undecided().is_some() {
            self.decide(counts);
        }
        while self.window.oldest().is_some() {
            self.leave();
        }
    }

    /// The oldest leaves the window. What nobody has kept is left.
    fn leave(&mut self) {
        if self.window.oldest().is_some_and(|(at, _)| !self.causes.has_seen(at)) {
            self.causes.gather(&self.window);
        }
        if self.config.hosts
            && let Some((at, _)) = self.window.oldest()
            && let Some(pending) = self.window.get(at)
        {
            self.carried.remove(at, pending);
        }
        let unmarked = self.config.sampler.parent == Parent::Decides && self.is_unmarked();
        let Some((at, brief)) = self.window.pop() else { return };
        self.causes.remove(at);
        let left = match brief.state {
            State::Kept => return,
            State::Passed(left) | State::Denied(left) => left,
            State::Waits if unmarked => Left::Unsampled,
            State::Waits => Left::Ratio,
        };
        count_at(&mut self.counters.left, left as usize);
    }

    /// Whether who began the oldest's trace has said not to keep it.
    fn is_unmarked(&self) -> bool {
        let oldest = self.window.oldest().and_then(|(at, _)| self.window.get(at));
        oldest.and_then(Pending::context).is_some_and(|context| context.sampled == Some(false))
    }

    /// The spans kept since this was asked.
    pub fn take(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.kept)
    }

    /// Of these nothing may be told yet: they are kept on, and count to what may wait.
    pub fn give_back(&mut self, spans: Vec<Span>) {
        self.kept.extend(spans);
    }

    /// The spans kept since this was asked, to stand for what was counted of them.
    pub fn samples(&mut self) -> Vec<(EntityId, Sample)> {
        std::mem::take(&mut self.samples)
    }

    /// What became of every exchange.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Exchanges that are not kept yet, and bytes of all in the window.
    pub fn waiting(&self) -> (usize, usize) {
        (self.window.len(), self.window.bytes())
    }

    /// What it was told.
    pub fn config(&self) -> &Config {
        &self.config
    }
}

fn count_at(counts: &mut [u64], at: usize) {
    if let Some(count) = counts.get_mut(at) {
        *count += 1;
    }
}
