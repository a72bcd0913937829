//! Records into the ring. What does not fit is counted by kind.

use core::ffi::c_void;

use agent_common::{
    counter::Counter,
    limit::{SEGMENT_LARGE, SEGMENT_SMALL, SEGMENTS_PER_CALL, ring_place},
    record::{self, Carried, Close, End, Joint, Kind, Segment, flag},
};
use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::generated::{bpf_probe_read_user, bpf_ringbuf_output, bpf_ringbuf_query},
    maps::ring_buf::RingBufEntry,
};

use crate::{
    capture::IN,
    conn::Conn,
    kread::{bound, pick},
    maps::{self, EVENTS, Ring},
    user::{LOOK, rewind, step},
};

/// Records between two looks at how full the ring is, per CPU; a power of two.
const LOOK_EVERY: u64 = 64;

/// How a record is to be submitted: quietly, since userspace comes by on its own, unless it is late.
#[inline(always)]
fn wake(ring: *mut c_void, written: u64) -> u64 {
    let high = u64::from(maps::watch().get(|w| &w.high_water));
    // SAFETY: the verifier knows the ring.
    if written & (LOOK_EVERY - 1) == 0
        && unsafe { bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA.into()) } > high
    {
        BPF_RB_FORCE_WAKEUP.into()
    } else {
        BPF_RB_NO_WAKEUP.into()
    }
}

#[inline(always)]
fn ring(conn: &Conn) -> Option<&'static Ring> {
    EVENTS.get(ring_place(conn.pair.conn))
}

#[inline(always)]
fn address(ring: &Ring) -> *mut c_void {
    core::ptr::from_ref(ring).cast_mut().cast()
}

/// Room for a record of this connection.
#[inline(always)]
pub(crate) fn reserve<T: 'static>(conn: &Conn) -> Option<RingBufEntry<T>> {
    ring(conn)?.reserve_untyped::<T>(0)
}

const PAIR: u64 = size_of::<record::Pair>() as u64;

/// Writes the exchange in hand, heads and all, as it stands in the socket's state.
#[inline(always)]
pub(crate) fn pair(conn: &mut Conn, end: End, errno: u16) {
    conn.pair.end = end as u8;
    conn.pair.errno = errno;
    let seen = maps::count(Counter::ExchangesSeen, 1);
    let Some(ring) = ring(conn) else {
        maps::count(Counter::LostRingExchange, 1);
        return;
    };
    let ring = address(ring);
    let flags = wake(ring, seen);
    let len = u64::from(conn.pair.ask_head) + u64::from(conn.pair.answer_head);
    // SAFETY: the state is one block of at least PAIR + 1023 bytes.
    let failed = unsafe {
        bpf_ringbuf_output(ring, (&raw mut *conn).cast::<c_void>(), PAIR + bound(len, 1023), flags)
    };
    if failed != 0 {
        maps::count(Counter::LostRingExchange, 1);
    }
}

/// Writes how a followed connection ended, or how far it has come.
#[inline(always)]
pub(crate) fn close(conn: &Conn, errno: u16, time: u64) {
    let Some(mut entry) = reserve::<Close>(conn) else {
        maps::count(Counter::LostRingClose, 1);
        return;
    };
    entry.write(close_record(conn, Kind::Close, errno, time));
    entry.submit(BPF_RB_NO_WAKEUP.into());
}

/// The record of [`close`].
#[inline(always)]
pub(crate) fn close_record(conn: &Conn, kind: Kind, errno: u16, time: u64) -> Close {
    Close {
        kind: kind as u8,
        flags: conn.pair.flags & !flag::SAME,
        errno,
        tgid: conn.pair.ask_tgid,
        conn: conn.pair.conn,
        time,
        end: conn.pos,
        last: conn.last,
    }
}

/// Writes what was carried with the ask whose first bytes the call in hand has moved. What came with
/// bytes that nobody has read yet waits.
#[inline(never)]
pub(crate) fn carried(conn: &mut Conn) {
    let direction = conn.call.direction;
    if (direction == IN) != (conn.carry.sent == 0) {
        return;
    }
    let behind = pick(conn.seq, direction).wrapping_sub(conn.carry.seq);
    if conn.unix != 0 || behind as i32 <= 0 {
        return;
    }
    conn.carries = 0;
    let Some(mut entry) = reserve::<Carried>(conn) else {
        maps::count(Counter::LostRingCarried, 1);
        return;
    };
    let [a, b, c, d, e, f] = conn.carry.ids;
    // SAFETY: words as they stood on the wire.
    let (trace, span) = unsafe {
        (
            core::mem::transmute::<[u32; 4], [u8; 16]>([a, b, c, d]),
            core::mem::transmute::<[u32; 2], [u8; 8]>([e, f]),
        )
    };
    entry.write(Carried {
        kind: Kind::Carried as u8,
        direction,
        reserved: [0; 6],
        conn: conn.pair.conn,
        position: pick(conn.pos, direction).wrapping_sub(u64::from(behind)),
        time: conn.call.time,
        trace,
        span,
        by: conn.carry.by,
    });
    entry.submit(BPF_RB_NO_WAKEUP.into());
}

/// Writes what a Unix socket has in common with its other end, which is no address that tells anything.
#[inline(never)]
pub(crate) fn joint(conn: &mut Conn) {
    // SAFETY: our own memory; read so that the verifier takes it for numbers.
    let [own, other] = unsafe { core::ptr::read_volatile(&raw const conn.ends) };
    if own == 0 || other == 0 {
        return;
    }
    let Some(mut entry) = reserve::<Joint>(conn) else {
        maps::count(Counter::LostRingCarried, 1);
        return;
    };
    entry.write(Joint {
        kind: Kind::Joint as u8,
        reserved: [0; 7],
        conn: conn.pair.conn,
        key: mixed(own).wrapping_add(mixed(other)),
        time: conn.call.time,
    });
    entry.submit(BPF_RB_NO_WAKEUP.into());
}

/// A number from which its origin cannot be seen at a glance, and whose sums do not meet.
#[inline(always)]
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let number = (number ^ (number >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    number ^ (number >> 33)
}

#[repr(C)]
struct Small {
    header: Segment,
    data: [u8; SEGMENT_SMALL],
}

#[repr(C)]
struct Large {
    header: Segment,
    data: [u8; SEGMENT_LARGE + 1],
}

/// Writes up to `conn.call.left` bytes of the call in hand, piece by piece; at least one segment,
/// so that its size and time are told even where its bytes cannot be.
#[inline(never)]
pub(crate) fn segments(conn: &mut Conn) {
    if conn.call.left == 0 || conn.call.pieces == 0 {
        if conn.call.left != 0 {
            conn.call.flags |= flag::UNSEEN;
        }
        conn.call.left = 0;
        conn.call.len = 0;
        write_small(conn, 0);
        return;
    }
    rewind(conn);
    let mut i = 0;
    while i < ROUNDS {
        if next_segment(conn) != 0 {
            break;
        }
        i += 1;
    }
}

/// One round: a segment, or a step to the next piece. Not 0 when there is no more to do. A function
/// of its own so that the verifier forgets between rounds what it knew of one.
#[inline(never)]
fn next_segment(conn: &mut Conn) -> u32 {
    if conn.call.left == 0 {
        return 1;
    }
    if conn.call.len == 0 {
        step(conn);
        return u32::from(conn.call.next > LOOK);
    }
    let len = if conn.call.len < conn.call.left { conn.call.len } else { conn.call.left };
    let len = if len > SEGMENT_LARGE as u64 { SEGMENT_LARGE as u64 } else { len };
    conn.call.left -= len;
    let failed =
        if len < SEGMENT_SMALL as u64 { write_small(conn, len) } else { write_large(conn, len) };
    conn.call.flags &= !flag::TURN;
    conn.call.start += len;
    conn.call.base += len;
    conn.call.len -= len;
    conn.carried += len;
    failed
}

/// Segments of a call, and pieces to step over.
const ROUNDS: usize = SEGMENTS_PER_CALL + 8;

/// Fills in a segment's header; `len` bytes are to follow, and `call.left` after them.
#[inline(always)]
unsafe fn header(at: *mut Segment, conn: &Conn, len: u64) {
    let out = conn.call.direction != IN;
    let reached = if out { conn.pos[1] } else { conn.pos[0] };
    // SAFETY: `at` is the beginning of an entry that is ours.
    unsafe {
        (*at).kind = Kind::Segment as u8;
        (*at).flags = conn.call.flags;
        (*at).direction = conn.call.direction;
        (*at).waits = conn.call.waits;
        (*at).len = len as u16;
        (*at).reserved2 = 0;
        (*at).conn = conn.pair.conn;
        (*at).start = conn.call.start;
        // The last segment of a call says how far the call went.
        (*at).end = if conn.call.left == 0 { reached } else { conn.call.start + len };
        (*at).time = conn.call.time;
        (*at).other_end = if out { conn.pos[0] } else { conn.pos[1] };
        (*at).other_time = if out { conn.last[0] } else { conn.last[1] };
        (*at).tgid = conn.call.tgid;
        (*at).tid = conn.call.tid;
        (*at).sleeps = conn.call.sleeps;
        (*at).peer = conn.pair.peer;
    }
}

#[inline(never)]
fn write_small(conn: &Conn, len: u64) -> u32 {
    let Some(ring) = ring(conn) else {
        maps::count(Counter::LostRingSegment, 1);
        return 1;
    };
    let Some(mut entry) = ring.reserve_untyped::<Small>(0) else {
        maps::count(Counter::LostRingSegment, 1);
        return 1;
    };
    let at = entry.as_mut_ptr();
    // SAFETY: the entry is ours until it is submitted; the length is below the data's size.
    let failed = unsafe {
        header(&raw mut (*at).header, conn, len);
        bpf_probe_read_user(
            (&raw mut (*at).data).cast::<c_void>(),
            bound(len, SEGMENT_SMALL as u64 - 1) as u32,
            conn.call.base as *const c_void,
        )
    };
    if failed != 0 && len != 0 {
        // SAFETY: as above.
        unsafe { unseen(&raw mut (*at).header) };
    }
    entry.submit(wake(address(ring), maps::count(Counter::SegmentsSeen, 1)));
    u32::from(failed != 0)
}

#[inline(never)]
fn write_large(conn: &Conn, len: u64) -> u32 {
    let Some(ring) = ring(conn) else {
        maps::count(Counter::LostRingSegment, 1);
        return 1;
    };
    let Some(mut entry) = ring.reserve_untyped::<Large>(0) else {
        maps::count(Counter::LostRingSegment, 1);
        return 1;
    };
    let at = entry.as_mut_ptr();
    // SAFETY: the entry is ours until it is submitted; the length is at most the data's size.
    let failed = unsafe {
        header(&raw mut (*at).header, conn, len);
        bpf_probe_read_user(
            (&raw mut (*at).data).cast::<c_void>(),
            bound(len, SEGMENT_LARGE as u64) as u32,
            conn.call.base as *const c_void,
        )
    };
    if failed != 0 {
        // SAFETY: as above.
        unsafe { unseen(&raw mut (*at).header) };
    }
    entry.submit(wake(address(ring), maps::count(Counter::SegmentsSeen, 1)));
    u32::from(failed != 0)
}

/// The bytes could not be read: says so, and that none follow.
#[inline(always)]
unsafe fn unseen(at: *mut Segment) {
    // SAFETY: as for [`header`].
    unsafe {
        (*at).len = 0;
        (*at).flags |= flag::UNSEEN;
    }
    maps::count(Counter::Unseen, 1);
}
