//! The family `locks`: how long threads wait for futexes. Off by default: it keeps as much again of
//! every thread as the others do together.

use agent_common::schedule::Cause;

use super::threads::{Shared, Sum, add_waits};
use super::{Family, Labels, Owner, Probe, Reason, Sink, Tables};
use crate::host::{Anchor, HostRoot};
use crate::metric::instrument::locks::STETH_FUTEX_WAIT;

/// Reads the family.
#[derive(Debug)]
pub struct Locks {
    threads: Shared,
    none: Labels,
}

impl Locks {
    /// Shares `threads` with the families that tell other parts of it.
    pub fn new(threads: &Shared) -> Self {
        Self { threads: threads.clone(), none: Labels::from([]) }
    }
}

impl Probe for Locks {
    fn family(&self) -> Family {
        Family::Locks
    }

    fn between(&mut self, tables: &mut dyn Tables) {
        self.threads.relieve(tables);
    }

    fn collect(
        &mut self,
        host: &HostRoot,
        tables: &mut dyn Tables,
        _: &Anchor,
        into: &mut Sink,
    ) -> Result<(), Reason> {
        let Self { threads, none } = self;
        threads.tell(Family::Locks, host, tables, |owner: &Owner, sum: &Sum| {
            let [_, _, locks, ..] = sum.off;
            const { assert!(Cause::Lock as usize == 2) };
            add_waits(into, owner, &STETH_FUTEX_WAIT, none, &sum.futexes, locks);
        })
    }
}
