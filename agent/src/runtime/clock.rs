//! The host's clocks, read together.

use rustix::time::{ClockId, clock_gettime};

use crate::event::{Nanos, Timestamp};
use crate::host::Anchor;
use crate::metric::snapshot::WallTime;

/// How many times the clocks are read; the closest pair counts.
const TRIES: usize = 5;

/// The same moment on the three clocks.
pub fn anchor() -> Anchor {
    let mut best: Option<(u64, Anchor)> = None;
    for _ in 0..TRIES {
        let before = read(ClockId::Monotonic);
        let wall = read(ClockId::Realtime);
        let boot = read(ClockId::Boottime);
        let after = read(ClockId::Monotonic);
        let width = after.saturating_sub(before);
        if best.as_ref().is_none_or(|(narrowest, _)| width < *narrowest) {
            let monotonic = Timestamp(before + width / 2);
            best = Some((width, Anchor { monotonic, boot: Nanos(boot), wall: WallTime(wall) }));
        }
    }
    best.map(|(_, anchor)| anchor).unwrap_or_default()
}

/// The monotonic clock, as the kernel side stamps its records.
pub fn now() -> Timestamp {
    Timestamp(read(ClockId::Monotonic))
}

fn read(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000
        + u64::try_from(time.tv_nsec).unwrap_or(0)
}
