//! The TCP option that carries trace and span id from one host's agent to the other's.
//!
//! | byte | 0 | 1 | 2..4 | 4..20 | 20..28 |
//! |------|---|---|------|-------|--------|
//! | | kind 254 | length 28 | experiment (RFC 6994), network order | trace id | span id |
//!
//! With the time stamps of RFC 7323 (12 bytes) it takes all the room a segment's options have: a
//! segment that acknowledges selectively goes without.

/// For experiments (RFC 4727).
pub const KIND: u8 = 254;
/// Whose experiment it is.
pub const EXPERIMENT: u16 = 0x57e7;
/// Bytes of the option.
pub const SIZE: usize = 28;
/// So many segments in a row that had to be sent again, and the address gets no more of them.
pub const STRIKES: u64 = 8;
/// For so many nanoseconds: ten minutes.
pub const FORGIVEN: u64 = 600_000_000_000;
/// In the program's switch, where 1 is on: only the connection to the port in the lowest 16 bits has it.
pub const TRIED: u64 = 1 << 32;
