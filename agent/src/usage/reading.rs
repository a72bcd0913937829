//! What a round of collecting gives: plain values with their owners, not bound to anything yet.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::Family;
use crate::event::{Nanos, Pid};
use crate::host::{Anchor, Ticks};
use crate::metric::histogram::Histogram;
use crate::metric::instrument::Instrument;
use crate::metric::snapshot::{Attribute, Number};

/// A process, told apart from others that had or will have its id. In ticks because that is all that
/// `/proc` tells: what knows nanoseconds of the boot-time clock makes it with [`ProcKey::of_boot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcKey {
    /// Its id (of the thread group).
    pub pid: Pid,
    /// When it began.
    pub started: Ticks,
}

impl ProcKey {
    /// From what the kernel side knows (`start_boottime`).
    pub fn of_boot(pid: Pid, started: Nanos) -> Self {
        Self { pid, started: Ticks::of_boot(started) }
    }
}

/// A control group as the kernel side knows it: its inode in the unified hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CgroupId(pub u64);

/// Whose a sample is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The host's.
    Host,
    /// A control group's, by its path below the root of the hierarchy (`/system.slice/a.service`).
    Cgroup(Arc<str>),
    /// A control group's of which only the id is known. Counts once [`Sink::name_cgroup`] has told
    /// its path, be it another family that told it; until then it is counted as unbound.
    CgroupId(CgroupId),
    /// A process's.
    Process(ProcKey),
}

/// What was read of one series. Whole numbers are in the instrument's inner unit (nanoseconds where
/// it scales), fractions in its exported unit.
#[derive(Clone, Debug, PartialEq)]
pub enum Amount {
    /// A counter as its source has it, counted since the owner began: the host since boot, a process
    /// since its start. Of a control group it is not known since when. A source that falls back
    /// (wrap, reset) begins anew and is never told as a decrease.
    Total(Number),
    /// What was counted since the last round (a table of the kernel that was compared or emptied).
    Add(Number),
    /// What is, for gauges and up-down-counters.
    Now(Number),
    /// What was recorded since the last round.
    AddHistogram(Box<Histogram>),
}

impl Amount {
    /// A whole total.
    pub fn total(value: u64) -> Self {
        Self::Total(int(value))
    }

    /// A whole addition.
    pub fn add(value: u64) -> Self {
        Self::Add(int(value))
    }

    /// A whole state.
    pub fn now(value: u64) -> Self {
        Self::Now(int(value))
    }
}

fn int(value: u64) -> Number {
    Number::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

/// The attributes of a series, in the order of their keys. Make them once and clone them: the book
/// finds a series faster by the same allocation.
pub type Labels = Arc<[Attribute]>;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Whose.
    pub owner: Owner,
    /// Of what.
    pub instrument: &'static Instrument,
    /// By which attributes.
    pub labels: Labels,
    /// How much.
    pub amount: Amount,
}

/// Why something cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is not there on this host: nothing is broken.
    Disabled(Cow<'static, str>),
    /// It should be there and cannot be read.
    Failed(Cow<'static, str>),
}

impl Reason {
    /// In words.
    pub fn why(&self) -> &str {
        let (Self::Disabled(why) | Self::Failed(why)) = self;
        why
    }
}

/// A part of a family that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// What (`thermal throttling`).
    pub part: &'static str,
    /// Why.
    pub reason: Reason,
}

/// What came of a family.
pub type Outcome = Result<(), Reason>;

/// Where a probe puts what it reads.
#[derive(Debug, Default)]
pub struct Sink {
    pub(crate) samples: Vec<Sample>,
    pub(crate) lacks: Vec<Lack>,
    pub(crate) cgroups: HashMap<CgroupId, Arc<str>>,
    pub(crate) living: Option<Vec<ProcKey>>,
}

impl Sink {
    /// A value.
    pub fn put(
        &mut self,
        owner: &Owner,
        instrument: &'static Instrument,
        labels: &Labels,
        amount: Amount,
    ) {
        let (owner, labels) = (owner.clone(), Arc::clone(labels));
        self.samples.push(Sample { owner, instrument, labels, amount });
    }

    /// A part is missing; told in `/status` and by `steth check`, once each, while it is so.
    pub fn lacks(&mut self, part: &'static str, reason: Reason) {
        self.lacks.push(Lack { part, reason });
    }

    /// The path of a control group of which others may know the id alone.
    pub fn name_cgroup(&mut self, id: CgroupId, path: &Arc<str>) {
        self.cgroups.insert(id, Arc::clone(path));
    }

    /// Every process there is: all that are not among them have ended.
    pub fn living(&mut self, processes: Vec<ProcKey>) {
        self.living = Some(processes);
    }

    /// What is missing.
    pub fn missing(&self) -> &[Lack] {
        &self.lacks
    }

    /// What was put so far.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }
}

/// What a probe gave in a round.
#[derive(Debug)]
pub struct Collected {
    /// Which family.
    pub family: Family,
    /// Whether it could be read.
    pub outcome: Outcome,
    /// What it put.
    pub sink: Sink,
    /// What reading it cost of the collector's processor time.
    pub cost: Nanos,
}

/// Everything that was read in one round.
#[derive(Debug, Default)]
pub struct Reading {
    /// When.
    pub at: Anchor,
    /// By family.
    pub families: Vec<Collected>,
}
