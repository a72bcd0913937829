//! What threads have gone through, added up.

use std::collections::HashMap;
use std::sync::Arc;

use agent_common::schedule::{CAUSES, TAKERS, WAIT_BUCKETS};

use crate::usage::{CgroupId, Owner, ProcKey};

/// Of one owner, between two readings. Times are nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// Time on run queues.
    pub delay: u64,
    /// The part of it that a quota accounts for.
    pub quota: u64,
    /// Switches of threads' own accord.
    pub voluntary: u64,
    /// Switches against their will.
    pub involuntary: u64,
    /// Moves to another processor.
    pub migrations: u64,
    /// Time off the processor, by cause.
    pub off: [u64; CAUSES],
    /// Pre-emptions, by taker.
    pub taken: [u64; TAKERS],
    /// Waits on run queues.
    pub waits: [u64; WAIT_BUCKETS],
    /// Waits for futexes.
    pub futexes: [u64; WAIT_BUCKETS],
}

impl Default for Sum {
    fn default() -> Self {
        Self {
            delay: 0,
            quota: 0,
            voluntary: 0,
            involuntary: 0,
            migrations: 0,
            off: [0; CAUSES],
            taken: [0; TAKERS],
            waits: [0; WAIT_BUCKETS],
            futexes: [0; WAIT_BUCKETS],
        }
    }
}

impl Sum {
    /// Adds `other`.
    pub fn merge(&mut self, other: &Self) {
        let Self { delay, quota, voluntary, involuntary, migrations, off, taken, waits, futexes } =
            self;
        *delay += other.delay;
        *quota += other.quota;
        *voluntary += other.voluntary;
        *involuntary += other.involuntary;
        *migrations += other.migrations;
        merge(off, &other.off);
        merge(taken, &other.taken);
        merge(waits, &other.waits);
        merge(futexes, &other.futexes);
    }
}

fn merge<const N: usize>(to: &mut [u64; N], more: &[u64; N]) {
    for (held, more) in to.iter_mut().zip(more) {
        *held += more;
    }
}

/// Of all owners.
#[derive(Debug, Default)]
pub struct Sums {
    pub(super) host: Sum,
    pub(super) groups: HashMap<CgroupId, Box<Sum>>,
    /// Groups of a host whose unified hierarchy is not in use, by path.
    pub(super) paths: HashMap<Arc<str>, Box<Sum>>,
    pub(super) processes: HashMap<ProcKey, Box<Sum>>,
}

impl Sums {
    /// Every owner, the host first.
    pub(super) fn each(&self, each: &mut impl FnMut(&Owner, &Sum)) {
        each(&Owner::Host, &self.host);
        for (id, sum) in &self.groups {
            each(&Owner::CgroupId(*id), sum);
        }
        for (path, sum) in &self.paths {
            each(&Owner::Cgroup(Arc::clone(path)), sum);
        }
        for (process, sum) in &self.processes {
            each(&Owner::Process(*process), sum);
        }
    }
}
