//! Where an exchange's time went, as the kernel side measures it: the account of the thread that moved
//! it between its ask and its answer, and the queues of its socket.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::schedule::CAUSES;

/// The unit of all times in [`Why`]: 2^10 nanoseconds. A shift, where microseconds were a division.
pub const UNIT: u32 = 10;

/// `nanos` in [`UNIT`]s, saturating.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "what does not fit is cut off just before")]
pub const fn units(nanos: u64) -> u32 {
    let units = nanos >> UNIT;
    if units > u32::MAX as u64 { u32::MAX } else { units as u32 }
}

/// Nanoseconds of so many [`UNIT`]s.
pub const fn nanos(units: u32) -> u64 {
    (units as u64) << UNIT
}

/// What is known of the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Thread {
    /// Nothing was asked for, or the exchange has no answer.
    Off = 0,
    /// One thread moved the first bytes of ask and answer: the account is of it.
    Same = 1,
    /// Another thread answered: no account.
    Other = 2,
    /// Nothing is kept of the thread's time.
    Unkept = 3,
}

impl Thread {
    /// What a byte stands for.
    pub const fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Off,
            1 => Self::Same,
            2 => Self::Other,
            3 => Self::Unkept,
            _ => return None,
        })
    }
}

/// Bits of [`Why::flags`].
pub mod flag {
    /// The thread began turns of other exchanges in between: the account is not of this one alone.
    pub const SHARED: u8 = 1;
    /// [`Why::unread`](super::Why::unread) is known.
    pub const UNREAD: u8 = 2;
    /// [`Why::unaccepted`](super::Why::unaccepted) is known.
    pub const UNACCEPTED: u8 = 4;
    /// No accept can be seen: it is the time until the first read, of bytes that came before the accept.
    pub const UNSEEN_ACCEPT: u8 = 8;
}

/// Part of a [`Pair`](crate::record::Pair). All times in [`UNIT`]s, saturating.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Why {
    /// Time the thread was ready and waited on a run queue.
    pub queued: u32,
    /// How much of it the quota of its control group accounts for.
    pub throttled: u32,
    /// Time off the processor, by [`Cause`](crate::schedule::Cause).
    pub off: [u32; CAUSES],
    /// From the arrival of the first bytes that were read to the call that read them; at least so long,
    /// and from two ticks on, where only the ticks are known.
    pub unread: u32,
    /// From established until accepted; of the first exchange of a connection alone. See
    /// [`flag::UNSEEN_ACCEPT`].
    pub unaccepted: u32,
    /// Times the thread left a processor, saturating.
    pub switches: u16,
    /// [`Thread`].
    pub thread: u8,
    /// [`flag`].
    pub flags: u8,
}

/// What of it is wanted.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct WhyWish {
    /// Non-zero: the thread's account.
    pub thread: u32,
    /// Non-zero: the arrival of bytes is noted as it comes.
    pub arrival: u32,
    /// Non-zero: state of sockets tells when they were established.
    pub established: u32,
    /// Where it is not: nanoseconds of the kernel's tick, in which each socket notes when bytes came
    /// last; 0 if nobody asks.
    pub tick: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_cut_to_units_and_saturate() {
        for (time, expect) in [
            (0, 0),
            (1023, 0),
            (1024, 1),
            (u64::from(u32::MAX) << UNIT, u32::MAX),
            (u64::MAX, u32::MAX),
        ] {
            assert_eq!(units(time), expect, "{time}");
        }
        assert_eq!(nanos(units(5_000_000)), 4_999_168);
    }
}
