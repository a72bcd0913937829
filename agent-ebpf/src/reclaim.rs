//! Stalls for want of memory.
//!
//! Hooks: begin and end of `mm_vmscan_direct_reclaim`, `mm_vmscan_memcg_reclaim` and `mm_compaction`,
//! whose arguments are not looked at, and `mark_victim(task, uid)` (`(pid)` before 6.8). Emits nothing:
//! adds to rows by process. Threads of the kernel work in the background: nobody waits for them.

use core::ffi::c_void;

use agent_common::{
    reclaim::{NAME, ROWS, Row, Stall, UNDER_WAY, Victim},
    settings::ABSENT,
    usage::OwnerKey,
};
use aya_ebpf::{
    helpers::generated::{
        bpf_get_current_pid_tgid, bpf_probe_read_kernel, bpf_probe_read_kernel_str,
    },
    macros::{btf_tracepoint, map},
    maps::{Array, HashMap},
    programs::BtfTracePointContext,
};

use crate::{
    kread::{Memory, Probed},
    tally::{self, add, at, record},
};

/// By process.
#[map]
static RECLAIM: HashMap<OwnerKey, Row> =
    HashMap::with_max_entries(ROWS, aya_ebpf::bindings::BPF_F_NO_PREALLOC);
/// To insert from, and of processes without a row of their own.
#[map]
static RECLAIM_OTHER: Array<Row> = Array::with_max_entries(2, 0);
/// Since when threads wait, and for what.
#[map]
static RECLAIM_SINCE: HashMap<u64, u64> =
    HashMap::with_max_entries(UNDER_WAY, aya_ebpf::bindings::BPF_F_NO_PREALLOC);
/// Processes chosen to be killed.
#[map]
static VICTIMS: HashMap<OwnerKey, Victim> =
    HashMap::with_max_entries(ROWS, aya_ebpf::bindings::BPF_F_NO_PREALLOC);
/// To insert from, and of processes without a row of their own.
#[map]
static VICTIMS_OTHER: Array<Victim> = Array::with_max_entries(2, 0);

/// The place of what is inserted from, and of all others.
const EMPTY: u32 = 0;
const OTHER: u32 = 1;

#[inline(always)]
fn key(stall: Stall) -> u64 {
    // SAFETY: a helper without arguments.
    let thread = unsafe { bpf_get_current_pid_tgid() } & 0xffff_ffff;
    thread | (stall as u64) << 32
}

#[inline(always)]
fn begin(stall: Stall) {
    if tally::is_on() {
        let _ = RECLAIM_SINCE.insert(key(stall), tally::now(), 0);
    }
}

#[inline(always)]
fn end(stall: Stall) {
    let key = key(stall);
    // SAFETY: the value is copied before it is removed.
    let Some(since) = (unsafe { RECLAIM_SINCE.get(key) }).copied() else { return };
    let _ = RECLAIM_SINCE.remove(key);
    let owner = tally::current();
    if owner.tgid == 0 {
        return;
    }
    let mut row = tally::row(&RECLAIM, &owner, RECLAIM_OTHER.get_ptr(EMPTY));
    if row.is_null() {
        let Some(other) = RECLAIM_OTHER.get_ptr_mut(OTHER) else { return };
        row = other;
    }
    // SAFETY: a live map value.
    unsafe {
        let stalls = &raw mut (*row).stalls;
        let spread = match stall {
            Stall::Direct => &raw mut (*stalls)[0],
            Stall::Cgroup => &raw mut (*stalls)[1],
            Stall::Compaction => &raw mut (*stalls)[2],
        };
        record(spread, tally::now().saturating_sub(since));
    }
}

/// The host is short of memory.
#[btf_tracepoint(function = "mm_vmscan_direct_reclaim_begin")]
pub(crate) fn reclaim_begin(_: BtfTracePointContext) -> i32 {
    begin(Stall::Direct);
    0
}

/// Enough was found, or not.
#[btf_tracepoint(function = "mm_vmscan_direct_reclaim_end")]
pub(crate) fn reclaim_end(_: BtfTracePointContext) -> i32 {
    end(Stall::Direct);
    0
}

/// A control group is.
#[btf_tracepoint(function = "mm_vmscan_memcg_reclaim_begin")]
pub(crate) fn cgroup_reclaim_begin(_: BtfTracePointContext) -> i32 {
    begin(Stall::Cgroup);
    0
}

/// Enough was found, or not.
#[btf_tracepoint(function = "mm_vmscan_memcg_reclaim_end")]
pub(crate) fn cgroup_reclaim_end(_: BtfTracePointContext) -> i32 {
    end(Stall::Cgroup);
    0
}

/// There is no piece that is large enough.
#[btf_tracepoint(function = "mm_compaction_begin")]
pub(crate) fn compaction_begin(_: BtfTracePointContext) -> i32 {
    begin(Stall::Compaction);
    0
}

/// There is one, or not.
#[btf_tracepoint(function = "mm_compaction_end")]
pub(crate) fn compaction_end(_: BtfTracePointContext) -> i32 {
    end(Stall::Compaction);
    0
}

/// A process is about to be killed.
#[btf_tracepoint(function = "mark_victim")]
pub(crate) fn oom_victim(ctx: BtfTracePointContext) -> i32 {
    if at().get(|o| &o.victim_task) == 0 {
        let pid: i32 = ctx.arg(0);
        let owner = OwnerKey { tgid: pid as u32, reserved: 0, started: 0 };
        let row = victim(&owner);
        if !row.is_null() {
            // SAFETY: a live map value.
            unsafe { add(&raw mut (*row).kills, 1) };
        }
        return 0;
    }
    let task: *const u8 = ctx.arg(0);
    let owner = tally::of(task);
    let row = victim(&owner);
    if !row.is_null() {
        // SAFETY: a live map value; probed reads check what they are given.
        unsafe {
            add(&raw mut (*row).kills, 1);
            describe(task, row);
        }
    }
    0
}

#[inline(always)]
fn victim(owner: &OwnerKey) -> *mut Victim {
    let row = tally::row(&VICTIMS, owner, VICTIMS_OTHER.get_ptr(EMPTY));
    if row.is_null() {
        return VICTIMS_OTHER.get_ptr_mut(OTHER).unwrap_or(core::ptr::null_mut());
    }
    row
}

#[inline(always)]
unsafe fn describe(task: *const u8, row: *mut Victim) {
    // SAFETY: as for the caller.
    unsafe {
        bpf_probe_read_kernel(
            (&raw mut (*row).comm).cast::<c_void>(),
            16,
            task.add(at().get(|o| &o.comm) as usize).cast(),
        );
        if at().get(|o| &o.memory) == ABSENT || at().get(|o| &o.node_id) == ABSENT {
            return;
        }
        let cgroups: u64 = Probed::read(task, at().get(|o| &o.cgroups));
        let memory: u64 = Probed::read(cgroups as *const u8, at().get(|o| &o.memory));
        let cgroup: u64 = Probed::read(memory as *const u8, at().get(|o| &o.cgroup));
        let node: u64 = Probed::read(cgroup as *const u8, at().get(|o| &o.node));
        (*row).cgroup = Probed::read(node as *const u8, at().get(|o| &o.node_id));
        let name: u64 = Probed::read(node as *const u8, at().get(|o| &o.node_name));
        bpf_probe_read_kernel_str(
            (&raw mut (*row).name).cast::<c_void>(),
            NAME as u32,
            name as *const c_void,
        );
    }
}
