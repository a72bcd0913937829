//! Kernel records, typed: the first thing that is done with bytes off the ring.
//!
//! Decoding copies nothing and cannot fail loudly: a record that makes no sense is a counted
//! [`Malformed`] and nothing else. No other module reads raw records.

mod decode;
mod why;

pub use agent_common::record::{Direction, End, Peer, Turn, flag};
pub use decode::{Malformed, decode};
pub use why::{Account, Unknown, Why};

use agent_common::record;

/// A point on the kernel's monotonic clock, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Self) -> Nanos {
        Nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A length of time in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

/// A connection as the kernel side named it; never used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// A process id in the initial namespace. Not unique over time: see [`crate::entity`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(pub u32);

/// One thing the kernel side said.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A turn asked and the turn that answers it.
    Pair(Pair<'a>),
    /// One call's bytes, of a connection that is followed call by call.
    Segment(Segment<'a>),
    /// A socket ended.
    Close(&'a record::Close),
    /// How far an open connection that is followed call by call has come; only from a sweep.
    Progress(&'a record::Close),
    /// An ask was sent, or came, with a trace in a TCP option.
    Carried(&'a record::Carried),
    /// What a Unix socket has in common with its other end.
    Joint(&'a record::Joint),
    /// A connect failed.
    ConnectFailed(&'a record::ConnectFailed),
    /// A program began.
    Exec(Exec<'a>),
    /// A process was made.
    Fork(&'a record::Fork),
    /// A process ended.
    Exit(&'a record::Exit),
}

/// A turn asked and the turn that answers it, with the first bytes of both.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// Everything but the bytes.
    pub header: &'a record::Pair,
    /// Why it was written.
    pub end: End,
    /// First bytes of the ask.
    pub ask: &'a [u8],
    /// First bytes of the answer.
    pub answer: &'a [u8],
    /// Where the time between the first bytes of both went.
    pub why: Why,
}

/// The bytes of one call.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// Everything but the bytes.
    pub header: &'a record::Segment,
    /// Which way they went.
    pub direction: Direction,
    /// The bytes, from `header.start`; may be fewer than the call moved.
    pub data: &'a [u8],
}

/// A program began, with what it was given.
#[derive(Clone, Copy, Debug)]
pub struct Exec<'a> {
    /// Everything but the bytes.
    pub header: &'a record::Exec,
    /// NUL-separated arguments, possibly cut short.
    pub args: &'a [u8],
    /// NUL-separated environment, possibly cut short.
    pub env: &'a [u8],
    /// Names of its control groups, as the record has them.
    pub groups: &'a [u8],
}
