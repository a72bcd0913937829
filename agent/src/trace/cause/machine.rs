//! The rules of evidence, over the steps of one process in the order they happened.
//!
//! **By the thread.** A thread that waits for a request's bytes inside the call that reads them does
//! nothing else: what it sends from there until it has written the answer itself, without having read
//! another request, it sends for that one. The same holds of a goroutine between the last bytes of the request and
//! the first of its answer, whatever thread it runs on; but for one that is an event loop itself ([`Workers`]).
//!
//! **By the slice.** In an event loop, a *run* is what a thread writes behind a read, before it reads
//! again or sleeps. A call is taken for a request's only if both ends of it say so: it was sent in the
//! run behind the request's own first bytes (or behind the answer of a call that is the request's), and
//! the request's answer was written in the run behind the call's answer (or that of a call made in that
//! run, and so on). Either alone may be chance: a timer that was due, a task that ran a turn of the
//! loop later. Besides:
//!
//! - a run in which another request is answered says nothing;
//! - nor does one behind a read of another request's in the same stretch that nothing was written for, or
//!   of nobody's: what it caused may be what is sent now;
//! - every other request in hand waits for a call of its own, or was not touched since the thread slept
//!   last (where one thread does everything), or is another thread's (where threads were seen to
//!   keep what they read).
//!
//! Calls that one run made at once are answered in any order and only the last is followed by the
//! request's answer: the others go with it where the request was the only one in hand.
//!
//! What a program sends on its own account (a timer, a queue that it drains) can fall into a run, and be
//! answered in the nick of time, as if it were the request's. It shows itself when no request is in hand,
//! and when nothing was read for a while: calls of a [`Kind`] of which one was sent with none in hand are
//! not linked by slices for a long time, nor those of a kind of which more than a few were sent out of
//! the blue, nor the first few of any kind.

use std::collections::{HashMap, HashSet};

use super::Id;
use super::alone::{Worker, Workers};
use super::habit::{BLUE, Habit, Kind};
use super::step::{Event, Step};
use crate::event::{Nanos, Timestamp};
use crate::protocol::Role;
use crate::trace::link::Missing;
use crate::trace::span::By;
use crate::trace::window::At;

/// Others in hand that are looked at for one call.
const OTHERS: usize = 512;
/// Answers in a row, each by the thread that read its request, until threads are taken to keep theirs.
const STEADY: u32 = 64;
/// For so long after a process was seen first nothing is learned of it: what it had in hand is not known,
/// and it may be new itself.
const NEW: Nanos = Nanos(1_000_000_000);
/// Kinds of calls that are known of a process.
const KINDS: usize = 1024;
/// After so long a run is over, whatever the thread does.
const RUN: Nanos = Nanos(100_000_000);
/// For so long what is over is remembered.
const OVER: Nanos = Nanos(1_000_000_000);

/// A request in hand.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "facts that are independent of each other")]
struct Held {
    at: Option<At>,
    /// The thread and the stretch it was touched in last.
    touched: (u32, u32),
    /// The thread that read it.
    tid: u32,
    /// Who has it in hand, if that is known.
    by: Option<Worker>,
    /// Whoever has it does nothing else.
    waits: bool,
    /// When its last bytes had been read.
    taken: Timestamp,
    /// It has read another meanwhile.
    shared: bool,
    answered: bool,
    /// It was held alone from end to end.
    kept: bool,
    over: Option<Timestamp>,
    /// Its calls that are under way.
    calling: u32,
    /// What was sent by whoever holds it meanwhile.
    sent: Vec<Id>,
    /// What was sent in runs of its own.
    calls: Vec<Id>,
}

#[derive(Debug)]
struct Call {
    at: Option<At>,
    /// Whose run it was sent in.
    of: Option<Id>,
    /// The run.
    run: u64,
    /// The call whose answer that run stood behind.
    behind: Option<Id>,
    /// The request was the only one in hand.
    alone: bool,
    answered: bool,
    linked: bool,
    why: Missing,
    over: Option<Timestamp>,
    kind: Kind,
}

#[derive(Debug, Default)]
struct Thread {
    stretch: u32,
    run: Option<Run>,
    /// Whose reads nothing was written for in this stretch.
    silent: Vec<Silent>,
    last: Timestamp,
}

/// A read whose effect was not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silent {
    /// A request's.
    Of(Id),
    /// It is not known whose.
    Unknown,
}

#[derive(Debug)]
struct Run {
    number: u64,
    of: Option<Id>,
    /// The call whose answer was read.
    behind: Option<Id>,
    calls: Vec<Id>,
    answers: Option<Id>,
    /// Another request was answered in it.
    mixed: bool,
    wrote: bool,
    /// It stands behind a read whose effect was not seen, in the same stretch.
    unclear: bool,
    last: Timestamp,
}

impl Run {
    /// Whose read it stood behind, if that may still have an effect that nobody has seen.
    fn unsettled(&self, held: &HashMap<Id, Held>) -> Option<Silent> {
        let Some(of) = self.of else { return Some(Silent::Unknown) };
        // One of several answers that it waits for has no effect alone.
        let waits = held.get(&of).is_some_and(|held| held.calling > 0);
        (!self.wrote && !waits).then_some(Silent::Of(of))
    }
}

/// One process.
#[derive(Debug, Default)]
pub(super) struct Machine {
    /// Slices of event loops are evidence.
    slices: bool,
    /// It is known to be a program of Go.
    pub(super) routines: bool,
    threads: HashMap<u32, Thread>,
    workers: Workers,
    /// Requests in hand: not over.
    hand: HashSet<Id>,
    /// These, and those that were a moment ago.
    held: HashMap<Id, Held>,
    calls: HashMap<Id, Call>,
    kinds: HashMap<Kind, Habit>,
    /// When the first thing was seen of it.
    since: Option<Timestamp>,
    /// The last step before the one in hand.
    last: Timestamp,
    /// The thread that has done everything so far, and whether there was a second one.
    only: Option<u32>,
    many: bool,
    steady: u32,
    runs: u64,
    /// Places in the window of what has not begun here yet.
    early: HashMap<Id, At>,
    /// Links of exchanges of which one is not in the window yet.
    unbound: Vec<(Id, Id, By)>,
    /// What was found out: child, parent.
    pub(super) links: Vec<(At, At, By)>,
    /// What was not, and why.
    pub(super) missing: Vec<(At, Missing)>,
}

impl Machine {
    /// A process of which nothing is known yet.
    pub(super) fn new(slices: bool) -> Self {
        Self { slices, ..Self::default() }
    }

    /// The next step of the process.
    pub(super) fn step(&mut self, event: &Event) {
        self.since.get_or_insert(event.time);
        if event.tid != 0 {
            self.many |= self.only.is_some_and(|only| only != event.tid);
            self.only = self.only.or(Some(event.tid));
        }
        match (event.role, event.step) {
            (Role::Server, Step::Asked) => self.reads_request(event),
            (Role::Server, Step::Answered) => self.writes_answer(event),
            (Role::Server, Step::Over) => self.request_over(event.id, event.time),
            (Role::Client, Step::Opened) => self.calls(event),
            (Role::Client, Step::Asked) => {
                if event.opened == 0 {
                    self.calls(event);
                }
                self.sends(event);
            }
            (Role::Client, Step::Answered) => self.reads_answer(event),
            (Role::Client, Step::Over) => self.call_over(event.id, event.time),
            (Role::Server, Step::Opened) => {}
        }
        if event.tid != 0 {
            self.last = event.time;
        }
    }

    fn reads_request(&mut self, event: &Event) {
        let Event { id, tid, stretch, .. } = *event;
        let at = event.at.or_else(|| self.early.remove(&id));
        let by = self.worker(event);
        // The runtime waits for a goroutine's bytes, in calls that do not.
        let waits = event.waits || self.routines;
        let Self { workers, held, .. } = self;
        let shared = by.is_none_or(|by| {
            workers.takes(by, id, event.conn, |other| {
                let other = held.get_mut(&other).filter(|other| !other.answered);
                other.map(|other| other.shared = true).is_some()
            })
        });
        self.hand.insert(id);
        held.insert(
            id,
            Held {
                at,
                touched: (tid, stretch),
                tid,
                by,
                waits,
                taken: event.taken,
                shared,
                answered: false,
                kept: false,
                over: None,
                calling: 0,
                sent: Vec::new(),
                calls: Vec::new(),
            },
        );
        self.begin_run(event, Some(id), None);
    }

    /// Who did it, if that is known.
    fn worker(&self, event: &Event) -> Option<Worker> {
        if self.routines {
            (event.routine != 0).then_some(Worker::Goroutine(event.routine))
        } else {
            (event.tid != 0).then_some(Worker::Thread(event.tid))
        }
    }

    fn reads_answer(&mut self, event: &Event) {
        let of = self.calls.get_mut(&event.id).and_then(|call| {
            call.answered = true;
            call.of
        });
        let of = of.filter(|of| self.held.get(of).is_some_and(|held| !held.answered));
        if let Some(held) = of.and_then(|of| self.held.get_mut(&of)) {
            held.calling = held.calling.saturating_sub(1);
            held.touched = (event.tid, event.stretch);
        }
        self.begin_run(event, of, Some(event.id));
    }

    fn begin_run(&mut self, event: &Event, of: Option<Id>, behind: Option<Id>) {
        self.runs += 1;
        let number = self.runs;
        let Self { threads, held, .. } = self;
        let thread = threads.entry(event.tid).or_default();
        let before = thread.run.take();
        if thread.stretch == event.stretch {
            thread.silent.extend(before.as_ref().and_then(|run| run.unsettled(held)));
        } else {
            thread.silent.clear();
        }
        thread.stretch = event.stretch;
        thread.last = event.time;
        if event.tid != 0 {
            let (calls, answers, mixed, wrote) = (Vec::new(), None, false, false);
            let last = event.time;
            let unclear = thread.silent.iter().any(|silent| match silent {
                Silent::Of(other) => Some(*other) != of && self.hand.contains(other),
                Silent::Unknown => true,
            });
            thread.run =
                Some(Run { number, of, behind, calls, answers, mixed, wrote, unclear, last });
        }
        if let Some(run) = before {
            self.close(&run);
        }
    }

    /// The run that the thread is in.
    fn run(&mut self, event: &Event) -> Option<&mut Run> {
        let thread = self.threads.get_mut(&event.tid)?;
        let run = thread.run.as_mut().filter(|_| thread.stretch == event.stretch)?;
        let fresh = event.time.since(run.last) < RUN;
        run.last = event.time;
        fresh.then_some(run)
    }

    /// A call is sent, or a connection opened for it: whose run is it?
    fn calls(&mut self, event: &Event) {
        let Event { id, tid, stretch, kind, .. } = *event;
        let at = event.at.or_else(|| self.early.remove(&id));
        let blue = event.time.since(self.last) > BLUE;
        let (idle, alone) = (self.hand.is_empty(), self.hand.len() == 1);
        let told = self.run(event).map(|run| {
            run.wrote = true;
            (run.number, run.of.filter(|_| !run.mixed), run.behind, run.unclear)
        });
        let mut of = Err(if idle { Missing::Idle } else { Missing::Cause });
        if let Some((_, Some(owner), _, unclear)) = told {
            of = if !unclear && (alone || self.others_wait(owner, tid, stretch)) {
                Ok(owner)
            } else {
                Err(Missing::Ambiguous)
            };
        }
        let new = self.since.is_none_or(|since| event.time.since(since) < NEW);
        if !new && (self.kinds.len() < KINDS || self.kinds.contains_key(&kind)) {
            let habit = self.kinds.entry(kind).or_default();
            match (idle, told.is_some()) {
                (true, _) => habit.own = Some(event.time),
                (false, true) => habit.within = habit.within.saturating_add(1),
                (false, false) if blue => habit.blue = habit.blue.saturating_add(1),
                (false, false) => habit.outside = habit.outside.saturating_add(1),
            }
        }
        let (run, _, behind, _) = told.unwrap_or_default();
        if let Ok(owner) = of {
            if let Some(run) = self.run(event) {
                run.calls.push(id);
            }
            if let Some(held) = self.held.get_mut(&owner) {
                held.calling += 1;
                held.touched = (tid, stretch);
                held.calls.push(id);
            }
        }
        let call = Call {
            at,
            of: of.ok(),
            run,
            behind,
            alone,
            answered: false,
            linked: false,
            why: of.err().unwrap_or(Missing::Cause),
            over: None,
            kind,
        };
        self.calls.insert(id, call);
    }

    /// Whether nobody but `owner` can have sent what `tid` sends.
    fn others_wait(&self, owner: Id, tid: u32, stretch: u32) -> bool {
        if self.hand.len() > OTHERS {
            return false;
        }
        let own = self.held.get(&owner).is_some_and(|held| held.tid == tid);
        let kept = own && self.steady >= STEADY;
        let others = self.hand.iter().filter(|id| **id != owner);
        others.filter_map(|id| self.held.get(id)).all(|other| {
            let apart = kept && other.tid != tid;
            let rests = !self.many && other.tid != 0 && other.touched != (tid, stretch);
            other.calling > 0 || apart || rests
        })
    }

    /// A call's first bytes are sent: does whoever sends them hold one request alone?
    fn sends(&mut self, event: &Event) {
        let Some(by) = self.worker(event) else { return };
        let Some(only) = self.workers.only(by) else { return };
        let Some(request) = self.held.get_mut(&only) else { return };
        let early = match by {
            Worker::Thread(tid) => event.opened != 0 && event.opened != tid,
            // It had its first bytes from another, and may have been at something else until it read the rest.
            Worker::Goroutine(_) => event.time < request.taken,
        };
        if !request.waits || request.shared || request.over.is_some() || early {
            return;
        }
        if request.kept {
            // A goroutine may have ended, and another have its place.
            if let Worker::Thread(_) = by {
                self.link(event.id, only, By::Thread);
            }
        } else if !request.answered {
            request.sent.push(event.id);
        }
    }

    fn writes_answer(&mut self, event: &Event) {
        let id = event.id;
        let mut strangers = Vec::new();
        if let Some(run) = self.run(event) {
            run.wrote = true;
            if run.of == Some(id) && !run.mixed {
                run.answers = Some(id);
            } else {
                run.mixed = true;
                strangers.clone_from(&run.calls);
            }
        }
        for call in strangers {
            self.disown(call);
        }
        let by = self.worker(event);
        let Some(held) = self.held.get_mut(&id) else { return };
        held.answered = true;
        let same = held.tid == event.tid && event.tid != 0;
        self.steady = if same { self.steady.saturating_add(1) } else { 0 };
        let own = by.filter(|by| held.by == Some(*by) && !self.workers.is_loop(*by));
        held.kept = own.is_some() && held.waits && !held.shared;
        let sent = std::mem::take(&mut held.sent);
        if held.kept {
            for call in sent {
                self.link(call, id, if self.routines { By::Goroutine } else { By::Thread });
            }
        }
    }

    /// It was sent in a run that says nothing after all.
    fn disown(&mut self, id: Id) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.why = Missing::Ambiguous;
        if let Some(held) = call.of.take().and_then(|of| self.held.get_mut(&of))
            && !call.answered
        {
            held.calling = held.calling.saturating_sub(1);
        }
    }

    /// A run is over: if a request was answered in it behind the answer of a call that is its own, the
    /// circle is closed.
    fn close(&mut self, run: &Run) {
        let unclear = run.mixed || run.unclear || !self.slices;
        let (Some(of), Some(mut last), false) = (run.answers, run.behind, unclear) else {
            return;
        };
        let mut runs = Vec::new();
        let mut circle = Vec::new();
        while let Some(call) = self.calls.get(&last).filter(|call| call.of == Some(of)) {
            circle.push(last);
            runs.push(call.run);
            let Some(behind) = call.behind.filter(|behind| !circle.contains(behind)) else { break };
            last = behind;
        }
        let Some(held) = self.held.get(&of) else { return };
        for id in &held.calls {
            let Some(call) = self.calls.get(id) else { continue };
            let beside = call.alone && call.answered;
            if call.of == Some(of) && beside && runs.contains(&call.run) && !circle.contains(id) {
                circle.push(*id);
            }
        }
        for id in circle {
            let habit = self.calls.get(&id).and_then(|call| self.kinds.get(&call.kind));
            if habit.is_some_and(|habit| habit.serves(run.last)) {
                self.link(id, of, By::Slice);
            }
        }
    }

    fn link(&mut self, child: Id, parent: Id, by: By) {
        let Some(call) = self.calls.get_mut(&child) else { return };
        if std::mem::replace(&mut call.linked, true) {
            return;
        }
        let parent_at = self.held.get(&parent).and_then(|held| held.at);
        match (call.at, parent_at) {
            (Some(child), Some(parent)) => self.links.push((child, parent, by)),
            _ => self.unbound.push((child, parent, by)),
        }
    }

    /// An exchange that a sweep had shown is over and in the window.
    pub(super) fn bind(&mut self, id: Id, at: At) {
        if let Some(held) = self.held.get_mut(&id) {
            held.at = Some(at);
        } else if let Some(call) = self.calls.get_mut(&id) {
            call.at = Some(at);
        } else {
            self.early.insert(id, at);
        }
        let Self { held, calls, unbound, links, .. } = self;
        unbound.retain(|(child, parent, by)| {
            let child = calls.get(child).and_then(|call| call.at);
            let parent = held.get(parent).and_then(|held| held.at);
            let both = child.zip(parent);
            links.extend(both.map(|(child, parent)| (child, parent, *by)));
            both.is_none()
        });
    }

    /// An exchange is over, though nothing told so.
    pub(super) fn over(&mut self, id: Id, role: Role, time: Timestamp) {
        match role {
            Role::Server => self.request_over(id, time),
            Role::Client => self.call_over(id, time),
        }
    }

    fn request_over(&mut self, id: Id, time: Timestamp) {
        self.hand.remove(&id);
        let Some(held) = self.held.get_mut(&id) else { return };
        held.over = Some(time);
        if let Some(by) = held.by {
            self.workers.done(by, id);
        }
    }

    fn call_over(&mut self, id: Id, time: Timestamp) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.over = Some(time);
        if call.of.is_none() && !call.linked {
            self.missing.extend(call.at.map(|at| (at, call.why)));
        }
        if !call.answered
            && let Some(held) = call.of.and_then(|of| self.held.get_mut(&of))
        {
            held.calling = held.calling.saturating_sub(1);
            // What comes of it is written in nobody's run.
            held.touched = (0, 0);
        }
    }

    /// A step came too late to be put in its place: nothing that is in hand is linked.
    pub(super) fn doubt(&mut self) {
        let unlinked = self.calls.values_mut().filter(|call| !call.linked);
        for call in unlinked {
            call.of = None;
        }
        for held in self.held.values_mut() {
            held.calling = 0;
            held.calls.clear();
            held.shared |= held.over.is_none();
        }
        for thread in self.threads.values_mut() {
            thread.run = None;
            thread.silent.push(Silent::Unknown);
        }
    }

    /// All before `until` has been told. `first` is the oldest in the window.
    pub(super) fn settle(&mut self, until: Timestamp, first: At) {
        self.early.retain(|_, at| *at >= first);
        let mut closed = Vec::new();
        for thread in self.threads.values_mut() {
            if thread.run.as_ref().is_some_and(|run| until.since(run.last) >= RUN) {
                let run = thread.run.take();
                thread.silent.extend(run.as_ref().and_then(|run| run.unsettled(&self.held)));
                closed.extend(run);
            }
        }
        for run in closed {
            self.close(&run);
        }
        let Self { held, calls, missing, threads, .. } = self;
        let keep = |over: Option<Timestamp>| over.is_none_or(|over| until.since(over) < OVER);
        held.retain(|_, held| keep(held.over));
        calls.retain(|_, call| {
            let keep = keep(call.over);
            if !keep && !call.linked {
                missing.extend(call.at.map(|at| (at, call.why)));
            }
            keep
        });
        threads.retain(|_, thread| thread.run.is_some() || until.since(thread.last) < OVER);
        let Self { held, calls, unbound, .. } = self;
        unbound.retain(|(child, parent, _)| calls.contains_key(child) && held.contains_key(parent));
    }
}
