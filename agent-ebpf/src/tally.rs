//! What the tables of USE share: whose an event is, additions, distributions.
//!
//! Rows are shared by all CPUs or stand per CPU; every addition is atomic, because programs of one CPU
//! can preempt each other.

use agent_common::{
    histogram::NANOS,
    settings::ABSENT,
    usage::{EventOffsets, OwnerKey, Spread},
};
use aya_ebpf::{
    helpers::generated::{bpf_get_current_task, bpf_ktime_get_ns},
    maps::HashMap,
};

use crate::{
    kread::{Memory, Probed},
    maps::{self, Volatile},
};

const NOTHING: EventOffsets = EventOffsets {
    tgid: ABSENT,
    group_leader: ABSENT,
    started: ABSENT,
    mm: ABSENT,
    comm: ABSENT,
    cgroups: ABSENT,
    memory: ABSENT,
    cgroup: ABSENT,
    node: ABSENT,
    node_id: ABSENT,
    node_name: ABSENT,
    request_queue: ABSENT,
    request_disk: ABSENT,
    queue_disk: ABSENT,
    request_flags: ABSENT,
    request_len: ABSENT,
    request_made: ABSENT,
    request_issued: ABSENT,
    major: ABSENT,
    minor: ABSENT,
    disk_name: ABSENT,
    backlog: ABSENT,
    max_backlog: ABSENT,
    drops: ABSENT,
    bytes_sent: ABSENT,
    bytes_retrans: ABSENT,
    bytes_received: ABSENT,
    total_retrans: ABSENT,
    srtt: ABSENT,
    delivered: ABSENT,
    socket: ABSENT,
    reserved2: 0,
    accept_parameters: 2,
    issue_parameters: 1,
    reserved: 0,
    victim_task: 0,
};

#[unsafe(no_mangle)]
static EVENT_AT: EventOffsets = NOTHING;

/// Where the fields stand that USE reads.
#[inline(always)]
pub(crate) fn at() -> &'static Volatile<EventOffsets> {
    // SAFETY: `Volatile` is transparent; it only forbids the compiler to fold the value.
    unsafe { &*(&raw const EVENT_AT).cast() }
}

/// Whether the programs are to do anything at all.
#[inline(always)]
pub(crate) fn is_on() -> bool {
    maps::watch().get(|w| &w.empty) == 0
}

#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_ktime_get_ns() }
}

/// Adds to a place in a map.
///
/// # Safety
/// `place` is in a live map value.
#[inline(always)]
pub(crate) unsafe fn add(place: *mut u64, by: u64) {
    // SAFETY: as asked of the caller.
    unsafe {
        core::intrinsics::atomic_xadd::<u64, u64, { core::intrinsics::AtomicOrdering::Relaxed }>(
            place, by,
        );
    }
}

/// Counts one duration.
///
/// # Safety
/// `spread` is in a live map value.
#[inline(always)]
pub(crate) unsafe fn record(spread: *mut Spread, nanos: u64) {
    let mut index = NANOS.index(nanos) as u64;
    // The compiler knows that the index is in bounds and drops a check; the verifier does not.
    // SAFETY: one register.
    unsafe { core::arch::asm!("{0} += 0", inout(reg) index) };
    if index >= NANOS.len as u64 {
        return;
    }
    // SAFETY: as asked of the caller; the index is in bounds.
    unsafe {
        add(&raw mut (*spread).sum, nanos);
        add((&raw mut (*spread).counts).cast::<u64>().add(index as usize), 1);
    }
}

/// The current process. Nobody for threads of the kernel.
#[inline(always)]
pub(crate) fn current() -> OwnerKey {
    // SAFETY: a helper without arguments.
    of(unsafe { bpf_get_current_task() } as *const u8)
}

/// The process of a task. Nobody for threads of the kernel, which have no memory of their own.
#[inline(always)]
pub(crate) fn of(task: *const u8) -> OwnerKey {
    // SAFETY: probed reads check what they are given.
    unsafe {
        let mm: u64 = Probed::read(task, at().get(|o| &o.mm));
        if mm == 0 {
            return OwnerKey::default();
        }
        let leader: u64 = Probed::read(task, at().get(|o| &o.group_leader));
        OwnerKey {
            tgid: Probed::read(task, at().get(|o| &o.tgid)),
            reserved: 0,
            started: Probed::read(leader as *const u8, at().get(|o| &o.started)),
        }
    }
}

/// The row of `key`, made from `empty` if there is none; null where there is no room.
#[inline(always)]
pub(crate) fn row<K, V>(table: &HashMap<K, V>, key: &K, empty: Option<*const V>) -> *mut V {
    if let Some(row) = table.get_ptr_mut(key) {
        return row;
    }
    let Some(empty) = empty else { return core::ptr::null_mut() };
    // SAFETY: a live map value; insert copies it. Who comes second leaves what is there.
    let _ = table.insert(key, unsafe { &*empty }, u64::from(aya_ebpf::bindings::BPF_NOEXIST));
    table.get_ptr_mut(key).unwrap_or(core::ptr::null_mut())
}
