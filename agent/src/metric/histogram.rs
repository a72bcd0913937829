//! A distribution kept twice, exactly: with explicit bounds and with exponential buckets.
//!
//! It keeps counts alone: bounds and unit are the instrument's, which every recording names.

use super::exemplar::{Exemplar, Exemplars};
use super::exponential;
pub use super::exponential::{Exponential, MAX_BUCKETS, MAX_SCALE};
use super::instrument::Instrument;

/// A distribution of whole numbers (nanoseconds, bytes).
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// How many values.
    pub count: u64,
    /// Their sum, in the unit kept inside.
    pub sum: u128,
    /// The least; greater than `max` where it is not known, see [`Histogram::range`].
    pub min: u64,
    /// The greatest.
    pub max: u64,
    /// One count a bound and one beyond the last, upper bounds inclusive.
    pub explicit: Box<[u64]>,
    /// The same values in exponential buckets.
    pub exponential: Exponential,
    /// Spans that stand for some of them.
    pub exemplars: Exemplars,
}

/// Where a value is counted: found once, where several distributions count it.
///
/// Both kinds of buckets see the double that is exported, so 75 ms is inside the bound 0.075.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    value: u64,
    /// Of the explicit buckets.
    bucket: usize,
    /// Of the exponential ones.
    fine: exponential::Place,
}

impl Place {
    /// That of `value` by the bounds of `instrument`.
    #[inline]
    pub fn of(instrument: &Instrument, value: u64) -> Self {
        let outside = instrument.scale.apply(value);
        let bucket = instrument.bounds().bucket(outside);
        Self { value, bucket, fine: exponential::Place::of(outside) }
    }

    /// The value.
    pub fn value(&self) -> u64 {
        self.value
    }
}

impl Histogram {
    /// An empty distribution of `instrument`.
    pub fn new(instrument: &Instrument) -> Self {
        Self {
            count: 0,
            sum: 0,
            min: u64::MAX,
            max: 0,
            explicit: vec![0; instrument.bounds().len() + 1].into(),
            exponential: Exponential::new(),
            exemplars: Exemplars::new(),
        }
    }

    /// Has a span stand for the bucket of its value, which was counted before.
    pub fn exemplify(&mut self, instrument: &Instrument, exemplar: Exemplar) {
        let outside = instrument.scale.apply(exemplar.value);
        let bucket = instrument.bounds().bucket(outside);
        self.exemplars.put(bucket, exemplar);
    }

    /// Counts one value. `instrument` is the one this was made for.
    #[inline]
    pub fn record(&mut self, instrument: &Instrument, value: u64) {
        self.count_at(&Place::of(instrument, value));
    }

    /// Counts the value of a place, which is one of this instrument or of one with the same bounds and unit.
    #[inline]
    pub fn count_at(&mut self, place: &Place) {
        let Place { value, bucket, fine } = *place;
        self.count += 1;
        self.sum += u128::from(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        if let Some(count) = self.explicit.get_mut(bucket) {
            *count += 1;
        }
        self.exponential.count_at(fine);
    }

    /// The distribution of `instrument` that was counted in buckets: for each a value that stands for
    /// it and how many there were. The buckets are taken to be half an octave wide or narrower, as the
    /// kernel side's are.
    pub fn of_buckets(
        instrument: &Instrument,
        buckets: impl IntoIterator<Item = (u64, u64)>,
        sum: u64,
    ) -> Self {
        let mut all = Self::new(instrument);
        all.sum = u128::from(sum);
        all.exponential.scale = 1;
        for (value, count) in buckets {
            if count == 0 {
                continue;
            }
            all.count += count;
            let outside = instrument.scale.apply(value);
            let bucket = instrument.bounds().bucket(outside);
            if let Some(held) = all.explicit.get_mut(bucket) {
                *held += count;
            }
            all.exponential.record_many(outside, count);
        }
        all
    }

    /// Least and greatest value; none if empty, or if only a difference is known.
    pub fn range(&self) -> Option<(u64, u64)> {
        (self.min <= self.max).then_some((self.min, self.max))
    }

    /// Adds the values of `other`, a distribution of the same instrument.
    pub fn merge(&mut self, other: &Self) {
        debug_assert_eq!(self.explicit.len(), other.explicit.len());
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        for (held, more) in self.explicit.iter_mut().zip(&other.explicit) {
            *held += more;
        }
        self.exponential.merge(&other.exponential);
        self.exemplars.merge(&other.exemplars);
    }

    /// What was recorded after `baseline`, an earlier state of this: exact but for the range, which
    /// a difference does not tell.
    #[must_use]
    pub fn since(&self, baseline: &Self) -> Self {
        let known = baseline.count == 0;
        Self {
            count: self.count.saturating_sub(baseline.count),
            sum: self.sum.saturating_sub(baseline.sum),
            min: if known { self.min } else { u64::MAX },
            max: if known { self.max } else { 0 },
            explicit: std::iter::zip(&self.explicit, &baseline.explicit)
                .map(|(now, then)| now.saturating_sub(*then))
                .collect(),
            exponential: self.exponential.since(&baseline.exponential),
            exemplars: self.exemplars.clone(),
        }
    }

    /// The value, in the exported unit, below which the share `q` lies: an estimate for eyes, within
    /// the width of an exponential bucket. Never exported.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        self.exponential.quantile(q)
    }
}

#[cfg(test)]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "numbers of a test are small"
)]
mod tests {
    use super::super::instrument::http::{
        HTTP_SERVER_REQUEST_BODY_SIZE as BYTES, HTTP_SERVER_REQUEST_DURATION as SECONDS,
    };
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn of(instrument: &Instrument, values: &[u64]) -> Histogram {
        let mut histogram = Histogram::new(instrument);
        for value in values {
            histogram.record(instrument, *value);
        }
        histogram
    }

    /// The same, from all values at once and by the definitions.
    fn model(instrument: &Instrument, values: &[u64]) -> Histogram {
        let outside = |v: u64| match instrument.scale {
            super::super::instrument::Scale::One => v as f64,
            super::super::instrument::Scale::NanosToSeconds => v as f64 / 1e9,
        };
        let bounds = instrument.bounds();
        let mut explicit = vec![0; bounds.len() + 1];
        for v in values {
            let bucket = bounds.iter().position(|b| outside(*v) <= *b).unwrap_or(bounds.len());
            explicit[bucket] += 1;
        }
        let mut exponential = Exponential::new();
        exponential.zero_count = values.iter().filter(|v| **v == 0).count() as u64;
        loop {
            let mut buckets = BTreeMap::<i32, u64>::new();
            for v in values.iter().filter(|v| **v > 0) {
                let fine = (outside(*v).log2() * f64::from(MAX_SCALE).exp2()).ceil() as i32 - 1;
                *buckets.entry(fine >> (MAX_SCALE - exponential.scale)).or_default() += 1;
            }
            let Some((first, _)) = buckets.first_key_value() else { break };
            let (last, _) = buckets.last_key_value().unwrap();
            if last - first < MAX_BUCKETS as i32 {
                exponential.offset = *first;
                exponential.counts =
                    (*first..=*last).map(|i| buckets.get(&i).copied().unwrap_or(0)).collect();
                break;
            }
            exponential.scale -= 1;
        }
        Histogram {
            count: values.len() as u64,
            sum: values.iter().map(|v| u128::from(*v)).sum(),
            min: values.iter().copied().min().unwrap_or(u64::MAX),
            max: values.iter().copied().max().unwrap_or(0),
            explicit: explicit.into(),
            exponential,
            exemplars: Exemplars::new(),
        }
    }

    #[test]
    fn bounds_are_inclusive_in_the_exported_unit() {
        for (i, bound) in SECONDS.bounds().iter().enumerate() {
            let nanos = (bound * 1e9).round() as u64;
            for (value, bucket) in [(nanos - 1, i), (nanos, i), (nanos + 1, i + 1)] {
                assert_eq!(of(&SECONDS, &[value]).explicit[bucket], 1, "{value}");
            }
        }
        assert_eq!(of(&BYTES, &[0]).explicit[0], 1);
        assert_eq!(of(&BYTES, &[u64::MAX]).explicit.last(), Some(&1));
    }

    #[test]
    fn one_value_stays_at_the_finest_scale() {
        let histogram = of(&BYTES, &[612; 1000]);
        assert_eq!(histogram.exponential.scale, MAX_SCALE);
        assert_eq!(histogram.exponential.counts, [1000]);
        let p50 = histogram.quantile(0.5).unwrap();
        assert!((p50 - 612.0).abs() < 0.01, "{p50}");
    }

    #[test]
    fn quantiles_are_within_a_bucket() {
        let values: Vec<u64> = (1..=10_000).map(|i| i * 100_000).collect();
        let histogram = of(&SECONDS, &values);
        for (q, expect) in [(0.5, 0.5), (0.95, 0.95), (0.99, 0.99)] {
            let found = histogram.quantile(q).unwrap();
            assert!((found / expect - 1.0).abs() < 0.05, "{q}: {found}");
        }
        assert_eq!(Histogram::new(&SECONDS).quantile(0.5), None);
    }

    #[test]
    fn what_the_kernel_counted_keeps_its_count_sum_and_buckets() {
        use agent_common::histogram::NANOS;
        let fold = |counts: &[u64], sum| {
            let values = (0..).map(|i| NANOS.middle(i)).zip(counts.iter().copied());
            Histogram::of_buckets(&SECONDS, values, sum)
        };
        let mut counts = [0; NANOS.len];
        for (i, count) in counts.iter_mut().enumerate() {
            *count = i as u64 + 1;
        }
        let folded = fold(&counts, 77);
        assert_eq!((folded.count, folded.sum, folded.range()), (48 * 49 / 2, 77, None));
        assert_eq!(folded.explicit.iter().sum::<u64>(), folded.count);
        assert_eq!(folded.exponential.scale, 1);
        // One for one: no two buckets of the kernel side fall into one of these.
        let held: Vec<u64> = folded.exponential.counts.into_iter().filter(|n| *n > 0).collect();
        assert_eq!(held, counts);
        let p50 = fold(&[0, 0, 0, 9], 0).quantile(0.5).unwrap();
        assert!(p50 > 2.8e-6 && p50 < 4.3e-6, "{p50}");
        assert_eq!(fold(&[], 0).quantile(0.5), None);
    }

    /// Values of any size, near one another and far apart.
    fn values() -> impl Strategy<Value = Vec<u64>> {
        let value = prop_oneof![
            Just(0),
            1u64..100,
            900_000u64..1_100_000,
            (0u32..64).prop_map(|p| 1 << p),
            any::<u64>(),
        ];
        prop::collection::vec(value, 0..300)
    }

    proptest! {
        #[test]
        fn agrees_with_the_definitions(values in values()) {
            prop_assert_eq!(of(&SECONDS, &values), model(&SECONDS, &values));
            prop_assert_eq!(of(&BYTES, &values), model(&BYTES, &values));
        }

        #[test]
        fn merging_is_recording_both(a in values(), b in values()) {
            let mut merged = of(&SECONDS, &a);
            merged.merge(&of(&SECONDS, &b));
            let all: Vec<u64> = a.iter().chain(&b).copied().collect();
            prop_assert_eq!(merged, model(&SECONDS, &all));
        }

        #[test]
        fn difference_and_baseline_make_the_whole(a in values(), b in values()) {
            let baseline = of(&SECONDS, &a);
            let mut whole = baseline.clone();
            for value in &b {
                whole.record(&SECONDS, *value);
            }
            let delta = whole.since(&baseline);
            let only = model(&SECONDS, &b);
            prop_assert_eq!((delta.count, delta.sum), (only.count, only.sum));
            prop_assert_eq!(&delta.explicit, &only.explicit);
            prop_assert_eq!(delta.exponential.zero_count, only.exponential.zero_count);
            let mut again = delta.exponential.clone();
            again.merge(&baseline.exponential);
            prop_assert_eq!(again, whole.exponential);
        }
    }
}
