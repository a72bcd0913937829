//! The kernel side once it runs: the rings, the counters, verdicts, sweeps.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use agent_common::{
    counter::{COUNTERS, Counter},
    limit::verdict_place,
    record::End,
};
use aya::{
    Ebpf,
    maps::{Array, HashMap, MapData, PerCpuArray},
    programs::Program,
    sys::{Stats, enable_stats},
};

use super::{
    debug::Debug,
    hosts::{self, Hosts},
    load::{Error, Options, Tier},
    probe::{ALL, Report, SPARE},
    rings::{Conns, Rings},
    sweep::Sweep,
    usage_tables::UsageTables,
};
use crate::event::{ConnId, Pid};

/// What is wanted of a connection from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Verdict {
    /// Segments, for the heads.
    Follow = 2,
    /// Segments, in full.
    Full = 3,
    /// Nothing any more.
    Off = 4,
}

/// What a program has cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramCost {
    /// Its name.
    pub name: String,
    /// Time in it.
    pub time: Duration,
    /// How often it ran.
    pub runs: u64,
}

/// The kernel side, loaded and attached; detaches when dropped.
pub struct Kernel {
    // Holds the programs and their links.
    bpf: Ebpf,
    // While it is held, the kernel counts the programs' runs and time.
    statistics: Option<OwnedFd>,
    rings: Rings,
    counts: PerCpuArray<MapData, u64>,
    verdicts: Array<MapData, u64>,
    processes: HashMap<MapData, u32, u8>,
    since: Array<MapData, u64>,
    sweep: Option<Sweep>,
    debug: Option<Debug>,
    tables: Option<UsageTables>,
    hosts: Option<Hosts>,
    /// Which tier captures.
    pub tier: Tier,
    /// Every probe's state.
    pub reports: Vec<Report>,
}

impl Kernel {
    pub(super) fn new(
        mut bpf: Ebpf,
        tier: Tier,
        reports: Vec<Report>,
        sweep: Option<Sweep>,
        debug: Option<Debug>,
        rings: Conns,
        options: &Options,
    ) -> Result<Self, Error> {
        let rings = Rings::of(&mut bpf, rings)?;
        let mut take = |name| bpf.take_map(name).ok_or(Error::Map(name));
        let used = |name: &'static str| move |e| Error::MapUse(name, Box::new(e));
        let counts = PerCpuArray::try_from(take("COUNTS")?).map_err(used("COUNTS"))?;
        let verdicts = Array::try_from(take("VERDICTS")?).map_err(used("VERDICTS"))?;
        let processes = HashMap::try_from(take("PROCESSES")?).map_err(used("PROCESSES"))?;
        let since = Array::try_from(take("SWEEP_SINCE")?).map_err(used("SWEEP_SINCE"))?;
        let mut ports: Array<MapData, u64> =
            Array::try_from(take("PORTS")?).map_err(used("PORTS"))?;
        for port in &options.ports {
            let place = u32::from(port >> 6);
            let bits = ports.get(&place, 0).map_err(used("PORTS"))? | 1 << (port & 63);
            ports.set(place, bits, 0).map_err(used("PORTS"))?;
        }
        Ok(Self {
            bpf,
            statistics: None,
            rings,
            counts,
            verdicts,
            processes,
            since,
            sweep,
            debug,
            tables: None,
            hosts: None,
            tier,
            reports,
        })
    }

    /// Keeps the tables of USE until the collector takes them.
    pub(crate) fn keep_tables(&mut self, tables: UsageTables) {
        self.tables = Some(tables);
    }

    /// Keeps what writes traces into TCP options.
    pub(super) fn keep_hosts(&mut self, hosts: Option<Hosts>) {
        self.hosts = hosts;
    }

    /// Looks whether segments that carry a trace get through, and ends that where they do not. Gives why, once.
    pub fn judge_paths(&mut self) -> Option<String> {
        self.hosts.as_ref()?;
        let counts = self.counts();
        let why = self.hosts.as_mut()?.judge(&counts)?;
        hosts::stopped(&mut self.reports, why.clone());
        Some(why)
    }

    /// The tables of USE, for the collector; once.
    pub fn take_tables(&mut self) -> Option<UsageTables> {
        self.tables.take()
    }

    /// Becomes readable when the kernel side asks to be read at once.
    pub fn wakes(&self) -> BorrowedFd<'_> {
        self.rings.wakes()
    }

    /// Bytes of all rings.
    pub fn ring_bytes(&self) -> u64 {
        self.rings.bytes()
    }

    /// Hands over about `most` records, those of one connection in the order they were written; gives
    /// how many there were. `now` reads the monotonic clock.
    pub fn drain(&mut self, most: usize, now: impl Fn() -> u64, each: impl FnMut(&[u8])) -> usize {
        if let Some(debug) = &mut self.debug {
            debug.pass_on();
        }
        self.rings.drain(most, now, each)
    }

    /// Whether the kernel still lets this process do what it does from here on: look into a map, write to one, run an
    /// iterator, ask what a program has cost.
    pub fn answers(&mut self) -> std::io::Result<()> {
        let other = std::io::Error::other::<aya::maps::MapError>;
        self.counts.get(&0, 0).map_err(other)?;
        self.since.set(0, 0, 0).map_err(other)?;
        let loaded = self.bpf.programs().find(|(_, program)| program.fd().is_ok());
        loaded.map_or(Ok(()), |(_, program)| {
            program.info().map(drop).map_err(std::io::Error::other)
        })?;
        self.sweep.as_ref().map_or(Ok(()), Sweep::answers)
    }

    /// Has the kernel count what its programs cost, which itself costs a little with each run.
    pub fn count_cost(&mut self) -> std::io::Result<()> {
        self.statistics = Some(enable_stats(Stats::RunTime).map_err(std::io::Error::other)?);
        Ok(())
    }

    /// What each program has cost since that was asked for; nothing if it was not.
    pub fn programs(&self) -> Vec<ProgramCost> {
        if self.statistics.is_none() {
            return Vec::new();
        }
        let cost = |(name, program): (&str, &Program)| {
            let info = program.info().ok()?;
            Some(ProgramCost {
                name: name.to_owned(),
                time: info.run_time(),
                runs: info.run_count(),
            })
        };
        self.bpf.programs().filter_map(cost).collect()
    }

    /// Runs of programs that the kernel left out because another task stood in the same program on that
    /// CPU. Where a hook has a spare program, a call went by only if that one was left out as well.
    pub fn left_out(&self) -> u64 {
        let misses = |name: &str| left_out_of(self.bpf.program(name)?);
        let firsts = ALL.iter().filter(|probe| !probe.program.ends_with(SPARE));
        firsts
            .filter_map(|probe| {
                let first = misses(probe.program)?;
                let spare = misses(&format!("{}{SPARE}", probe.program));
                Some(spare.map_or(first, |spare| spare.min(first)))
            })
            .sum()
    }

    /// Bytes that waited in the rings when they were last drained.
    pub fn waiting(&self) -> u64 {
        self.rings.waited()
    }

    /// Every counter of the kernel side, summed over the CPUs.
    pub fn counts(&self) -> [u64; COUNTERS as usize] {
        let mut sums = [0; COUNTERS as usize];
        for (sum, counter) in sums.iter_mut().zip(Counter::ALL) {
            if let Ok(values) = self.counts.get(&(counter as u32), 0) {
                *sum = values.iter().sum();
            }
        }
        sums
    }

    /// Says what is wanted of a connection; taken up at its next turn.
    pub fn judge(&mut self, conn: ConnId, verdict: Verdict) {
        let _ = self.verdicts.set(verdict_place(conn.0), conn.0 << 8 | verdict as u64, 0);
    }

    /// Leaves a process out from now on.
    pub fn leave_out(&mut self, pid: Pid) {
        let _ = self.processes.insert(pid.0, 1, 0);
    }

    /// The process is gone; its number may come again.
    pub fn forget(&mut self, pid: Pid) {
        let _ = self.processes.remove(&pid.0);
    }

    /// Reads the state of all sockets; those that have not moved since `since` without their heads.
    /// False if this kernel cannot.
    pub fn sweep(&mut self, since: u64, mut each: impl FnMut(&[u8])) -> std::io::Result<bool> {
        let Some(sweep) = &mut self.sweep else { return Ok(false) };
        let _ = self.since.set(0, since, 0);
        sweep.rows(|row| {
            mark(row);
            each(row);
        })?;
        Ok(true)
    }
}

/// A row of a sweep is the state as it stood: says so, and that no heads came with a bare one.
fn mark(row: &mut [u8]) {
    let bare = row.len() == size_of::<agent_common::record::Pair>();
    let Ok((pair, _)) = <agent_common::record::Pair as zerocopy::FromBytes>::mut_from_prefix(row)
    else {
        return;
    };
    if pair.kind == agent_common::record::Kind::Pair as u8 {
        pair.end = End::Swept as u8;
        if bare {
            pair.ask_head = 0;
            pair.answer_head = 0;
        }
    }
}

/// What the kernel (5.12) says of a loaded program; nothing if it is not loaded.
fn left_out_of(program: &Program) -> Option<u64> {
    let fd = program.fd().ok()?.as_fd().as_raw_fd();
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
    let misses = text.lines().find_map(|line| line.strip_prefix("recursion_misses:"))?;
    misses.trim().parse().ok()
}
