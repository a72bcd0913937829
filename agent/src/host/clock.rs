//! How the clocks of a host stand to each other; nothing here reads one.

use crate::event::{Nanos, Timestamp};
use crate::metric::snapshot::WallTime;

/// The start of a process as `/proc/PID/stat` tells it: hundredths of a second on the boot-time clock.
///
/// `USER_HZ` is 100 on every processor this runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticks(pub u64);

const TICK: u64 = 10_000_000;

impl Ticks {
    /// From nanoseconds of the boot-time clock, as the kernel rounds them.
    pub fn of_boot(since_boot: Nanos) -> Self {
        Self(since_boot.0 / TICK)
    }

    /// Nanoseconds of the boot-time clock.
    pub fn since_boot(self) -> Nanos {
        Nanos(self.0.saturating_mul(TICK))
    }
}

/// The same moment on the three clocks. Refreshed by the shell; the newest counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Anchor {
    /// The monotonic clock, in which everything inside is told.
    pub monotonic: Timestamp,
    /// The boot-time clock, which goes on while the host sleeps; process starts are told in it.
    pub boot: Nanos,
    /// Wall time.
    pub wall: WallTime,
}

impl Anchor {
    /// The wall time at a point of the monotonic clock.
    pub fn wall(&self, at: Timestamp) -> WallTime {
        WallTime(shift(self.wall.0, self.monotonic.0, at.0))
    }

    /// The wall time at a point of the boot-time clock.
    pub fn wall_of_boot(&self, at: Nanos) -> WallTime {
        WallTime(shift(self.wall.0, self.boot.0, at.0))
    }

    /// The point of the boot-time clock at a point of the monotonic clock.
    pub fn boot(&self, at: Timestamp) -> Nanos {
        Nanos(shift(self.boot.0, self.monotonic.0, at.0))
    }
}

fn shift(there: u64, here: u64, at: u64) -> u64 {
    if at >= here { there.saturating_add(at - here) } else { there.saturating_sub(here - at) }
}

/// ISO 8601 in UTC with milliseconds: `2023-11-21T09:25:34.853Z`.
pub fn iso8601(at: WallTime) -> String {
    let millis = at.0 / 1_000_000;
    let (seconds, milli) = (millis / 1000, millis % 1000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's `civil_from_days`, for days since 1970 that are never negative.
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_is_written_as_the_conventions_ask() {
        let check = |nanos: u64, expect: &str| assert_eq!(iso8601(WallTime(nanos)), expect);
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_400_000_000_000, "2000-02-29T00:00:00.000Z");
        check(1_700_558_734_853_999_999, "2023-11-21T09:25:34.853Z");
        check(1_735_689_599_999_000_000, "2024-12-31T23:59:59.999Z");
        assert!(iso8601(WallTime(u64::MAX)).starts_with("2554-07-21T"));
    }

    #[test]
    fn clocks_convert_both_ways_of_the_anchor() {
        let anchor = Anchor { monotonic: Timestamp(1000), boot: Nanos(5000), wall: WallTime(9000) };
        assert_eq!(anchor.wall(Timestamp(900)), WallTime(8900));
        assert_eq!(anchor.boot(Timestamp(1100)), Nanos(5100));
        assert_eq!(anchor.wall_of_boot(Nanos(5100)), WallTime(9100));
        assert_eq!(anchor.wall_of_boot(Nanos(0)), WallTime(4000));
        assert_eq!(Ticks::of_boot(Nanos(19_999_999)), Ticks(1));
    }
}
