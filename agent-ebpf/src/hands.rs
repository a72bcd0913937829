//! The request a thread has in hand: the one it has read and that nobody has answered yet.
//!
//! Only for what is carried to other hosts (`hosts`): the trace that a call belongs to must be known when
//! its first byte leaves. A request is in the hand of the thread that read its first bytes until the first bytes
//! of its answer are written by whichever thread, or its connection ends. A thread that has had two in hand at once
//! has none that counts before it has let go of all, and one that does not wait for what it reads, as an event loop or
//! the threads of Go, has none at all: what it sends then begins a trace of its own.

use agent_common::settings::ABSENT;
use aya_ebpf::{
    helpers::generated::{bpf_get_current_task, bpf_get_prandom_u32},
    macros::map,
    maps::LruHashMap,
};
use core::intrinsics::{AtomicOrdering, atomic_xadd};

use crate::{
    capture::{IN, OUT},
    conn::{Conn, NO_IDS},
    kread::{Memory, Probed},
    maps,
};

/// What a thread has in hand.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Hand {
    /// The request's trace.
    pub(crate) trace: [u32; 4],
    /// The connection it came by.
    pub(crate) conn: u64,
    /// When the thread was made: its address is another's after it.
    pub(crate) born: u64,
    /// How many there are.
    pub(crate) open: u64,
    /// Not 0: there were more than one.
    pub(crate) mixed: u64,
}

/// By the thread's address, which needs no more than any kernel tells any program.
#[map]
static HANDS: LruHashMap<u64, Hand> = LruHashMap::with_max_entries(16384, 0);

#[inline(always)]
fn thread() -> u64 {
    // SAFETY: a helper without arguments.
    unsafe { bpf_get_current_task() }
}

/// When a thread was made; 0 if this kernel does not tell.
#[inline(always)]
fn born(thread: u64) -> u64 {
    let at = maps::task().get(|t| &t.started);
    if at == ABSENT {
        return 0;
    }
    // SAFETY: a probed read checks what it is given.
    unsafe { Probed::read(thread as *const u8, at) }
}

/// The only request that the running thread has in hand.
#[inline(always)]
pub(crate) fn current() -> Option<Hand> {
    let thread = thread();
    // SAFETY: the value is copied.
    let hand = unsafe { HANDS.get(thread) }.copied()?;
    let own = hand.born != 0 && hand.born == born(thread);
    (own && hand.open == 1 && hand.mixed == 0).then_some(hand)
}

/// Takes the call in hand into account: a request may begin, or its answer.
#[inline(never)]
pub(crate) fn moved(conn: &mut Conn) {
    let direction = conn.call.direction;
    if conn.direction == direction || conn.ask == OUT || conn.unix != 0 {
        return;
    }
    let_go(conn);
    if direction == IN {
        take(conn);
    }
}

#[inline(always)]
fn take(conn: &mut Conn) {
    let first = conn.seq[0].wrapping_sub(conn.call.n as u32);
    let came = conn.carry.sent == 0 && conn.carry.chosen != NO_IDS && conn.carry.seq == first;
    if !came {
        // SAFETY: a helper without arguments.
        let trace = unsafe {
            [
                bpf_get_prandom_u32(),
                bpf_get_prandom_u32(),
                bpf_get_prandom_u32(),
                bpf_get_prandom_u32(),
            ]
        };
        conn.carry.ids = [trace[0], trace[1], trace[2], trace[3], 0, 0];
    }
    let [a, b, c, d, ..] = conn.carry.ids;
    let thread = thread();
    conn.carry.thread = thread;
    let born = born(thread);
    if let Some(hand) = HANDS.get_ptr_mut(thread) {
        // SAFETY: a live map value.
        unsafe {
            if (*hand).open != 0 && (*hand).born == born {
                (*hand).mixed = 1;
                add(&raw mut (*hand).open, 1);
                return;
            }
        }
    }
    if conn.call.waits == 0 {
        conn.carry.thread = 0;
        return;
    }
    let hand = Hand { trace: [a, b, c, d], conn: conn.pair.conn, born, open: 1, mixed: 0 };
    let _ = HANDS.insert(thread, hand, 0);
}

/// The request of this connection is answered, or will never be.
#[inline(always)]
pub(crate) fn let_go(conn: &mut Conn) {
    let thread = conn.carry.thread;
    if thread == 0 {
        return;
    }
    conn.carry.thread = 0;
    if let Some(hand) = HANDS.get_ptr_mut(thread) {
        // SAFETY: a live map value. Another thread may be about to take one.
        unsafe {
            if (*hand).open != 0 && ((*hand).mixed != 0 || (*hand).conn == conn.pair.conn) {
                add(&raw mut (*hand).open, u64::MAX);
            }
        }
    }
}

#[inline(always)]
unsafe fn add(place: *mut u64, by: u64) {
    // SAFETY: as for the callers.
    unsafe {
        atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(place, by);
    }
}
