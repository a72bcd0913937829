//! Reads the state of all sockets, for what is in flight and what has ended without a sign.
//!
//! Hooks: iterators over the elements of the state's maps: `iter/bpf_sk_storage_map` (kernel 5.9)
//! and `iter/bpf_map_elem` (5.8). Whatever the network namespace. A row is eight bytes of length and
//! a `Pair` (with its heads, or without where nothing has moved since the sweep before the last) or a
//! `Progress` record. Nothing is changed; a row torn by a call in progress does not decode.

use core::ffi::c_void;

use agent_common::record::{Kind, Pair};
use aya_ebpf::{
    bindings::seq_file,
    helpers::generated::{bpf_ktime_get_ns, bpf_seq_write},
};

use crate::{
    conn::{Conn, FOLLOW, FULL, IDLE, PAIRS},
    emit,
    kread::bound,
    maps,
};

#[repr(C)]
struct Meta {
    seq: *mut seq_file,
}

/// What both iterators hand over.
#[repr(C)]
pub(crate) struct Context {
    meta: *const Meta,
    map: *const c_void,
    key: *const c_void,
    value: *const Conn,
}

/// Over socket storage.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_sk_storage_map")]
pub(crate) fn sweep(context: *const Context) -> i32 {
    row(context)
}

/// Over state kept by the socket's address.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_map_elem")]
pub(crate) fn sweep_by_sock(context: *const Context) -> i32 {
    row(context);
    forget(context);
    0
}

/// How long a Unix socket may stand still before it is taken for gone, in nanoseconds: nothing tells
/// the end of one, and state kept by address does not die with its socket.
const STILL: u64 = 120_000_000_000;

#[inline(always)]
fn forget(context: *const Context) {
    // SAFETY: the verifier knows the context and what it points to; both are looked at before use.
    unsafe {
        let conn = core::ptr::read_volatile(&raw const (*context).value);
        let key: *const u64 = core::ptr::read_volatile(&raw const (*context).key).cast();
        if conn.is_null() || key.is_null() || core::ptr::read_volatile(&raw const (*conn).unix) == 0
        {
            return;
        }
        let last = [
            core::ptr::read_volatile(&raw const (*conn).last[0]),
            core::ptr::read_volatile(&raw const (*conn).last[1]),
        ];
        let before = bpf_ktime_get_ns().saturating_sub(STILL);
        if last[0] < before && last[1] < before {
            let sock = core::ptr::read_volatile(key);
            let _ = maps::CONNS_BY_SOCK.remove(sock);
        }
    }
}

#[inline(always)]
fn row(context: *const Context) -> i32 {
    // SAFETY: the verifier knows the context and what it points to.
    unsafe {
        let conn = core::ptr::read_volatile(&raw const (*context).value);
        let meta = core::ptr::read_volatile(&raw const (*context).meta);
        if conn.is_null() || meta.is_null() {
            return 0;
        }
        let seq = core::ptr::read_volatile(&raw const (*meta).seq);
        let mode = core::ptr::read_volatile(&raw const (*conn).mode);
        if core::ptr::read_volatile(&raw const (*conn).pair.conn) == 0 {
            return 0;
        }
        if mode == PAIRS {
            if core::ptr::read_volatile(&raw const (*conn).phase) == IDLE {
                return 0;
            }
            let since = maps::SWEEP_SINCE.get(0).copied().unwrap_or(0);
            let last = [
                core::ptr::read_volatile(&raw const (*conn).last[0]),
                core::ptr::read_volatile(&raw const (*conn).last[1]),
            ];
            let heads = if last[0] >= since || last[1] >= since {
                u64::from(core::ptr::read_volatile(&raw const (*conn).pair.ask_head))
                    + u64::from(core::ptr::read_volatile(&raw const (*conn).pair.answer_head))
            } else {
                0
            };
            let len = size_of::<Pair>() as u64 + (bound(heads + 7, 1023) & !7);
            // A copy: the verifier of 6.12 and older forgets what a helper was given by address.
            let told = len;
            let written = bpf_seq_write(seq, (&raw const told).cast(), 8);
            if written == 0 {
                bpf_seq_write(seq, conn.cast(), bound(len, 2047) as u32);
            }
        } else if mode == FOLLOW || mode == FULL {
            let progress = emit::close_record(&*conn, Kind::Progress, 0, 0);
            let len = size_of_val(&progress) as u64;
            if bpf_seq_write(seq, (&raw const len).cast(), 8) == 0 {
                bpf_seq_write(seq, (&raw const progress).cast(), size_of_val(&progress) as u32);
            }
        }
    }
    0
}
