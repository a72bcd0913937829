//! Block devices: rows of the kernel side's tables.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::usage::Spread;

/// What a request did. The number is the index of the table of requests of all other devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Operation {
    /// Data came from the device.
    Read = 0,
    /// Data went to it.
    Write,
    /// Its cache was written out.
    Flush,
    /// Blocks were given back.
    Discard,
}

/// How many operations there are.
pub const OPERATIONS: u32 = Operation::Discard as u32 + 1;
/// Rows of devices and operations; a device has one for each operation that it was asked for.
pub const ROWS: u32 = 64;
/// Requests under way for which the kernel notes no time of issue.
pub const ISSUED: u32 = 16384;

impl Operation {
    /// All of them, by number.
    pub const ALL: [Self; OPERATIONS as usize] =
        [Self::Read, Self::Write, Self::Flush, Self::Discard];

    /// Of a request's operation (`REQ_OP_*`); none for what is no I/O of data (driver's own requests).
    #[inline]
    pub const fn of(code: u32) -> Option<Self> {
        match code {
            0 => Some(Self::Read),
            // Write; zone append (7 from 6.?, 13 before) and write zeroes.
            1 | 7 | 9 | 13 => Some(Self::Write),
            2 => Some(Self::Flush),
            3 | 5 => Some(Self::Discard),
            _ => None,
        }
    }
}

/// A device and an operation.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Key {
    /// The device's major number.
    pub major: u32,
    /// Its (first) minor number.
    pub minor: u32,
    /// [`Operation`].
    pub operation: u32,
    /// Keeps the size a multiple of eight.
    pub reserved: u32,
}

/// What was done.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Row {
    /// Requests that came to an end.
    pub operations: u64,
    /// Bytes they moved.
    pub bytes: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Those without times: they stand in neither distribution.
    pub untimed: u64,
    /// The device's name.
    pub name: [u8; 32],
    /// From when a request was made until it was handed to the device.
    pub queue: Spread,
    /// From then until it was done.
    pub device: Spread,
}
