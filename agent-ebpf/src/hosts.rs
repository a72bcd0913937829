//! Trace and span id carried to the other host in a TCP option.
//!
//! Hook: `sock_ops` of a control group, kernel 5.10. On connections that were begun here, the segment
//! with the first byte of an ask carries an option of 28 bytes (`agent_common::carry`); on those that were
//! accepted the option is looked for. Nothing else of a connection is changed, and none that is older
//! than the program is touched. Emits nothing itself: what was written or read stands in the socket's state until
//! the call that moves those bytes is told, and goes out before it (`emit::carried`).
//!
//! The bytes leave before the call that writes them is told: that an ask begins is known from the
//! bytes before, which went the other way, or from there having been none. Whether a segment has the option
//! is decided with it in hand, since the room for it must have been left when the size of segments was
//! computed. It is written once: what is sent again goes without, so that a path which drops it costs a
//! connection one retransmission. Where that has happened [`STRIKES`] times in a row, no more is written to that
//! address for [`FORGIVEN`]: it may have been a host that was slow.

use core::ffi::c_void;

use agent_common::{
    carry::{EXPERIMENT, FORGIVEN, KIND, SIZE, STRIKES, TRIED},
    counter::Counter,
};
use aya_ebpf::{
    bindings::{
        BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB, BPF_SOCK_OPS_HDR_OPT_LEN_CB,
        BPF_SOCK_OPS_PARSE_HDR_OPT_CB, BPF_SOCK_OPS_PARSE_UNKNOWN_HDR_OPT_CB_FLAG,
        BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB, BPF_SOCK_OPS_WRITE_HDR_OPT_CB,
        BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG, bpf_sock_ops,
    },
    helpers::generated::{
        bpf_get_prandom_u32, bpf_ktime_get_ns, bpf_load_hdr_opt, bpf_reserve_hdr_opt,
        bpf_sock_ops_cb_flags_set, bpf_store_hdr_opt,
    },
    macros::{map, sock_ops},
    maps::{Array, LruHashMap},
    programs::SockOpsContext,
};

use crate::{
    capture::{IN, OUT},
    conn::{Conn, FOR_BYTE, FOR_TURN, OFF},
    hands, maps,
};

/// Not 0 while options are written. A map and no setting: userspace takes it back when the path is bad.
#[map]
static CARRY: Array<u64> = Array::with_max_entries(1, 0);

/// How segments with the option fare on their way to an address.
#[repr(C)]
#[derive(Clone, Copy)]
struct Struck {
    /// How often in a row one had to be sent again.
    times: u64,
    /// When that was last so.
    at: u64,
}

/// By address, IPv4 as v4-mapped.
#[map]
static STRUCK: LruHashMap<[u8; 16], Struck> = LruHashMap::with_max_entries(4096, 0);

/// `tcp_current_mss` asks, not a segment.
const CURRENT_MSS: u32 = 1;

/// The first four bytes of the option, and the ids behind them.
#[repr(C)]
struct Wire {
    front: u32,
    ids: [u32; 6],
}

const fn front(len: u8) -> u32 {
    let [high, low] = EXPERIMENT.to_be_bytes();
    u32::from_ne_bytes([KIND, len, high, low])
}

/// What happens on sockets of the group.
#[sock_ops]
pub(crate) fn carry(ctx: SockOpsContext) -> u32 {
    let ops = ctx.ops;
    // SAFETY: the context is the verifier's own.
    unsafe {
        match (*ops).op {
            BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB => {
                flags(ops, BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG);
            }
            BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB => {
                flags(ops, BPF_SOCK_OPS_PARSE_UNKNOWN_HDR_OPT_CB_FLAG);
                // The segment that ends the handshake may have bytes in it.
                arrived(ops);
            }
            BPF_SOCK_OPS_PARSE_HDR_OPT_CB => arrived(ops),
            BPF_SOCK_OPS_HDR_OPT_LEN_CB => length(ops),
            BPF_SOCK_OPS_WRITE_HDR_OPT_CB => write(ops),
            _ => {}
        }
    }
    1
}

#[inline(always)]
unsafe fn flags(ops: *mut bpf_sock_ops, more: u32) {
    // SAFETY: as for the caller.
    unsafe {
        bpf_sock_ops_cb_flags_set(ops, ((*ops).bpf_sock_ops_cb_flags | more) as i32);
    }
}

/// The socket's state; null if it has none, or if there is no whole socket.
#[inline(always)]
unsafe fn state(ops: *mut bpf_sock_ops, create: bool) -> *mut Conn {
    // SAFETY: as for the caller; the verifier sees that the socket is not null.
    unsafe {
        let sk = core::ptr::read_volatile(&raw const (*ops).__bindgen_anon_2.sk);
        if sk.is_null() {
            return core::ptr::null_mut();
        }
        maps::storage(sk.cast(), create)
    }
}

/// Whether `seq` has not been acknowledged.
#[inline(always)]
unsafe fn is_open(ops: *mut bpf_sock_ops, seq: u32) -> bool {
    // SAFETY: as for the caller.
    seq.wrapping_sub(unsafe { (*ops).snd_una }) as i32 >= 0
}

/// How much room is needed: for a segment, or for those to come.
#[inline(always)]
unsafe fn length(ops: *mut bpf_sock_ops) {
    // SAFETY: as for the caller.
    unsafe {
        let conn = state(ops, false);
        if conn.is_null() {
            return;
        }
        let conn = &mut *conn;
        let placed = conn.carry.chosen == FOR_BYTE;
        let open = placed && is_open(ops, conn.carry.seq);
        // Of this turn: nothing was read since.
        let same = conn.carry.read == conn.seq[0];
        let begins = conn.direction != OUT && conn.ask != IN && !(placed && same);
        if !begins && !open {
            conn.carry.room = 0;
            return;
        }
        let bytes = (*ops).skb_len;
        if (*ops).__bindgen_anon_1.args[0] == CURRENT_MSS {
            // The first time in a turn, this is the call that writes its first bytes.
            if begins && !(conn.carry.chosen == FOR_TURN && same) && !choose(conn, false) {
                conn.carry.room = 0;
                return;
            }
            conn.carry.room = u32::from(bpf_reserve_hdr_opt(ops, SIZE as u32, 0) == 0);
            return;
        }
        if bytes == 0 {
            return;
        }
        if begins {
            if !(conn.carry.chosen == FOR_TURN && same) && !choose(conn, true) {
                return;
            }
            conn.carry.chosen = FOR_BYTE;
            conn.carry.seq = (*ops).snd_nxt;
        }
        let fits = conn.carry.room != 0 || bytes + SIZE as u32 <= (*ops).mss_cache;
        if !fits || bpf_reserve_hdr_opt(ops, SIZE as u32, 0) != 0 {
            maps::count(Counter::CarryNoRoom, 1);
        }
    }
}

/// Ids for the ask that is about to begin. False if none are to be carried there, which is counted where
/// `counts` says so.
#[inline(always)]
fn choose(conn: &mut Conn, counts: bool) -> bool {
    let Some(switch) = CARRY.get(0) else { return false };
    // SAFETY: a live map value; userspace writes it whole.
    let switch = unsafe { core::ptr::read_volatile(switch) };
    // The agent's own connection, which is not watched, is the one it is tried on.
    let tried = switch & TRIED != 0 && switch as u16 == conn.pair.peer.port;
    if !tried && (switch != 1 || conn.mode == OFF) {
        return false;
    }
    let address = &conn.pair.peer.address;
    // SAFETY: the value is only looked at.
    if let Some(struck) = unsafe { STRUCK.get(address) } {
        // SAFETY: a helper without arguments.
        let since = unsafe { bpf_ktime_get_ns() }.wrapping_sub(struck.at);
        if struck.times >= STRIKES && since < FORGIVEN {
            if counts {
                maps::count(Counter::CarryStruck, 1);
            }
            return false;
        }
        if conn.carry.chosen == FOR_BYTE && conn.carry.sent == 1 {
            let _ = STRUCK.remove(address);
        }
    }
    let hand = hands::current();
    // SAFETY: a helper without arguments.
    unsafe {
        let trace = match hand {
            Some(hand) => hand.trace,
            None => [
                bpf_get_prandom_u32(),
                bpf_get_prandom_u32(),
                bpf_get_prandom_u32(),
                bpf_get_prandom_u32(),
            ],
        };
        conn.carry.ids =
            [trace[0], trace[1], trace[2], trace[3], bpf_get_prandom_u32(), bpf_get_prandom_u32()];
    }
    conn.carry.by = hand.map_or(0, |hand| hand.conn);
    conn.carry.chosen = FOR_TURN;
    conn.carry.sent = 0;
    conn.carry.read = conn.seq[0];
    true
}

/// The sequence number of the segment in hand.
#[inline(always)]
unsafe fn sequence(ops: *mut bpf_sock_ops) -> Option<u32> {
    // SAFETY: the verifier sees that the header's first bytes are there.
    unsafe {
        let data = core::ptr::read_volatile(&raw const (*ops).__bindgen_anon_3.skb_data);
        let end = core::ptr::read_volatile(&raw const (*ops).__bindgen_anon_4.skb_data_end);
        let data = data.cast::<u8>();
        if data.add(20) > end.cast::<u8>() {
            return None;
        }
        Some(u32::from_be(core::ptr::read_volatile(data.add(4).cast())))
    }
}

/// Writes the option, if this segment has the ask's first byte and has it for the first time.
#[inline(always)]
unsafe fn write(ops: *mut bpf_sock_ops) {
    // SAFETY: as for the caller.
    unsafe {
        let conn = state(ops, false);
        if conn.is_null() {
            return;
        }
        let conn = &mut *conn;
        if conn.carry.chosen != FOR_BYTE || sequence(ops) != Some(conn.carry.seq) {
            return;
        }
        if conn.carry.sent != 0 {
            if conn.carry.sent == 1 {
                conn.carry.sent = 2;
                strike(conn);
            }
            return;
        }
        let wire = Wire { front: front(SIZE as u8), ids: conn.carry.ids };
        if bpf_store_hdr_opt(ops, (&raw const wire).cast::<c_void>(), SIZE as u32, 0) == 0 {
            conn.carry.sent = 1;
            conn.carries = 1;
            maps::count(Counter::CarryWritten, 1);
        }
    }
}

#[inline(always)]
fn strike(conn: &Conn) {
    maps::count(Counter::CarryAgain, 1);
    let address = &conn.pair.peer.address;
    // SAFETY: the value is only looked at.
    let times = unsafe { STRUCK.get(address) }.map_or(0, |struck| struck.times);
    // SAFETY: a helper without arguments.
    let at = unsafe { bpf_ktime_get_ns() };
    let _ = STRUCK.insert(address, Struck { times: times + 1, at }, 0);
}

/// Reads the option of a segment that came.
#[inline(always)]
unsafe fn arrived(ops: *mut bpf_sock_ops) {
    // What is searched for: kind, length up to the experiment, experiment.
    let mut wire = Wire { front: front(4), ids: [0; 6] };
    // SAFETY: the helper writes what `wire` has room for.
    unsafe {
        let found = bpf_load_hdr_opt(ops, (&raw mut wire).cast::<c_void>(), SIZE as u32, 0);
        if found != SIZE as i64 {
            return;
        }
        let Some(seq) = sequence(ops) else { return };
        let conn = state(ops, true);
        if conn.is_null() {
            return;
        }
        let conn = &mut *conn;
        // The same again, or in a later segment of those that one was cut into.
        if conn.carry.chosen == FOR_BYTE && conn.carry.ids == wire.ids {
            return;
        }
        conn.carry.chosen = FOR_BYTE;
        conn.carry.seq = seq;
        conn.carry.ids = wire.ids;
        conn.carries = 1;
        maps::count(Counter::CarryRead, 1);
    }
}
