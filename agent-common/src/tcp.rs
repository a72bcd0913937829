//! TCP: rows of the kernel side's tables.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::usage::{OwnerKey, Spread};

/// Processes with rows of their own.
pub const ROWS: u32 = 2048;

/// What the sockets of a process did.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Row {
    /// Bytes written to the network for the first time.
    pub sent: u64,
    /// Bytes received in order.
    pub received: u64,
    /// Segments sent again.
    pub retransmits: u64,
    /// Answers to a connect sent again.
    pub synack_retransmits: u64,
    /// Resets sent.
    pub resets_sent: u64,
    /// Resets received.
    pub resets_received: u64,
    /// Smoothed round-trip time: of each connection on which something was delivered, once a
    /// collection and once at its end.
    pub round_trip: Spread,
    /// From established until accepted.
    pub accept: Spread,
}

/// A listening socket as a sweep finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Listener {
    /// Whose it is.
    pub owner: OwnerKey,
    /// The socket's address, as an id.
    pub sock: u64,
    /// Connections that wait to be accepted.
    pub depth: u32,
    /// How many may.
    pub limit: u32,
    /// Connections it has dropped since it was made.
    pub drops: u32,
    /// Its port.
    pub port: u32,
}
