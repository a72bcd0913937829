//! The only user of aya: loads the kernel programs, reads the ring, the counters and the sweeps,
//! writes verdicts and filters.
//!
//! A probe that cannot start is a [`probe::State`] with a reason, never an exit; only a kernel on
//! which no tier of capture works is an error. Nothing here blocks the kernel: what userspace does
//! not read in time is counted on the other side.

pub mod btf;
mod debug;
mod hosts;
mod load;
mod maps;
pub mod offsets;
pub mod probe;
mod rings;
mod schedule;
mod sweep;
mod trim;
pub mod usage;
mod usage_offsets;
mod usage_tables;

pub use hosts::Carry;
pub use load::{Error, Options, Tier, TierChoice, Why, load};
pub use maps::{Kernel, ProgramCost, Verdict};
pub use usage_tables::UsageTables;
