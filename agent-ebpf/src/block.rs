//! Requests to block devices.
//!
//! Hooks: `block_rq_complete(rq, error, bytes)`, kernel 5.10 as tested (from 5.16 on the error is a
//! `blk_status_t`, not 0 either way), and `block_rq_issue(rq)` (5.10 hands over the queue first: see
//! `BLOCK_ISSUE_AT`). Emits nothing: adds to rows by device and operation.
//!
//! The kernel notes in the request when it was made, and, for devices that keep statistics (write-back
//! throttling, some schedulers), when it was issued. Only for the others the issue is noted here, by
//! the request's address; which they are, the end of their first request tells, so that one request a
//! device is without times.

use core::ffi::c_void;

use agent_common::{
    block::{ISSUED, Key, OPERATIONS, Operation, ROWS, Row},
    settings::ABSENT,
};
use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::bpf_probe_read_kernel,
    macros::{btf_tracepoint, map},
    maps::{Array, HashMap, PerCpuArray, PerCpuHashMap},
    programs::BtfTracePointContext,
};

use crate::{
    kread::{Memory, Typed},
    tally::{self, add, at, record},
};

/// By device and operation. Made beforehand: where requests end, memory for a row may not be had.
#[map]
static BLOCK: PerCpuHashMap<Key, Row> = PerCpuHashMap::with_max_entries(ROWS, 0);
/// Of devices without a row of their own, by operation.
#[map]
static BLOCK_OTHER: PerCpuArray<Row> = PerCpuArray::with_max_entries(OPERATIONS, 0);
/// To insert from.
#[map]
static BLOCK_EMPTY: Array<Row> = Array::with_max_entries(1, 0);
/// When requests were issued, of queues that do not note it.
#[map]
static BLOCK_ISSUED: HashMap<u64, u64> =
    HashMap::with_max_entries(ISSUED, aya_ebpf::bindings::BPF_F_NO_PREALLOC);
/// Queues that do not.
#[map]
static BLOCK_UNNOTED: HashMap<u64, u8> =
    HashMap::with_max_entries(256, aya_ebpf::bindings::BPF_F_NO_PREALLOC);

/// A request goes to its device.
#[btf_tracepoint(function = "block_rq_issue")]
pub(crate) fn block_issue(ctx: BtfTracePointContext) -> i32 {
    if !tally::is_on() {
        return 0;
    }
    let rq: *const u8 = request(&ctx);
    // SAFETY: the verifier knows the request.
    unsafe {
        let queue: u64 = Typed::read(rq, at().get(|o| &o.request_queue));
        if BLOCK_UNNOTED.get(queue).is_some() {
            let _ = BLOCK_ISSUED.insert(rq as u64, tally::now(), 0);
        }
    }
    0
}

/// The request that [`block_issue`] is handed: second behind the queue before 5.11.
#[inline(always)]
fn request(ctx: &BtfTracePointContext) -> *const u8 {
    if at().get(|o| &o.issue_parameters) == 2 { argument::<8>(ctx) } else { argument::<0>(ctx) }
}

/// In assembly for the reason that stands in `capture`.
#[inline(always)]
fn argument<const AT: u32>(ctx: &BtfTracePointContext) -> *const u8 {
    let value: u64;
    // SAFETY: one load; the verifier checks that the hook has the argument.
    unsafe {
        core::arch::asm!("{0} = *(u64 *)({1} + {at})", out(reg) value, in(reg) ctx.as_ptr(), at = const AT);
    }
    value as *const u8
}

/// A request, or a part of it, is done.
#[btf_tracepoint(function = "block_rq_complete")]
pub(crate) fn block_complete(ctx: BtfTracePointContext) -> i32 {
    if tally::is_on() {
        // SAFETY: the verifier knows the request.
        unsafe { complete(ctx.arg(0), ctx.arg(1), ctx.arg(2)) };
    }
    0
}

#[inline(always)]
unsafe fn complete(rq: *const u8, error: i32, bytes: u32) {
    // SAFETY: as for the caller; rows are live map values.
    unsafe {
        let flags: u32 = Typed::read(rq, at().get(|o| &o.request_flags));
        let Some(operation) = Operation::of(flags & 0xff) else { return };
        // A write between two flushes ends twice, the second time without bytes.
        if bytes == 0 && !matches!(operation, Operation::Flush) {
            return;
        }
        let row = row(rq, operation as u32);
        if row.is_null() {
            return;
        }
        add(&raw mut (*row).bytes, u64::from(bytes));
        let len: u32 = Typed::read(rq, at().get(|o| &o.request_len));
        if bytes < len {
            return;
        }
        add(&raw mut (*row).operations, 1);
        if error != 0 {
            add(&raw mut (*row).failed, 1);
        }
        let made: u64 = Typed::read(rq, at().get(|o| &o.request_made));
        let mut issued: u64 = Typed::read(rq, at().get(|o| &o.request_issued));
        if issued == 0 {
            issued = noted(rq);
        }
        if made == 0 || issued < made {
            add(&raw mut (*row).untimed, 1);
            return;
        }
        record(&raw mut (*row).queue, issued - made);
        record(&raw mut (*row).device, tally::now().saturating_sub(issued));
    }
}

/// When the request was issued, as noted here; 0 if that was not asked for yet.
#[inline(always)]
unsafe fn noted(rq: *const u8) -> u64 {
    let key = rq as u64;
    // SAFETY: the value is read before it is removed.
    unsafe {
        if let Some(time) = BLOCK_ISSUED.get(key).copied() {
            let _ = BLOCK_ISSUED.remove(key);
            return time;
        }
        let queue: u64 = Typed::read(rq, at().get(|o| &o.request_queue));
        let _ = BLOCK_UNNOTED.insert(queue, 1, 0);
    }
    0
}

/// The row of the request's device.
#[inline(always)]
unsafe fn row(rq: *const u8, operation: u32) -> *mut Row {
    // SAFETY: the verifier knows the request and what it points to.
    unsafe {
        let disk: *const u8 = if at().get(|o| &o.queue_disk) != ABSENT {
            let queue = pointer(rq, at().get(|o| &o.request_queue));
            pointer(queue, at().get(|o| &o.queue_disk))
        } else {
            pointer(rq, at().get(|o| &o.request_disk))
        };
        let key = Key {
            major: Typed::read(disk, at().get(|o| &o.major)),
            minor: Typed::read(disk, at().get(|o| &o.minor)),
            operation,
            reserved: 0,
        };
        if let Some(row) = BLOCK.get_ptr_mut(key) {
            return row;
        }
        if let Some(empty) = BLOCK_EMPTY.get_ptr(0) {
            let _ = BLOCK.insert(key, &*empty, u64::from(aya_ebpf::bindings::BPF_NOEXIST));
        }
        if let Some(row) = BLOCK.get_ptr_mut(key) {
            bpf_probe_read_kernel(
                (&raw mut (*row).name).cast::<c_void>(),
                31,
                disk.add(at().get(|o| &o.disk_name) as usize).cast(),
            );
            return row;
        }
        BLOCK_OTHER.get_ptr_mut(operation).unwrap_or(core::ptr::null_mut())
    }
}

#[inline(always)]
unsafe fn pointer(base: *const u8, offset: u32) -> *const u8 {
    // SAFETY: the verifier knows `base` and the field's type.
    unsafe { core::ptr::read_volatile(base.add(offset as usize).cast()) }
}
