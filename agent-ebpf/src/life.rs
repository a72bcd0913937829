//! Processes come and go.
//!
//! Hooks: `sched_process_exec(task, old_pid, bprm)`, `sched_process_fork(parent, child)`,
//! `sched_process_exit(task)`, kernel 5.5 for typed arguments. Emits `Exec`, `Fork`, `Exit`. An exec
//! carries its arguments, environment and control groups, so that a process is known however short it lives.

use core::ffi::c_void;

use agent_common::{
    counter::Counter,
    limit::{EXEC_ARGS, EXEC_ENV, EXEC_GROUP, EXEC_GROUPS, EXEC_LEVELS},
    record::{Exec, Exit, Fork, Kind},
    settings::ABSENT,
};
use aya_ebpf::{
    bindings::{BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::generated::{
        bpf_get_current_comm, bpf_ktime_get_ns, bpf_probe_read_kernel_str, bpf_probe_read_user,
    },
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};

use crate::{
    kread::{Memory, Probed, Typed, bound},
    maps,
};

const BLOCK: usize = EXEC_ARGS + EXEC_ENV + EXEC_GROUPS + EXEC_GROUP;

#[repr(C)]
struct Entry {
    header: Exec,
    /// Arguments, right behind them the environment, then the control groups; some room for the verifier.
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
        let groups = groups(entry, args, env, task);
        let mut comm = [0u8; 16];
        bpf_get_current_comm((&raw mut comm).cast(), 16);
        (&raw mut (*entry).header).write(Exec {
            kind: Kind::Exec as u8,
            reserved: 0,
            args: args as u16,
            env: env as u16,
            groups: groups as u16,
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

/// Copies the names of the task's control groups behind the rest; gives their bytes.
#[inline(always)]
unsafe fn groups(entry: *mut Entry, args: u64, env: u64, task: *const u8) -> u64 {
    let offsets = maps::task();
    if [offsets.get(|t| &t.groups_unified), offsets.get(|t| &t.node_parent)].contains(&ABSENT) {
        return 0;
    }
    // SAFETY: what is probed may be anything; the writes are bounded.
    unsafe {
        let base = (&raw mut (*entry).data)
            .cast::<u8>()
            .add(bound(args, EXEC_ARGS as u64 - 1) as usize)
            .add(bound(env, EXEC_ENV as u64 - 1) as usize);
        let set: u64 = Probed::read(task, offsets.get(|t| &t.groups));
        let unified: u64 = Probed::read(set as *const u8, offsets.get(|t| &t.groups_unified));
        let (at, is_whole) = names(base, 0, unified);
        if !is_whole || offsets.get(|t| &t.groups_pids) == ABSENT {
            return at;
        }
        let css: u64 = Probed::read(set as *const u8, offsets.get(|t| &t.groups_pids));
        let group: u64 = Probed::read(css as *const u8, offsets.get(|t| &t.css_group));
        if group == unified { at } else { names(base, at, group).0 }
    }
}

/// Copies the names of a control group and of those above it to `at`; gives where they end, and whether none is
/// left out.
#[inline(always)]
unsafe fn names(base: *mut u8, mut at: u64, group: u64) -> (u64, bool) {
    let offsets = maps::task();
    let mut is_whole = false;
    // SAFETY: as for the caller.
    unsafe {
        let mut node: u64 = Probed::read(group as *const u8, offsets.get(|t| &t.group_node));
        for _ in 0..EXEC_LEVELS {
            if at >= EXEC_GROUPS as u64 {
                break;
            }
            let name: u64 = Probed::read(node as *const u8, offsets.get(|t| &t.node_name));
            let len = bpf_probe_read_kernel_str(
                base.add(bound(at, EXEC_GROUPS as u64 - 1) as usize).cast::<c_void>(),
                EXEC_GROUP as u32,
                name as *const c_void,
            );
            if len <= 0 {
                break;
            }
            at += bound(len as u64, 0xff);
            node = Probed::read(node as *const u8, offsets.get(|t| &t.node_parent));
            if node == 0 {
                is_whole = true;
                break;
            }
        }
    }
    (at, is_whole)
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
