//! Log-linear buckets for distributions that the kernel side counts: two to an octave.
//!
//! Bucket `i` from 2 on holds `[2, 3)` or `[3, 4)` times a power of two; 0 and 1 hold the value of
//! their number. A [`Layout`] says what one unit is, as a power of two, and how many buckets there are;
//! what lies beyond the last is in the last. Half an octave is what a bucket of an exponential
//! histogram of scale 1 holds, so the way out costs no precision beyond that.

/// How a distribution is cut into buckets: the same on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// One unit is two to the power of this.
    pub shift: u32,
    /// How many buckets.
    pub len: usize,
}

/// Nanoseconds from about one microsecond (below: bucket 0) to 8.6 seconds (above: the last).
pub const NANOS: Layout = Layout { shift: 10, len: 48 };

impl Layout {
    /// The bucket of `value`, less than `len`.
    #[inline]
    pub const fn index(&self, value: u64) -> usize {
        let index = index(value >> self.shift);
        if index < self.len { index } else { self.len - 1 }
    }

    /// The least value of bucket `index`.
    pub const fn lower(&self, index: usize) -> u64 {
        lower(index).saturating_mul(1 << self.shift)
    }

    /// The least value beyond bucket `index`; the greatest there is for the last one.
    pub const fn upper(&self, index: usize) -> u64 {
        if index + 1 < self.len { self.lower(index + 1) } else { u64::MAX }
    }

    /// A value in the middle of bucket `index`, to stand for all of it. The last one's is as if it had
    /// an end.
    pub const fn middle(&self, index: usize) -> u64 {
        let (from, to) = (self.lower(index), lower(index + 1).saturating_mul(1 << self.shift));
        from + (to - from) / 2
    }
}

/// The bucket of a number of units: at most 127.
#[expect(clippy::cast_possible_truncation, reason = "never more than 127")]
#[inline]
const fn index(units: u64) -> usize {
    // By halves: there is no instruction for it in the kernel's machine, and the compiler's way
    // around (bits set and counted) is three times as long.
    let (mut rest, mut log) = (units, 0);
    if rest >> 32 != 0 {
        rest >>= 32;
        log += 32;
    }
    if rest >> 16 != 0 {
        rest >>= 16;
        log += 16;
    }
    if rest >> 8 != 0 {
        rest >>= 8;
        log += 8;
    }
    if rest >> 4 != 0 {
        rest >>= 4;
        log += 4;
    }
    if rest >> 2 != 0 {
        rest >>= 2;
        log += 2;
    }
    // One to three are left, or nothing at all.
    let odd = rest >> 1;
    log += odd;
    if log == 0 {
        return rest as usize;
    }
    (2 * log + (units >> (log - 1) & 1)) as usize
}

/// The least number of units of a bucket.
#[expect(clippy::cast_possible_truncation, reason = "cut off or not, beyond 63 there is no shift")]
const fn lower(index: usize) -> u64 {
    if index < 2 {
        return index as u64;
    }
    match (2 + (index as u64 & 1)).checked_shl(index as u32 / 2 - 1) {
        Some(units) if index < 128 => units,
        _ => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_the_bucket_that_holds_it() {
        for layout in [NANOS, Layout { shift: 0, len: 128 }, Layout { shift: 3, len: 5 }] {
            let edges = (0..layout.len).map(|i| layout.lower(i));
            for edge in edges.chain([u64::MAX]) {
                for value in [edge.saturating_sub(1), edge, edge.saturating_add(1)] {
                    let i = layout.index(value);
                    assert!(i < layout.len);
                    assert!(layout.lower(i) <= value, "{value} in {i} of {layout:?}");
                    assert!(value < layout.upper(i) || i + 1 == layout.len, "{value} in {i}");
                }
            }
        }
    }

    #[test]
    fn buckets_are_two_to_an_octave() {
        let check = |value: u64, expect: usize| assert_eq!(NANOS.index(value), expect, "{value}");
        check(0, 0);
        check(1023, 0);
        check(1024, 1);
        check(2048, 2);
        check(3071, 2);
        check(3072, 3);
        check(4096, 4);
        check(1 << 20, 20);
        check(1 << 33, 46);
        check(u64::MAX, 47);
    }

    #[test]
    fn the_middle_is_inside() {
        for i in 0..NANOS.len {
            assert_eq!(NANOS.index(NANOS.middle(i)), i);
        }
    }
}
