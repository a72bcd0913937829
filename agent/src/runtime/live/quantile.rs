//! Percentiles of a distribution, for showing; they are never exported.

use crate::metric::histogram::{Exponential, Histogram};
use crate::metric::instrument::{Kind, Scale};

/// The buckets of what came between two states of a histogram, in the exported unit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Buckets {
    /// Count and bounds `(low, high]` of each bucket.
    buckets: Vec<(u64, f64, f64)>,
    total: u64,
}

impl Buckets {
    /// Adds what `now` has more than `before`. Exponential buckets are taken where there are any;
    /// the explicit ones, with the bounds of `kind`, otherwise.
    pub fn add(&mut self, now: &Histogram, before: Option<&Histogram>, kind: Kind, scale: Scale) {
        let exponential = &now.exponential;
        if exponential.zero_count == 0 && exponential.counts.is_empty() {
            let Kind::Histogram(bounds) = kind else { return };
            self.add_explicit(now, before, bounds, scale);
        } else {
            self.add_exponential(exponential, before.map(|before| &before.exponential));
        }
    }

    fn add_exponential(&mut self, now: &Exponential, before: Option<&Exponential>) {
        let zeros = before.map_or(0, |before| before.zero_count);
        self.put(now.zero_count.saturating_sub(zeros), 0.0, 0.0);
        for (place, count) in (0_i32..).zip(&now.counts) {
            let index = now.offset.saturating_add(place);
            let earlier = before.map_or(0, |before| count_at(before, index, now.scale));
            let low = bound(index, now.scale);
            let high = bound(index.saturating_add(1), now.scale);
            self.put(count.saturating_sub(earlier), low, high);
        }
    }

    fn add_explicit(
        &mut self,
        now: &Histogram,
        before: Option<&Histogram>,
        bounds: &[f64],
        scale: Scale,
    ) {
        let outside = |value: u64| match scale {
            Scale::One => value as f64,
            Scale::NanosToSeconds => value as f64 / 1e9,
        };
        let mut low = 0.0;
        for (place, count) in now.explicit.iter().enumerate() {
            let earlier = before.and_then(|before| before.explicit.get(place)).copied();
            let high = bounds.get(place).copied().unwrap_or_else(|| outside(now.max).max(low));
            self.put(count.saturating_sub(earlier.unwrap_or(0)), low, high);
            low = high;
        }
    }

    fn put(&mut self, count: u64, low: f64, high: f64) {
        if count > 0 {
            self.total = self.total.saturating_add(count);
            self.buckets.push((count, low, high));
        }
    }

    /// How many values there are.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The value below which the part `q` (0 to 1) lies; inside a bucket, evenly spread.
    pub fn quantile(&mut self, q: f64) -> Option<f64> {
        if self.total == 0 {
            return None;
        }
        // Several histograms may have been added: the same bucket of each becomes one.
        self.buckets.sort_by(|a, b| a.2.total_cmp(&b.2).then(a.1.total_cmp(&b.1)));
        self.buckets.dedup_by(|next, kept| {
            let same = (next.1, next.2) == (kept.1, kept.2);
            kept.0 = kept.0.saturating_add(if same { next.0 } else { 0 });
            same
        });
        let wanted = (q.clamp(0.0, 1.0) * self.total as f64).max(1.0);
        let mut passed = 0.0;
        for (count, low, high) in &self.buckets {
            let count = *count as f64;
            if passed + count >= wanted {
                return Some(low + (high - low) * ((wanted - passed) / count));
            }
            passed += count;
        }
        self.buckets.last().map(|(_, _, high)| *high)
    }
}

/// The lower bound of a bucket: `2^(index * 2^-scale)`.
fn bound(index: i32, scale: i32) -> f64 {
    (f64::from(index) * (-f64::from(scale)).exp2()).exp2()
}

/// What an earlier state counted in the bucket that is now at `index` of the coarser `scale`: a
/// histogram only ever gets coarser.
fn count_at(before: &Exponential, index: i32, scale: i32) -> u64 {
    let Ok(shift) = u32::try_from(before.scale.saturating_sub(scale)) else { return 0 };
    let shift = shift.min(31);
    let inside = |place: i32| before.offset.saturating_add(place) >> shift == index;
    (0_i32..)
        .zip(&before.counts)
        .filter(|(place, _)| inside(*place))
        .map(|(_, count)| *count)
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::Buckets;
    use crate::metric::histogram::{Exponential, Histogram};
    use crate::metric::instrument::{BYTES, Kind, SECONDS, Scale};

    fn exponential(scale: i32, offset: i32, counts: &[u64]) -> Histogram {
        let exponential = Exponential { scale, zero_count: 0, offset, counts: counts.to_vec() };
        Histogram {
            count: counts.iter().copied().fold(0, u64::saturating_add),
            sum: 0,
            min: 0,
            max: 0,
            explicit: Box::new([]),
            exponential,
        }
    }

    fn quantiles(now: &Histogram, before: Option<&Histogram>) -> [Option<f64>; 3] {
        let mut buckets = Buckets::default();
        buckets.add(now, before, Kind::Histogram(SECONDS), Scale::NanosToSeconds);
        [0.5, 0.95, 0.99].map(|q| buckets.quantile(q))
    }

    #[test]
    fn nothing_has_no_percentile() {
        assert_eq!(quantiles(&exponential(0, 0, &[]), None), [None; 3]);
        let same = exponential(0, 0, &[5, 5]);
        assert_eq!(quantiles(&same, Some(&same)), [None; 3]);
    }

    #[test]
    fn values_are_spread_evenly_inside_their_bucket() {
        // 100 values in (1, 2].
        let [p50, p95, p99] = quantiles(&exponential(0, 0, &[100]), None).map(Option::unwrap);
        assert!((p50 - 1.5).abs() < 1e-9 && (p95 - 1.95).abs() < 1e-9, "{p50} {p95}");
        assert!((p99 - 1.99).abs() < 1e-9, "{p99}");
    }

    #[test]
    fn only_what_came_since_counts_even_when_the_buckets_got_coarser() {
        // Before: 10 values at scale 1 in (1, 1.41] and 10 in (1.41, 2]. Since: 4 in (2, 4].
        let before = exponential(1, 0, &[10, 10]);
        let now = exponential(0, 0, &[20, 4]);
        let [p50, ..] = quantiles(&now, Some(&before)).map(Option::unwrap);
        assert!((p50 - 3.0).abs() < 1e-9, "{p50}");
    }

    #[test]
    fn explicit_buckets_do_where_there_are_no_others() {
        let mut now = exponential(0, 0, &[]);
        now.explicit = Box::new([0, 4]);
        now.max = 1000;
        let mut buckets = Buckets::default();
        buckets.add(&now, None, Kind::Histogram(&BYTES[..1]), Scale::One);
        assert_eq!(buckets.total(), 4);
        assert_eq!(buckets.quantile(0.5), Some(500.0));
    }

    #[test]
    fn nonsense_is_survived() {
        let wild = exponential(i32::MIN, i32::MAX, &[u64::MAX, u64::MAX]);
        let _ = quantiles(&wild, Some(&exponential(i32::MAX, i32::MIN, &[1])));
    }
}
