//! What the TCP sockets of each process did.
//!
//! The kernel counts bytes, retransmits and round trips with each socket already: nothing is hooked on
//! the way of data. What has changed of a socket is added to its owner's row when a sweep comes by and
//! when the connection ends. A sweep and the end of the same connection at the same instant may add
//! one difference twice: the state is written before the row is looked up, which leaves a few
//! instructions for that.
//!
//! Hooks: `inet_sock_set_state(sk, old, new)`, `tcp_retransmit_synack(sk, req)`, `tcp_send_reset(sk,
//! ..)`, `tcp_receive_reset(sk)`; the exit of `inet_csk_accept`, which may be missing; iterators over
//! socket storage (5.9) and over open files (5.8; `bpf_sock_from_file`: 5.11). Socket storage from
//! tracing programs: 5.11. Emits nothing but listeners, into a sweep.
//!
//! Who owns a socket: who connects, listens or accepts is running then. An accepted socket gets the
//! listener's owner from the kernel, which copies this state, until the accept corrects it. Sockets
//! older than the agent are adopted once, by a walk over all open files.

use core::ffi::c_void;

use agent_common::{
    settings::ABSENT,
    tcp::{Listener, ROWS, Row},
    usage::OwnerKey,
};
use aya_ebpf::{
    EbpfContext as _,
    bindings::{
        BPF_F_CLONE, BPF_F_NO_PREALLOC, BPF_SK_STORAGE_GET_F_CREATE, bpf_map_type, seq_file,
    },
    helpers::generated::{bpf_seq_write, bpf_sk_storage_get, bpf_sock_from_file},
    macros::{btf_map, btf_tracepoint, fexit, map},
    maps::{Array, HashMap},
    programs::{BtfTracePointContext, FExitContext},
};

use crate::{
    capture::IPPROTO_TCP,
    kread::{Memory, Typed},
    maps,
    tally::{self, add, at, record},
    why::UNSEEN,
};

const TCP_ESTABLISHED: i32 = 1;
const TCP_SYN_SENT: i32 = 2;
const TCP_SYN_RECV: i32 = 3;
const TCP_CLOSE: i32 = 7;
const TCP_LISTEN: i32 = 10;

/// What has been added to a row of a socket, and whose.
#[repr(C)]
struct Sock {
    owner: OwnerKey,
    /// When it was established, if it was to be accepted.
    established: u64,
    /// When it was accepted, if that was seen.
    accepted: u64,
    /// When its first bytes came, if that is looked at: see `why`.
    arrived: u64,
    /// Not 0: they came before anybody had accepted it.
    early: u64,
    sent: u64,
    received: u64,
    retransmits: u32,
    delivered: u32,
}

/// Socket storage that the kernel copies from a listener to what it accepts.
#[repr(C)]
struct Cloned<T> {
    r#type: *const [i32; bpf_map_type::BPF_MAP_TYPE_SK_STORAGE as usize],
    key: *const i32,
    value: *const T,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; (BPF_F_NO_PREALLOC | BPF_F_CLONE) as usize],
}

// SAFETY: a description for the loader; nothing is behind its pointers.
unsafe impl<T> Sync for Cloned<T> {}

/// State by socket.
#[btf_map]
static TCP_SOCKS: Cloned<Sock> = Cloned {
    r#type: core::ptr::null(),
    key: core::ptr::null(),
    value: core::ptr::null(),
    max_entries: core::ptr::null(),
    map_flags: core::ptr::null(),
};

/// By process.
#[map]
static TCP: HashMap<OwnerKey, Row> = HashMap::with_max_entries(ROWS, 0);
/// To insert from (0), and of sockets of nobody (1).
#[map]
static TCP_OTHER: Array<Row> = Array::with_max_entries(2, 0);

#[inline(always)]
unsafe fn storage(sk: *const u8, create: bool) -> *mut Sock {
    let flags = if create { u64::from(BPF_SK_STORAGE_GET_F_CREATE) } else { 0 };
    // SAFETY: checked by the verifier, which knows `sk`; null is given back for null.
    unsafe {
        bpf_sk_storage_get(
            (&raw const TCP_SOCKS).cast_mut().cast::<c_void>(),
            sk.cast_mut().cast(),
            core::ptr::null_mut(),
            flags,
        )
        .cast()
    }
}

#[inline(always)]
fn row(owner: &OwnerKey) -> *mut Row {
    if owner.tgid != 0 {
        let row = tally::row(&TCP, owner, TCP_OTHER.get_ptr(0));
        if !row.is_null() {
            return row;
        }
    }
    TCP_OTHER.get_ptr_mut(1).unwrap_or(core::ptr::null_mut())
}

/// What a socket has counted itself.
struct Counted {
    sent: u64,
    received: u64,
    retransmits: u32,
    delivered: u32,
    round_trip: u32,
}

#[inline(always)]
unsafe fn counted(sk: *const u8) -> Option<Counted> {
    // SAFETY: the verifier knows `sk`.
    unsafe {
        let tcp = Typed::tcp(sk);
        if tcp.is_null() {
            return None;
        }
        let sent: u64 = Typed::read(tcp, at().get(|o| &o.bytes_sent));
        let again: u64 = Typed::read(tcp, at().get(|o| &o.bytes_retrans));
        Some(Counted {
            sent: sent.wrapping_sub(again),
            received: Typed::read(tcp, at().get(|o| &o.bytes_received)),
            retransmits: Typed::read(tcp, at().get(|o| &o.total_retrans)),
            delivered: Typed::read(tcp, at().get(|o| &o.delivered)),
            round_trip: Typed::read(tcp, at().get(|o| &o.srtt)),
        })
    }
}

/// Takes what a socket has counted so far for added.
#[inline(always)]
fn begin(sock: &mut Sock, counted: &Counted) {
    sock.sent = counted.sent;
    sock.received = counted.received;
    sock.retransmits = counted.retransmits;
    sock.delivered = counted.delivered;
}

/// Adds what has changed to the owner's row.
#[inline(always)]
unsafe fn fold(sock: *mut Sock, sk: *const u8) {
    // SAFETY: the verifier knows `sk`; the state and the row are live.
    unsafe {
        let Some(counted) = counted(sk) else { return };
        let sock = &mut *sock;
        let sent = counted.sent.wrapping_sub(sock.sent);
        let received = counted.received.wrapping_sub(sock.received);
        let retransmits = counted.retransmits.wrapping_sub(sock.retransmits);
        let delivered = counted.delivered != sock.delivered;
        if sent | received | u64::from(retransmits) == 0 && !delivered {
            return;
        }
        begin(sock, &counted);
        let owner = sock.owner;
        let row = row(&owner);
        if row.is_null() {
            return;
        }
        add(&raw mut (*row).sent, sent);
        add(&raw mut (*row).received, received);
        if retransmits != 0 {
            add(&raw mut (*row).retransmits, u64::from(retransmits));
        }
        if delivered && counted.round_trip != 0 {
            // In eighths of a microsecond.
            record(&raw mut (*row).round_trip, u64::from(counted.round_trip) * 125);
        }
    }
}

/// Sockets come and go.
#[btf_tracepoint(function = "inet_sock_set_state")]
pub(crate) fn tcp_state(ctx: BtfTracePointContext) -> i32 {
    let (sk, old, new): (*const u8, i32, i32) = (ctx.arg(0), ctx.arg(1), ctx.arg(2));
    let begins = new == TCP_SYN_SENT || new == TCP_LISTEN;
    let accepted = old == TCP_SYN_RECV && new == TCP_ESTABLISHED;
    if !(begins || accepted || new == TCP_CLOSE) || !tally::is_on() {
        return 0;
    }
    // SAFETY: the verifier knows `sk`.
    unsafe {
        let protocol: u16 = Typed::read(sk, maps::sock().get(|s| &s.protocol));
        if protocol & 0xff != IPPROTO_TCP {
            return 0;
        }
        let sock = storage(sk, begins);
        if sock.is_null() {
            return 0;
        }
        if begins {
            (*sock).owner = tally::current();
            if let Some(counted) = counted(sk) {
                begin(&mut *sock, &counted);
            }
        } else if accepted {
            (*sock).established = tally::now();
        } else {
            fold(sock, sk);
        }
    }
    0
}

/// A connection goes to who accepts it. `inet_csk_accept(sk, flags, err, kern)`, from 6.10 on
/// `(sk, arg)`; gives the new socket or null.
#[fexit(function = "inet_csk_accept")]
pub(crate) fn tcp_accept(ctx: FExitContext) -> i32 {
    if !tally::is_on() {
        return 0;
    }
    let context = ctx.as_ptr().cast::<u8>();
    let new = if at().get(|o| &o.accept_parameters) == 2 {
        argument::<16>(context)
    } else {
        argument::<32>(context)
    };
    if new.is_null() {
        return 0;
    }
    // SAFETY: the verifier knows both sockets.
    unsafe {
        let sock = storage(new, true);
        if sock.is_null() {
            return 0;
        }
        let owner = tally::current();
        let established = (*sock).established;
        (*sock).owner = owner;
        if established != 0 {
            let now = tally::now();
            (*sock).accepted = now;
            let row = row(&owner);
            if !row.is_null() {
                record(&raw mut (*row).accept, now.saturating_sub(established));
            }
        }
        // Who accepts is who serves, also where another process made the listener.
        let listener = storage(ctx.arg(0), true);
        if !listener.is_null() {
            (*listener).owner = owner;
        }
    }
    0
}

/// Bytes have come for `sk` while nothing was read of it yet.
///
/// # Safety
/// The verifier knows `sk`.
#[inline(always)]
pub(crate) unsafe fn bytes_came(sk: *const u8) {
    // SAFETY: as for the caller; a live state.
    unsafe {
        let sock = storage(sk, false);
        if sock.is_null() || (*sock).established == 0 || (*sock).arrived != 0 {
            return;
        }
        (*sock).arrived = tally::now();
        let socket = at().get(|o| &o.socket);
        // Only what was accepted has one.
        (*sock).early = u64::from(socket != ABSENT && Typed::read::<u64>(sk, socket) == 0);
    }
}

/// How long `sk` waited to be accepted, and when its first bytes came. `now` is their first read.
///
/// Where no accept is seen, because the host lets nobody hook functions, bytes that came before it say
/// so much: it was after that. How long before the read it was is not known then.
///
/// # Safety
/// As for [`bytes_came`].
#[inline(always)]
pub(crate) unsafe fn waited(sk: *const u8, now: u64) -> Waited {
    // SAFETY: as for the caller; a live state.
    unsafe {
        let sock = storage(sk, false);
        if sock.is_null() || (*sock).established == 0 {
            return Waited { unaccepted: 0, accepted: 0, arrived: 0 };
        }
        let (established, accepted) = ((*sock).established, (*sock).accepted);
        let arrived = (*sock).arrived;
        if accepted != 0 {
            let unaccepted = accepted.saturating_sub(established) + 1;
            return Waited { unaccepted, accepted, arrived };
        }
        if arrived != 0 && (*sock).early != 0 {
            let unaccepted = (now.saturating_sub(established) + 1) | UNSEEN;
            return Waited { unaccepted, accepted: 0, arrived: 0 };
        }
        Waited { unaccepted: 0, accepted: 0, arrived }
    }
}

/// See [`waited`].
pub(crate) struct Waited {
    /// How long to be accepted, and one, and [`UNSEEN`]; 0 if it is not known.
    pub(crate) unaccepted: u64,
    /// When it was, if that was seen.
    pub(crate) accepted: u64,
    /// When the first bytes came, if that was noted.
    pub(crate) arrived: u64,
}

/// In assembly for the reason that stands in `capture`.
#[inline(always)]
fn argument<const AT: u32>(context: *const u8) -> *const u8 {
    let value: u64;
    // SAFETY: one load; the verifier checks that the hook has the argument.
    unsafe {
        core::arch::asm!("{0} = *(u64 *)({1} + {at})", out(reg) value, in(reg) context, at = const AT);
    }
    value as *const u8
}

/// The row of the owner of `sk`, which may be null.
#[inline(always)]
unsafe fn row_of(sk: *const u8) -> *mut Row {
    // SAFETY: the verifier knows `sk`.
    let sock = unsafe { storage(sk, false) };
    // SAFETY: a live state.
    let owner = if sock.is_null() { OwnerKey::default() } else { unsafe { (*sock).owner } };
    row(&owner)
}

/// The answer to a connect was sent again. The listener's: there is no socket of its own yet.
#[btf_tracepoint(function = "tcp_retransmit_synack")]
pub(crate) fn tcp_synack(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the verifier knows the socket; the row is live.
    unsafe {
        let row = row_of(ctx.arg(0));
        if tally::is_on() && !row.is_null() {
            add(&raw mut (*row).synack_retransmits, 1);
        }
    }
    0
}

/// A reset was sent; there may be no socket to it.
#[btf_tracepoint(function = "tcp_send_reset")]
pub(crate) fn tcp_reset_sent(ctx: BtfTracePointContext) -> i32 {
    let sk: *const u8 = ctx.arg(0);
    // SAFETY: the verifier knows the socket; the row is live.
    unsafe {
        let row = if sk.is_null() { row(&OwnerKey::default()) } else { row_of(sk) };
        if tally::is_on() && !row.is_null() {
            add(&raw mut (*row).resets_sent, 1);
        }
    }
    0
}

/// A reset was received.
#[btf_tracepoint(function = "tcp_receive_reset")]
pub(crate) fn tcp_reset_received(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the verifier knows the socket; the row is live.
    unsafe {
        let row = row_of(ctx.arg(0));
        if tally::is_on() && !row.is_null() {
            add(&raw mut (*row).resets_received, 1);
        }
    }
    0
}

#[repr(C)]
struct Meta {
    seq: *mut seq_file,
}

/// What the iterator over socket storage hands over.
#[repr(C)]
pub(crate) struct Element {
    meta: *const Meta,
    map: *const c_void,
    sk: *const u8,
    value: *const c_void,
}

/// Adds up what live sockets did, and tells of listeners.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_sk_storage_map")]
pub(crate) fn tcp_sweep(context: *const Element) -> i32 {
    // SAFETY: the verifier knows the context and what it points to.
    unsafe {
        let sk = core::ptr::read_volatile(&raw const (*context).sk);
        let meta = core::ptr::read_volatile(&raw const (*context).meta);
        if sk.is_null() || meta.is_null() {
            return 0;
        }
        let sock = storage(sk, false);
        if sock.is_null() {
            return 0;
        }
        let state: u8 = Typed::read(sk, maps::sock().get(|s| &s.state));
        if i32::from(state) != TCP_LISTEN {
            fold(sock, sk);
            return 0;
        }
        let row = Listener {
            owner: (*sock).owner,
            sock: sk as u64,
            depth: Typed::read(sk, at().get(|o| &o.backlog)),
            limit: Typed::read(sk, at().get(|o| &o.max_backlog)),
            drops: Typed::read(sk, at().get(|o| &o.drops)),
            port: u32::from(Typed::read::<u16>(sk, maps::sock().get(|s| &s.num))),
        };
        let seq = core::ptr::read_volatile(&raw const (*meta).seq);
        let len = size_of_val(&row) as u64;
        if bpf_seq_write(seq, (&raw const len).cast(), 8) == 0 {
            bpf_seq_write(seq, (&raw const row).cast(), size_of_val(&row) as u32);
        }
    }
    0
}

/// What the iterator over open files hands over.
#[repr(C)]
pub(crate) struct OpenFile {
    meta: *const Meta,
    task: *const u8,
    fd: u64,
    file: *const u8,
}

/// Gives sockets that are older than the agent to who has them open.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
pub(crate) fn tcp_adopt(context: *const OpenFile) -> i32 {
    // SAFETY: the verifier knows the context and what it points to.
    unsafe {
        let task = core::ptr::read_volatile(&raw const (*context).task);
        let file = core::ptr::read_volatile(&raw const (*context).file);
        if task.is_null() || file.is_null() {
            return 0;
        }
        let socket = bpf_sock_from_file(file.cast_mut().cast());
        let socket_sk = maps::sock().get(|s| &s.socket_sk);
        if socket.is_null() || socket_sk == ABSENT {
            return 0;
        }
        let sk: *const u8 =
            core::ptr::read_volatile(socket.cast::<u8>().add(socket_sk as usize).cast());
        if sk.is_null() {
            return 0;
        }
        let protocol: u16 = Typed::read(sk, maps::sock().get(|s| &s.protocol));
        let family: u16 = Typed::read(sk, maps::sock().get(|s| &s.family));
        if protocol & 0xff != IPPROTO_TCP || !(family == 2 || family == 10) {
            return 0;
        }
        let Some(counted) = counted(sk) else { return 0 };
        let sock = storage(sk, true);
        if sock.is_null() || (*sock).owner.tgid != 0 {
            return 0;
        }
        (*sock).owner = tally::of(task);
        begin(&mut *sock, &counted);
    }
    0
}
