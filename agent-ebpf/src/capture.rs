//! The hooks that see bytes cross a socket, in three tiers with one meaning.
//!
//! 1. `sock_recv_length`, `sock_send_length`: tracepoints, kernel 6.3 and newer. Arguments: the
//!    socket, the call's result, its flags. Only sockets pay.
//! 2. exits of the protocols' own receive and send (`fexit`), kernel 5.15 and newer.
//! 3. exits of system calls: see `calls`.

use agent_common::{
    counter::Counter,
    record::{Direction, Kind, Peer, Steps, flag},
    settings::ABSENT,
};
use aya_ebpf::{
    EbpfContext,
    helpers::generated::{
        bpf_get_current_pid_tgid, bpf_get_current_task_btf, bpf_get_smp_processor_id,
        bpf_ktime_get_ns, bpf_task_pt_regs,
    },
    macros::{btf_tracepoint, fexit},
    programs::{BtfTracePointContext, FExitContext},
};

use crate::{
    conn::{BLIND, CONNECTING, Conn, NO_DIRECTION, OFF},
    kread::{Memory, Probed, Typed},
    maps, spare, turn, user, why,
};

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
pub(crate) const IPPROTO_TCP: u16 = 6;
const SOCK_STREAM: u16 = 1;
pub(crate) const MSG_PEEK: i32 = 2;
/// The call does not wait, because the socket does not or the caller said so.
pub(crate) const MSG_DONTWAIT: i32 = 0x40;

pub(crate) const IN: u8 = Direction::In as u8;
pub(crate) const OUT: u8 = Direction::Out as u8;

/// Tier 1, receive: emits pairs and segments of any socket that is read.
#[btf_tracepoint(function = "sock_recv_length")]
pub(crate) fn sock_recv(ctx: BtfTracePointContext) -> i32 {
    let (ret, flags): (i32, i32) = (ctx.arg(1), ctx.arg(2));
    if ret > 0 && flags & MSG_PEEK == 0 && spare::take() {
        typed(ctx.arg(0), IN, ret, flags);
    }
    0
}

/// Tier 1, send.
#[btf_tracepoint(function = "sock_send_length")]
pub(crate) fn sock_send(ctx: BtfTracePointContext) -> i32 {
    let ret: i32 = ctx.arg(1);
    if ret > 0 && spare::take() {
        typed(ctx.arg(0), OUT, ret, MSG_DONTWAIT);
    }
    0
}

/// Tier 2, TCP receive: `tcp_recvmsg(sk, msg, len, [nonblock,] flags[, addr_len])`: `nonblock` went with
/// 5.19, `addr_len` with 7.2 at the latest.
#[fexit(function = "tcp_recvmsg")]
pub(crate) fn tcp_recv(ctx: FExitContext) -> i32 {
    let at = ctx.as_ptr().cast::<u8>();
    let (flags, ret) = match maps::recvmsg_parameters().get(|v| v) {
        6 => (argument::<32>(at), argument::<48>(at)),
        5 => (argument::<24>(at), argument::<40>(at)),
        _ => (argument::<24>(at), argument::<32>(at)),
    };
    if ret > 0 && flags & MSG_PEEK == 0 {
        typed(ctx.arg(0), IN, ret, flags);
    }
    0
}

/// The argument that stands `AT` bytes into the context. In assembly, because the compiler makes one load
/// at a computed address of two loads in two branches, which the verifier refuses of a context.
#[inline(always)]
fn argument<const AT: u32>(context: *const u8) -> i32 {
    let value: u64;
    // SAFETY: one load; the verifier checks that the hook has the argument.
    unsafe {
        core::arch::asm!("{0} = *(u64 *)({1} + {at})", out(reg) value, in(reg) context, at = const AT);
    }
    value as i32
}

/// Tier 2, TCP send: `tcp_sendmsg(sk, msg, size)`.
#[fexit(function = "tcp_sendmsg")]
pub(crate) fn tcp_send(ctx: FExitContext) -> i32 {
    let ret: i32 = ctx.arg(3);
    if ret > 0 {
        typed(ctx.arg(0), OUT, ret, MSG_DONTWAIT);
    }
    0
}

/// Tier 2, sendfile and splice before 6.5: `tcp_sendpage(sk, page, offset, size, flags)`.
#[fexit(function = "tcp_sendpage")]
pub(crate) fn tcp_page(ctx: FExitContext) -> i32 {
    let ret: i32 = ctx.arg(5);
    if ret > 0 {
        typed(ctx.arg(0), OUT, ret, MSG_DONTWAIT);
    }
    0
}

/// Tier 2, Unix receive: `unix_stream_recvmsg(sock, msg, size, flags)`.
#[fexit(function = "unix_stream_recvmsg")]
pub(crate) fn unix_recv(ctx: FExitContext) -> i32 {
    let (flags, ret): (i32, i32) = (ctx.arg(3), ctx.arg(4));
    if ret > 0 && flags & MSG_PEEK == 0 {
        typed(sock_of(ctx.arg(0)), IN, ret, flags);
    }
    0
}

/// Tier 2, Unix send: `unix_stream_sendmsg(sock, msg, len)`.
#[fexit(function = "unix_stream_sendmsg")]
pub(crate) fn unix_send(ctx: FExitContext) -> i32 {
    let ret: i32 = ctx.arg(3);
    if ret > 0 {
        typed(sock_of(ctx.arg(0)), OUT, ret, MSG_DONTWAIT);
    }
    0
}

#[inline(always)]
fn sock_of(socket: *const u8) -> *const u8 {
    // SAFETY: `socket` is a `struct socket` that the verifier knows.
    unsafe {
        core::ptr::read_volatile(socket.add(maps::sock().get(|s| &s.socket_sk) as usize).cast())
    }
}

/// Tiers 1 and 2: the socket is a pointer that the verifier knows.
#[inline(always)]
pub(crate) fn typed(sk: *const u8, direction: u8, ret: i32, flags: i32) {
    if sk.is_null() || !maps::is_on() {
        return;
    }
    // SAFETY: `sk` is a socket that the verifier knows, and so is everything read from it.
    unsafe {
        let Some(unix) = observed::<Typed>(sk) else { return };
        let conn = maps::storage(sk, true);
        if conn.is_null() {
            maps::count(Counter::LostNoState, 1);
            return;
        }
        let conn = &mut *conn;
        if conn.mode == OFF {
            maps::count(Counter::OpaqueBytes, ret as u64);
            return;
        }
        conn.unix = u8::from(unix);
        conn.call.direction = direction;
        conn.call.n = ret as u64;
        conn.call.waits = u8::from(flags & MSG_DONTWAIT == 0);
        let regs: *const u8 = bpf_task_pt_regs(bpf_get_current_task_btf()) as *const u8;
        moved::<Typed>(conn, sk, regs);
    }
}

/// Whether the socket is of a kind that is watched, and whether it is a Unix one.
#[inline(always)]
pub(crate) unsafe fn observed<M: Memory>(sk: *const u8) -> Option<bool> {
    let offsets = maps::sock();
    // SAFETY: as for `typed`.
    unsafe {
        let family: u16 = M::read(sk, offsets.get(|s| &s.family));
        if family == AF_INET || family == AF_INET6 {
            let protocol: u16 = M::read(sk, offsets.get(|s| &s.protocol));
            return (protocol & 0xff == IPPROTO_TCP).then_some(false);
        }
        if family == AF_UNIX && maps::watch().get(|w| &w.unix) != 0 {
            let kind: u16 = M::read(sk, offsets.get(|s| &s.kind));
            return (kind == SOCK_STREAM).then_some(true);
        }
    }
    None
}

/// One call that moved bytes, on a socket with state: `conn.call` says which way, and how many.
#[inline(always)]
pub(crate) unsafe fn moved<M: Memory>(conn: &mut Conn, sk: *const u8, regs: *const u8) {
    // SAFETY: helpers without arguments; reads as for `typed`.
    unsafe {
        conn.call.time = bpf_ktime_get_ns();
        let who = bpf_get_current_pid_tgid();
        conn.call.tgid = (who >> 32) as u32;
        conn.call.tid = who as u32;
        conn.call.sleeps = sleeps::<M>();
        conn.call.routine = user::routine::<Typed>(regs);
        conn.call.seq = if conn.unix != 0 { [0, 0] } else { positions::<M>(sk) };
        if M::KNOWN && conn.unix == 0 && conn.call.direction == IN {
            conn.call.came = why::came_last(sk);
        }
        if conn.pair.conn == 0 || conn.mode == CONNECTING {
            meet::<M>(conn, sk);
            if conn.mode == OFF {
                return;
            }
        }
        // The registers are the verifier's own in every tier.
        user::find::<Typed>(regs, conn);
        turn::take(conn);
    }
}

/// The first call on a socket.
#[inline(never)]
unsafe fn meet<M: Memory>(conn: &mut Conn, sk: *const u8) {
    let seq = conn.call.seq;
    // SAFETY: as for `moved`.
    unsafe {
        if conn.mode == CONNECTING {
            // Ports and sequence numbers were not settled when connect began.
            conn.mode = BLIND;
            conn.seq = seq;
            conn.pair.peer = peer::<M>(sk);
        } else {
            open::<M>(conn, sk, conn.unix != 0, conn.call.time, conn.call.tgid, seq);
            if M::KNOWN && conn.unix == 0 {
                why::met(conn, sk);
            }
        }
    }
    // The bytes of this very call have moved already.
    if conn.call.direction == IN {
        conn.seq[0] = seq[0].wrapping_sub(conn.call.n as u32);
    } else {
        conn.seq[1] = seq[1].wrapping_sub(conn.call.n as u32);
    }
}

/// The kernel's sequence numbers: read, written.
#[inline(always)]
pub(crate) unsafe fn positions<M: Memory>(sk: *const u8) -> [u32; 2] {
    let offsets = maps::sock();
    // SAFETY: as for `typed`.
    unsafe {
        let tcp = M::tcp(sk);
        if tcp.is_null() {
            return [0, 0];
        }
        [M::read(tcp, offsets.get(|s| &s.copied_seq)), M::read(tcp, offsets.get(|s| &s.write_seq))]
    }
}

/// A socket is met for the first time.
#[inline(always)]
pub(crate) unsafe fn open<M: Memory>(
    conn: &mut Conn,
    sk: *const u8,
    unix: bool,
    time: u64,
    tgid: u32,
    seq: [u32; 2],
) {
    // SAFETY: a helper without arguments; reads as for `typed`.
    unsafe {
        // Unique: no two sockets are met on one CPU at one nanosecond.
        conn.pair.conn = ((time << 8) | u64::from(bpf_get_smp_processor_id() as u8)).max(1);
        conn.pair.kind = Kind::Pair as u8;
        conn.pair.flags = if unix { flag::UNIX } else { 0 };
        conn.pair.seq = 0;
        conn.pair.steps = NO_STEPS;
        conn.pair.ask_tgid = tgid;
        conn.unix = u8::from(unix);
        conn.phase = 0;
        conn.misses = 0;
        conn.mode = BLIND;
        conn.ask = NO_DIRECTION;
        conn.direction = NO_DIRECTION;
        conn.pos = [0, 0];
        conn.last = [0, 0];
        conn.seq = seq;
        conn.arrived = 0;
        conn.unaccepted = 0;
        conn.accepted = 0;
        conn.before.forget();
        conn.pair.peer = if unix { NO_PEER } else { peer::<M>(sk) };
        let at = maps::sock().get(|s| &s.unix_peer);
        if unix && at != ABSENT {
            // By way of memory: nothing is computed of what the verifier takes for a pointer.
            core::ptr::write_volatile(&raw mut conn.ends, [sk as u64, Probed::read(sk, at)]);
        }
    }
    if filtered(conn, tgid) {
        conn.mode = OFF;
        maps::count(Counter::Filtered, 1);
    }
}

/// How often the current thread has slept; 0 where the kernel does not tell.
#[inline(always)]
pub(crate) unsafe fn sleeps<M: Memory>() -> u32 {
    let at = maps::task().get(|t| &t.voluntary);
    // SAFETY: a helper without arguments, whose result is what `M` reads from.
    unsafe { if at == ABSENT { 0 } else { M::read(M::task(), at) } }
}

const NO_STEPS: Steps =
    Steps { opened: 0, opened_tid: 0, opened_sleeps: 0, ask_sleeps: 0, answer_sleeps: 0 };
const NO_PEER: Peer = Peer { address: [0; 16], port: 0, local_port: 0 };

/// Both ends of a TCP socket.
#[inline(always)]
unsafe fn peer<M: Memory>(sk: *const u8) -> Peer {
    let offsets = maps::sock();
    // SAFETY: as for `typed`.
    unsafe {
        let family: u16 = M::read(sk, offsets.get(|s| &s.family));
        let mut words = [0u32; 4];
        if family == AF_INET6 && offsets.get(|s| &s.v6_daddr) != ABSENT {
            let at = offsets.get(|s| &s.v6_daddr);
            words =
                [M::read(sk, at), M::read(sk, at + 4), M::read(sk, at + 8), M::read(sk, at + 12)];
        } else {
            words[2] = u32::from_ne_bytes([0, 0, 0xff, 0xff]);
            words[3] = M::read(sk, offsets.get(|s| &s.daddr));
        }
        let port: u16 = M::read(sk, offsets.get(|s| &s.dport));
        Peer {
            address: core::mem::transmute::<[u32; 4], [u8; 16]>(words),
            port: u16::from_be(port),
            local_port: M::read(sk, offsets.get(|s| &s.num)),
        }
    }
}

/// Whether a filter leaves the connection out.
#[inline(always)]
fn filtered(conn: &Conn, tgid: u32) -> bool {
    let watch = maps::watch();
    if tgid == watch.get(|w| &w.own) {
        return true;
    }
    // SAFETY: the value is only looked at.
    if watch.get(|w| &w.processes) != 0 && unsafe { maps::PROCESSES.get(tgid) }.is_some() {
        return true;
    }
    if watch.get(|w| &w.ports) != 0 && conn.unix == 0 {
        let named = port_named(conn.pair.peer.port) || port_named(conn.pair.peer.local_port);
        return named != (watch.get(|w| &w.ports_only) != 0);
    }
    false
}

#[inline(always)]
fn port_named(port: u16) -> bool {
    maps::PORTS.get(u32::from(port >> 6)).is_some_and(|bits| bits >> (port & 63) & 1 != 0)
}
