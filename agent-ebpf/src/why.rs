//! Where an exchange's time goes: the thread's account at both ends, the queues of the socket before.
//!
//! Called by `turn` when an ask begins and when its answer does, on the thread that moved the bytes.
//! What the scheduler's view (`switch`) keeps of the thread is noted with the socket at the ask, and
//! what has been added to it by the answer goes out with the pair. What that view adds only when the
//! stint on the processor ends is added here for the stint that goes on.
//!
//! Hook of its own: `sk_data_ready(sk)`, kernel 6.2, which says when bytes came. It runs in the
//! interrupt that brings them, with the socket locked, so that no read of these bytes comes first.
//! Emits nothing.

use agent_common::{
    schedule::{CAUSES, Stints},
    settings::ABSENT,
    why::{Thread, Why, WhyWish, flag, units},
};
use aya_ebpf::{
    helpers::generated::{bpf_get_current_task_btf, bpf_jiffies64, bpf_ktime_get_ns},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};

use crate::{
    capture::{IN, IPPROTO_TCP},
    conn::{BLIND, Conn, PAIRS},
    kread::{Memory, Typed, bound},
    maps, tcp, thread,
};

maps::settings! {
    #[doc = "What is to be measured of exchanges."]
    WHY: WhyWish = WhyWish { thread: 0, arrival: 0, established: 0, tick: 0 }, wish;
}

/// In `Conn::unaccepted`: see [`flag::UNSEEN_ACCEPT`].
pub(crate) const UNSEEN: u64 = 1 << 63;

/// A thread's account at the beginning of an ask.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Before {
    delay: u64,
    quota: u64,
    off: [u64; CAUSES],
    switches: u32,
    /// Turns that count against having it alone.
    turns: u32,
    /// Whose it is; 0 if there is none.
    thread: u32,
    reserved: u32,
}

impl Before {
    /// There is no account.
    #[inline(always)]
    pub(crate) fn forget(&mut self) {
        self.thread = 0;
    }
}

const NOTHING: Why = Why {
    queued: 0,
    throttled: 0,
    off: [0; CAUSES],
    unread: 0,
    unaccepted: 0,
    switches: 0,
    thread: 0,
    flags: 0,
};

/// Whether anything at all is measured.
#[inline(always)]
fn is_on() -> bool {
    wish().get(|w| &w.thread) | wish().get(|w| &w.arrival) | wish().get(|w| &w.tick) != 0
}

/// An ask begins.
#[inline(always)]
pub(crate) fn asked(conn: &mut Conn) {
    if !is_on() {
        return;
    }
    conn.pair.why = NOTHING;
    if conn.mode == BLIND || conn.mode == PAIRS {
        if conn.call.direction == IN {
            came(conn);
        }
        if wish().get(|w| &w.thread) != 0 {
            note(conn);
        }
    }
}

/// Its answer begins. It has none to begin with if nobody saw the ask.
#[inline(always)]
pub(crate) fn answered(conn: &mut Conn, late: bool) {
    if !is_on() {
        return;
    }
    if late {
        conn.pair.why = NOTHING;
        conn.before.forget();
        return;
    }
    if conn.mode == BLIND || conn.mode == PAIRS {
        if conn.call.direction == IN {
            came(conn);
        }
        if wish().get(|w| &w.thread) != 0 {
            compare(conn);
        }
    }
}

/// The first call on a socket: what is known of the time before it.
///
/// # Safety
/// The verifier knows `sk`, a TCP socket.
#[inline(always)]
pub(crate) unsafe fn met(conn: &mut Conn, sk: *const u8) {
    if wish().get(|w| &w.established) != 0 {
        // SAFETY: as for the caller.
        let waited = unsafe { tcp::waited(sk, conn.call.time) };
        conn.unaccepted = waited.unaccepted;
        conn.accepted = waited.accepted;
        conn.arrived = waited.arrived;
    }
}

/// Bytes were read: what comes next has not come yet.
#[inline(always)]
pub(crate) fn read(conn: &mut Conn) {
    if wish().get(|w| &w.arrival) != 0 && (conn.mode == PAIRS || conn.mode == BLIND) {
        conn.arrived = 0;
    }
}

/// How long the bytes in hand have waited to be read.
#[inline(always)]
fn came(conn: &mut Conn) {
    if conn.unaccepted != 0 {
        conn.pair.why.unaccepted = units((conn.unaccepted & !UNSEEN) - 1);
        conn.pair.why.flags |= flag::UNACCEPTED;
        if conn.unaccepted & UNSEEN != 0 {
            conn.pair.why.flags |= flag::UNSEEN_ACCEPT;
        }
        conn.unaccepted = 0;
    }
    // Where bytes went past every hook it is not known which of them came when.
    if conn.call.skipped != 0 {
        return;
    }
    let tick = wish().get(|w| &w.tick);
    if tick != 0 {
        // SAFETY: a helper without arguments.
        let ticks = unsafe { bpf_jiffies64() as u32 }.wrapping_sub(conn.call.came);
        if ticks < 2 || ticks >= FOREVER {
            return;
        }
        let waited = u64::from(ticks - 1) * u64::from(tick);
        let since = conn.call.time.saturating_sub(waited);
        let since = if since < conn.accepted { conn.accepted } else { since };
        conn.pair.why.unread = units(conn.call.time.saturating_sub(since));
        conn.pair.why.flags |= flag::UNREAD;
    } else if conn.arrived != 0 {
        let since = if conn.arrived < conn.accepted { conn.accepted } else { conn.arrived };
        conn.pair.why.unread = units(conn.call.time.saturating_sub(since));
        conn.pair.why.flags |= flag::UNREAD;
    }
}

/// Ticks that nothing waits for: a socket to which nothing came tells of a time before the kernel's.
const FOREVER: u32 = 1 << 24;

/// When bytes came last, in ticks.
///
/// # Safety
/// The verifier knows `sk`, a TCP socket.
#[inline(always)]
pub(crate) unsafe fn came_last(sk: *const u8) -> u32 {
    let at = maps::sock().get(|s| &s.lrcvtime);
    if wish().get(|w| &w.tick) == 0 || at == ABSENT {
        return 0;
    }
    // SAFETY: as for the caller; the helper checks what it is given.
    unsafe {
        let tcp = Typed::tcp(sk);
        if tcp.is_null() { 0 } else { Typed::read(tcp, at) }
    }
}

/// Whether the process serves on this connection, as far as is known.
#[inline(always)]
fn serves(conn: &Conn) -> bool {
    conn.ask == IN
}

/// Turns that the thread has begun which make its account another's: where it serves, those it served;
/// where it asks, all. What it asks while it serves is part of that.
#[inline(always)]
unsafe fn turns(own: *const Stints, serves: bool) -> u32 {
    // SAFETY: a live map value.
    unsafe { if serves { (*own).served } else { (*own).served.wrapping_add((*own).asked) } }
}

/// Counts a turn of the thread.
#[inline(always)]
unsafe fn count(own: *mut Stints, serves: bool) {
    // SAFETY: a live map value; only the thread itself writes these.
    unsafe {
        if serves {
            (*own).served = (*own).served.wrapping_add(1);
        } else {
            (*own).asked = (*own).asked.wrapping_add(1);
        }
    }
}

/// A turn begins that is told call by call: the thread is at something else than what it was at.
#[inline(never)]
pub(crate) fn turned(conn: &Conn) {
    if wish().get(|w| &w.thread) == 0 {
        return;
    }
    // SAFETY: the verifier knows the current task; a live map value.
    unsafe {
        let own = thread::storage(bpf_get_current_task_btf() as *const u8, false);
        if !own.is_null() {
            count(own, serves(conn));
        }
    }
}

/// Notes the account of the current thread.
#[inline(never)]
fn note(conn: &mut Conn) {
    // SAFETY: the verifier knows the current task.
    unsafe {
        let task = bpf_get_current_task_btf() as *const u8;
        let own = thread::storage(task, false);
        if own.is_null() {
            conn.before.forget();
            return;
        }
        count(own, serves(conn));
        conn.before.turns = turns(own, serves(conn));
        let switches = switches(task);
        if conn.before.thread == conn.call.tid && conn.before.switches == switches {
            // It has not left the processor since the last ask here: nothing has been added.
            return;
        }
        conn.before.thread = conn.call.tid;
        conn.before.switches = switches;
        conn.before.delay = Typed::read(task, thread::offsets().get(|t| &t.delay));
        conn.before.quota = (*own).quota;
        conn.before.off = (*own).off;
        let (cause, off, quota) = stint(task, own);
        let place = (&raw mut conn.before.off).cast::<u64>().add(cause as usize);
        *place += off;
        conn.before.quota += quota;
    }
}

/// Writes down what has been added to the account since the ask.
#[inline(never)]
fn compare(conn: &mut Conn) {
    // SAFETY: the verifier knows the current task.
    unsafe {
        let task = bpf_get_current_task_btf() as *const u8;
        let own = thread::storage(task, false);
        if own.is_null() || conn.before.thread == 0 {
            conn.pair.why.thread = Thread::Unkept as u8;
            return;
        }
        let turns = turns(own, serves(conn));
        count(own, serves(conn));
        if conn.before.thread != conn.call.tid {
            conn.pair.why.thread = Thread::Other as u8;
            return;
        }
        conn.pair.why.thread = Thread::Same as u8;
        if turns != conn.before.turns {
            conn.pair.why.flags |= flag::SHARED;
        }
        let switched = switches(task).wrapping_sub(conn.before.switches);
        if switched == 0 {
            return;
        }
        conn.pair.why.switches = if switched > 0xffff { 0xffff } else { switched as u16 };
        let delay: u64 = Typed::read(task, thread::offsets().get(|t| &t.delay));
        conn.pair.why.queued = units(delay.saturating_sub(conn.before.delay));
        let (cause, off, quota) = stint(task, own);
        conn.pair.why.throttled = units(((*own).quota + quota).saturating_sub(conn.before.quota));
        for i in 0..CAUSES {
            let now = (*own).off[i] + if cause == i as u64 { off } else { 0 };
            conn.pair.why.off[i] = units(now.saturating_sub(conn.before.off[i]));
        }
    }
}

/// Times that `task` has left a processor.
#[inline(always)]
unsafe fn switches(task: *const u8) -> u32 {
    let at = thread::offsets();
    // SAFETY: the verifier knows the task.
    unsafe {
        let voluntary: u64 = Typed::read(task, at.get(|t| &t.voluntary));
        let involuntary: u64 = Typed::read(task, at.get(|t| &t.involuntary));
        (voluntary as u32).wrapping_add(involuntary as u32)
    }
}

/// What came before the stint that goes on: what it waited for and how long, and how much of its wait
/// on the run queue the quota accounts for. See `switch`, which adds this when the stint ends.
#[inline(always)]
unsafe fn stint(task: *const u8, own: *const Stints) -> (u64, u64, u64) {
    let at = thread::offsets();
    // SAFETY: the verifier knows the task and its run queue.
    unsafe {
        let delay: u64 = Typed::read(task, at.get(|t| &t.delay));
        let wait = delay.wrapping_sub((*own).delay);
        let mut quota = 0;
        let held = at.get(|t| &t.queue_held);
        if held != ABSENT && wait != 0 {
            let queue = thread::pointer(task, at.get(|t| &t.queue));
            if (*own).queue == queue as u64 {
                let more = Typed::read::<u64>(queue, held).wrapping_sub((*own).held);
                quota = if more < wait { more } else { wait };
            }
        }
        let departed = (*own).departed;
        let arrival: u64 = Typed::read(task, at.get(|t| &t.arrival));
        let off = arrival.wrapping_sub(departed).wrapping_sub(wait);
        if departed == 0 || (*own).fresh != 0 || off as i64 <= 0 {
            return (0, 0, quota);
        }
        let cause = bound(u64::from((*own).cause), 7);
        if cause >= CAUSES as u64 { (0, 0, quota) } else { (cause, off, quota) }
    }
}

/// Bytes have come.
#[btf_tracepoint(function = "sk_data_ready")]
pub(crate) fn sock_ready(ctx: BtfTracePointContext) -> i32 {
    if !maps::is_on() {
        return 0;
    }
    let sk: *const u8 = ctx.arg(0);
    // SAFETY: the verifier knows the socket, and its state is live.
    unsafe {
        let protocol: u16 = Typed::read(sk, maps::sock().get(|s| &s.protocol));
        if protocol & 0xff != IPPROTO_TCP {
            return 0;
        }
        let conn = maps::storage(sk, false);
        if conn.is_null() {
            // Nothing was read of it yet: a listener, or a connection whose first bytes these are.
            if wish().get(|w| &w.established) != 0 {
                tcp::bytes_came(sk);
            }
        } else if (*conn).arrived == 0 {
            // Whoever reads is likely on another processor: nothing else of the state is looked at.
            (*conn).arrived = bpf_ktime_get_ns();
        }
    }
    0
}
