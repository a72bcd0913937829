//! What threads have gone through, by process, control group and host: the ground of the families
//! `scheduler`, `offcpu` and `locks`.
//!
//! The kernel side tells totals of each thread that has run since the last reading, and the last words
//! of those that ended ([`agent_common::schedule`]). A [`Ledger`] keeps what it was told of each thread
//! and sums the differences. A thread counts where it stands when it is told: what it did before it
//! moved to another control group is counted in the new one.

mod ledger;
mod sum;

use std::sync::{Arc, Mutex, PoisonError};

pub use ledger::Ledger;
pub use sum::{Sum, Sums};

use super::{Amount, Family, Labels, Owner, Reason, Sink, Table, Tables};
use crate::host::HostRoot;
use crate::metric::histogram::Histogram;
use crate::metric::instrument::Instrument;
use crate::metric::key::Key;
use crate::metric::snapshot::Value;
use agent_common::schedule::{WAIT_BUCKETS, WAITS};

/// Threads that have run or ended since the last reading, a row each.
const THREADS: Table = Table("THREADS");
/// Those that have ended alone.
const ENDED: Table = Table("THREADS_ENDED");

/// The ledger that the families share: in a round the first that is asked reads, and each tells its
/// part of what was read. They are all asked by one thread, so the lock is never waited for.
#[derive(Clone, Debug, Default)]
pub struct Shared(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    ledger: Ledger,
    /// What was read last, and which families have told their part of it.
    last: Sums,
    told: Vec<Family>,
}

impl Shared {
    /// Tells `family`'s part of what has come since it was last asked: `each` is called for every
    /// owner.
    pub(super) fn tell(
        &self,
        family: Family,
        host: &HostRoot,
        tables: &mut dyn Tables,
        mut each: impl FnMut(&Owner, &Sum),
    ) -> Result<(), Reason> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let State { ledger, last, told } = &mut *state;
        if told.is_empty() || told.contains(&family) {
            told.clear();
            ledger.begin();
            tables.rows(THREADS, &mut |key, row| ledger.take(key, row))?;
            *last = ledger.close(host);
        }
        told.push(family);
        last.each(&mut each);
        Ok(())
    }

    /// Takes the last words of threads, before there are too many.
    pub(super) fn relieve(&self, tables: &mut dyn Tables) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let State { ledger, .. } = &mut *state;
        // Where it cannot be read, the next round says why.
        let _ = tables.rows(ENDED, &mut |key, row| ledger.take(key, row));
    }
}

/// One label.
pub(super) fn label(key: Key, text: &'static str) -> Labels {
    Labels::from([(key, Value::Static(text))])
}

/// An addition, unless there is nothing to add.
pub(super) fn add(
    into: &mut Sink,
    owner: &Owner,
    instrument: &'static Instrument,
    labels: &Labels,
    by: u64,
) {
    if by != 0 {
        into.put(owner, instrument, labels, Amount::add(by));
    }
}

/// A distribution of waits, unless it is empty.
pub(super) fn add_waits(
    into: &mut Sink,
    owner: &Owner,
    instrument: &'static Instrument,
    labels: &Labels,
    counts: &[u64; WAIT_BUCKETS],
    sum: u64,
) {
    if sum != 0 || counts.iter().any(|n| *n != 0) {
        let buckets = (0..).map(|i| WAITS.middle(i)).zip(counts.iter().copied());
        let folded = Histogram::of_buckets(instrument, buckets, sum);
        into.put(owner, instrument, labels, Amount::AddHistogram(Box::new(folded)));
    }
}

#[cfg(test)]
mod tests;
