//! The storage of threads: how it comes, how it is read, how its last word is written.
//!
//! Hooks: `sched_process_fork(parent, child)`, which makes the storage before the child first runs,
//! and `iter/task`, which makes it for the threads that were there before (and for those whose fork
//! went unseen) and writes a `ThreadRow` for each that has run since it was last told. Kernel 5.11.

use core::ffi::c_void;

use agent_common::{
    counter::Counter,
    limit::ENDED_BYTES,
    schedule::{
        Calls, Futexes, LockedRow, ScheduleOffsets, ScheduleWish, Stints, ThreadHead, ThreadRow,
    },
    settings::ABSENT,
};
use aya_ebpf::{
    bindings::{BPF_LOCAL_STORAGE_GET_F_CREATE, BPF_RB_NO_WAKEUP, seq_file},
    helpers::generated::{bpf_seq_write, bpf_task_storage_get},
    macros::{btf_map, btf_tracepoint, map},
    maps::{Array, RingBuf},
    programs::BtfTracePointContext,
};

use crate::{
    kread::{Memory, Typed},
    maps,
};

/// `task_struct.flags`: a thread of the kernel.
pub(crate) const PF_KTHREAD: u32 = 0x0020_0000;

/// A map of `BPF_MAP_TYPE_TASK_STORAGE` (29), for which aya-ebpf has no type.
#[repr(C)]
pub(crate) struct TaskStorage<T> {
    r#type: *const [i32; 29],
    key: *const i32,
    value: *const T,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; 1],
}

// SAFETY: placeholders that the loader reads; nothing looks behind them.
unsafe impl<T> Sync for TaskStorage<T> {}

impl<T> TaskStorage<T> {
    const fn new() -> Self {
        Self {
            r#type: core::ptr::null(),
            key: core::ptr::null(),
            value: core::ptr::null(),
            max_entries: core::ptr::null(),
            map_flags: core::ptr::null(),
        }
    }

    /// The value of `task`, made if need be. Null if there is none.
    ///
    /// # Safety
    /// `task` is a task that the verifier knows as such.
    #[inline(always)]
    unsafe fn of(&'static self, task: *const u8, create: bool) -> *mut T {
        let flags = if create { u64::from(BPF_LOCAL_STORAGE_GET_F_CREATE) } else { 0 };
        // SAFETY: checked by the verifier.
        unsafe {
            bpf_task_storage_get(
                core::ptr::from_ref(self).cast_mut().cast::<c_void>(),
                task.cast_mut().cast(),
                core::ptr::null_mut(),
                flags,
            )
            .cast()
        }
    }
}

/// What each thread has gone through; dies with it.
#[btf_map]
static THREADS: TaskStorage<Stints> = TaskStorage::new();

/// Each thread's waits for futexes, if they are wanted.
#[btf_map]
static FUTEXES: TaskStorage<Futexes> = TaskStorage::new();

/// Last words of threads.
#[map]
static ENDED: RingBuf = RingBuf::with_byte_size(ENDED_BYTES, 0);

/// What a collection asks for: 1 for every thread, whether or not it ran; 2 if it is the first, so that
/// what threads went through before does not count.
#[map]
static TELL_ALL: Array<u64> = Array::with_max_entries(1, 0);

const NOWHERE: ScheduleOffsets = ScheduleOffsets {
    pid: ABSENT,
    tgid: ABSENT,
    flags: ABSENT,
    state: ABSENT,
    born: ABSENT,
    leader: ABSENT,
    voluntary: ABSENT,
    involuntary: ABSENT,
    delay: ABSENT,
    arrival: ABSENT,
    ran: ABSENT,
    migrations: ABSENT,
    queue: ABSENT,
    queue_rq: ABSENT,
    rq_clock: ABSENT,
    queue_throttled: ABSENT,
    queue_held: ABSENT,
    groups: ABSENT,
    groups_unified: ABSENT,
    groups_pids: ABSENT,
    css_group: ABSENT,
    group_node: ABSENT,
    node_id: ABSENT,
    iowait: ABSENT,
    iowait_mask: 0,
    files: ABSENT,
    fdt: ABSENT,
    fd: ABSENT,
    max_fds: ABSENT,
    file_inode: ABSENT,
    inode_mode: ABSENT,
    reserved: 0,
};

maps::settings! {
    #[doc = "Where the fields of tasks and run queues stand."]
    SCHEDULE: ScheduleOffsets = NOWHERE, offsets;
    #[doc = "What is wanted of the scheduler's view."]
    SCHEDULE_WISH: ScheduleWish = ScheduleWish { off: 1, locks: 0, empty: 0, reserved: 0 }, wish;
}

/// What system calls wait for.
#[unsafe(no_mangle)]
static CALLS: Calls = Calls::NONE;

/// What call `number`, less than 512, waits for.
#[inline(always)]
pub(crate) fn call(number: u64) -> u8 {
    // SAFETY: within the table, see `bound`.
    unsafe {
        let table = (&raw const CALLS).cast::<u8>();
        core::ptr::read_volatile(table.add(crate::kread::bound(number, 511) as usize))
    }
}

/// A pointer at `base + offset`.
///
/// # Safety
/// The verifier knows `base` and the field's type.
#[inline(always)]
pub(crate) unsafe fn pointer(base: *const u8, offset: u32) -> *const u8 {
    // SAFETY: as above.
    unsafe { core::ptr::read_volatile(base.add(offset as usize).cast()) }
}

/// What is kept of `task`.
///
/// # Safety
/// `task` is a task that the verifier knows as such.
#[inline(always)]
pub(crate) unsafe fn storage(task: *const u8, create: bool) -> *mut Stints {
    // SAFETY: as for the caller.
    unsafe { THREADS.of(task, create) }
}

/// What is kept of the futexes that `task` waited for.
///
/// # Safety
/// As for [`storage`].
#[inline(always)]
pub(crate) unsafe fn futexes(task: *const u8, create: bool) -> *mut Futexes {
    // SAFETY: as for the caller.
    unsafe { FUTEXES.of(task, create) }
}

/// A thread is made.
#[btf_tracepoint(function = "sched_process_fork")]
pub(crate) fn thread_made(ctx: BtfTracePointContext) -> i32 {
    if wish().get(|w| &w.empty) == 0 {
        // SAFETY: the verifier knows the child, which has not run yet.
        unsafe { begin(ctx.arg(1), 0, false) };
    }
    0
}

/// Makes the storage of `task`. It is `fresh` if it has run before.
#[inline(always)]
unsafe fn begin(task: *const u8, fresh: u8, first: bool) -> *mut Stints {
    let at = offsets();
    // SAFETY: as for the callers.
    unsafe {
        let own = storage(task, true);
        if own.is_null() {
            maps::count(Counter::LostNoThread, 1);
            return own;
        }
        let leader = pointer(task, at.get(|t| &t.leader));
        if first {
            let head = head(task, 0);
            (*own).before = [head.delay, head.voluntary, head.involuntary, head.migrations];
        }
        (*own).fresh = fresh;
        (*own).delay = Typed::read(task, at.get(|t| &t.delay));
        (*own).voluntary = Typed::read::<u64>(task, at.get(|t| &t.voluntary)) as u32;
        (*own).thread = Typed::read(task, at.get(|t| &t.pid));
        (*own).born = Typed::read(task, at.get(|t| &t.born));
        (*own).started = Typed::read(leader, at.get(|t| &t.born));
        if wish().get(|w| &w.locks) != 0 {
            futexes(task, true);
        }
        own
    }
}

/// What the kernel itself keeps of `task`.
#[inline(always)]
unsafe fn head(task: *const u8, ended: u32) -> ThreadHead {
    let at = offsets();
    // SAFETY: the verifier knows the task.
    unsafe {
        let groups = pointer(task, at.get(|t| &t.groups));
        let unified = pointer(groups, at.get(|t| &t.groups_unified));
        ThreadHead {
            tgid: Typed::read(task, at.get(|t| &t.tgid)),
            pid: Typed::read(task, at.get(|t| &t.pid)),
            group: node(unified),
            group_v1: if at.get(|t| &t.groups_pids) == ABSENT {
                0
            } else {
                let css = pointer(groups, at.get(|t| &t.groups_pids));
                node(pointer(css, at.get(|t| &t.css_group)))
            },
            delay: Typed::read(task, at.get(|t| &t.delay)),
            ran: Typed::read(task, at.get(|t| &t.ran)),
            voluntary: Typed::read(task, at.get(|t| &t.voluntary)),
            involuntary: Typed::read(task, at.get(|t| &t.involuntary)),
            migrations: Typed::read(task, at.get(|t| &t.migrations)),
            ended,
            kernel: Typed::read::<u32>(task, at.get(|t| &t.flags)) & PF_KTHREAD,
        }
    }
}

/// The id of a control group.
#[inline(always)]
unsafe fn node(group: *const u8) -> u64 {
    let at = offsets();
    // SAFETY: the verifier knows the group.
    unsafe { Typed::read(pointer(group, at.get(|t| &t.group_node)), at.get(|t| &t.node_id)) }
}

/// The last word of `task`, which has left a processor for good.
///
/// # Safety
/// The verifier knows the task; `own` is its storage.
#[inline(always)]
pub(crate) unsafe fn end(task: *const u8, own: *mut Stints) {
    // SAFETY: as for the caller.
    unsafe {
        if wish().get(|w| &w.locks) == 0 {
            end_as::<ThreadRow>(task, own, core::ptr::null());
            return;
        }
        let futexes = futexes(task, false);
        if futexes.is_null() {
            maps::count(Counter::LostRingThread, 1);
        } else {
            end_as::<LockedRow>(task, own, futexes);
        }
    }
}

/// The same; `R` begins with a `ThreadRow`.
#[inline(always)]
unsafe fn end_as<R: 'static>(task: *const u8, own: *mut Stints, futexes: *const Futexes) {
    let Some(mut entry) = ENDED.reserve::<R>(0) else {
        maps::count(Counter::LostRingThread, 1);
        return;
    };
    // SAFETY: the entry is ours until it is submitted.
    unsafe {
        (*own).dead = 1;
        let to = entry.as_mut_ptr().cast::<ThreadRow>();
        (&raw mut (*to).head).write(head(task, 1));
        copy(own.cast_const(), &raw mut (*to).stints);
        if !futexes.is_null() {
            copy(futexes, to.add(1).cast());
        }
    }
    entry.submit(BPF_RB_NO_WAKEUP.into());
}

/// Copies by words: calls to copy memory are not to be had here.
#[inline(always)]
unsafe fn copy<T>(from: *const T, to: *mut T) {
    let (from, to) = (from.cast::<u64>(), to.cast::<u64>());
    for i in 0..size_of::<T>() / 8 {
        // SAFETY: both are as long as `T`, which is a multiple of eight.
        unsafe { core::ptr::write_volatile(to.add(i), core::ptr::read_volatile(from.add(i))) };
    }
}

#[repr(C)]
struct Meta {
    seq: *mut seq_file,
}

/// What an iterator over tasks hands over.
#[repr(C)]
pub(crate) struct Context {
    meta: *const Meta,
    task: *const u8,
}

/// See [`TELL_ALL`].
const FIRST: u64 = 2;

/// The first part of a row.
#[repr(C)]
struct Lead {
    /// Bytes that follow.
    len: u64,
    head: ThreadHead,
}

/// A row for each thread that has run since it was last told.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
pub(crate) fn threads(context: *const Context) -> i32 {
    // SAFETY: the verifier knows the context and what it points to.
    unsafe {
        let task = core::ptr::read_volatile(&raw const (*context).task);
        let meta = core::ptr::read_volatile(&raw const (*context).meta);
        if task.is_null() || meta.is_null() || wish().get(|w| &w.empty) != 0 {
            return 0;
        }
        let all = TELL_ALL.get(0).map_or(0, |all| core::ptr::read_volatile(all));
        let mut own = storage(task, false);
        if own.is_null() {
            own = begin(task, 1, all == FIRST);
            if own.is_null() {
                return 0;
            }
        }
        if (*own).dead != 0 {
            return 0;
        }
        let futexes = if wish().get(|w| &w.locks) != 0 {
            futexes(task, true).cast_const()
        } else {
            core::ptr::null()
        };
        let rest = if futexes.is_null() { 0 } else { size_of::<Futexes>() };
        let lead = Lead { len: (size_of::<ThreadRow>() + rest) as u64, head: head(task, 0) };
        let switches = (lead.head.voluntary + lead.head.involuntary) as u32;
        if switches == (*own).told && all == 0 {
            return 0;
        }
        // What does not fit is taken back, and this is run once more.
        let seq = core::ptr::read_volatile(&raw const (*meta).seq);
        if bpf_seq_write(seq, (&raw const lead).cast(), size_of::<Lead>() as u32) != 0
            || bpf_seq_write(seq, own.cast(), size_of::<Stints>() as u32) != 0
        {
            return 0;
        }
        if !futexes.is_null()
            && bpf_seq_write(seq, futexes.cast(), size_of::<Futexes>() as u32) != 0
        {
            return 0;
        }
        (*own).told = switches;
    }
    0
}
