//! From totals of threads to what has come since.

use std::collections::HashMap;
use std::sync::Arc;

use agent_common::schedule::{LockedRow, Stints, ThreadHead, ThreadRow, WAIT_BUCKETS};
use zerocopy::FromBytes;

use super::{Sum, Sums};
use crate::event::{Nanos, Pid};
use crate::host::{Cgroup, HostRoot};
use crate::usage::{CgroupId, ProcKey};

/// Threads that are kept at most; what is beyond is not counted.
const THREADS: usize = 1 << 18;
/// Control groups of version 1 whose path is kept.
const PATHS: usize = 4096;
/// Bytes of `/proc/PID/cgroup`.
const FILE: usize = 16 << 10;
/// The root of a hierarchy.
const ROOT: u64 = 1;

/// What was last told of each thread, and what has come since the last close.
#[derive(Debug, Default)]
pub struct Ledger {
    threads: HashMap<Thread, Box<Kept>>,
    round: u32,
    /// Every thread there is was told this round.
    everyone: bool,
    sums: Sums,
    /// Groups of version 1 by id, with a process in each, to be looked up when the round is closed.
    unnamed: HashMap<u64, (Pid, Box<Sum>)>,
    paths: HashMap<u64, Arc<str>>,
}

/// A thread, whatever becomes of its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Thread {
    number: u32,
    born: u64,
}

#[derive(Debug)]
struct Kept {
    round: u32,
    head: [u64; 4],
    stints: Stints,
    futexes: [u32; WAIT_BUCKETS],
}

impl Ledger {
    /// A round begins.
    pub fn begin(&mut self) {
        self.round = self.round.wrapping_add(1);
        self.everyone = false;
    }

    /// Takes a row of the kernel side; what is no row is left out.
    pub fn take(&mut self, key: &[u8], bytes: &[u8]) {
        let (row, futexes) = match LockedRow::read_from_bytes(bytes) {
            Ok(locked) => (locked.row, locked.futexes.waits),
            Err(_) => match ThreadRow::read_from_bytes(bytes) {
                Ok(row) => (row, [0; WAIT_BUCKETS]),
                Err(_) => return,
            },
        };
        self.everyone |= key == [1];
        let ThreadRow { head, stints } = row;
        let thread = Thread { number: stints.thread, born: stints.born };
        let now = totals(&head);
        let round = self.round;
        let more = if head.ended != 0 {
            let kept = self.threads.remove(&thread);
            kept.map_or_else(
                || since(&now, &stints, &futexes, &stints.before, None),
                |kept| since(&now, &stints, &futexes, &kept.head, Some(&kept)),
            )
        } else if let Some(kept) = self.threads.get_mut(&thread) {
            let more = since(&now, &stints, &futexes, &kept.head, Some(kept));
            **kept = Kept { round, head: now, stints, futexes };
            more
        } else if self.threads.len() < THREADS {
            self.threads.insert(thread, Box::new(Kept { round, head: now, stints, futexes }));
            since(&now, &stints, &futexes, &stints.before, None)
        } else {
            return;
        };
        self.count(&head, &stints, &more);
    }

    fn count(&mut self, head: &ThreadHead, stints: &Stints, more: &Sum) {
        self.sums.host.merge(more);
        if head.kernel != 0 {
            return;
        }
        let pid = Pid(head.tgid);
        let process = ProcKey::of_boot(pid, Nanos(stints.started));
        self.sums.processes.entry(process).or_default().merge(more);
        if head.group > ROOT {
            self.sums.groups.entry(CgroupId(head.group)).or_default().merge(more);
        } else if head.group_v1 > ROOT {
            let entry = self.unnamed.entry(head.group_v1);
            let (looked_at, sum) = entry.or_insert_with(|| (pid, Box::default()));
            // One that lives is one that can be looked at.
            if head.ended == 0 {
                *looked_at = pid;
            }
            sum.merge(more);
        }
    }

    /// The round has been read: what has come since the last.
    pub fn close(&mut self, host: &HostRoot) -> Sums {
        if self.everyone {
            let round = self.round;
            self.threads.retain(|_, kept| kept.round == round);
        }
        let Self { sums, unnamed, paths, .. } = self;
        for (id, (pid, sum)) in unnamed.drain() {
            let path = paths.get(&id).cloned().or_else(|| path(host, pid));
            // A group that nobody of is left to be asked is known by the host's sum alone.
            let Some(path) = path else { continue };
            if paths.len() < PATHS {
                paths.insert(id, Arc::clone(&path));
            }
            sums.paths.entry(path).or_default().merge(&sum);
        }
        std::mem::take(sums)
    }
}

/// The path of the control group that process `pid` is in.
fn path(host: &HostRoot, pid: Pid) -> Option<Arc<str>> {
    let content = host.read(format!("proc/{}/cgroup", pid.0), FILE).ok()?;
    let path = Cgroup::parse(&content.bytes).path;
    (path.len() > 1).then(|| path.into())
}

fn totals(head: &ThreadHead) -> [u64; 4] {
    [head.delay, head.voluntary, head.involuntary, head.migrations]
}

/// What has come since `before`. Nothing is ever taken away: a row that was read while the kernel wrote
/// it, and one of a thread that is not the one it seems, give zero instead.
fn since(
    now: &[u64; 4],
    stints: &Stints,
    futexes: &[u32; WAIT_BUCKETS],
    before: &[u64; 4],
    kept: Option<&Kept>,
) -> Sum {
    let mut sum = Sum::default();
    let grown = |of: usize| {
        let (now, before) = (now.get(of).copied(), before.get(of).copied());
        now.unwrap_or(0).saturating_sub(before.unwrap_or(0))
    };
    sum.delay = grown(0);
    sum.voluntary = grown(1);
    sum.involuntary = grown(2);
    sum.migrations = grown(3);
    let old = kept.map(|kept| &kept.stints);
    sum.quota = stints.quota.saturating_sub(old.map_or(0, |old| old.quota));
    grow(&mut sum.off, &stints.off, old.map(|old| &old.off), u64::saturating_sub);
    grow(&mut sum.taken, &stints.taken, old.map(|old| &old.taken), counted);
    grow(&mut sum.waits, &stints.waits, old.map(|old| &old.waits), counted);
    grow(&mut sum.futexes, futexes, kept.map(|kept| &kept.futexes), counted);
    sum
}

fn grow<T: Copy + Default, const N: usize>(
    to: &mut [u64; N],
    now: &[T; N],
    before: Option<&[T; N]>,
    difference: impl Fn(T, T) -> u64,
) {
    let before = before.copied().unwrap_or([T::default(); N]);
    for ((to, now), before) in to.iter_mut().zip(now).zip(before) {
        *to = difference(*now, before);
    }
}

/// The kernel side counts in 32 bits, which come around.
fn counted(now: u32, before: u32) -> u64 {
    let more = now.wrapping_sub(before);
    if more > u32::MAX / 2 { 0 } else { u64::from(more) }
}
