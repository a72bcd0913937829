//! How sockets begin and end: connects that fail, exchanges that are cut off.
//!
//! Hooks: `inet_sock_set_state(sk, oldstate, newstate)`, `tcp_destroy_sock(sk)`, kernel 4.16. Emits
//! `Pair`, `Close` and `ConnectFailed`. The end may come in an interrupt: who the socket belongs to
//! was noted before.
//!
//! A connection may be over (reset, or both ends said they are done) while its last answer waits to
//! be read. Such a socket is held until the program closes it.

use agent_common::{
    counter::Counter,
    record::{ConnectFailed, End, Kind},
    settings::ABSENT,
};
use aya_ebpf::{
    bindings::BPF_RB_NO_WAKEUP,
    helpers::generated::{bpf_get_current_pid_tgid, bpf_ktime_get_ns},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};

use crate::{
    capture,
    conn::{ANSWERING, BLIND, CONNECTING, Conn, FOLLOW, FULL, IDLE, NO_IDS, OFF, PAIRS},
    debug::debug,
    emit, hands,
    kread::{Memory, Probed, Typed},
    maps,
};

const TCP_SYN_SENT: i32 = 2;
const TCP_FIN_WAIT2: i32 = 5;
const TCP_TIME_WAIT: i32 = 6;
const TCP_CLOSE: i32 = 7;
const TCP_CLOSE_WAIT: i32 = 8;
const TCP_LAST_ACK: i32 = 9;
const TCP_CLOSING: i32 = 11;

/// State in socket storage (tiers 1 and 2).
#[btf_tracepoint(function = "inet_sock_set_state")]
pub(crate) fn sock_state(ctx: BtfTracePointContext) -> i32 {
    debug!(&ctx, "socket state {}", ctx.arg::<i32>(2));
    state(&ctx);
    0
}

/// What [`sock_state`] does. Does nothing the second time, but for a connect that begins again.
#[inline(always)]
pub(crate) fn state(ctx: &BtfTracePointContext) {
    let (sk, old, new): (*const u8, i32, i32) = (ctx.arg(0), ctx.arg(1), ctx.arg(2));
    if new == TCP_SYN_SENT || new == TCP_CLOSE {
        // SAFETY: the verifier knows `sk`.
        unsafe {
            let conn = maps::storage(sk, new == TCP_SYN_SENT);
            if !conn.is_null() {
                changed(&mut *conn, sk, old, new);
            }
        }
    }
}

/// State by the socket's address (tier 3).
#[btf_tracepoint(function = "inet_sock_set_state")]
pub(crate) fn sock_state_by_sock(ctx: BtfTracePointContext) -> i32 {
    let (sk, old, new): (*const u8, i32, i32) = (ctx.arg(0), ctx.arg(1), ctx.arg(2));
    if new == TCP_SYN_SENT || new == TCP_CLOSE {
        let conn = maps::by_sock(sk as u64, new == TCP_SYN_SENT);
        if !conn.is_null() {
            // SAFETY: the verifier knows `sk`, and a map value that is not null.
            unsafe { changed(&mut *conn, sk, old, new) };
            // SAFETY: as above.
            if new == TCP_CLOSE && unsafe { (*conn).held } == 0 {
                let _ = maps::CONNS_BY_SOCK.remove(sk as u64);
            }
        }
    }
    0
}

/// The program is done with the socket: state in socket storage.
#[btf_tracepoint(function = "tcp_destroy_sock")]
pub(crate) fn sock_gone(ctx: BtfTracePointContext) -> i32 {
    let sk: *const u8 = ctx.arg(0);
    // SAFETY: the verifier knows `sk`.
    unsafe {
        let conn = maps::storage(sk, false);
        if !conn.is_null() {
            gone(&mut *conn, sk);
        }
    }
    0
}

/// The same by the socket's address.
#[btf_tracepoint(function = "tcp_destroy_sock")]
pub(crate) fn sock_gone_by_sock(ctx: BtfTracePointContext) -> i32 {
    let sk: *const u8 = ctx.arg(0);
    let conn = maps::by_sock(sk as u64, false);
    if !conn.is_null() {
        // SAFETY: the verifier knows `sk`, and a map value that is not null.
        unsafe { gone(&mut *conn, sk) };
        let _ = maps::CONNS_BY_SOCK.remove(sk as u64);
    }
    0
}

#[inline(always)]
unsafe fn gone(conn: &mut Conn, sk: *const u8) {
    if conn.held == 0 {
        return;
    }
    // SAFETY: as for the callers; a helper without arguments.
    unsafe {
        let seq = capture::positions::<Typed>(sk);
        let (errno, fin) = ((conn.held & 0xffff) - 1, conn.held >> 16);
        end(conn, errno as u16, bpf_ktime_get_ns(), TCP_CLOSE, seq, fin);
    }
}

#[inline(always)]
unsafe fn end(conn: &mut Conn, errno: u16, time: u64, old: i32, seq: [u32; 2], fin: u32) {
    ended(conn, errno, time, old, seq, fin);
    conn.held = 0;
    conn.pair.conn = 0;
    conn.phase = IDLE;
    conn.mode = BLIND;
    if maps::watch().get(|w| &w.carry) != 0 {
        hands::let_go(conn);
    }
    conn.carries = 0;
    conn.carry.chosen = NO_IDS;
}

/// What stands in the socket unread, the end of the stream included, and whether the program has
/// read as far as that end.
#[inline(always)]
unsafe fn rest(sk: *const u8, old: i32, copied: u32) -> (u32, u32) {
    let offsets = maps::sock();
    if offsets.get(|s| &s.rcv_nxt) == ABSENT {
        return (0, 1);
    }
    // SAFETY: the verifier knows `sk`.
    unsafe {
        let tcp = Typed::tcp(sk);
        if tcp.is_null() {
            return (0, 1);
        }
        let next: u32 = Typed::read(tcp, offsets.get(|s| &s.rcv_nxt));
        let unread = next.wrapping_sub(copied);
        let other_done = matches!(old, TCP_TIME_WAIT | TCP_CLOSE_WAIT | TCP_LAST_ACK | TCP_CLOSING);
        (unread, u32::from(unread == 0 && other_done))
    }
}

#[inline(always)]
unsafe fn changed(conn: &mut Conn, sk: *const u8, old: i32, new: i32) {
    // SAFETY: as for the callers; helpers without arguments.
    unsafe {
        let protocol: u16 = Typed::read(sk, maps::sock().get(|s| &s.protocol));
        if protocol & 0xff != capture::IPPROTO_TCP {
            return;
        }
        let time = bpf_ktime_get_ns();
        let seq = capture::positions::<Typed>(sk);
        if new == TCP_SYN_SENT {
            let who = bpf_get_current_pid_tgid();
            capture::open::<Typed>(conn, sk, false, time, (who >> 32) as u32, seq);
            conn.pair.steps.opened = time;
            conn.pair.steps.opened_tid = who as u32;
            conn.pair.steps.opened_sleeps = capture::sleeps::<Probed>();
            if conn.mode != OFF {
                conn.mode = CONNECTING;
                conn.last[1] = time;
            }
            conn.held = 0;
            return;
        }
        let (unread, fin) = rest(sk, old, seq[0]);
        let errno: u32 = Typed::read(sk, maps::sock().get(|s| &s.err));
        // The end of the stream counts as one. A program that closes has thrown away what waited.
        let ends = u32::from(old == TCP_FIN_WAIT2 || old == TCP_CLOSE_WAIT || old == TCP_CLOSING);
        let queued = maps::sock().get(|s| &s.queued);
        if queued != ABSENT && conn.mode != CONNECTING && conn.pair.conn != 0 {
            let waits = unread > ends && Typed::read::<u32>(sk, queued) != 0;
            // Read, and not told yet: the end came while the call that reads was under way.
            let untold = seq[0].wrapping_sub(conn.seq[0]).wrapping_sub(fin) as i32 > 0;
            if waits || untold {
                conn.held = ((errno & 0xfff) + 1) | (fin << 16);
                return;
            }
        }
        end(conn, errno as u16, time, old, seq, fin);
    }
}

#[inline(always)]
fn ended(conn: &mut Conn, errno: u16, time: u64, old: i32, seq: [u32; 2], fin: u32) {
    if conn.pair.conn == 0 {
        return;
    }
    if conn.mode == CONNECTING {
        if old == TCP_SYN_SENT {
            connect_failed(conn, errno, time);
        }
        return;
    }
    // What was read past every hook (splice), less the end of the stream if that was read too.
    let unread = seq[0].wrapping_sub(conn.seq[0]).wrapping_sub(fin);
    let skipped = if unread as i32 > 0 { u64::from(unread) } else { 0 };
    conn.pos[0] += skipped;
    if conn.mode == FOLLOW || conn.mode == FULL {
        emit::close(conn, errno, time);
        return;
    }
    if conn.phase == IDLE || conn.mode == OFF {
        return;
    }
    if conn.mode != PAIRS {
        maps::count(Counter::Unknown, 1);
        return;
    }
    if conn.phase == ANSWERING {
        if skipped != 0 && conn.ask == capture::OUT {
            conn.pair.answer.bytes += skipped;
            conn.pair.answer.last = time;
            conn.pair.tail_len = 0;
        }
    } else {
        conn.pair.answer.last = time;
    }
    emit::pair(conn, if errno == 0 { End::Closed } else { End::Failed }, errno);
}

#[inline(always)]
fn connect_failed(conn: &Conn, errno: u16, time: u64) {
    let Some(mut entry) = emit::reserve::<ConnectFailed>(conn) else {
        maps::count(Counter::LostRingConnect, 1);
        return;
    };
    entry.write(ConnectFailed {
        kind: Kind::ConnectFailed as u8,
        reserved: 0,
        errno,
        tgid: conn.pair.ask_tgid,
        begun: conn.last[1],
        time,
        peer: conn.pair.peer,
        reserved2: 0,
    });
    entry.submit(BPF_RB_NO_WAKEUP.into());
}
