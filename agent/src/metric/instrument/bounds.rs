//! Upper bounds of explicit buckets, found by a value's octave.

use std::ops::Deref;

/// Octaves that are told apart: from 2 to the power of -32 on. What lies outside belongs to the nearest.
const OCTAVES: usize = 64;
const LOWEST: usize = 32;
/// Bits of a double's fraction, and what its exponent is too great by.
const FRACTION_BITS: u32 = 52;
const BIAS: usize = 1023;

/// The bounds, ascending; a value that is equal to one lies below it.
#[derive(Debug, PartialEq)]
pub struct Bounds {
    all: &'static [f64],
    /// How many lie below each octave.
    below: [u8; OCTAVES],
}

impl Bounds {
    /// Of these bounds, fewer than 256.
    ///
    /// # Panics
    /// With more, while compiling.
    #[allow(
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "evaluated while compiling: an index beyond the end does not build"
    )]
    pub const fn new(all: &'static [f64]) -> Self {
        assert!(all.len() < 256, "a bucket's number is a byte");
        let mut below = [0; OCTAVES];
        let mut octave = 1;
        while octave < OCTAVES {
            let least = f64::from_bits(((octave + BIAS - LOWEST) as u64) << FRACTION_BITS);
            let mut count = 0;
            while count < all.len() && all[count] < least {
                count += 1;
            }
            below[octave] = count as u8;
            octave += 1;
        }
        Self { all, below }
    }

    /// The bucket of a value that is not negative.
    #[inline]
    pub fn bucket(&self, value: f64) -> usize {
        let exponent = usize::try_from(value.to_bits() >> FRACTION_BITS).unwrap_or(usize::MAX);
        let octave = exponent.saturating_sub(BIAS - LOWEST).min(OCTAVES - 1);
        let mut bucket = usize::from(self.below.get(octave).copied().unwrap_or(0));
        while self.all.get(bucket).is_some_and(|bound| *bound < value) {
            bucket += 1;
        }
        bucket
    }
}

impl Deref for Bounds {
    type Target = [f64];

    fn deref(&self) -> &[f64] {
        self.all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{BYTES, FINE_SECONDS, SECONDS};
    use super::*;

    fn by_search(bounds: &Bounds, value: f64) -> usize {
        bounds.partition_point(|bound| *bound < value)
    }

    proptest! {
        #[test]
        fn a_bucket_is_the_one_that_a_search_finds(value in 0.0..1e12_f64, small in 0.0..1e-3_f64) {
            for bounds in [&SECONDS, &FINE_SECONDS, &BYTES] {
                for value in [value, small, small / 1e6] {
                    prop_assert_eq!(bounds.bucket(value), by_search(bounds, value));
                }
            }
        }
    }

    #[test]
    fn bounds_and_ends_are_where_they_belong() {
        static WIDE: Bounds = Bounds::new(&[0.0, 1e-12, 1.0, 2.0, 1e15]);
        for bounds in [&SECONDS, &FINE_SECONDS, &BYTES, &WIDE] {
            let around = bounds.iter().flat_map(|b| [b.next_down().max(0.0), *b, b.next_up()]);
            for value in around.chain([0.0, f64::MIN_POSITIVE, 4e9, 1e300, f64::MAX]) {
                assert_eq!(bounds.bucket(value), by_search(bounds, value), "{value}");
            }
        }
    }
}
