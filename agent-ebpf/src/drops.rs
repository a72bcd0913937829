//! Packets dropped, by reason, and faults that the hardware reports.
//!
//! Hooks: `kfree_skb(skb, location, reason)`, reasons from 5.17 on; `mce_record(mce)` and
//! `mc_event(severity, message, label, errors, ...)` where the kernel was built with them. Emits
//! nothing: adds to a table by reason. What is consumed has another tracepoint, and is not looked at.

use agent_common::drops::{FAULTS, MACHINE_CHECK, MEMORY_ERROR, REASONS};
use aya_ebpf::{
    macros::{btf_tracepoint, map},
    maps::PerCpuArray,
    programs::BtfTracePointContext,
};

use crate::tally::{self, add};

/// Packets by reason.
#[map]
static DROPS: PerCpuArray<u64> = PerCpuArray::with_max_entries(REASONS, 0);
/// Faults by kind.
#[map]
static HARDWARE: PerCpuArray<u64> = PerCpuArray::with_max_entries(FAULTS, 0);

#[inline(always)]
fn count(table: &PerCpuArray<u64>, index: u32, by: u64) {
    if let Some(place) = table.get_ptr_mut(index) {
        // SAFETY: a live map value.
        unsafe { add(place, by) };
    }
}

/// A packet was dropped.
#[btf_tracepoint(function = "kfree_skb")]
pub(crate) fn packet_drop(ctx: BtfTracePointContext) -> i32 {
    if tally::is_on() {
        let reason: u32 = ctx.arg(2);
        count(&DROPS, if reason < REASONS { reason } else { REASONS - 1 }, 1);
    }
    0
}

/// The processor found a fault of its own.
#[btf_tracepoint(function = "mce_record")]
pub(crate) fn machine_check(_: BtfTracePointContext) -> i32 {
    count(&HARDWARE, MACHINE_CHECK, 1);
    0
}

/// A memory controller found one.
#[btf_tracepoint(function = "mc_event")]
pub(crate) fn memory_error(ctx: BtfTracePointContext) -> i32 {
    let (severity, errors): (u32, i32) = (ctx.arg(0), ctx.arg(3));
    let index = if severity < FAULTS - MEMORY_ERROR { MEMORY_ERROR + severity } else { FAULTS - 1 };
    count(&HARDWARE, index, if errors > 0 { errors as u64 } else { 1 });
    0
}
