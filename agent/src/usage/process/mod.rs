//! The family `process`: what single processes use.
//!
//! One file of every process, `stat`, tells its processor time, memory and faults; the rest is read
//! only of the few that are told by themselves. Memory comes first: by it the book knows a thread of
//! the kernel's, which is never looked up.

mod parse;

use std::collections::HashMap;
use std::sync::Arc;

use super::{Amount, Family, Labels, Owner, Probe, ProcKey, Reason, Sink, Tables};
use crate::event::{Nanos, Pid};
use crate::host::{Anchor, HostRoot, Unread};
use crate::metric::instrument::process as instrument;
use crate::metric::key;
use crate::metric::snapshot::Value;
use parse::{Stat, State};

/// Entries of `/proc` that are looked at.
const ENTRIES: usize = 65_536;
/// Threads whose switches are read of one process.
const THREADS: usize = 64;
/// Rounds between two looks at a process's limits, which change by its own doing.
const LIMITS: u32 = 30;
/// Bytes of one file.
const FILE: usize = 4096;

/// Reads processes.
#[derive(Debug)]
pub struct Processes {
    page: u64,
    round: u32,
    wanted: HashMap<ProcKey, Option<u64>>,
    labels: Fixed,
    path: String,
    buffer: Box<[u8; FILE]>,
    /// `/proc/PID/fd` tells its number of entries (6.2 and newer).
    sized: Option<bool>,
}

#[derive(Debug)]
struct Fixed {
    none: Labels,
    user: Labels,
    system: Labels,
    minor: Labels,
    major: Labels,
    voluntary: Labels,
    involuntary: Labels,
    read: Labels,
    write: Labels,
    states: [(State, Labels); 4],
}

impl Default for Processes {
    fn default() -> Self {
        let one = |key, text| Labels::from([(key, Value::Static(text))]);
        let state = |state: State| (state, one(key::PROCESS_STATE, state.named()));
        Self {
            page: rustix::param::page_size() as u64,
            round: 0,
            wanted: HashMap::new(),
            labels: Fixed {
                none: Arc::from([]),
                user: one(key::CPU_MODE, "user"),
                system: one(key::CPU_MODE, "system"),
                minor: one(key::SYSTEM_PAGING_FAULT_TYPE, "minor"),
                major: one(key::SYSTEM_PAGING_FAULT_TYPE, "major"),
                voluntary: one(key::PROCESS_CONTEXT_SWITCH_TYPE, "voluntary"),
                involuntary: one(key::PROCESS_CONTEXT_SWITCH_TYPE, "involuntary"),
                read: one(key::DISK_IO_DIRECTION, "read"),
                write: one(key::DISK_IO_DIRECTION, "write"),
                states: State::ALL.map(state),
            },
            path: String::new(),
            buffer: Box::new([0; FILE]),
            sized: None,
        }
    }
}

impl Probe for Processes {
    fn family(&self) -> Family {
        Family::Process
    }

    fn want(&mut self, processes: &[ProcKey]) {
        let before = std::mem::take(&mut self.wanted);
        let limit = |key: &ProcKey| before.get(key).copied().flatten();
        self.wanted = processes.iter().map(|key| (*key, limit(key))).collect();
    }

    fn collect(
        &mut self,
        host: &HostRoot,
        _: &mut dyn Tables,
        now: &Anchor,
        into: &mut Sink,
    ) -> Result<(), Reason> {
        let names = host
            .names("/proc", ENTRIES)
            .map_err(|why| Reason::Failed(format!("/proc: {why:?}").into()))?;
        let pids = names.iter().filter_map(|name| name.parse().ok().map(Pid));
        let mut living = Vec::new();
        let mut states = [0u64; State::ALL.len()];
        let mut denied = 0u32;
        for pid in pids.filter(|pid| *pid != Pid(0)) {
            let stat = match self.peek(host, pid, "stat") {
                Ok(bytes) => Stat::parse(bytes),
                Err(why) => {
                    denied += u32::from(why == Unread::Denied);
                    continue;
                }
            };
            let Some(stat) = stat else { continue };
            let key = ProcKey { pid, started: stat.started };
            living.push(key);
            for (count, state) in states.iter_mut().zip(State::ALL) {
                *count += u64::from(state == stat.state);
            }
            // A zombie holds nothing; what it used stays readable until it is reaped.
            self.put_stat(key, &stat, now, into);
            if self.wanted.contains_key(&key) {
                self.put_details(key, &stat, host, into);
            }
        }
        self.round = self.round.wrapping_add(1);
        if living.is_empty() {
            return Err(Reason::Failed("/proc shows no process".into()));
        }
        if denied > 0 {
            into.lacks("all processes", Reason::Failed("/proc hides some (hidepid)".into()));
        }
        for ((_, labels), count) in self.labels.states.iter().zip(states) {
            let amount = Amount::now(count);
            into.put(&Owner::Host, &instrument::SYSTEM_PROCESS_COUNT, labels, amount);
        }
        if self.sized == Some(false) {
            let why = "before Linux 6.2 it would take listing every descriptor";
            into.lacks("descriptors in use", Reason::Disabled(why.into()));
        }
        into.living(living);
        Ok(())
    }
}

impl Processes {
    fn peek(&mut self, host: &HostRoot, pid: Pid, name: &str) -> Result<&[u8], Unread> {
        use std::fmt::Write;
        self.path.clear();
        // Writing to a string cannot fail.
        let _ = write!(self.path, "proc/{}/{name}", pid.0);
        let n = host.peek(&self.path, self.buffer.as_mut_slice())?;
        Ok(self.buffer.get(..n).unwrap_or_default())
    }

    fn put_stat(&self, key: ProcKey, stat: &Stat, now: &Anchor, into: &mut Sink) {
        let Fixed { none, user, system, minor, major, .. } = &self.labels;
        let uptime = Nanos(now.boot.0.saturating_sub(stat.started.since_boot().0));
        let owner = Owner::Process(key);
        let rss = stat.rss.saturating_mul(self.page);
        for (instrument, labels, amount) in [
            (&instrument::PROCESS_MEMORY_USAGE, none, Amount::now(rss)),
            (&instrument::PROCESS_MEMORY_VIRTUAL, none, Amount::now(stat.vsize)),
            (&instrument::PROCESS_CPU_TIME, user, Amount::total(stat.user.since_boot().0)),
            (&instrument::PROCESS_CPU_TIME, system, Amount::total(stat.system.since_boot().0)),
            (&instrument::PROCESS_PAGING_FAULTS, minor, Amount::total(stat.minor)),
            (&instrument::PROCESS_PAGING_FAULTS, major, Amount::total(stat.major)),
            (&instrument::PROCESS_THREAD_COUNT, none, Amount::now(stat.threads)),
            (&instrument::PROCESS_UPTIME, none, Amount::now(uptime.0)),
        ] {
            into.put(&owner, instrument, labels, amount);
        }
    }

    /// What takes a file each.
    fn put_details(&mut self, key: ProcKey, stat: &Stat, host: &HostRoot, into: &mut Sink) {
        let owner = Owner::Process(key);
        if let Some((voluntary, involuntary)) = self.switches(key.pid, stat.threads, host) {
            let Fixed { voluntary: by_itself, involuntary: pushed, .. } = &self.labels;
            for (labels, count) in [(by_itself, voluntary), (pushed, involuntary)] {
                let amount = Amount::total(count);
                into.put(&owner, &instrument::PROCESS_CONTEXT_SWITCHES, labels, amount);
            }
        }
        let io = self.peek(host, key.pid, "io").ok().and_then(parse::io);
        let limit = self.limit(key, host);
        let Fixed { none, read, write, .. } = &self.labels;
        if let Some((from_disk, to_disk)) = io {
            for (labels, bytes) in [(read, from_disk), (write, to_disk)] {
                into.put(&owner, &instrument::PROCESS_DISK_IO, labels, Amount::total(bytes));
            }
        }
        if let Some(limit) = limit {
            let instrument = &instrument::STETH_PROCESS_UNIX_FILE_DESCRIPTOR_LIMIT;
            into.put(&owner, instrument, none, Amount::now(limit));
        }
        if let Ok(open) = host.size(format!("proc/{}/fd", key.pid.0)) {
            // Nearly every process has one open: only where none has, the size tells nothing.
            self.sized = match (self.sized, open) {
                (_, 1..) => Some(true),
                (known, 0) => known.or(Some(false)),
            };
            if self.sized == Some(true) {
                let instrument = &instrument::PROCESS_UNIX_FILE_DESCRIPTOR_COUNT;
                into.put(&owner, instrument, &self.labels.none, Amount::now(open));
            }
        }
    }

    /// Switches of all threads that live. Those of threads that have ended are known to nobody; the
    /// sum stands still until it is beyond what it was.
    fn switches(&mut self, pid: Pid, threads: u64, host: &HostRoot) -> Option<(u64, u64)> {
        if threads <= 1 {
            return parse::switches(self.peek(host, pid, "status").ok()?);
        }
        let tasks = host.names(format!("proc/{}/task", pid.0), THREADS + 1).ok()?;
        if tasks.len() > THREADS {
            return None;
        }
        let mut sum = (0u64, 0u64);
        for task in tasks {
            let Ok(bytes) = self.peek(host, pid, &format!("task/{task}/status")) else { continue };
            let Some((voluntary, involuntary)) = parse::switches(bytes) else { continue };
            sum = (sum.0.saturating_add(voluntary), sum.1.saturating_add(involuntary));
        }
        Some(sum)
    }

    fn limit(&mut self, key: ProcKey, host: &HostRoot) -> Option<u64> {
        let known = self.wanted.get(&key).copied().flatten();
        if known.is_some() && !self.round.wrapping_add(key.pid.0).is_multiple_of(LIMITS) {
            return known;
        }
        let limit = self.peek(host, key.pid, "limits").ok().and_then(parse::descriptors);
        self.wanted.insert(key, limit);
        limit
    }
}

#[cfg(test)]
mod bench;
