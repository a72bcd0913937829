//! What the kernel side keeps of every thread's time: on the run queue, off the processor, pre-empted.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::histogram::{Layout, NANOS};

/// How waits are cut into buckets.
pub const WAITS: Layout = NANOS;
/// Buckets of a distribution of waits.
pub const WAIT_BUCKETS: usize = WAITS.len;

/// What a thread that is off the processor waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cause {
    /// A block device, or a page of a file.
    Disk = 0,
    /// A socket, or whatever `poll`, `select` and `epoll` are asked to watch.
    Network = 1,
    /// A futex: a lock, a condition, the end of a thread.
    Lock = 2,
    /// The clock.
    Sleep = 3,
    /// Anything else: a pipe, a child, a signal, the kernel's own locks.
    Other = 4,
}

/// How many causes there are.
pub const CAUSES: usize = 5;

impl Cause {
    /// All of them, in order.
    pub const ALL: [Self; CAUSES] =
        [Self::Disk, Self::Network, Self::Lock, Self::Sleep, Self::Other];
}

/// In [`Calls`]: whether the call waits for a socket is the descriptor's affair.
pub const BY_DESCRIPTOR: u8 = 5;

/// What took the processor from a thread that would have gone on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Taker {
    /// A thread of the same control group.
    Same = 0,
    /// A thread of another control group.
    Other = 1,
    /// A thread of the kernel.
    Kernel = 2,
    /// Nobody: the control group has used up its quota.
    Quota = 3,
}

/// How many takers there are.
pub const TAKERS: usize = 4;

impl Taker {
    /// All of them, in order.
    pub const ALL: [Self; TAKERS] = [Self::Same, Self::Other, Self::Kernel, Self::Quota];
}

/// What a thread has gone through since it is watched. One writer: the processor that it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Stints {
    /// `sched_info.run_delay` when it last left a processor.
    pub delay: u64,
    /// The run queue's clock at that moment, if it left to wait for something; else 0.
    pub departed: u64,
    /// How long its run queue had been held back for want of quota at that moment.
    pub held: u64,
    /// Which run queue that was.
    pub queue: u64,
    /// `nvcsw` at that moment.
    pub voluntary: u32,
    /// Switches when the last row was written.
    pub told: u32,
    /// [`Cause`] that it left for, if `departed` says so.
    pub cause: u8,
    /// Not 0: it was there before, so its first stint has a part that nobody saw.
    pub fresh: u8,
    /// Not 0: its last record is written.
    pub dead: u8,
    /// Keeps the layout free of holes.
    pub reserved: u8,
    /// Who it is whatever becomes of its number: its number when it was first seen.
    pub thread: u32,
    /// Turns of exchanges that it has begun as a server, written by the thread itself.
    pub served: u32,
    /// The same as a client.
    pub asked: u32,
    /// Time on a run queue that the quota accounts for, nanoseconds.
    pub quota: u64,
    /// Time off the processor, nanoseconds, by [`Cause`].
    pub off: [u64; CAUSES],
    /// What the kernel had counted for it before it was watched: `delay`, `voluntary`, `involuntary`
    /// and `migrations` of [`ThreadHead`]. All zero for a thread that was made since.
    pub before: [u64; 4],
    /// When it was made.
    pub born: u64,
    /// When its process was made.
    pub started: u64,
    /// Times it was taken off the processor, by [`Taker`].
    pub taken: [u32; TAKERS],
    /// Its waits on a run queue, one for each stint on a processor, by [`WAITS`].
    pub waits: [u32; WAIT_BUCKETS],
}

/// One thread as it stands: a row of a collection, and the last word of a thread that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ThreadHead {
    /// Its process.
    pub tgid: u32,
    /// Its number.
    pub pid: u32,
    /// The id of its control group in the unified hierarchy.
    pub group: u64,
    /// The same in the hierarchy of the controller `pids`, which may be another on version 1.
    pub group_v1: u64,
    /// Time on a run queue, nanoseconds, since it was made.
    pub delay: u64,
    /// Time on a processor, nanoseconds.
    pub ran: u64,
    /// Switches of its own accord.
    pub voluntary: u64,
    /// Switches against its will.
    pub involuntary: u64,
    /// Moves to another processor.
    pub migrations: u64,
    /// Not 0: this is the last word.
    pub ended: u32,
    /// Not 0: a thread of the kernel.
    pub kernel: u32,
}

/// See [`ThreadHead`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ThreadRow {
    /// What the kernel itself keeps.
    pub head: ThreadHead,
    /// What is kept beside it.
    pub stints: Stints,
}

/// A thread's waits for futexes, kept only where that is asked for; then they follow in its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Futexes {
    /// By [`WAITS`].
    pub waits: [u32; WAIT_BUCKETS],
}

/// See [`Futexes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct LockedRow {
    /// The row.
    pub row: ThreadRow,
    /// What follows.
    pub futexes: Futexes,
}

/// Where the fields stand that the scheduler's view reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ScheduleOffsets {
    /// `task_struct.pid`
    pub pid: u32,
    /// `task_struct.tgid`
    pub tgid: u32,
    /// `task_struct.flags`
    pub flags: u32,
    /// `task_struct.__state`, before 5.14 `state`
    pub state: u32,
    /// `task_struct.start_boottime`
    pub born: u32,
    /// `task_struct.group_leader`
    pub leader: u32,
    /// `task_struct.nvcsw`
    pub voluntary: u32,
    /// `task_struct.nivcsw`
    pub involuntary: u32,
    /// `task_struct.sched_info.run_delay`
    pub delay: u32,
    /// `task_struct.sched_info.last_arrival`
    pub arrival: u32,
    /// `task_struct.se.sum_exec_runtime`
    pub ran: u32,
    /// `task_struct.se.nr_migrations`
    pub migrations: u32,
    /// `task_struct.se.cfs_rq`
    pub queue: u32,
    /// `cfs_rq.rq`
    pub queue_rq: u32,
    /// `rq.clock`
    pub rq_clock: u32,
    /// `cfs_rq.throttle_count`
    pub queue_throttled: u32,
    /// `cfs_rq.throttled_clock_self_time` (6.4), else `throttled_clock_pelt_time` (5.19), else
    /// `throttled_clock_task_time`
    pub queue_held: u32,
    /// `task_struct.cgroups`
    pub groups: u32,
    /// `css_set.dfl_cgrp`
    pub groups_unified: u32,
    /// `css_set.subsys[pids_cgrp_id]`
    pub groups_pids: u32,
    /// `cgroup_subsys_state.cgroup`
    pub css_group: u32,
    /// `cgroup.kn`
    pub group_node: u32,
    /// `kernfs_node.id`
    pub node_id: u32,
    /// The byte of `task_struct.in_iowait`, a field of bits
    pub iowait: u32,
    /// Which bit of it
    pub iowait_mask: u32,
    /// `task_struct.files`
    pub files: u32,
    /// `files_struct.fdt`
    pub fdt: u32,
    /// `fdtable.fd`
    pub fd: u32,
    /// `fdtable.max_fds`
    pub max_fds: u32,
    /// `file.f_inode`
    pub file_inode: u32,
    /// `inode.i_mode`
    pub inode_mode: u32,
    /// Keeps the size a multiple of eight.
    pub reserved: u32,
}

/// What of it is wanted.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ScheduleWish {
    /// Non-zero: time off the processor by cause.
    pub off: u32,
    /// Non-zero: the distribution of waits for futexes.
    pub locks: u32,
    /// Non-zero: the programs do nothing: what is measured is the hooks.
    pub empty: u32,
    /// Keeps the size a multiple of eight.
    pub reserved: u32,
}

/// What a system call waits for, by its number: [`Cause`] or [`BY_DESCRIPTOR`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Calls {
    /// One byte a number.
    pub cause: [u8; 512],
}

/// Numbers that wait for the same.
type Row = (u8, &'static [u16]);

const X86_64: &[Row] = &[
    // futex, futex_waitv, futex_wait
    (Cause::Lock as u8, &[202, 449, 455]),
    // nanosleep, clock_nanosleep, pause is a signal's
    (Cause::Sleep as u8, &[35, 230]),
    // poll, select, connect, accept, sendto, recvfrom, sendmsg, recvmsg, epoll_wait, pselect6,
    // ppoll, epoll_pwait, accept4, recvmmsg, sendmmsg, epoll_pwait2
    (
        Cause::Network as u8,
        &[7, 23, 42, 43, 44, 45, 46, 47, 232, 270, 271, 281, 288, 299, 307, 441],
    ),
    // fsync, fdatasync, msync, sync, sync_file_range, syncfs
    (Cause::Disk as u8, &[74, 75, 26, 162, 277, 306]),
    // read, write, readv, writev, sendfile, splice
    (BY_DESCRIPTOR, &[0, 1, 19, 20, 40, 275]),
];

const AARCH64: &[Row] = &[
    (Cause::Lock as u8, &[98, 449, 455]),
    (Cause::Sleep as u8, &[101, 115]),
    (Cause::Network as u8, &[72, 73, 203, 202, 206, 207, 211, 212, 22, 242, 243, 269, 441]),
    (Cause::Disk as u8, &[82, 83, 227, 81, 84, 267]),
    (BY_DESCRIPTOR, &[63, 64, 65, 66, 71, 76]),
];

impl Calls {
    #[expect(
        clippy::indexing_slicing,
        reason = "run by the compiler, which stops at what is beyond"
    )]
    const fn of(rows: &[Row]) -> Self {
        let mut cause = [Cause::Other as u8; 512];
        let mut i = 0;
        while i < rows.len() {
            let (what, numbers) = rows[i];
            let mut j = 0;
            while j < numbers.len() {
                cause[numbers[j] as usize] = what;
                j += 1;
            }
            i += 1;
        }
        Self { cause }
    }

    /// The table of the processor this is compiled for; nothing but [`Cause::Other`] on others.
    pub const HOST: Self = if cfg!(target_arch = "x86_64") {
        Self::of(X86_64)
    } else if cfg!(target_arch = "aarch64") {
        Self::of(AARCH64)
    } else {
        Self::of(&[])
    };
    /// No call is known.
    pub const NONE: Self = Self::of(&[]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_by_number() {
        for (rows, call, expect) in [
            (X86_64, 202, Cause::Lock as u8),
            (X86_64, 0, BY_DESCRIPTOR),
            (X86_64, 232, Cause::Network as u8),
            (X86_64, 61, Cause::Other as u8),
            (AARCH64, 98, Cause::Lock as u8),
            (AARCH64, 22, Cause::Network as u8),
            (AARCH64, 63, BY_DESCRIPTOR),
        ] {
            assert_eq!(Calls::of(rows).cause[call], expect, "{call}");
        }
    }
}
