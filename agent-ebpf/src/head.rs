//! First bytes of turns: copied behind one another into the socket's state, looked through once.

use core::ffi::c_void;

use agent_common::{
    limit::{ANSWER_HEAD, ASK_HEAD},
    scan::{MARK, STEP, has_empty_line},
    signature::{Class, SIGNATURES, Signature},
};
use aya_ebpf::helpers::generated::bpf_probe_read_user;

use crate::{
    conn::Conn,
    kread::bound,
    maps,
    user::{LOOK, rewind, step},
};

const ASK_MASK: u64 = ASK_HEAD as u64;
const ANSWER_MASK: u64 = ANSWER_HEAD as u64;

/// The class of a turn's first eight bytes, for signatures at its very beginning.
#[inline(never)]
pub(crate) fn class(first: u64) -> u32 {
    let mut i = 0;
    while i < SIGNATURES as u32 {
        let Some(signature) = maps::SIGNATURES_KNOWN.get(i) else { break };
        if signature.mask == 0 {
            break;
        }
        if signature.at == 0 && signature.is(first) {
            return signature.class;
        }
        i += 1;
    }
    Class::None as u32
}

/// The first eight bytes of the call in hand, zero where it has fewer.
#[inline(always)]
pub(crate) fn first_eight(conn: &mut Conn) -> u64 {
    rewind(conn);
    let mut first = 0u64;
    let len = if conn.call.len < conn.call.n { conn.call.len } else { conn.call.n };
    let len = if len > 8 { 8 } else { len };
    // SAFETY: the helper checks the address; eight bytes are ours.
    let failed = unsafe {
        bpf_probe_read_user((&raw mut first).cast::<c_void>(), 8, conn.call.base as *const c_void)
    };
    if failed != 0 || len < 4 {
        return 0;
    }
    // What stands behind the call's bytes is not its own.
    first & (u64::MAX >> ((8 - len) * 8))
}

/// Copies what fits of a call behind the ask's head. False if some of it could not be read.
#[inline(never)]
pub(crate) fn append_ask(conn: &mut Conn) -> u32 {
    let room = (ASK_HEAD as u64).saturating_sub(u64::from(conn.pair.ask_head));
    conn.call.left = if conn.call.n < room { conn.call.n } else { room };
    rewind(conn);
    let mut i = 0;
    while i < LOOK {
        if conn.call.left == 0 {
            break;
        }
        let len = if conn.call.len < conn.call.left { conn.call.len } else { conn.call.left };
        let at = u64::from(conn.pair.ask_head);
        // SAFETY: offset and length are at most 511 each, the buffer has 1024.
        let failed = unsafe {
            bpf_probe_read_user(
                conn.heads.as_mut_ptr().add(bound(at, ASK_MASK) as usize).cast::<c_void>(),
                bound(len, ASK_MASK) as u32,
                conn.call.base as *const c_void,
            )
        };
        if failed != 0 {
            break;
        }
        conn.pair.ask_head = (at + len) as u16;
        conn.call.left -= len;
        step(conn);
        i += 1;
    }
    u32::from(conn.call.left == 0)
}

/// Copies what fits of a call behind the answer's head. False if some of it could not be read.
#[inline(never)]
pub(crate) fn append_answer(conn: &mut Conn) -> u32 {
    let room = (ANSWER_HEAD as u64).saturating_sub(u64::from(conn.pair.answer_head));
    conn.call.left = if conn.call.n < room { conn.call.n } else { room };
    rewind(conn);
    let mut i = 0;
    while i < LOOK {
        if conn.call.left == 0 {
            break;
        }
        let len = if conn.call.len < conn.call.left { conn.call.len } else { conn.call.left };
        let base = bound(u64::from(conn.pair.ask_head), ASK_MASK);
        let at = u64::from(conn.pair.answer_head);
        // SAFETY: 511 + 255 + 255 at most, the buffer has 1024.
        let failed = unsafe {
            bpf_probe_read_user(
                conn.heads
                    .as_mut_ptr()
                    .add(base as usize)
                    .add(bound(at, ANSWER_MASK) as usize)
                    .cast::<c_void>(),
                bound(len, ANSWER_MASK) as u32,
                conn.call.base as *const c_void,
            )
        };
        if failed != 0 {
            break;
        }
        conn.pair.answer_head = (at + len) as u16;
        conn.call.left -= len;
        step(conn);
        i += 1;
    }
    u32::from(conn.call.left == 0)
}

/// The last bytes of a call of the answer, kept for the end of a chunked body.
#[inline(never)]
pub(crate) fn keep_tail(conn: &mut Conn) {
    conn.pair.tail_len = 0;
    conn.call.left = conn.call.n;
    rewind(conn);
    let mut i = 0;
    while i < LOOK {
        if conn.call.len >= conn.call.left {
            let left = conn.call.left;
            // SAFETY: the helper checks the address; the eight bytes are the state's own.
            let failed = unsafe {
                bpf_probe_read_user(
                    (&raw mut conn.pair.tail).cast::<c_void>(),
                    8,
                    (conn.call.base + left - 8) as *const c_void,
                )
            };
            if failed == 0 {
                conn.pair.tail_len = if left > 8 { 8 } else { left as u8 };
            }
            return;
        }
        conn.call.left -= conn.call.len;
        step(conn);
        i += 1;
    }
}

/// Eight bytes of the heads at `at` (at most 511).
#[inline(always)]
fn eight(conn: &Conn, at: u64) -> u64 {
    // SAFETY: 511 + 8 are within the buffer.
    unsafe { conn.heads.as_ptr().add(bound(at, ASK_MASK) as usize).cast::<u64>().read_unaligned() }
}

/// Looks at the next eight bytes. Not 0 at the end of the head's bytes, or where the mark was found.
/// Functions of their own, so that the verifier forgets between rounds what it knew of one.
#[inline(never)]
fn scan_eight(conn: &mut Conn) -> u32 {
    let at = conn.call.left;
    if at >= u64::from(conn.pair.ask_head) {
        return 1;
    }
    conn.call.left = at + STEP;
    if has_empty_line(eight(conn, at)) == 0 { 0 } else { find_mark(conn) }
}

/// Looks for the mark, which has its `\n\r` in the word that was looked at.
#[inline(never)]
fn find_mark(conn: &mut Conn) -> u32 {
    let at = (conn.call.left - STEP).saturating_sub(1);
    let mut j = 0;
    while j < 8 {
        if eight(conn, at + j) as u32 == MARK {
            let marked = at + j + 4;
            if marked > u64::from(conn.pair.ask_head) {
                return 1;
            }
            conn.marked = marked as u32;
            return 1;
        }
        j += 1;
    }
    0
}

/// Looks for the end of the first head among the ask's bytes from `from`. Not 0 if another ask
/// stands behind it: the connection is pipelined.
#[inline(never)]
pub(crate) fn scan_ask(conn: &mut Conn, from: u64) -> u32 {
    if conn.marked == 0 {
        conn.call.left = from.saturating_sub(3);
        let mut i = 0;
        while i < ASK_HEAD as u64 / STEP + 2 {
            if scan_eight(conn) != 0 {
                break;
            }
            i += 1;
        }
        if conn.marked == 0 {
            return 0;
        }
    } else if from >= u64::from(conn.marked) + 8 {
        return 0;
    }
    let marked = u64::from(conn.marked);
    u32::from(
        u64::from(conn.pair.ask_head) >= marked + 8
            && class(eight(conn, marked)) == Class::Ask as u32,
    )
}

/// The class of the ask's first bytes as they stand in its head, once there are eight.
#[inline(always)]
pub(crate) fn ask_class(conn: &Conn) -> u32 {
    if conn.pair.ask_head < 8 { Class::None as u32 } else { class(eight(conn, 0)) }
}

/// Whether the answer's head begins with an interim response.
#[inline(always)]
pub(crate) fn is_interim(conn: &Conn) -> bool {
    if conn.pair.answer_head < 12 {
        return false;
    }
    // The interim signature stands last, so that it is found without a loop.
    let Some(signature) = maps::SIGNATURES_KNOWN.get(SIGNATURES as u32 - 1) else { return false };
    let signature: &Signature = signature;
    let base = bound(u64::from(conn.pair.ask_head), ASK_MASK) + bound(u64::from(signature.at), 7);
    // SAFETY: 511 + 7 + 8 are within the buffer.
    let first = unsafe { conn.heads.as_ptr().add(base as usize).cast::<u64>().read_unaligned() };
    signature.is(first)
}
