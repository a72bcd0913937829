//! Exchanges that wait: each until it is decided on, and as long again for those that come later and may be
//! of the same tree. So long and so many bytes, the oldest first out.
//!
//! Nearly all of them come and go without being looked at: what has to be asked of every one stands apart,
//! a few bytes each ([`Brief`]).

use std::collections::HashMap;

use super::carried::Ids;
use super::heads::{Head, Heads, Place};
use super::ids::TraceId;
use super::link::Missing;
use super::pending::{Pending, Subject};
use super::queue::Queue;
use super::sampling::Left;
use crate::event::{Pid, Timestamp};
use crate::protocol::{Exchange, Role, Wanted};

/// Heads are freed when so many exchanges have left.
const LEFT: u64 = 64;

/// The place of an exchange in the window; never used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct At(pub(super) u64);

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing yet, or nobody asked for it: what it is left out for is known when it leaves.
    Waits,
    /// It was not chosen for its own sake because of this; it may still be kept with others.
    Passed(Left),
    /// It is a span.
    Kept,
    /// Its tree was to be kept, and this was in the way.
    Denied(Left),
}

/// What is asked of every exchange.
#[derive(Clone, Copy, Debug)]
pub(super) struct Brief {
    /// When it came.
    pub(super) since: Timestamp,
    pub(super) pid: Pid,
    /// Bytes of memory it takes.
    weight: u16,
    what: What,
    pub(super) state: State,
}

/// Facts of an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct What(u8);

impl What {
    const EXCHANGE: u8 = 1;
    const CLIENT: u8 = 2;
    const WORTH: u8 = 4;
    const NAMED: u8 = 8;

    fn of(pending: &Pending) -> Self {
        let all = [
            (pending.subject != Subject::Connect, Self::EXCHANGE),
            (pending.role == Role::Client, Self::CLIENT),
            (pending.is_worth(), Self::WORTH),
            (pending.context().is_some() || pending.carried().is_some(), Self::NAMED),
        ];
        Self(all.iter().map(|(is, bit)| u8::from(*is) * bit).sum())
    }

    fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }
}

impl Brief {
    /// It is one, not only an attempt at a connection.
    pub(super) fn is_exchange(&self) -> bool {
        self.what.has(What::EXCHANGE)
    }

    pub(super) fn role(&self) -> Role {
        if self.what.has(What::CLIENT) { Role::Client } else { Role::Server }
    }

    /// Nothing was decided of its tree.
    pub(super) fn is_free(&self) -> bool {
        matches!(self.state, State::Waits | State::Passed(_))
    }

    /// It is to be kept for what it is, whatever the share.
    pub(super) fn is_worth(&self) -> bool {
        self.what.has(What::WORTH)
    }

    /// A head or an option names its trace: that decides on the tree then, whoever is its root.
    pub(super) fn is_named(&self) -> bool {
        self.what.has(What::NAMED)
    }
}

/// The exchanges that wait.
#[derive(Debug)]
pub(super) struct Window {
    /// Lines of heads that matter.
    wanted: Wanted,
    /// In the order they came.
    all: Queue<Pending>,
    /// The same in brief.
    briefs: Queue<Brief>,
    /// The place of the first that is not decided on.
    undecided: u64,
    /// Those that are not kept.
    waiting: usize,
    bytes: usize,
    /// Bytes of those that are not decided on.
    open: usize,
    heads: Heads,
    /// Those whose head carries a context, by its trace.
    traces: HashMap<TraceId, Vec<At>>,
}

impl Window {
    pub(super) fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            all: Queue::default(),
            briefs: Queue::default(),
            undecided: 0,
            waiting: 0,
            bytes: 0,
            open: 0,
            heads: Heads::default(),
            traces: HashMap::new(),
        }
    }

    /// Keeps what is known of an exchange's head for as long as what comes into the window next.
    #[inline]
    pub(super) fn head(&mut self, exchange: &Exchange<'_>) -> Place {
        self.heads.add(exchange, self.wanted.bytes)
    }

    /// The place of a head that there is not.
    pub(super) fn headless(&self) -> Place {
        self.heads.none()
    }

    /// The place that the next one will have.
    pub(super) fn next(&self) -> At {
        At(self.briefs.next())
    }

    #[inline]
    pub(super) fn push(&mut self, pending: Pending, since: Timestamp) {
        if let Some(context) = pending.context() {
            let at = self.next();
            self.traces.entry(context.trace).or_default().push(at);
        }
        let weight = size_of::<Brief>() + pending.weight();
        let brief = Brief {
            since,
            pid: pending.pid,
            weight: u16::try_from(weight).unwrap_or(u16::MAX),
            what: What::of(&pending),
            state: State::Waits,
        };
        self.bytes += usize::from(brief.weight);
        self.open += usize::from(brief.weight);
        self.waiting += 1;
        self.briefs.push(brief);
        self.all.push(pending);
    }

    pub(super) fn get(&self, at: At) -> Option<&Pending> {
        self.all.get(at.0)
    }

    /// One that waits, to be changed in what its weight does not depend on.
    pub(super) fn get_mut(&mut self, at: At) -> Option<&mut Pending> {
        self.all.get_mut(at.0)
    }

    /// One that waits, in brief.
    pub(super) fn brief(&self, at: At) -> Option<&Brief> {
        self.briefs.get(at.0)
    }

    /// Those that came at `from` and later.
    pub(super) fn since(&self, from: At) -> impl Iterator<Item = (At, &Brief)> {
        self.briefs.from(from.0).map(|(at, brief)| (At(at), brief))
    }

    /// The head of one that waits.
    pub(super) fn read(&self, pending: &Pending) -> Head<'_> {
        self.heads.get(&pending.head)
    }

    /// Whether the heads of two may be the same: the same path, and the same lines of those that matter.
    pub(super) fn alike(&self, one: &Pending, other: &Pending) -> bool {
        let [one, other] = [one, other].map(|one| self.read(one));
        let kept = |head: Head<'_>| head.lines.kept(&self.wanted);
        one.path == other.path && kept(one).agrees(&kept(other))
    }

    /// It can be joined with none.
    pub(super) fn refuse(&mut self, at: At, why: Missing) {
        if let Some(pending) = self.get_mut(at) {
            pending.refused.get_or_insert(why);
        }
    }

    /// What went or came with it in a TCP option is known only now.
    pub(super) fn name(&mut self, at: At, ids: Ids) {
        if let (Some(pending), Some(brief)) = (self.all.get_mut(at.0), self.briefs.get_mut(at.0)) {
            pending.rare_mut().carried = Some(ids);
            brief.what = What::of(pending);
        }
    }

    /// This was decided.
    pub(super) fn decide(&mut self, at: At, state: State) {
        let Some(brief) = self.briefs.get_mut(at.0) else { return };
        self.waiting += usize::from(brief.state == State::Kept);
        self.waiting -= usize::from(state == State::Kept);
        brief.state = state;
    }

    /// The one that is to be decided on next.
    pub(super) fn undecided(&self) -> Option<(At, &Brief)> {
        let at = At(self.undecided);
        Some((at, self.brief(at)?))
    }

    /// That one is decided on.
    pub(super) fn pass(&mut self) {
        if let Some((_, brief)) = self.undecided() {
            let weight = brief.weight;
            self.open -= usize::from(weight);
            self.undecided += 1;
        }
    }

    /// The oldest, if it is decided on.
    pub(super) fn oldest(&self) -> Option<(At, &Brief)> {
        let first = self.first();
        Some((first, self.brief(first)?)).filter(|_| first.0 < self.undecided)
    }

    /// Takes the oldest out, if it is decided on.
    pub(super) fn pop(&mut self) -> Option<(At, Brief)> {
        let (at, brief) = self.oldest()?;
        let brief = *brief;
        if brief.is_named()
            && let Some(context) = self.get(at).and_then(Pending::context)
        {
            let trace = context.trace;
            if let Some(places) = self.traces.get_mut(&trace) {
                places.retain(|place| *place != at);
                if places.is_empty() {
                    self.traces.remove(&trace);
                }
            }
        }
        self.all.pop();
        self.briefs.pop();
        self.waiting -= usize::from(brief.state != State::Kept);
        self.bytes -= usize::from(brief.weight);
        let next = self.first();
        if next.0.is_multiple_of(LEFT) || next == self.next() {
            let oldest = self.get(next).map(|next| next.head);
            self.heads.free(oldest.as_ref());
        }
        Some((at, brief))
    }

    /// Frees heads of what never came into the window.
    pub(super) fn tidy(&mut self) {
        if self.first() == self.next() {
            self.heads.free(None);
        }
    }

    /// Those that share a trace by the word of their heads, the oldest first, `most` of them.
    pub(super) fn of_trace(&self, trace: TraceId, most: usize) -> impl Iterator<Item = At> {
        self.traces.get(&trace).into_iter().flatten().copied().take(most)
    }

    /// The place of the one that has waited longest.
    pub(super) fn first(&self) -> At {
        At(self.briefs.first())
    }

    /// How many wait and are not spans yet.
    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    /// Bytes of memory they take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of memory that those take which are not decided on.
    pub(super) fn open(&self) -> usize {
        self.open
    }
}
