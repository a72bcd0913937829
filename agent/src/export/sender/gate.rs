//! When the next attempt may be made.
//!
//! Exponential back-off with full jitter; a delay that the server asked for wins over it. The gate
//! belongs to the collector and not to a request: a newer snapshot waits as the one before it.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

/// The most to wait after the first failure.
const FIRST: Duration = Duration::from_secs(1);
/// The most to wait after any failure.
const MOST: Duration = Duration::from_secs(30);
/// The longest delay a server may ask for.
const MOST_ASKED: Duration = Duration::from_mins(10);

/// Holds attempts back.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    failures: u32,
    opens: Option<Instant>,
    asked: bool,
}

impl Gate {
    /// When the next attempt may be made; `None` is at once.
    pub(crate) fn opens(&self) -> Option<Instant> {
        self.opens
    }

    /// Opens now unless the server asked for the delay; says whether it does.
    pub(crate) fn hurry(&mut self) -> bool {
        if !self.asked {
            self.opens = None;
        }
        !self.asked
    }

    /// The collector answered as it should.
    pub(crate) fn succeed(&mut self) {
        *self = Self::default();
    }

    /// An attempt failed; `asked` is the server's own delay. None at all is not a delay: a server
    /// that says `0` each time would be asked without end.
    pub(crate) fn fail(&mut self, now: Instant, asked: Option<Duration>) {
        let delay = asked.filter(|asked| !asked.is_zero()).map_or_else(
            || limit(self.failures).mul_f64(random_fraction()),
            |asked| asked.min(MOST_ASKED),
        );
        self.asked = asked.is_some_and(|asked| !asked.is_zero());
        self.failures = self.failures.saturating_add(1);
        self.opens = Some(now + delay);
    }
}

/// The most to wait after this many failures before.
fn limit(failures: u32) -> Duration {
    FIRST.saturating_mul(1 << failures.min(8)).min(MOST)
}

/// From [0, 1). The standard library's hash keys are random enough to spread a fleet's attempts.
fn random_fraction() -> f64 {
    let bits = RandomState::new().hash_one(0_u8) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Gate, limit, random_fraction};

    #[test]
    fn the_limit_doubles_up_to_half_a_minute() {
        let seconds: Vec<u64> = (0..8).map(|failures| limit(failures).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(limit(u32::MAX), Duration::from_secs(30));
    }

    #[tokio::test(start_paused = true)]
    async fn waits_within_the_limit_unless_the_server_asked_for_a_delay() {
        let now = Instant::now();
        for failures in 0..20 {
            let mut gate = Gate { failures, ..Gate::default() };
            gate.fail(now, None);
            assert!(gate.opens().unwrap() < now + limit(failures));
            gate.fail(now, Some(Duration::from_secs(77)));
            assert_eq!(gate.opens(), Some(now + Duration::from_secs(77)));
            gate = Gate { failures, ..Gate::default() };
            gate.fail(now, Some(Duration::ZERO));
            assert!(gate.opens().unwrap() < now + limit(failures));
            gate.fail(now, Some(Duration::from_secs(u64::MAX)));
            assert_eq!(gate.opens(), Some(now + Duration::from_mins(10)));
            assert!(!gate.hurry() && gate.opens().is_some());
            gate.fail(now, None);
            assert!(gate.hurry() && gate.opens().is_none());
            gate.fail(now, None);
            gate.succeed();
            assert_eq!(gate.opens(), None);
        }
    }

    #[test]
    fn jitter_is_spread_over_the_whole_range() {
        let mut fractions: Vec<f64> = (0..10_000).map(|_| random_fraction()).collect();
        fractions.sort_by(f64::total_cmp);
        assert!(fractions[0] >= 0.0 && fractions[9999] < 1.0);
        for (place, tenth) in [(1000, 0.1), (5000, 0.5), (9000, 0.9)] {
            assert!((fractions[place] - tenth).abs() < 0.05, "{tenth}: {}", fractions[place]);
        }
    }
}
