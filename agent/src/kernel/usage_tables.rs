//! The tables of USE as the collector reads them: rows as bytes.

use std::collections::HashMap as Std;

use agent_common::{block, reclaim, tcp, usage::OwnerKey};
use aya::{
    Ebpf,
    maps::{Array, HashMap, MapData, MapError, PerCpuArray, PerCpuHashMap},
};

use super::{
    probe::{Report, State},
    schedule::Threads,
    sweep::Sweep,
};
use crate::usage::{Reason, Table, Tables};

/// Bytes of a row.
type Row<const N: usize> = [u8; N];

/// One table.
trait Rows: Send {
    fn rows(&mut self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), MapError>;

    fn put(&mut self, _key: &[u8], _value: &[u8]) -> Result<(), MapError> {
        Err(MapError::InvalidName { name: "not written by userspace".to_owned() })
    }

    fn remove(&mut self, _key: &[u8]) -> Result<(), MapError> {
        Err(MapError::InvalidName { name: "not written by userspace".to_owned() })
    }
}

fn bytes<const N: usize>(of: &[u8]) -> Result<[u8; N], MapError> {
    of.try_into().map_err(|_| MapError::InvalidKeySize { size: of.len(), expected: N })
}

/// Rows that vanish between two steps are left out.
fn there<T>(row: Result<T, MapError>) -> Result<Option<T>, MapError> {
    match row {
        Ok(row) => Ok(Some(row)),
        Err(MapError::KeyNotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

impl<const K: usize, const V: usize> Rows for HashMap<MapData, Row<K>, Row<V>> {
    fn rows(&mut self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), MapError> {
        for key in self.keys() {
            let Some(key) = there(key)? else { continue };
            if let Some(row) = there(self.get(&key, 0))? {
                each(&key, &row);
            }
        }
        Ok(())
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), MapError> {
        self.insert(bytes::<K>(key)?, bytes::<V>(value)?, 0)
    }

    fn remove(&mut self, key: &[u8]) -> Result<(), MapError> {
        there(HashMap::remove(self, &bytes::<K>(key)?)).map(|_| ())
    }
}

impl<const K: usize, const V: usize> Rows for PerCpuHashMap<MapData, Row<K>, Row<V>> {
    fn rows(&mut self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), MapError> {
        for key in self.keys() {
            let Some(key) = there(key)? else { continue };
            for row in there(self.get(&key, 0))?.iter().flat_map(|rows| rows.iter()) {
                each(&key, row);
            }
        }
        Ok(())
    }

    fn remove(&mut self, key: &[u8]) -> Result<(), MapError> {
        there(PerCpuHashMap::remove(self, &bytes::<K>(key)?)).map(|_| ())
    }
}

impl<const V: usize> Rows for Array<MapData, Row<V>> {
    fn rows(&mut self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), MapError> {
        for index in 0..self.len() {
            each(&index.to_ne_bytes(), &self.get(&index, 0)?);
        }
        Ok(())
    }
}

impl<const V: usize> Rows for PerCpuArray<MapData, Row<V>> {
    fn rows(&mut self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), MapError> {
        for index in 0..self.len() {
            for row in self.get(&index, 0)?.iter() {
                each(&index.to_ne_bytes(), row);
            }
        }
        Ok(())
    }
}

const OWNER: usize = size_of::<OwnerKey>();

/// Opens a map as the type it has.
type Open = fn(aya::maps::Map) -> Result<Box<dyn Rows>, MapError>;

macro_rules! open {
    ($type:ty) => {
        |map| <$type>::try_from(map).map(|table| Box::new(table) as Box<dyn Rows>)
    };
}

/// Every table, and the program without which it says nothing.
const ALL: &[(&str, &str, Open)] = &[
    (
        "BLOCK",
        "block_complete",
        open!(PerCpuHashMap<MapData, Row<{ size_of::<block::Key>() }>, Row<{ size_of::<block::Row>() }>>),
    ),
    (
        "BLOCK_OTHER",
        "block_complete",
        open!(PerCpuArray<MapData, Row<{ size_of::<block::Row>() }>>),
    ),
    (
        "RECLAIM",
        "reclaim_end",
        open!(HashMap<MapData, Row<OWNER>, Row<{ size_of::<reclaim::Row>() }>>),
    ),
    ("RECLAIM_OTHER", "reclaim_end", open!(Array<MapData, Row<{ size_of::<reclaim::Row>() }>>)),
    (
        "VICTIMS",
        "oom_victim",
        open!(HashMap<MapData, Row<OWNER>, Row<{ size_of::<reclaim::Victim>() }>>),
    ),
    ("VICTIMS_OTHER", "oom_victim", open!(Array<MapData, Row<{ size_of::<reclaim::Victim>() }>>)),
    ("TCP", "tcp_state", open!(HashMap<MapData, Row<OWNER>, Row<{ size_of::<tcp::Row>() }>>)),
    ("TCP_OTHER", "tcp_state", open!(Array<MapData, Row<{ size_of::<tcp::Row>() }>>)),
    ("DROPS", "packet_drop", open!(PerCpuArray<MapData, Row<8>>)),
    ("HARDWARE", "memory_error", open!(PerCpuArray<MapData, Row<8>>)),
];

/// Listeners come from a sweep of all sockets, which also brings the table `TCP` up to date.
const LISTENERS: (&str, &str) = ("TCP_LISTENERS", "tcp_sweep");
/// The names of reasons to drop a packet: read once from the kernel's types.
const REASONS: (&str, &str) = ("DROP_REASONS", "packet_drop");

/// Threads that have run or ended since the last reading, see [`super::schedule`].
const THREADS: &str = "THREADS";
/// Those that have ended alone.
const THREADS_ENDED: &str = "THREADS_ENDED";

/// What the kernel side has counted, ready to be read by the collector's thread.
#[derive(Default)]
pub struct UsageTables {
    tables: Std<&'static str, Box<dyn Rows>>,
    sweeps: Std<&'static str, Sweep>,
    threads: Option<Threads>,
    reasons: Vec<Box<str>>,
    lacking: Std<&'static str, Reason>,
}

impl UsageTables {
    pub(crate) fn new(reasons: Vec<Box<str>>) -> Self {
        Self { reasons, ..Self::default() }
    }

    /// Keeps the sweep that `program` makes.
    pub(crate) fn sweep(&mut self, program: &'static str, sweep: Sweep) {
        self.sweeps.insert(program, sweep);
    }

    /// Keeps what tells of threads.
    pub(crate) fn threads(&mut self, threads: Result<Threads, Reason>) {
        match threads {
            Ok(threads) => self.threads = Some(threads),
            Err(reason) => {
                self.lacking.insert(THREADS, reason.clone());
                self.lacking.insert(THREADS_ENDED, reason);
            }
        }
    }

    /// Takes the tables of the programs that run.
    pub(crate) fn open(&mut self, bpf: &mut Ebpf, reports: &[Report]) {
        for (name, program, open) in ALL {
            let reason = match lack(reports, program) {
                Some(reason) => reason,
                None => match bpf.take_map(name).map(open) {
                    Some(Ok(table)) => {
                        self.tables.insert(name, table);
                        continue;
                    }
                    Some(Err(error)) => Reason::Failed(error.to_string().into()),
                    None => {
                        Reason::Failed("agent and kernel object are of different builds".into())
                    }
                },
            };
            self.lacking.insert(name, reason);
        }
        for (name, program) in [LISTENERS, REASONS] {
            if let Some(reason) = lack(reports, program) {
                self.lacking.insert(name, reason);
            }
        }
    }

    fn table(&mut self, table: Table) -> Result<&mut Box<dyn Rows>, Reason> {
        let Self { tables, lacking, .. } = self;
        tables.get_mut(table.0).ok_or_else(|| {
            lacking.get(table.0).cloned().unwrap_or(Reason::Disabled("no such table".into()))
        })
    }
}

/// Why `program` tells nothing, if so.
fn lack(reports: &[Report], program: &str) -> Option<Reason> {
    let report = reports.iter().find(|report| report.name == program);
    match report.map(|report| &report.state) {
        Some(State::Active) => None,
        Some(State::Disabled { why }) => Some(Reason::Disabled(why.clone().into())),
        Some(State::Failed { why }) => Some(Reason::Failed(why.clone().into())),
        None => Some(Reason::Disabled("not loaded".into())),
    }
}

fn failed(error: impl std::fmt::Display) -> Reason {
    Reason::Failed(error.to_string().into())
}

impl Tables for UsageTables {
    fn rows(&mut self, table: Table, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Reason> {
        if let Some(reason) = self.lacking.get(table.0) {
            return Err(reason.clone());
        }
        if table.0 == LISTENERS.0
            && let Some(sweep) = self.sweeps.get_mut(LISTENERS.1)
        {
            return sweep.rows(|row| each(&[], row)).map_err(failed);
        }
        if let Some(threads) = &mut self.threads {
            match table.0 {
                THREADS => return threads.rows(each).map_err(failed),
                THREADS_ENDED => {
                    threads.ended(each);
                    return Ok(());
                }
                _ => {}
            }
        }
        if table.0 == REASONS.0 {
            for (i, name) in (0u32..).zip(&self.reasons) {
                each(&i.to_ne_bytes(), name.as_bytes());
            }
            return Ok(());
        }
        self.table(table)?.rows(each).map_err(failed)
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), Reason> {
        self.table(table)?.put(key, value).map_err(failed)
    }

    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), Reason> {
        self.table(table)?.remove(key).map_err(failed)
    }
}
