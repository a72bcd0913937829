//! Packets dropped and faults of the hardware: indices of the kernel side's tables.

/// Reasons that are told apart; the last one is for all beyond.
pub const REASONS: u32 = 256;

/// Faults: machine checks first, then memory controllers' events by severity (corrected, uncorrected,
/// deferred, fatal, information).
pub const FAULTS: u32 = 8;
/// The index of machine checks.
pub const MACHINE_CHECK: u32 = 0;
/// The index of a corrected memory error; the others follow by severity.
pub const MEMORY_ERROR: u32 = 1;
