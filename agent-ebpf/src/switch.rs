//! A thread leaves a processor: what its stint there was worth, and what it leaves for.
//!
//! Hook: `sched_switch(preempt, prev, next)`, and only `prev` is looked at. The kernel itself keeps how
//! long every thread has waited on run queues (`sched_info.run_delay`) and when its stint began
//! (`last_arrival`), so the wait before the stint that ends here is a difference, and the time off the
//! processor before that is what is left. No clock is asked, nothing is looked up but the thread's own
//! storage, which is made elsewhere (`thread`): to allocate here, under the lock of the run queue,
//! could wait for that very lock on kernels before 6.4.
//!
//! The hook runs with interrupts off. Nothing preempts it, so no kernel leaves out a run of it, and
//! each thread's storage has one writer.
//!
//! Kernel 5.11, with causes 5.15 (`bpf_task_pt_regs`). Emits a `ThreadRow` when a thread ends.

use agent_common::{
    counter::Counter,
    schedule::{BY_DESCRIPTOR, Cause, Stints, Taker, WAIT_BUCKETS, WAITS},
    settings::ABSENT,
};
use aya_ebpf::{
    helpers::generated::bpf_task_pt_regs, macros::btf_tracepoint, programs::BtfTracePointContext,
};

use crate::{
    kread::{Memory, Probed, Typed, bound},
    maps,
    thread::{self, PF_KTHREAD},
};

/// `task_struct.flags`: no system call is under way, for the thread is of the kernel, or works for
/// io_uring, or for the kernel on a program's behalf.
const PF_NO_CALLS: u32 = PF_KTHREAD | 0x10 | 0x4000;
/// `task_struct.__state`: never runs again.
const TASK_DEAD: u32 = 0x80;
const S_IFMT: u16 = 0o170_000;
const S_IFSOCK: u16 = 0o140_000;
const S_IFREG: u16 = 0o100_000;
const S_IFBLK: u16 = 0o060_000;

/// `prev` leaves the processor to `next`.
#[btf_tracepoint(function = "sched_switch")]
pub(crate) fn switch(ctx: BtfTracePointContext) -> i32 {
    if thread::wish().get(|w| &w.empty) == 0 {
        // SAFETY: the verifier knows both tasks.
        unsafe { leave(ctx.arg(1), ctx.arg(2)) };
    }
    0
}

#[inline(always)]
unsafe fn leave(prev: *const u8, next: *const u8) {
    let at = thread::offsets();
    // SAFETY: the verifier knows the task; its storage is ours alone, see above.
    unsafe {
        if Typed::read::<u32>(prev, at.get(|t| &t.pid)) == 0 {
            return;
        }
        let own = thread::storage(prev, false);
        if own.is_null() {
            maps::count(Counter::LostNoThread, 1);
            return;
        }
        let queue = thread::pointer(prev, at.get(|t| &t.queue));
        arrive(prev, own, queue);
        let voluntary = Typed::read::<u64>(prev, at.get(|t| &t.voluntary)) as u32;
        if voluntary == (*own).voluntary {
            (*own).departed = 0;
            let taker = taker(prev, next, queue) as u64;
            let place = (&raw mut (*own).taken).cast::<u32>().add(bound(taker, 3) as usize);
            *place += 1;
            return;
        }
        (*own).voluntary = voluntary;
        if thread::wish().get(|w| &w.off) != 0 {
            let rq = thread::pointer(queue, at.get(|t| &t.queue_rq));
            (*own).departed = Typed::read(rq, at.get(|t| &t.rq_clock));
            (*own).cause = cause(prev);
        }
        if Typed::read::<u32>(prev, at.get(|t| &t.state)) & TASK_DEAD != 0 {
            thread::end(prev, own);
        }
    }
}

/// What came before the stint that ends: the wait on the run queue and, before that, for something.
#[inline(always)]
unsafe fn arrive(prev: *const u8, own: *mut Stints, queue: *const u8) {
    let at = thread::offsets();
    // SAFETY: as for the caller.
    unsafe {
        let delay: u64 = Typed::read(prev, at.get(|t| &t.delay));
        let wait = delay.wrapping_sub((*own).delay);
        (*own).delay = delay;
        quota(own, queue, wait);
        if (*own).fresh != 0 {
            (*own).fresh = 0;
            return;
        }
        *bucket(&raw mut (*own).waits, wait) += 1;
        let departed = (*own).departed;
        if thread::wish().get(|w| &w.off) == 0 || departed == 0 {
            return;
        }
        let arrival: u64 = Typed::read(prev, at.get(|t| &t.arrival));
        let off = arrival.wrapping_sub(departed).wrapping_sub(wait);
        // The clocks of two processors may differ by a little.
        if off as i64 <= 0 {
            return;
        }
        let cause = u64::from((*own).cause);
        *(&raw mut (*own).off).cast::<u64>().add(bound(cause, 7) as usize) += off;
        if thread::wish().get(|w| &w.locks) != 0 && cause == Cause::Lock as u64 {
            let futexes = thread::futexes(prev, false);
            if !futexes.is_null() {
                *bucket(&raw mut (*futexes).waits, off) += 1;
            }
        }
    }
}

/// How much of the wait the quota of the control group accounts for: the run queue of the group tells
/// how long it has been held back altogether.
#[inline(always)]
unsafe fn quota(own: *mut Stints, queue: *const u8, wait: u64) {
    let at = thread::offsets().get(|t| &t.queue_held);
    if at == ABSENT {
        return;
    }
    // SAFETY: as for the caller.
    unsafe {
        let held: u64 = Typed::read(queue, at);
        let more = held.wrapping_sub((*own).held);
        if (*own).queue != queue as u64 {
            (*own).queue = queue as u64;
            (*own).held = held;
        } else if more != 0 {
            (*own).held = held;
            (*own).quota += if more < wait { more } else { wait };
        }
    }
}

/// The place of `value` in a distribution.
#[inline(always)]
unsafe fn bucket(of: *mut [u32; WAIT_BUCKETS], value: u64) -> *mut u32 {
    let mut index = WAITS.index(value) as u64;
    // SAFETY: one register; the verifier must see the limit that the compiler knows already.
    unsafe {
        core::arch::asm!("if {0} < {1} goto +1", "{0} = 0", inout(reg) index, const WAIT_BUCKETS);
        of.cast::<u32>().add(index as usize)
    }
}

/// Who takes the processor from a thread that would go on.
#[inline(always)]
unsafe fn taker(prev: *const u8, next: *const u8, queue: *const u8) -> Taker {
    let at = thread::offsets();
    // SAFETY: as for the caller.
    unsafe {
        let throttled = at.get(|t| &t.queue_throttled);
        if throttled != ABSENT && Typed::read::<u32>(queue, throttled) != 0 {
            return Taker::Quota;
        }
        if Typed::read::<u32>(next, at.get(|t| &t.flags)) & PF_KTHREAD != 0 {
            return Taker::Kernel;
        }
        let groups = at.get(|t| &t.groups);
        if thread::pointer(prev, groups) == thread::pointer(next, groups) {
            Taker::Same
        } else {
            Taker::Other
        }
    }
}

/// What a thread leaves the processor for.
#[inline(always)]
unsafe fn cause(prev: *const u8) -> u8 {
    let at = thread::offsets();
    // SAFETY: as for the caller.
    unsafe {
        let iowait: u8 = Typed::read(prev, at.get(|t| &t.iowait));
        if u32::from(iowait) & at.get(|t| &t.iowait_mask) != 0 {
            return Cause::Disk as u8;
        }
        if Typed::read::<u32>(prev, at.get(|t| &t.flags)) & PF_NO_CALLS != 0 {
            return Cause::Other as u8;
        }
        let registers = bpf_task_pt_regs(prev.cast_mut().cast()) as *const u8;
        let call: u64 = Typed::read(registers, maps::arch().get(|a| &a.number));
        if call >= 512 {
            return Cause::Other as u8;
        }
        let cause = thread::call(call);
        if cause != BY_DESCRIPTOR {
            return cause;
        }
        // Looked up each time: a number that was a pipe is a socket by the next call.
        let fd: u64 = Typed::read(registers, maps::arch().get(|a| &a.args[0]));
        descriptor(prev, fd as u32) as u8
    }
}

/// What a thread waits for that reads from or writes to descriptor `fd`.
#[inline(always)]
unsafe fn descriptor(task: *const u8, fd: u32) -> Cause {
    let at = thread::offsets();
    // SAFETY: the verifier knows the task and its tables; what is further is probed.
    unsafe {
        let files = thread::pointer(task, at.get(|t| &t.files));
        let table = thread::pointer(files, at.get(|t| &t.fdt));
        if fd >= Typed::read(table, at.get(|t| &t.max_fds)) {
            return Cause::Other;
        }
        let array: u64 = Typed::read(table, at.get(|t| &t.fd));
        let file: u64 = Probed::read((array + u64::from(fd) * 8) as *const u8, 0);
        let inode: u64 = Probed::read(file as *const u8, at.get(|t| &t.file_inode));
        let mode: u16 = Probed::read(inode as *const u8, at.get(|t| &t.inode_mode));
        match mode & S_IFMT {
            S_IFSOCK => Cause::Network,
            S_IFREG | S_IFBLK => Cause::Disk,
            _ => Cause::Other,
        }
    }
}
