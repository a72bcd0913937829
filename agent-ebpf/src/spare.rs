//! Second programs on the hooks of tier 1, for the runs of the first ones that the kernel leaves out.
//!
//! Kernel 7.0 and newer may preempt a program on a tracepoint. As long as one task stands preempted
//! in a program, that program is not run for any other task on the same CPU: all its calls would go
//! unseen, for a whole time slice. The spare program stands behind the first on the same hook and is
//! run in its own right. Each task notes in the first one that it was there, and is let through the
//! spare one on sight of that note. A call is still lost if one task stands preempted in the first and
//! another in the spare program; `recursion_misses` of both says how often that may have been.
//!
//! Hooks, arguments and records are those of `capture` and `ends`.

use agent_common::limit;
use aya_ebpf::{
    helpers::generated::{bpf_get_current_pid_tgid, bpf_get_prandom_u32},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};

use crate::{
    capture::{self, IN, MSG_DONTWAIT, MSG_PEEK, OUT},
    ends, maps,
};

/// Tier 1, receive, where [`capture::sock_recv`] was not run.
#[btf_tracepoint(function = "sock_recv_length")]
pub(crate) fn sock_recv_spare(ctx: BtfTracePointContext) -> i32 {
    let (ret, flags): (i32, i32) = (ctx.arg(1), ctx.arg(2));
    if ret > 0 && flags & MSG_PEEK == 0 && !was_taken() {
        capture::typed(ctx.arg(0), IN, ret, flags);
    }
    0
}

/// Tier 1, send, where [`capture::sock_send`] was not run.
#[btf_tracepoint(function = "sock_send_length")]
pub(crate) fn sock_send_spare(ctx: BtfTracePointContext) -> i32 {
    let ret: i32 = ctx.arg(1);
    if ret > 0 && !was_taken() {
        capture::typed(ctx.arg(0), OUT, ret, MSG_DONTWAIT);
    }
    0
}

/// [`ends::sock_state`] once more.
#[btf_tracepoint(function = "inet_sock_set_state")]
pub(crate) fn sock_state_spare(ctx: BtfTracePointContext) -> i32 {
    ends::state(&ctx);
    0
}

/// The current task, and its place: neighbours are kept on cache lines of their own.
#[inline(always)]
fn task() -> (u64, u32) {
    // SAFETY: a helper without arguments.
    let task = unsafe { bpf_get_current_pid_tgid() };
    let thread = task as u32;
    (task, (thread << 3 | thread >> 9 & 7) & (limit::RUNS - 1))
}

/// Notes that the first program takes the call in hand. Not so if a test wants it left out.
#[inline(always)]
pub(crate) fn take() -> bool {
    let watch = maps::watch();
    if watch.get(|w| &w.spares) == 0 {
        return true;
    }
    let every = watch.get(|w| &w.miss_every);
    // SAFETY: a helper without arguments.
    if every != 0 && unsafe { bpf_get_prandom_u32() } % every == 0 {
        return false;
    }
    let (task, at) = task();
    if let Some(place) = maps::RUNS.get_ptr_mut(at) {
        // SAFETY: a live map value; a task writes its own number, whole.
        unsafe { core::ptr::write_volatile(place, task) };
    }
    true
}

/// Whether the first program has taken the call in hand; takes its note away.
#[inline(always)]
fn was_taken() -> bool {
    let (task, at) = task();
    let Some(place) = maps::RUNS.get_ptr_mut(at) else { return true };
    // SAFETY: as for `take`.
    unsafe {
        if core::ptr::read_volatile(place) != task {
            return false;
        }
        core::ptr::write_volatile(place, 0);
    }
    true
}
