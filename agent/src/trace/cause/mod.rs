//! Causality inside a process: the request that a call was made for.
//!
//! Exchanges come when they are over, in any order. Those of processes that both serve and ask are taken
//! apart into their steps (asked, answered, over; [`Causes::gather`]), and the steps of a process are put in
//! the order they happened once a sweep has shown that none before them is unknown ([`Causes::complete`]).
//! The [`machine`] then goes through them once and says who called for whom. What it is not sure of
//! stays apart.

mod alone;
mod habit;
mod machine;
mod step;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::Processes;
use super::link::Missing;
use super::pending::Pending;
use super::span::By;
use super::window::{At, Window};
use crate::entity::EntityId;
use crate::event::{ConnId, Nanos, Peer, Pid, Timestamp};
use crate::protocol::{Begun, Course, Exchange, Role};
use crate::red::ByNumber;
use habit::Kind;
use machine::Machine;
use step::{Event, Step};

/// Steps that wait for a sweep, at most; beyond that all that waits is given up.
const STEPS: usize = 1 << 19;
/// Exchanges of a process that are open, as sweeps show them.
const OPEN: usize = 4096;
/// After so many sweeps that do not show it, what was open is over.
const GONE: u64 = 4;
/// How long a process that nothing is heard of is remembered, and how long one that only serves or only asks.
const REMEMBERED: Nanos = Nanos(300_000_000_000);
const QUIET: Nanos = Nanos(20_000_000_000);
/// Processes that are remembered: beyond that none that are quiet are.
const PROCESSES: usize = 16_384;

/// An exchange as the machine knows it; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Id(u64);

/// Who called for whom.
#[derive(Debug, Default)]
pub(super) struct Causes {
    next: u64,
    /// Event loops are judged by their slices.
    slices: bool,
    /// Sweeps so far.
    sweep: u64,
    /// What came into the window before this has been taken apart.
    seen: At,
    processes: HashMap<Pid, Process, ByNumber>,
    waiting: usize,
    /// Every step before this is known.
    until: Timestamp,
    parents: HashMap<At, (At, By), ByNumber>,
    children: HashMap<At, Vec<At>, ByNumber>,
    /// Why there is none.
    missing: HashMap<At, Missing, ByNumber>,
    /// Steps that were given up, or came too late.
    lost: u64,
}

#[derive(Debug, Default)]
struct Process {
    steps: Vec<Event>,
    /// It was seen answering, and asking: only then there is something to link.
    roles: [bool; 2],
    /// Whose it is, and whose it was when it was asked for.
    entity: Option<EntityId>,
    asked: Option<EntityId>,
    /// Exchanges that sweeps have shown open.
    open: HashMap<(ConnId, Timestamp), Shown>,
    machine: Machine,
    used: Timestamp,
}

/// An exchange that was open when a sweep looked.
#[derive(Clone, Copy, Debug)]
struct Shown {
    id: Id,
    role: Role,
    answered: bool,
    /// By which sweep last.
    sweep: u64,
}

/// What is known of an exchange.
struct Known<'a> {
    conn: ConnId,
    role: Role,
    begun: Timestamp,
    kind: Kind,
    course: &'a Course,
    at: Option<At>,
}

impl Causes {
    /// Nothing is known yet. Without `slices` only threads and goroutines that hold one request at a time are
    /// evidence.
    pub(super) fn new(slices: bool) -> Self {
        Self { slices, ..Self::default() }
    }

    /// Takes apart what has come into the window.
    pub(super) fn gather(&mut self, window: &Window) {
        let from = self.seen.max(window.first());
        self.seen = window.next();
        let came = || window.since(from).filter(|(_, brief)| brief.is_exchange());
        let mut last = None;
        for (_, brief) in came() {
            let who = Some((brief.pid, brief.role()));
            if last != who {
                last = who;
                self.process(brief.pid).is(brief.role(), brief.since);
            }
        }
        let mut last = None;
        for (at, brief) in came() {
            if last.is_none_or(|(pid, _)| pid != brief.pid) {
                last = self.processes.get(&brief.pid).map(|of| (brief.pid, of.is_quiet()));
            }
            if let Some((_, false)) = last
                && let Some(pending) = window.get(at)
            {
                self.add(at, pending, window.read(pending).path);
            }
        }
    }

    /// Whether what has come into the window at `at` was taken apart.
    pub(super) fn has_seen(&self, at: At) -> bool {
        at < self.seen
    }

    fn add(&mut self, at: At, pending: &Pending, path: &str) {
        let Pending { conn, pid, role, begun, ended, peer, course, .. } = pending;
        let kind = kind(peer, path);
        // Of one that stands alone it is not known what made it, nor what it made: it bears witness.
        let at = Some(at).filter(|_| !pending.apart);
        let known = Known { conn: *conn, role: *role, begun: *begun, kind, course, at };
        self.over(*pid, *ended, &known);
        self.process(*pid).entity = Some(pending.entity);
    }

    /// An exchange that is not looked at was there while others were that are: what its thread did then it
    /// may have done for this one.
    pub(super) fn witness(&mut self, exchange: &Exchange<'_>) {
        let Exchange { conn, pid, role, begun, ended, peer, course, path, .. } = exchange;
        let process = self.process(*pid);
        process.is(*role, *begun);
        if process.is_quiet() {
            return;
        }
        let kind = kind(peer, path);
        let known = Known { conn: *conn, role: *role, begun: *begun, kind, course, at: None };
        self.over(*pid, *ended, &known);
    }

    fn over(&mut self, pid: Pid, ended: Timestamp, known: &Known<'_>) {
        let next = Id(self.next);
        let process = self.process(pid);
        let before = process.open.remove(&(known.conn, known.begun));
        let (id, answered) = before.map_or((next, false), |Shown { id, answered, .. }| {
            if let Some(at) = known.at {
                process.machine.bind(id, at);
            }
            (id, answered)
        });
        let mut steps = Vec::with_capacity(4);
        if before.is_none() {
            begin(known, id, &mut steps);
        }
        if !answered {
            answer(known, id, &mut steps);
        }
        steps.push(Event { time: ended, ..event(known, id, Step::Over) });
        self.push(pid, steps);
    }

    /// A sweep shows an exchange that is not over.
    pub(super) fn begun(&mut self, begun: &Begun<'_>) {
        let known = Known {
            conn: begun.conn,
            role: begun.role,
            begun: begun.begun,
            kind: kind(&begun.peer, begun.path),
            course: &begun.course,
            at: None,
        };
        let next = Id(self.next);
        let answered = begun.course.answered.is_some();
        let sweep = self.sweep;
        let process = self.process(begun.pid);
        process.is(begun.role, begun.begun);
        if process.is_quiet() {
            return;
        }
        let room = process.open.len() < OPEN;
        let mut steps = Vec::new();
        match process.open.get_mut(&(begun.conn, begun.begun)) {
            Some(shown) => {
                shown.sweep = sweep;
                if answered && !std::mem::replace(&mut shown.answered, true) {
                    answer(&known, shown.id, &mut steps);
                }
            }
            None if room => {
                let shown = Shown { id: next, role: begun.role, answered, sweep };
                process.open.insert((begun.conn, begun.begun), shown);
                begin(&known, next, &mut steps);
                answer(&known, next, &mut steps);
            }
            None => {}
        }
        self.push(begun.pid, steps);
    }

    fn process(&mut self, pid: Pid) -> &mut Process {
        self.next += 1;
        self.processes
            .entry(pid)
            .or_insert_with(|| Process { machine: Machine::new(self.slices), ..Process::default() })
    }

    fn push(&mut self, pid: Pid, steps: Vec<Event>) {
        let Self { processes, waiting, until, lost, .. } = self;
        let Some(process) = processes.get_mut(&pid) else { return };
        for step in steps {
            if step.time <= *until && step.step != Step::Over {
                // What was said of the time around it may be wrong: nothing open there is linked.
                *lost += 1;
                process.machine.doubt();
                continue;
            }
            *waiting += 1;
            process.used = process.used.max(step.time);
            process.steps.push(step);
        }
        if self.waiting > STEPS {
            self.lost += self.waiting as u64;
            self.waiting = 0;
            self.processes.clear();
        }
    }

    /// Asks which processes have goroutines; again where another program runs since.
    pub(super) fn learn(&mut self, window: &Window, processes: &mut dyn Processes) {
        self.gather(window);
        for (pid, process) in self.processes.iter_mut().filter(|(_, process)| !process.is_quiet()) {
            if process.entity == process.asked {
                continue;
            }
            process.asked = process.entity;
            let routines = processes.has_goroutines(*pid, process.used);
            if routines != process.machine.routines {
                process.machine = Machine::new(self.slices);
                process.machine.routines = routines;
            }
        }
    }

    /// Every step before `until` has come.
    pub(super) fn complete(&mut self, until: Timestamp, window: &Window) {
        self.gather(window);
        let first = window.first();
        let Self { processes, waiting, parents, children, missing, .. } = self;
        self.until = self.until.max(until);
        self.sweep += 1;
        let (until, sweep) = (self.until, self.sweep);
        for process in processes.values_mut() {
            process.forget(sweep, until);
            process.steps.sort_unstable_by_key(|step| (step.time, step.id, step.step));
            let ready = process.steps.partition_point(|step| step.time <= until);
            *waiting = waiting.saturating_sub(ready);
            let machine = &mut process.machine;
            for step in process.steps.drain(..ready) {
                machine.step(&step);
            }
            machine.settle(until, first);
            for (child, parent, by) in machine.links.drain(..) {
                if child < first || parent < first {
                    continue;
                }
                missing.remove(&child);
                parents.insert(child, (parent, by));
                children.entry(parent).or_default().push(child);
            }
            missing.extend(machine.missing.drain(..));
        }
        missing.retain(|at, _| *at >= first);
        let quiet = if processes.len() > PROCESSES { Nanos(0) } else { QUIET };
        processes.retain(|_, process| {
            let lasts = if process.is_quiet() { quiet } else { REMEMBERED };
            !process.steps.is_empty() || until.since(process.used) < lasts
        });
    }

    /// The request that a call of this process was made for.
    pub(super) fn parent(&self, child: At, pid: Pid) -> Result<(At, By), Missing> {
        if let Some(parent) = self.parents.get(&child) {
            return Ok(*parent);
        }
        if let Some(missing) = self.missing.get(&child) {
            return Err(*missing);
        }
        // Who serves nobody asks for itself.
        let idle = self.processes.get(&pid).is_none_or(Process::is_quiet);
        Err(if idle && self.has_seen(child) { Missing::Idle } else { Missing::Unsettled })
    }

    /// The calls that were made for a request.
    pub(super) fn children(&self, parent: At) -> &[At] {
        self.children.get(&parent).map_or(&[], Vec::as_slice)
    }

    /// One has left the window.
    pub(super) fn remove(&mut self, at: At) {
        if self.missing.is_empty() && self.children.is_empty() && self.parents.is_empty() {
            return;
        }
        self.missing.remove(&at);
        self.children.remove(&at);
        if let Some((parent, _)) = self.parents.remove(&at)
            && let Some(children) = self.children.get_mut(&parent)
        {
            children.retain(|child| *child != at);
            if children.is_empty() {
                self.children.remove(&parent);
            }
        }
    }

    /// Steps that were given up, or came too late.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }
}

impl Process {
    /// It was seen in this role.
    fn is(&mut self, role: Role, now: Timestamp) {
        self.used = self.used.max(now);
        if let Some(known) = self.roles.get_mut(usize::from(role == Role::Client)) {
            *known = true;
        }
    }

    /// Who serves nobody, or asks nobody, has nothing to link.
    fn is_quiet(&self) -> bool {
        self.roles != [true; 2]
    }

    /// What was open and is no longer shown, nor was told to be over, is taken to be.
    fn forget(&mut self, sweep: u64, until: Timestamp) {
        let Self { open, machine, .. } = self;
        open.retain(|_, shown| {
            let shows = shown.sweep + GONE > sweep;
            if !shows {
                machine.over(shown.id, shown.role, until);
            }
            shows
        });
    }
}

/// Which calls are alike: to the same place, for paths that differ where there are digits.
fn kind(peer: &Peer, path: &str) -> Kind {
    let mut hasher = DefaultHasher::new();
    for part in path.split('/') {
        if part.bytes().any(|b| b.is_ascii_digit()) { "0" } else { part }.hash(&mut hasher);
    }
    (peer.address, peer.port, hasher.finish())
}

fn event(known: &Known<'_>, id: Id, step: Step) -> Event {
    Event {
        time: known.begun,
        id,
        role: known.role,
        step,
        tid: 0,
        routine: 0,
        taken: Timestamp::default(),
        conn: known.conn,
        stretch: 0,
        waits: known.course.steps.waits,
        opened: known.course.steps.opened.map_or(0, |opened| opened.by),
        kind: known.kind,
        at: known.at,
    }
}

fn begin(known: &Known<'_>, id: Id, steps: &mut Vec<Event>) {
    let course = known.course;
    if let Some(opened) = course.steps.opened {
        let event = event(known, id, Step::Opened);
        let stretch = opened.stretch;
        steps.push(Event { time: opened.at, tid: opened.by, stretch, ..event });
    }
    let event = event(known, id, Step::Asked);
    let (tid, routine, stretch) = (course.asked_by, course.routine, course.steps.asked);
    steps.push(Event { tid, routine, stretch, taken: course.taken, ..event });
}

fn answer(known: &Known<'_>, id: Id, steps: &mut Vec<Event>) {
    let course = known.course;
    if let Some(time) = course.answered {
        let event = event(known, id, Step::Answered);
        let stretch = course.steps.answered;
        let routine = if course.same { course.routine } else { 0 };
        steps.push(Event { time, tid: course.answered_by, routine, stretch, ..event });
    }
}
