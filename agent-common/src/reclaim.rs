//! Stalls for want of memory: rows of the kernel side's tables.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::usage::Spread;

/// What a task waits for while it looks for memory by itself. The number is the index in [`Row`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Stall {
    /// The host has too little.
    Direct = 0,
    /// The limit of a control group is reached.
    Cgroup,
    /// There is enough, but not in one piece.
    Compaction,
}

/// How many kinds of stall there are.
pub const STALLS: usize = Stall::Compaction as usize + 1;
/// Processes with rows of their own.
pub const ROWS: u32 = 1024;
/// Stalls under way.
pub const UNDER_WAY: u32 = 4096;
/// Bytes of a control group's name.
pub const NAME: usize = 128;

impl Stall {
    /// All of them, by number.
    pub const ALL: [Self; STALLS] = [Self::Direct, Self::Cgroup, Self::Compaction];
}

/// Waits of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Row {
    /// By [`Stall`].
    pub stalls: [Spread; STALLS],
}

impl Default for Row {
    fn default() -> Self {
        Self { stalls: [Spread::default(); STALLS] }
    }
}

/// How often a process was chosen to be killed for want of memory, and who it was: it is gone before
/// anybody can look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Victim {
    /// How often: more than once if it is slow to die.
    pub kills: u64,
    /// Its control group's id under the memory controller; 0 where it is not known.
    pub cgroup: u64,
    /// Its name.
    pub comm: [u8; 16],
    /// The last part of its control group's path under the memory controller.
    pub name: [u8; NAME],
}
