//! Base-2 exponential buckets: at most 160 of them, as fine as the range of the values allows.
//!
//! Bucket `i` of scale `s` holds `(base^i, base^(i+1)]` with `base = 2^(2^-s)`. A value's bucket at a
//! coarse scale is its bucket at a fine one, shifted, so buckets are merged in pairs without loss
//! and the order of the values makes no difference. Up to `TABLE_SCALE` the bucket is found by
//! comparing the fraction's bits with a table that is exact; above it, where a histogram stays only
//! while its values are nearly alike, by `log2`, held inside the table's bucket.

/// The most buckets kept.
pub const MAX_BUCKETS: usize = 160;
/// The scale that an empty histogram starts with.
pub const MAX_SCALE: i32 = 20;

/// Buckets an octave in the table, as a power of two.
const TABLE_SCALE: u32 = 7;
const TABLE: usize = 1 << TABLE_SCALE;
/// Even slices of an octave: two for each bucket, so that none has two bounds in it.
const SLICES: usize = 2 * TABLE;
const FRACTION_BITS: u32 = 52;
const FRACTION: u64 = (1 << FRACTION_BITS) - 1;

/// Base-2 exponential buckets, as OTLP has them, of the values in the exported unit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exponential {
    /// Bucket `i` holds values in `(base^i, base^(i+1)]` with `base = 2^(2^-scale)`.
    pub scale: i32,
    /// Values that are zero.
    pub zero_count: u64,
    /// Index of the first bucket in `counts`.
    pub offset: i32,
    /// At most 160 buckets.
    pub counts: Vec<u64>,
}

impl Exponential {
    /// No values; nothing is allocated until the first that is not zero.
    pub const fn new() -> Self {
        Self { scale: MAX_SCALE, zero_count: 0, offset: 0, counts: Vec::new() }
    }

    /// Counts `value`, which is not negative.
    #[inline]
    pub(super) fn record(&mut self, value: f64) {
        self.count_at(Place::of(value));
    }

    /// Counts the value of a place.
    #[inline]
    pub(super) fn count_at(&mut self, place: Place) {
        let Place { value, table } = place;
        if value <= 0.0 {
            self.zero_count += 1;
            return;
        }
        let index = at_scale(value, table, self.scale);
        let place = i64::from(index) - i64::from(self.offset);
        if let Some(count) = usize::try_from(place).ok().and_then(|i| self.counts.get_mut(i)) {
            *count += 1;
        } else {
            self.record_outside(value, index);
        }
    }

    /// Counts `value` so many times.
    pub(super) fn record_many(&mut self, value: f64, count: u64) {
        if count == 0 {
            return;
        }
        self.record(value);
        if value <= 0.0 {
            self.zero_count += count - 1;
        } else {
            self.add(index(value, self.scale), count - 1);
        }
    }

    #[cold]
    fn record_outside(&mut self, value: f64, index: i32) {
        if self.counts.is_empty() {
            self.offset = index;
            self.counts.push(1);
            return;
        }
        self.make_room(index, index);
        let at = self::index(value, self.scale);
        self.add(at, 1);
    }

    /// Adds to bucket `index`, which is inside.
    fn add(&mut self, index: i32, count: u64) {
        let place = usize::try_from(index - self.offset).ok();
        debug_assert!(place.is_some_and(|i| i < self.counts.len()), "room was made");
        if let Some(held) = place.and_then(|i| self.counts.get_mut(i)) {
            *held += count;
        }
    }

    /// Extends the range to the buckets `low..=high` of the present scale, coarser where needed.
    fn make_room(&mut self, low: i32, high: i32) {
        let last = self.offset + count_of(&self.counts) - 1;
        let (mut low, mut high) = (low.min(self.offset), high.max(last));
        let mut shift = 0;
        while high.abs_diff(low) as usize >= MAX_BUCKETS {
            low >>= 1;
            high >>= 1;
            shift += 1;
        }
        self.coarsen(shift);
        let front = usize::try_from(self.offset - low).unwrap_or(0);
        if front > 0 {
            self.counts.splice(0..0, std::iter::repeat_n(0, front));
            self.offset = low;
        }
        let wanted = usize::try_from(high - low + 1).unwrap_or(0);
        if wanted > self.counts.len() {
            self.counts.resize(wanted, 0);
        }
    }

    /// Makes the scale smaller by `by`, merging `2^by` buckets into one.
    fn coarsen(&mut self, by: u32) {
        if by == 0 {
            return;
        }
        self.scale -= by.cast_signed();
        let by = by.min(31);
        let first = self.offset >> by;
        let mut merged: Vec<u64> = Vec::with_capacity((self.counts.len() >> by) + 2);
        for (index, count) in (self.offset..).zip(&self.counts) {
            let place = usize::try_from((index >> by) - first).unwrap_or(0);
            if place >= merged.len() {
                merged.resize(place + 1, 0);
            }
            if let Some(held) = merged.get_mut(place) {
                *held += count;
            }
        }
        self.offset = first;
        self.counts = merged;
    }

    /// Makes the scale `scale`, if that is smaller: some receivers take no finer one than 8.
    pub fn coarsen_to(&mut self, scale: i32) {
        self.coarsen(u32::try_from(self.scale - scale).unwrap_or(0));
    }

    /// Adds the values of `other`.
    pub(super) fn merge(&mut self, other: &Self) {
        self.zero_count += other.zero_count;
        if other.counts.is_empty() {
            return;
        }
        if self.counts.is_empty() {
            let zero_count = self.zero_count;
            *self = Self { zero_count, ..other.clone() };
            return;
        }
        self.coarsen_to(other.scale);
        // The other's ends, at the scale that is the coarser of the two.
        let shift = (other.scale - self.scale).clamp(0, 31);
        let last = other.offset + count_of(&other.counts) - 1;
        self.make_room(other.offset >> shift, last >> shift);
        let shift = (other.scale - self.scale).clamp(0, 31);
        for (index, count) in (other.offset..).zip(&other.counts) {
            self.add(index >> shift, *count);
        }
    }

    /// What came after `baseline`, an earlier state of the same buckets, whatever its scale.
    pub(super) fn since(&self, baseline: &Self) -> Self {
        let zero_count = self.zero_count.saturating_sub(baseline.zero_count);
        let mut rest = Self { zero_count, ..self.clone() };
        // An earlier state is as fine or finer; where it is not, it is not an earlier state.
        let shift = (baseline.scale - self.scale).clamp(0, 31);
        for (index, count) in (baseline.offset..).zip(&baseline.counts) {
            let place = usize::try_from((index >> shift) - rest.offset).ok();
            if let Some(held) = place.and_then(|i| rest.counts.get_mut(i)) {
                *held = held.saturating_sub(*count);
            }
        }
        rest.trim();
        rest
    }

    /// Takes empty buckets off both ends.
    fn trim(&mut self) {
        let front = self.counts.iter().take_while(|c| **c == 0).count();
        self.counts.drain(..front);
        let back = self.counts.iter().rev().take_while(|c| **c == 0).count();
        self.counts.truncate(self.counts.len() - back);
        self.offset = if self.counts.is_empty() { 0 } else { self.offset + count_as_i32(front) };
    }

    /// The value below which the share `q` of all values lies, within a bucket's width.
    pub(super) fn quantile(&self, q: f64) -> Option<f64> {
        let total = self.zero_count + self.counts.iter().sum::<u64>();
        if total == 0 {
            return None;
        }
        let rank = (q.clamp(0.0, 1.0) * total as f64).max(1.0);
        let mut below = self.zero_count as f64;
        if below >= rank {
            return Some(0.0);
        }
        let octave = f64::from(self.scale).exp2();
        for (index, count) in (self.offset..).zip(&self.counts) {
            let count = *count as f64;
            if below + count >= rank {
                // Even in the logarithm within the bucket.
                return Some(((f64::from(index) + (rank - below) / count) / octave).exp2());
            }
            below += count;
        }
        None
    }
}

fn count_of(counts: &[u64]) -> i32 {
    count_as_i32(counts.len())
}

fn count_as_i32(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Where a value is counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    value: f64,
    /// Its bucket at the table's scale; nothing if it is zero.
    table: i32,
}

impl Place {
    /// That of `value`, which is not negative.
    #[inline]
    pub(super) fn of(value: f64) -> Self {
        Self { value, table: if value <= 0.0 { 0 } else { of_table(value) } }
    }
}

/// The bucket of `value`, which is greater than zero, finite and not subnormal.
fn index(value: f64, scale: i32) -> i32 {
    at_scale(value, of_table(value), scale)
}

/// The same at the table's scale.
#[inline]
fn of_table(value: f64) -> i32 {
    let bits = value.to_bits();
    let exponent = (bits >> FRACTION_BITS) as i32 - 1023;
    let fraction = bits & FRACTION;
    let slice = (fraction >> (FRACTION_BITS - TABLE_SCALE - 1)) as usize;
    // At most one bound lies inside the slice; which is below tells a comparison.
    let below = usize::from(table::BELOW.get(slice).copied().unwrap_or(0));
    let inside = table::BOUNDS.get(below).is_some_and(|bound| *bound < fraction);
    (exponent << TABLE_SCALE) + count_as_i32(below) + i32::from(inside) - 1
}

/// The same at `scale`, where it is known at the table's.
#[inline]
fn at_scale(value: f64, table: i32, scale: i32) -> i32 {
    let finer = scale - TABLE_SCALE.cast_signed();
    if finer <= 0 {
        return table >> (-finer).min(31);
    }
    let exact = whole((value.log2() * f64::from(scale).exp2()).ceil()) - 1;
    exact.clamp(table << finer, ((table + 1) << finer) - 1)
}

/// A whole number that a double holds.
#[allow(
    clippy::cast_possible_truncation,
    reason = "logarithms of doubles, 2^20 fine, are far inside; a cast saturates"
)]
fn whole(value: f64) -> i32 {
    value as i32
}

/// The bounds of an octave's buckets.
#[allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated while compiling: an index beyond the end does not build, and the tests hold every bound"
)]
mod table {
    use super::{FRACTION, FRACTION_BITS, SLICES, TABLE, TABLE_SCALE};

    /// `2^(k/128)` for `k` in `0..128`, 63 bits behind the point, each too small by less than two units.
    ///
    /// Square roots of square roots: an error is halved on the way, where products would add it up.
    pub(super) const fn roots() -> [u64; TABLE] {
        let mut roots = [0; TABLE];
        roots[0] = 1 << 63;
        let mut step = TABLE / 2;
        while step > 0 {
            // The exponent of an odd multiple of `step` is half that of a multiple of `2 * step`.
            let mut k = step;
            while k < TABLE {
                let double = 2 * k;
                roots[k] = if double < TABLE {
                    ((roots[double] as u128) << 63).isqrt() as u64
                } else {
                    ((roots[double - TABLE] as u128) << 64).isqrt() as u64
                };
                k += 2 * step;
            }
            step /= 2;
        }
        roots
    }

    /// Lower bounds of an octave's buckets as the fraction bits of a double, rounded down.
    pub(super) static BOUNDS: [u64; TABLE] = {
        let roots = roots();
        let mut bounds = [0; TABLE];
        let mut k = 0;
        while k < TABLE {
            bounds[k] = (roots[k] >> (63 - FRACTION_BITS)) & FRACTION;
            k += 1;
        }
        bounds
    };

    /// For each even slice of an octave, how many bounds lie below its start.
    pub(super) static BELOW: [u8; SLICES] = {
        let roots = roots();
        let mut below = [0; SLICES];
        let mut slice = 0;
        while slice < SLICES {
            let start = (slice as u64) << (FRACTION_BITS - TABLE_SCALE - 1);
            let mut k = 0;
            while k < TABLE && ((roots[k] >> (63 - FRACTION_BITS)) & FRACTION) < start {
                k += 1;
            }
            below[slice] = k as u8;
            slice += 1;
        }
        below
    };
}

#[cfg(test)]
mod tests {
    use super::table::{BOUNDS, roots};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn table_is_exact_to_the_last_bit() {
        for root in &roots()[1..] {
            let dropped = root & ((1 << (63 - FRACTION_BITS)) - 1);
            assert!(dropped < (1 << (63 - FRACTION_BITS)) - 2, "rounding is undecided: {root:x}");
        }
        for (k, bound) in BOUNDS.iter().enumerate() {
            let near = (k as f64 / TABLE as f64).exp2().to_bits() & FRACTION;
            assert!(near.abs_diff(*bound) <= 1, "{k}");
        }
    }

    #[test]
    fn upper_bounds_are_inclusive() {
        for scale in [-2, -1, 0, 1, 3, 7, 8, 20] {
            for power in -12..40 {
                let bound = f64::from(power).exp2();
                // base^(i+1) == 2^power
                let last = if scale >= 0 { (power << scale) - 1 } else { ((power) - 1) >> -scale };
                assert_eq!(index(bound, scale), last, "2^{power} at {scale}");
                let next = f64::from_bits(bound.to_bits() + 1);
                let after = if scale >= 0 { power << scale } else { power >> -scale };
                if scale <= 7 {
                    assert_eq!(index(next, scale), after, "just above 2^{power} at {scale}");
                }
            }
        }
        // 2^(1/2) lies between two doubles.
        let root = f64::from_bits(1f64.to_bits() | BOUNDS[64]);
        assert_eq!(index(root, 1), 0);
        assert_eq!(index(f64::from_bits(root.to_bits() + 1), 1), 1);
    }

    proptest! {
        #[test]
        fn coarser_index_is_the_finer_one_shifted(value in 1u64.., shift in 0i32..20) {
            let fine = index(value as f64, MAX_SCALE);
            prop_assert_eq!(index(value as f64, MAX_SCALE - shift), fine >> shift);
        }

        #[test]
        fn index_agrees_with_the_logarithm(value in 1u64.., scale in 0i32..=7) {
            let naive = whole(((value as f64).log2() * f64::from(scale).exp2()).ceil()) - 1;
            prop_assert!((index(value as f64, scale) - naive).abs() <= 1);
        }
    }
}
