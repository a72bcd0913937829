//! What the kernel side counts at events other than the scheduler's: requests to block devices, stalls
//! for memory, TCP connections, dropped packets.
//!
//! The kernel side adds to tables and never forgets; here each round is compared with the one before.
//! Each part belongs to a family that is also read from files: [`With`] makes one probe of both.

mod block;
mod drops;
mod ledger;
mod reclaim;
mod tcp;

pub use block::Block;
pub use drops::Drops;
pub use reclaim::Reclaim;
pub use tcp::Tcp;

use agent_common::histogram::NANOS;
use agent_common::usage::{OwnerKey, Spread};

use super::{Amount, Family, Labels, Owner, Probe, ProcKey, Reason, Sink, Tables};
use crate::event::{Nanos, Pid};
use crate::host::{Anchor, HostRoot};
use crate::metric::histogram::Histogram;
use crate::metric::instrument::Instrument;
use crate::metric::key::Key;
use crate::metric::snapshot::Value;

/// A part of a family that is read from tables.
pub trait Part: Send {
    /// Its name, for when it is missing.
    const NAME: &'static str;

    /// Reads everything once; as [`Probe::collect`].
    fn collect(&mut self, tables: &mut dyn Tables, into: &mut Sink) -> Result<(), Reason>;
}

/// A probe of files, and a part that is read from tables.
pub struct With<F, P> {
    files: F,
    part: P,
}

impl<F: Probe, P: Part> With<F, P> {
    /// Both, as one probe.
    pub fn new(files: F, part: P) -> Self {
        Self { files, part }
    }
}

impl<F: Probe, P: Part> Probe for With<F, P> {
    fn family(&self) -> Family {
        self.files.family()
    }

    fn collect(
        &mut self,
        host: &HostRoot,
        tables: &mut dyn Tables,
        now: &Anchor,
        into: &mut Sink,
    ) -> Result<(), Reason> {
        let Self { files, part } = self;
        if let Err(reason) = part.collect(tables, into) {
            into.lacks(P::NAME, reason);
        }
        files.collect(host, tables, now, into)
    }

    fn want(&mut self, processes: &[ProcKey]) {
        self.files.want(processes);
    }
}

/// Whose a row is; rows of nobody are the host's.
fn owner(key: &OwnerKey) -> Owner {
    if key.tgid == 0 {
        return Owner::Host;
    }
    Owner::Process(ProcKey::of_boot(Pid(key.tgid), Nanos(key.started)))
}

/// Text that ends with a zero, or with its room.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

fn label(key: Key, value: Value) -> Labels {
    Labels::from([(key, value)])
}

fn add(
    into: &mut Sink,
    owner: &Owner,
    instrument: &'static Instrument,
    labels: &Labels,
    more: u64,
) {
    if more != 0 {
        into.put(owner, instrument, labels, Amount::add(more));
    }
}

/// A distribution as the exporters have it: what was in a bucket is told as its middle.
fn add_spread(
    into: &mut Sink,
    owner: &Owner,
    instrument: &'static Instrument,
    labels: &Labels,
    more: &Spread,
) {
    if more.count() == 0 {
        return;
    }
    let buckets = (0..).zip(&more.counts).map(|(i, count)| (NANOS.middle(i), *count));
    let histogram = Histogram::of_buckets(instrument, buckets, more.sum);
    into.put(owner, instrument, labels, Amount::AddHistogram(Box::new(histogram)));
}

#[cfg(test)]
pub(crate) mod fake {
    //! Tables as lists of rows.

    use std::collections::HashMap;

    use zerocopy::{Immutable, IntoBytes};

    use super::super::{Reason, Table, Tables};

    /// Key and value.
    type Row = (Vec<u8>, Vec<u8>);

    /// Rows by table, and what was removed.
    #[derive(Default)]
    pub(crate) struct Fake {
        pub(crate) rows: HashMap<&'static str, Vec<Row>>,
        pub(crate) removed: Vec<(&'static str, Vec<u8>)>,
    }

    impl Fake {
        pub(crate) fn set<K, V>(&mut self, table: &'static str, rows: &[(K, V)])
        where
            K: IntoBytes + Immutable,
            V: IntoBytes + Immutable,
        {
            let rows = rows.iter().map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec()));
            self.rows.insert(table, rows.collect());
        }
    }

    impl Tables for Fake {
        fn rows(&mut self, table: Table, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Reason> {
            for (key, value) in self.rows.get(table.0).into_iter().flatten() {
                each(key, value);
            }
            Ok(())
        }

        fn put(&mut self, _: Table, _: &[u8], _: &[u8]) -> Result<(), Reason> {
            Ok(())
        }

        fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), Reason> {
            self.removed.push((table.0, key.to_vec()));
            Ok(())
        }
    }
}
