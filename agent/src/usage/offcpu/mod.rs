//! The family `offcpu`: what threads wait for when they do not run.
//!
//! A wait is told once it is over and the thread has run: one that waits for an hour is silent for an
//! hour. Causes are told apart by what the kernel knows for sure (waiting for a device) and else by the
//! system call that waits; of 32-bit programs the call is not known.

use agent_common::schedule::{CAUSES, Cause};

use super::threads::{Shared, Sum, add, label};
use super::{Family, Labels, Owner, Probe, Reason, Sink, Tables};
use crate::host::{Anchor, HostRoot};
use crate::metric::instrument::offcpu::STETH_OFF_CPU_TIME;
use crate::metric::key;

/// Reads the family.
#[derive(Debug)]
pub struct OffCpu {
    threads: Shared,
    labels: [Labels; CAUSES],
}

impl OffCpu {
    /// Shares `threads` with the families that tell other parts of it.
    pub fn new(threads: &Shared) -> Self {
        let cause = |cause: Cause| {
            label(
                key::STETH_OFF_CPU_CAUSE,
                match cause {
                    Cause::Disk => "disk",
                    Cause::Network => "network",
                    Cause::Lock => "lock",
                    Cause::Sleep => "sleep",
                    Cause::Other => "other",
                },
            )
        };
        Self { threads: threads.clone(), labels: Cause::ALL.map(cause) }
    }
}

impl Probe for OffCpu {
    fn family(&self) -> Family {
        Family::OffCpu
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
        let Self { threads, labels } = self;
        threads.tell(Family::OffCpu, host, tables, |owner: &Owner, sum: &Sum| {
            for (cause, time) in labels.iter().zip(sum.off) {
                add(into, owner, &STETH_OFF_CPU_TIME, cause, time);
            }
        })
    }
}
