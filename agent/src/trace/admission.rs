//! Which exchanges are looked at, where there are more than may be.
//!
//! To keep an exchange until its tree is known costs about as much as to count it. Where more come in a
//! second than [`Config::rate`](super::Config::rate), it is done for a share of the time only: for a slice of every
//! [`PERIOD`], at a place of chance, everything that begins in it, so that what is looked at are whole
//! traces still. What comes of it stands for so many more. Errors, what takes longer than the fixed limit,
//! and what a context or a TCP option says belongs to a trace are looked at whenever they come.

use super::ids::Ids;
use crate::event::Timestamp;

const SECOND: u64 = 1_000_000_000;
/// Nanoseconds of a period, as a power of two: 1.07 s.
const PERIOD: u32 = 30;
/// What of a time stands within its period.
const WITHIN: u64 = (1 << PERIOD) - 1;
/// The same of the time after which the share is set anew: 0.13 s.
const STEP: u32 = 27;
/// Steps whose share is remembered: two seconds.
const LATELY: usize = 16;
/// The share is never less than one half to the power of this.
const LEAST: u8 = 10;

/// One half to the power of this: the share of all that it was of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Halves(pub(super) u8);

impl Halves {
    /// What came by chance alone.
    pub(super) const WHOLE: Self = Self(0);
}

/// How large the share is.
#[derive(Debug)]
pub(super) struct Admission {
    /// Exchanges in a step that are looked at without any bound.
    limit: u64,
    step: u64,
    came: u64,
    halves: Halves,
    /// The share in the steps before, by the step's number.
    lately: [u8; LATELY],
    /// A period, and where the slice of it that is looked at begins.
    slice: (u64, u64),
}

impl Admission {
    pub(super) fn new(rate: u32) -> Self {
        let limit = ((u64::from(rate) << STEP) / SECOND).max(1);
        let slice = (u64::MAX, 0);
        Self { limit, step: 0, came: 0, halves: Halves::WHOLE, lately: [0; LATELY], slice }
    }

    /// Whether an exchange that comes at `now` is looked at, and of what share of all it is then.
    #[inline]
    pub(super) fn of(&mut self, now: Timestamp, begun: Timestamp, ids: &Ids) -> Option<Halves> {
        let step = now.0 >> STEP;
        if step != self.step {
            // In steps in which nothing came all would have been looked at.
            for empty in step.saturating_sub(LATELY as u64).max(self.step + 1)..step {
                self.remember(empty, Halves::WHOLE);
            }
            self.halves = if step == self.step + 1 { self.next() } else { Halves::WHOLE };
            self.remember(step, self.halves);
            (self.step, self.came) = (step, 0);
        }
        self.came += 1;
        // Of the least share since it began: whoever was there meanwhile and was left out is known to have been.
        let halves = if begun.0 >> STEP >= self.step {
            self.halves.0
        } else {
            self.shares(begun).max().unwrap_or(LEAST)
        };
        if halves == 0 {
            return Some(Halves::WHOLE);
        }
        let begins = self.begins(begun.0 >> PERIOD, ids);
        let after = begun.0.wrapping_sub(begins) & WITHIN;
        (after < 1 << (PERIOD - u32::from(halves))).then_some(Halves(halves))
    }

    /// Whether one that was not looked at was there while others began that are: [`Causes`](super::cause::Causes)
    /// has to know of it.
    #[inline]
    pub(super) fn touches(&mut self, begun: Timestamp, ended: Timestamp, ids: &Ids) -> bool {
        let Halves(halves) = self.halves;
        let (period, begins) = self.slice;
        let now = begun.0 >> STEP == self.step && ended.0 >> PERIOD == period;
        let ends = begins + (1 << (PERIOD - u32::from(halves)));
        if now && begun.0 >> PERIOD == period && ends <= WITHIN {
            return begun.0 & WITHIN < ends && ended.0 & WITHIN >= begins;
        }
        self.touches_any(begun, ended, ids)
    }

    /// The same, whatever the share was since it began.
    #[cold]
    fn touches_any(&mut self, begun: Timestamp, ended: Timestamp, ids: &Ids) -> bool {
        let len = 1_u64 << (PERIOD - u32::from(self.widest(begun)));
        let (first, last) = (begun.0 >> PERIOD, ended.0 >> PERIOD);
        if last > first + 1 {
            return true;
        }
        (first..=last).any(|period| {
            let from = if period == first { begun.0 & WITHIN } else { 0 };
            let to = if period == last { ended.0 & WITHIN } else { WITHIN };
            let begins = self.begins(period, ids);
            let ends = begins + len;
            // What goes beyond the end of a period stands at its beginning.
            let around = ends.saturating_sub(WITHIN + 1);
            (from < ends && to >= begins) || from < around
        })
    }

    /// Where in a period the slice begins that is looked at.
    fn begins(&mut self, period: u64, ids: &Ids) -> u64 {
        if self.slice.0 != period {
            self.slice = (period, ids.number(period) & WITHIN);
        }
        self.slice.1
    }

    fn remember(&mut self, step: u64, Halves(halves): Halves) {
        let place = usize::try_from(step).unwrap_or(0) % LATELY;
        if let Some(place) = self.lately.get_mut(place) {
            *place = halves;
        }
    }

    /// The largest share since then.
    fn widest(&self, since: Timestamp) -> u8 {
        let long = self.step.saturating_sub(since.0 >> STEP) >= LATELY as u64;
        if long { 0 } else { self.shares(since).min().unwrap_or(0) }
    }

    /// The shares since then, as far as they are remembered.
    fn shares(&self, since: Timestamp) -> impl Iterator<Item = u8> {
        let oldest = self.step.saturating_sub(LATELY as u64 - 1);
        let steps = (since.0 >> STEP).clamp(oldest, self.step)..=self.step;
        steps.filter_map(|step| {
            self.lately.get(usize::try_from(step).unwrap_or(0) % LATELY).copied()
        })
    }

    /// The share by which no more would have been looked at in this step than may be.
    fn next(&self) -> Halves {
        let over = self.came.div_ceil(self.limit).max(1);
        let halves = over.next_power_of_two().trailing_zeros();
        Halves(u8::try_from(halves).unwrap_or(LEAST).min(LEAST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP_NANOS: u64 = 1 << STEP;

    /// Steps of so many exchanges each; gives how many were looked at, and for how many they stand.
    fn all(rate: u32, steps: &[u64]) -> (u64, u64) {
        let (mut admission, ids) = (Admission::new(rate), Ids::new([5, 6, 7, 8]));
        let (mut seen, mut stands) = (0, 0);
        for (step, count) in steps.iter().enumerate() {
            for n in 0..*count {
                let at = Timestamp(step as u64 * STEP_NANOS + n * STEP_NANOS / count);
                if let Some(Halves(halves)) = admission.of(at, at, &ids) {
                    seen += 1;
                    stands += 1_u64 << halves;
                }
            }
        }
        (seen, stands)
    }

    #[test]
    fn what_is_looked_at_is_bounded_and_stands_for_all() {
        assert_eq!(all(8000, &[1000; 100]), (100_000, 100_000));
        assert_eq!(all(8000, &[10, 0, 0, 900, 1000]), (1910, 1910));
        // One step is needed to see how many they are.
        for over in [2_u64, 3, 16, 50] {
            let count = 1000 * over;
            let (seen, stands) = all(8000, &vec![count; 2000]);
            let (rest, of) = (seen - count, 1999 * count);
            assert!(rest <= 1_010 * 1999, "{over}: {rest}");
            let off = (stands - count) as f64 / of as f64 - 1.0;
            assert!(off.abs() < 0.02, "{over}: {off}");
        }
        // What comes after a burst is looked at whole again.
        assert_eq!(all(8000, &[100_000, 10, 10, 10]).0 - 100_000 - 20, 0);
    }

    #[test]
    fn who_was_there_while_others_are_looked_at_is_known_to_be() {
        let ids = Ids::new([1, 2, 3, 4]);
        for halves in [1, 3, 6] {
            let mut admission = Admission::new(1);
            (admission.halves, admission.lately) = (Halves(halves), [halves; LATELY]);
            let looked_at = |at: u64| {
                let begins = ids.number(at >> PERIOD) & WITHIN;
                at.wrapping_sub(begins) & WITHIN < 1 << (PERIOD - u32::from(halves))
            };
            for n in 0..400_u64 {
                let begun = ids.number(n) & ((1 << (PERIOD + 3)) - 1);
                let ended = begun + (ids.number(n + 1000) & ((1 << (21 + n % 9)) - 1));
                let steps = 512;
                let was = (0..=steps).any(|step| looked_at(begun + (ended - begun) / steps * step));
                admission.step = begun >> STEP;
                let found = admission.touches_any(Timestamp(begun), Timestamp(ended), &ids);
                assert!(found || !was, "{halves}: {begun} to {ended}");
                // Within a step one look is enough.
                admission.begins(begun >> PERIOD, &ids);
                let at_once = admission.touches(Timestamp(begun), Timestamp(ended), &ids);
                assert_eq!(at_once, found, "{halves}: {begun} to {ended}");
                let long = ended - begun > 1 << (PERIOD - 4);
                assert!(was || !found || long || near(&looked_at, begun, ended), "{begun} {ended}");
            }
        }
    }

    /// Whether the looks above may have stepped over what they looked for.
    fn near(looked_at: &dyn Fn(u64) -> bool, begun: u64, ended: u64) -> bool {
        let step = (ended - begun) / 512;
        looked_at(ended + step) || looked_at(begun.saturating_sub(step)) || looked_at(ended)
    }
}
