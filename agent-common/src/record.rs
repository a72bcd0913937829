//! What the kernel side writes into the ring, byte for byte.
//!
//! A record starts with its [`Kind`] in the first byte. Times are nanoseconds of the monotonic
//! clock; positions are 64-bit offsets in one direction of a connection, counted from where the
//! kernel side saw it first.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::why::Why;

/// The first byte of every record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// [`Pair`], then `ask_head` and `answer_head` bytes.
    Pair = 1,
    /// [`Segment`], then `len` bytes.
    Segment = 2,
    /// [`Close`].
    Close = 3,
    /// [`ConnectFailed`].
    ConnectFailed = 4,
    /// [`Exec`], then `args`, `env` and `groups` bytes.
    Exec = 5,
    /// [`Fork`].
    Fork = 6,
    /// [`Exit`].
    Exit = 7,
    /// [`Close`] of a socket that is still open: how far it has come. Written by a sweep.
    Progress = 8,
    /// [`Carried`].
    Carried = 9,
    /// [`Joint`].
    Joint = 10,
}

impl Kind {
    /// The kind a first byte stands for.
    pub const fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Pair,
            2 => Self::Segment,
            3 => Self::Close,
            4 => Self::ConnectFailed,
            5 => Self::Exec,
            6 => Self::Fork,
            7 => Self::Exit,
            8 => Self::Progress,
            9 => Self::Carried,
            10 => Self::Joint,
            _ => return None,
        })
    }
}

/// Which way bytes went, seen from the process that made the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Direction {
    /// Read from the socket.
    In = 0,
    /// Written to the socket.
    Out = 1,
}

/// Why an [`Pair`] was written when it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum End {
    /// The next ask began on the same connection.
    Next = 0,
    /// The socket closed, in order as far as is known.
    Closed = 1,
    /// The socket ended with an error; `errno` says which.
    Failed = 2,
    /// Read by a sweep: the exchange may go on, and will be written again when it ends.
    Swept = 3,
    /// The connection is now followed by segments; what was kept of the open exchange.
    Handover = 4,
}

impl End {
    /// The end a byte stands for.
    pub const fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Next,
            1 => Self::Closed,
            2 => Self::Failed,
            3 => Self::Swept,
            4 => Self::Handover,
            _ => return None,
        })
    }
}

/// Bits of [`Pair::flags`] and [`Segment::flags`].
pub mod flag {
    /// The ask was read and the answer written: the process is the server. Else it is the client.
    pub const SERVER: u8 = 1;
    /// The connection was there before the kernel side looked: its first bytes were not seen.
    pub const LATE: u8 = 2;
    /// An answer of this exchange has begun.
    pub const ANSWERED: u8 = 4;
    /// Bytes of the ask did not fit and were not shipped either.
    pub const ASK_CUT: u8 = 8;
    /// Some bytes of a call could not be read where they lay (sendfile, io_uring, a fault).
    pub const UNSEEN: u8 = 16;
    /// Positions moved by calls that no hook saw.
    pub const SKIPPED: u8 = 32;
    /// A Unix socket.
    pub const UNIX: u8 = 64;
    /// Segment: the first bytes of a turn.
    pub const TURN: u8 = 128;
    /// Pair: [`Pair::routine`](super::Pair::routine) moved the answer's first bytes as well.
    pub const SAME: u8 = 128;
}

/// One turn: a run of bytes in one direction.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Turn {
    /// Position of its first byte.
    pub start: u64,
    /// Its size so far.
    pub bytes: u64,
    /// When its first bytes had crossed.
    pub first: u64,
    /// When its last bytes had crossed.
    pub last: u64,
}

/// Both ends of a connection; the local side is the process that is observed.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Peer {
    /// The peer's address; IPv4 as v4-mapped. All zero for Unix sockets.
    pub address: [u8; 16],
    /// The peer's port, host order.
    pub port: u16,
    /// The own port, host order.
    pub local_port: u16,
}

/// One exchange: a turn asked and the turn that answers it, with the heads of both.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Pair {
    /// [`Kind::Pair`].
    pub kind: u8,
    /// [`flag`].
    pub flags: u8,
    /// [`End`].
    pub end: u8,
    /// Calls that carried the answer, saturating.
    pub answer_calls: u8,
    /// `sk_err` at the end, or 0.
    pub errno: u16,
    /// Bytes of the ask's head that follow this header.
    pub ask_head: u16,
    /// Bytes of the answer's head that follow those.
    pub answer_head: u16,
    /// Last bytes known of the answer, as many as [`Pair::tail_len`] says, right-aligned.
    pub tail_len: u8,
    /// 1 if the call that read the ask's first bytes would have waited for them.
    pub waits: u8,
    /// The goroutine that read the ask's last bytes, or sent its first, where the program is one of Go: see
    /// [`Arch::routine`](crate::settings::Arch::routine).
    pub routine: u32,
    /// See `tail_len`.
    pub tail: [u8; 8],
    /// The connection; never used again.
    pub conn: u64,
    /// Which exchange of the connection, from 1.
    pub seq: u32,
    /// The process that moved the ask's first bytes.
    pub ask_tgid: u32,
    /// The process that moved the answer's first bytes (differs when a socket was handed over).
    pub answer_tgid: u32,
    /// The thread that moved the ask's first bytes.
    pub ask_tid: u32,
    /// The thread that moved the answer's first bytes.
    pub answer_tid: u32,
    /// The other end.
    pub peer: Peer,
    /// What was asked.
    pub ask: Turn,
    /// What was answered; zero if nothing was.
    pub answer: Turn,
    /// How it came about.
    pub steps: Steps,
    /// Where the time between them went.
    pub why: Why,
}

/// What links an exchange to the one that caused it: which stretch of which thread its steps fell in. A
/// stretch is what a thread does between two sleeps; how often it had slept is the stretch's number.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Steps {
    /// When connect began; 0 if the socket was accepted, or that was not seen.
    pub opened: u64,
    /// The thread that called connect.
    pub opened_tid: u32,
    /// How often it had slept then.
    pub opened_sleeps: u32,
    /// How often the thread that moved the ask's first bytes had slept by then.
    pub ask_sleeps: u32,
    /// The same of the answer's.
    pub answer_sleeps: u32,
}

/// Bytes of one call, for connections that are followed call by call.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Segment {
    /// [`Kind::Segment`].
    pub kind: u8,
    /// [`flag`].
    pub flags: u8,
    /// [`Direction`].
    pub direction: u8,
    /// 1 if the call would have waited for bytes to read.
    pub waits: u8,
    /// Bytes that follow this header.
    pub len: u16,
    /// Keeps the layout free of holes.
    pub reserved2: u16,
    /// The connection.
    pub conn: u64,
    /// Position of the first byte that follows.
    pub start: u64,
    /// Position behind the last byte of the call: `end - start > len` is a gap.
    pub end: u64,
    /// When the call had moved its bytes.
    pub time: u64,
    /// Position reached in the other direction, and when.
    pub other_end: u64,
    /// See `other_end`.
    pub other_time: u64,
    /// The process that made the call.
    pub tgid: u32,
    /// The thread that did.
    pub tid: u32,
    /// The other end.
    pub peer: Peer,
    /// How often it had slept by then.
    pub sleeps: u32,
}

/// A socket ended that had no open exchange to say it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Close {
    /// [`Kind::Close`], or [`Kind::Progress`] in a sweep.
    pub kind: u8,
    /// [`flag`].
    pub flags: u8,
    /// `sk_err`, or 0.
    pub errno: u16,
    /// The process that used it first.
    pub tgid: u32,
    /// The connection.
    pub conn: u64,
    /// When.
    pub time: u64,
    /// Positions reached: read, written.
    pub end: [u64; 2],
    /// When each was reached.
    pub last: [u64; 2],
}

/// A connect that came to nothing.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ConnectFailed {
    /// [`Kind::ConnectFailed`].
    pub kind: u8,
    /// Keeps the layout free of holes.
    pub reserved: u8,
    /// `sk_err`: ECONNREFUSED, ETIMEDOUT, ECONNRESET, EHOSTUNREACH ...; 0 if the program gave up.
    pub errno: u16,
    /// The process that called connect.
    pub tgid: u32,
    /// When connect began.
    pub begun: u64,
    /// When it failed.
    pub time: u64,
    /// Where to.
    pub peer: Peer,
    /// Keeps the layout free of holes.
    pub reserved2: u32,
}

/// An ask was sent, or came, with a trace in a TCP option. Written before the ask itself is told.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Carried {
    /// [`Kind::Carried`].
    pub kind: u8,
    /// [`Direction`]: sent, or read.
    pub direction: u8,
    /// Keeps the layout free of holes.
    pub reserved: [u8; 6],
    /// The connection.
    pub conn: u64,
    /// Position of the ask's first byte.
    pub position: u64,
    /// When that byte had crossed.
    pub time: u64,
    /// The trace.
    pub trace: [u8; 16],
    /// The client's span.
    pub span: [u8; 8],
    /// Sent: the connection by which the request came that the sending thread had in hand, and no other; 0
    /// if there is none.
    pub by: u64,
}

/// A Unix socket turned out to speak a known protocol: what it has in common with its other end.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Joint {
    /// [`Kind::Joint`].
    pub kind: u8,
    /// Keeps the layout free of holes.
    pub reserved: [u8; 7],
    /// The connection.
    pub conn: u64,
    /// The same at both ends, and at no others that are there at the same time. 0 if it is not known.
    pub key: u64,
    /// When.
    pub time: u64,
}

/// A program began: the process is someone else from here on.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Exec {
    /// [`Kind::Exec`].
    pub kind: u8,
    /// Keeps the layout free of holes.
    pub reserved: u8,
    /// Bytes of the command line (NUL-separated) that follow this header.
    pub args: u16,
    /// Bytes of the environment (NUL-separated) that follow those.
    pub env: u16,
    /// Bytes of the names of its control groups that follow those: each with its NUL, from the innermost outward, the
    /// last one empty if none is left out. First those of the unified hierarchy, then, where they are others, those of
    /// the controller of processes.
    pub groups: u16,
    /// The process.
    pub tgid: u32,
    /// Its parent.
    pub parent: u32,
    /// When.
    pub time: u64,
    /// When the process was made (boot-time clock), with which `/proc/PID/stat` agrees.
    pub started: u64,
    /// `comm`.
    pub comm: [u8; 16],
}

/// A process was made by another (threads are not told).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Fork {
    /// [`Kind::Fork`].
    pub kind: u8,
    /// Keeps the layout free of holes.
    pub reserved: [u8; 7],
    /// The parent.
    pub parent: u32,
    /// The child.
    pub child: u32,
    /// When.
    pub time: u64,
}

/// A process ended.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Exit {
    /// [`Kind::Exit`].
    pub kind: u8,
    /// Keeps the layout free of holes.
    pub reserved: [u8; 3],
    /// The process.
    pub tgid: u32,
    /// When.
    pub time: u64,
}
