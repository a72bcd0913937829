//! Rejection thresholds of consistent probability sampling: a trace is kept if its 56 random bits
//! are not below the threshold.

use std::fmt;

/// One more than the greatest randomness.
const SCALE: u64 = 1 << 56;

/// A threshold, from 0 (keeps all) to 2^56 (keeps none).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Threshold(u64);

impl Threshold {
    /// Keeps everything.
    pub const ALL: Self = Self(0);
    /// Keeps nothing.
    pub const NONE: Self = Self(SCALE);

    /// The threshold that keeps this share of all traces.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the share is brought into [0, 1] first"
    )]
    pub fn of_share(share: f64) -> Self {
        let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
        let kept = (share * SCALE as f64).round() as u64;
        Self(SCALE - kept.min(SCALE))
    }

    /// Reads up to 14 hexadecimal digits; those that are missing at the end are zeroes.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=14).contains(&text.len());
        let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if !fits || !text.bytes().all(digit) {
            return None;
        }
        let number = u64::from_str_radix(text, 16).ok()?;
        Some(Self(number << (4 * (14 - text.len()))))
    }

    /// The highest threshold that keeps a trace of this randomness.
    pub fn of_randomness(randomness: u64) -> Self {
        Self(randomness.min(SCALE - 1))
    }

    /// The lowest randomness that it keeps.
    pub fn randomness(self) -> u64 {
        self.0.min(SCALE - 1)
    }

    /// Whether a trace of this randomness is kept.
    pub fn keeps(self, randomness: u64) -> bool {
        randomness >= self.0
    }

    /// The share of all traces that it keeps.
    pub fn share(self) -> f64 {
        (SCALE - self.0) as f64 / SCALE as f64
    }

    /// The threshold of what it keeps of a share of all: of one half to the power of `halves`.
    #[must_use]
    pub fn of_halves(self, halves: u8) -> Self {
        Self(SCALE - (SCALE - self.0).checked_shr(halves.into()).unwrap_or(0).max(1))
    }

    /// For how many each stands that is kept.
    pub fn adjusted_count(self) -> f64 {
        SCALE as f64 / (SCALE - self.0).max(1) as f64
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{:014x}", self.0);
        let short = digits.trim_end_matches('0');
        f.write_str(if short.is_empty() { "0" } else { short })
    }
}
