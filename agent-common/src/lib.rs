//! What both sides of the kernel line must agree on: records, counters, signatures, limits.
//!
//! Everything that crosses is plain fixed-width data whose layout is proved by derive. Nothing here
//! allocates, nothing panics, and every function is tested on the host.
#![no_std]

pub mod block;
pub mod carry;
pub mod counter;
pub mod drops;
pub mod histogram;
pub mod limit;
pub mod reclaim;
pub mod record;
pub mod scan;
pub mod schedule;
pub mod settings;
pub mod signature;
pub mod tcp;
pub mod usage;
pub mod why;

/// Changes whenever a record, a counter or a setting changes its meaning; a recording carries it.
pub const ABI_VERSION: u32 = 2;
