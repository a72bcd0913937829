//! The one time that an image bears, so that building it again gives the same bytes.

use anyhow::{Context as _, Result};

use crate::step::{output, program};

/// Sets it, as reproducible-builds.org has it.
const VARIABLE: &str = "SOURCE_DATE_EPOCH";

/// Seconds since 1970, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Epoch(u64);

impl Epoch {
    /// So many seconds since 1970.
    #[cfg(test)]
    pub(crate) fn new(seconds: u64) -> Self {
        Self(seconds)
    }

    /// What the variable says, else when the commit was made, else 1970.
    pub(crate) fn of_source() -> Result<Self> {
        if let Ok(given) = std::env::var(VARIABLE) {
            let what = || format!("{VARIABLE} is `{given}`, which is no number of seconds");
            return given.trim().parse().map(Self).with_context(what);
        }
        let commit = output(program("git").args(["log", "-1", "--format=%ct"]));
        Ok(Self(commit.and_then(|seconds| seconds.parse().ok()).unwrap_or(0)))
    }

    /// As a number.
    pub(crate) fn seconds(self) -> u64 {
        self.0
    }

    /// As RFC 3339 has it.
    pub(crate) fn text(self) -> String {
        let (days, second) = (self.0 / 86_400, self.0 % 86_400);
        // Howard Hinnant's civil_from_days, for days after 1970: years begin in March, so that the
        // leap day is their last.
        let shifted = days + 719_468;
        let (era, day) = (shifted / 146_097, shifted % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let date = day - (153 * month + 2) / 5 + 1;
        let (month, january) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        let year = era * 400 + year + january;
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::Epoch;

    #[test]
    fn writes_dates() {
        let check = |seconds, expect: &str| assert_eq!(Epoch(seconds).text(), expect);
        check(0, "1970-01-01T00:00:00Z");
        check(951_827_696, "2000-02-29T12:34:56Z");
        check(1_709_251_199, "2024-02-29T23:59:59Z");
        check(1_735_689_600, "2025-01-01T00:00:00Z");
        check(4_107_542_400, "2100-03-01T00:00:00Z");
    }
}
