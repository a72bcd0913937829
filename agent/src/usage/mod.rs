//! USE: what the host, its control groups and its processes use, wait for and fail at.
//!
//! A [`Probe`] a family reads files of the host and tables of the kernel side into a [`Sink`]; the
//! runtime's collector runs them on a thread of its own and hands the [`Reading`] to the pipeline, where
//! the [`Book`](book::Book) binds owners to resources and keeps what counters need to be kept. Adding a
//! family is one folder here, one file under `metric/instrument`, and one line in [`probes`].

pub mod book;
pub mod conntrack;
pub mod container;
pub mod cpu;
pub mod disk;
pub mod events;
pub mod family;
pub mod filesystem;
#[cfg(test)]
mod hostile;
pub mod locks;
pub mod memory;
pub mod network;
pub mod offcpu;
pub mod owners;
pub mod pressure;
pub mod process;
pub mod reading;
pub mod scheduler;
mod sheet;
pub mod sockets;
pub mod tcp;
pub mod threads;
mod wrap;

use events::With;
pub use family::{Families, Family};
pub use reading::{
    Amount, CgroupId, Collected, Labels, Lack, Outcome, Owner, ProcKey, Reading, Reason, Sample,
    Sink,
};

use crate::host::{Anchor, HostRoot};

/// Reads one family. Everything it needs to remember between two rounds it keeps itself.
pub trait Probe: Send {
    /// Which family it is; at most one probe a family.
    fn family(&self) -> Family;

    /// These processes are told by themselves: worth reading more of than of others.
    fn want(&mut self, _processes: &[ProcKey]) {}

    /// Called a few times a second between rounds: takes what would overflow until the next.
    fn between(&mut self, _tables: &mut dyn Tables) {}

    /// Reads everything once. What was put into the sink counts even if the outcome is an error: a
    /// part that is missing is told by [`Sink::lacks`], a family that gives nothing by `Err`. A file
    /// or a process that vanishes meanwhile is a sample less and nothing else.
    fn collect(
        &mut self,
        host: &HostRoot,
        tables: &mut dyn Tables,
        now: &Anchor,
        into: &mut Sink,
    ) -> Result<(), Reason>;
}

/// A table that the kernel side fills, by the name of its map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Table(pub &'static str);

/// The seam to tables that the kernel side aggregates into: in `kernel` live, rows in a list in tests.
pub trait Tables {
    /// Every row in use: the key's bytes and the value's, of the types that both sides share. A
    /// per-CPU table gives a row once for each CPU.
    fn rows(&mut self, table: Table, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Reason>;

    /// Writes a row.
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), Reason>;

    /// Removes a row, if it is there.
    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), Reason>;
}

/// No kernel side: everything that needs one says so.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTables;

impl NoTables {
    fn reason() -> Reason {
        Reason::Disabled("there is no kernel side".into())
    }
}

impl Tables for NoTables {
    fn rows(&mut self, _: Table, _: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Reason> {
        Err(Self::reason())
    }

    fn put(&mut self, _: Table, _: &[u8], _: &[u8]) -> Result<(), Reason> {
        Err(Self::reason())
    }

    fn remove(&mut self, _: Table, _: &[u8]) -> Result<(), Reason> {
        Err(Self::reason())
    }
}

/// The probes of these families, in the order they are read.
pub fn probes(families: Families) -> Vec<Box<dyn Probe>> {
    let threads = threads::Shared::default();
    let on = Family::ALL.into_iter().filter(|family| families.has(*family));
    on.map(|family| probe(family, &threads)).collect()
}

fn probe(family: Family, threads: &threads::Shared) -> Box<dyn Probe> {
    match family {
        Family::Cpu => Box::<cpu::Cpu>::default(),
        Family::Process => Box::<process::Processes>::default(),
        Family::Scheduler => Box::new(scheduler::Scheduler::new(threads)),
        Family::OffCpu => Box::new(offcpu::OffCpu::new(threads)),
        Family::Locks => Box::new(locks::Locks::new(threads)),
        Family::Memory => {
            Box::new(With::new(memory::Memory::default(), events::Reclaim::default()))
        }
        Family::Disk => Box::new(With::new(disk::Disk::default(), events::Block::default())),
        Family::Filesystem => Box::<filesystem::Filesystem>::default(),
        Family::Network => {
            Box::new(With::new(network::Network::default(), events::Drops::default()))
        }
        Family::Tcp => Box::new(With::new(tcp::Tcp::default(), events::Tcp::default())),
        Family::Sockets => Box::<sockets::Sockets>::default(),
        Family::Pressure => Box::<pressure::Pressure>::default(),
        Family::Conntrack => Box::<conntrack::Conntrack>::default(),
        Family::Container => Box::<container::Container>::default(),
    }
}
