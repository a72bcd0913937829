//! Processes come and go.
//!
//! Hooks: `sched_process_exec(task, old_pid, bprm)`, `sched_process_fork(parent, child)`,
//! `sched_process_exit(task)`, kernel 5.5 for typed arguments. Emits `Exec`, `Fork`, `Exit`. An exec
//! carries its arguments and environment, so that a process is known however short it lives.

use core::ffi::c_void;

use agent_common::{
    counter::Counter,
    limit::{EXEC_ARGS, EXEC_ENV},
    record::{Exec, Exit, Fork, Kind},
    settings::ABSENT,
};
use aya_ebpf::{
    bindings::{BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::generated::{bpf_get_current_comm, bpf_ktime_get_ns, bpf_probe_read_user},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};

use crate::{
    kread::{Memory, Typed, bound},
    maps,
};

const BLOCK: usize = EXEC_ARGS + EXEC_ENV;

#[repr(C)]
struct Entry {
    header: Exec,
    /// Arguments, then, right behind them, the environment; some room for the verifier.
    data: [u8; BLOCK + 64],
}

/// A program began.
#[btf_tracepoint(function = "sched_process_exec")]
pub(crate) fn process_exec(ctx: BtfTracePointContext) -> i32 {
    let Some(mut entry) = maps::LIVES.reserve::<Entry>(0) else {
        maps::count(Counter::LostRingProcess, 1);
        return 0;
    };
    // SAFETY: the verifier knows the task; the entry is ours until it is submitted.
    unsafe { describe(ctx.arg(0), entry.as_mut_ptr()) };
    // Userspace is woken: what is not in the record must be read while the process lives.
    entry.submit(BPF_RB_FORCE_WAKEUP.into());
    0
}

#[inline(always)]
unsafe fn describe(task: *const u8, entry: *mut Entry) {
    let offsets = maps::task();
    // SAFETY: as for the caller.
    unsafe {
        let mm = pointer(task, offsets.get(|t| &t.mm));
        let parent = pointer(task, offsets.get(|t| &t.parent));
        let (mut args, mut env) = (0u64, 0u64);
        if offsets.get(|t| &t.arg_start) != ABSENT && !mm.is_null() {
            let from: u64 = Typed::read(mm, offsets.get(|t| &t.arg_start));
            let to: u64 = Typed::read(mm, offsets.get(|t| &t.arg_end));
            args = read(entry, 0, from, to, EXEC_ARGS as u64 - 1);
            let from: u64 = Typed::read(mm, offsets.get(|t| &t.env_start));
            let to: u64 = Typed::read(mm, offsets.get(|t| &t.env_end));
            env = read(entry, bound(args, EXEC_ARGS as u64 - 1), from, to, EXEC_ENV as u64 - 1);
        }
        let mut comm = [0u8; 16];
        bpf_get_current_comm((&raw mut comm).cast(), 16);
        (&raw mut (*entry).header).write(Exec {
            kind: Kind::Exec as u8,
            reserved: 0,
            args: args as u16,
            env: env as u16,
            reserved2: 0,
            tgid: Typed::read(task, offsets.get(|t| &t.tgid)),
            parent: if parent.is_null() {
                0
            } else {
                Typed::read(parent, offsets.get(|t| &t.tgid))
            },
            time: bpf_ktime_get_ns(),
            started: Typed::read(task, offsets.get(|t| &t.started)),
            comm,
        });
    }
}

/// Copies `from..to` of the new program's memory to `at` in the block, at most `mask` bytes.
#[inline(always)]
unsafe fn read(entry: *mut Entry, at: u64, from: u64, to: u64, mask: u64) -> u64 {
    let len = to.saturating_sub(from);
    let len = bound(if len > mask { mask } else { len }, mask);
    // SAFETY: `at` is at most 511 and `len` at most 511 or 4095: within the block.
    let failed = unsafe {
        bpf_probe_read_user(
            (&raw mut (*entry).data).cast::<u8>().add(at as usize).cast::<c_void>(),
            len as u32,
            from as *const c_void,
        )
    };
    if failed == 0 { len } else { 0 }
}

#[inline(always)]
unsafe fn pointer(base: *const u8, offset: u32) -> *const u8 {
    // SAFETY: the verifier knows `base` and the field's type.
    unsafe { core::ptr::read_volatile(base.add(offset as usize).cast()) }
}

/// A process was made; threads are not told.
#[btf_tracepoint(function = "sched_process_fork")]
pub(crate) fn process_fork(ctx: BtfTracePointContext) -> i32 {
    let at = maps::task().get(|t| &t.tgid);
    // SAFETY: the verifier knows both tasks.
    let (parent, child): (u32, u32) =
        unsafe { (Typed::read(ctx.arg(0), at), Typed::read(ctx.arg(1), at)) };
    if parent == child {
        return 0;
    }
    let Some(mut entry) = maps::LIVES.reserve::<Fork>(0) else {
        maps::count(Counter::LostRingProcess, 1);
        return 0;
    };
    // SAFETY: a helper without arguments.
    let time = unsafe { bpf_ktime_get_ns() };
    entry.write(Fork { kind: Kind::Fork as u8, reserved: [0; 7], parent, child, time });
    entry.submit(BPF_RB_NO_WAKEUP.into());
    0
}

/// A process ended: its last thread did.
#[btf_tracepoint(function = "sched_process_exit")]
pub(crate) fn process_exit(ctx: BtfTracePointContext) -> i32 {
    let offsets = maps::task();
    let task: *const u8 = ctx.arg(0);
    // SAFETY: the verifier knows the task and its `signal_struct`.
    let (tgid, live): (u32, u32) = unsafe {
        let signal = pointer(task, offsets.get(|t| &t.signal));
        (Typed::read(task, offsets.get(|t| &t.tgid)), Typed::read(signal, offsets.get(|t| &t.live)))
    };
    if live != 0 {
        return 0;
    }
    let Some(mut entry) = maps::LIVES.reserve::<Exit>(0) else {
        maps::count(Counter::LostRingProcess, 1);
        return 0;
    };
    // SAFETY: a helper without arguments.
    let time = unsafe { bpf_ktime_get_ns() };
    entry.write(Exit { kind: Kind::Exit as u8, reserved: [0; 3], tgid, time });
    entry.submit(BPF_RB_NO_WAKEUP.into());
    0
}
