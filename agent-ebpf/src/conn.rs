//! The state of one socket.
//!
//! Two threads may be on the two directions of one socket at once. Each field is written by one
//! direction (`pos`, `seq`, `last` by index) or at the beginning of a turn; a turn begun by both at
//! the same instant can mix two heads, which userspace sees as heads that do not parse, never as
//! memory out of bounds.

use agent_common::{limit, record};

use crate::why::Before;

/// Nothing open.
pub(crate) const IDLE: u8 = 0;
/// An ask is open.
pub(crate) const ASKING: u8 = 1;
/// Its answer is open.
pub(crate) const ANSWERING: u8 = 2;

/// No signature seen yet.
pub(crate) const BLIND: u8 = 0;
/// Told as pairs.
pub(crate) const PAIRS: u8 = 1;
/// Told call by call, for its heads.
pub(crate) const FOLLOW: u8 = 2;
/// Told call by call, in full.
pub(crate) const FULL: u8 = 3;
/// Not told any more.
pub(crate) const OFF: u8 = 4;
/// A connect that has not come about yet.
pub(crate) const CONNECTING: u8 = 5;

/// No direction yet.
pub(crate) const NO_DIRECTION: u8 = 2;

/// The call in hand. It stands in the socket's state, not in registers, because the verifier follows
/// every value that a register may have and none that memory may: loops over it stay small to verify.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Call {
    /// The rest of the piece in hand.
    pub(crate) base: u64,
    /// Its length.
    pub(crate) len: u64,
    /// The array of `iovec`, or 0.
    pub(crate) vector: u64,
    /// How many pieces there are; 0 if the bytes cannot be seen.
    pub(crate) pieces: u64,
    /// The next piece.
    pub(crate) next: u64,
    /// Bytes still to be carried.
    pub(crate) left: u64,
    /// Position of the next byte to be carried.
    pub(crate) start: u64,
    /// What the call moved.
    pub(crate) n: u64,
    /// Bytes before them that were moved by calls that nobody saw.
    pub(crate) skipped: u64,
    /// When it had.
    pub(crate) time: u64,
    /// The first piece's address.
    pub(crate) first: u64,
    /// The kernel's sequence numbers after the call: read, written. Unused for Unix sockets.
    pub(crate) seq: [u32; 2],
    /// Who.
    pub(crate) tgid: u32,
    /// Which of its threads.
    pub(crate) tid: u32,
    /// When bytes came last, in ticks of the kernel; see `why::came_last`.
    pub(crate) came: u32,
    /// Flags of the segments.
    pub(crate) flags: u8,
    /// 0 read, 1 written.
    pub(crate) direction: u8,
    /// 1 if it would have waited for bytes to read.
    pub(crate) waits: u8,
    /// Keeps the layout free of holes.
    pub(crate) reserved: u8,
    /// How often the thread had slept.
    pub(crate) sleeps: u32,
    /// Its goroutine, if it has such; see `user::routine`.
    pub(crate) routine: u32,
}

/// There are no ids.
pub(crate) const NO_IDS: u32 = 0;
/// There are ids for an ask whose first byte has not left.
pub(crate) const FOR_TURN: u32 = 1;
/// There are ids, and their place.
pub(crate) const FOR_BYTE: u32 = 2;

/// What is carried to or from the other host with the ask in hand; see `hosts`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Carry {
    /// Trace id, span id.
    pub(crate) ids: [u32; 6],
    /// Sequence number of the ask's first byte.
    pub(crate) seq: u32,
    /// How far had been read when they were chosen.
    pub(crate) read: u32,
    /// [`NO_IDS`], [`FOR_TURN`], [`FOR_BYTE`].
    pub(crate) chosen: u32,
    /// Sent: how often, up to two.
    pub(crate) sent: u32,
    /// Segments are small enough to have room.
    pub(crate) room: u32,
    /// Keeps the layout free of holes.
    pub(crate) reserved: u32,
    /// The connection that the request came by which the asking thread has in hand; 0 for none.
    pub(crate) by: u64,
    /// The thread that has the request of this connection in hand; 0 for none.
    pub(crate) thread: u64,
}

/// State of one socket. `pair` and `heads` stand together: they are the record that is written.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Conn {
    /// The exchange being built. `pair.conn` is 0 while the socket is unknown.
    pub(crate) pair: record::Pair,
    /// First bytes of the ask, then of the answer.
    pub(crate) heads: [u8; limit::HEADS],
    /// The call in hand.
    pub(crate) call: Call,
    /// Position behind the last byte, by direction.
    pub(crate) pos: [u64; 2],
    /// When it was reached.
    pub(crate) last: [u64; 2],
    /// The kernel's sequence numbers at those positions.
    pub(crate) seq: [u32; 2],
    /// Followed: bytes of this turn that were carried.
    pub(crate) carried: u64,
    /// `sendmmsg`, `recvmmsg`: the array in hand.
    pub(crate) messages: u64,
    /// Which of its messages is next.
    pub(crate) message: u32,
    /// [`IDLE`], [`ASKING`], [`ANSWERING`].
    pub(crate) phase: u8,
    /// [`BLIND`] ... [`CONNECTING`].
    pub(crate) mode: u8,
    /// The direction that asks.
    pub(crate) ask: u8,
    /// The direction of the last bytes.
    pub(crate) direction: u8,
    /// Turns begun without a signature.
    pub(crate) misses: u8,
    /// The open head goes on with the next call (no hole so far).
    pub(crate) whole: u8,
    /// A Unix socket.
    pub(crate) unix: u8,
    /// What stands in `carry` is to be told.
    pub(crate) carries: u8,
    /// Where in the ask's head the first message's head ends; 0 while unknown.
    pub(crate) marked: u32,
    /// The connection is over and has bytes to be read or told: its error plus one in the lower half, in the
    /// upper whether the end of the stream was read. Else 0.
    pub(crate) held: u32,
    /// How long the connection waited to be accepted, and one, and `why::UNSEEN`; 0 if it is not known, or told already.
    pub(crate) unaccepted: u64,
    /// When it was accepted, if that was seen.
    pub(crate) accepted: u64,
    /// The account of the thread that moved the ask's first bytes, as it stood.
    pub(crate) before: Before,
    /// Ids of the ask in hand.
    pub(crate) carry: Carry,
    /// Keeps what another processor writes on a line of its own.
    pub(crate) apart: [u64; 8],
    /// When the first bytes came that nobody has read yet; 0 if there are none, or nobody looks. Written
    /// where they come.
    pub(crate) arrived: u64,
    /// See `apart`.
    pub(crate) apart2: [u64; 7],
    /// A Unix socket's own address, and its other end's.
    pub(crate) ends: [u64; 2],
}
