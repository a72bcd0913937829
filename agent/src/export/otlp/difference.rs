//! What a histogram gained since an earlier state of itself.

use crate::metric::histogram::{Exponential, Histogram};

/// `newer - older`, or `None` if `newer` does not contain `older` (the series began anew). The
/// result's `min` and `max` mean nothing: the extremes of a difference are not known.
pub(crate) fn difference(newer: &Histogram, older: &Histogram) -> Option<Histogram> {
    if newer.explicit.len() != older.explicit.len() {
        return None;
    }
    let explicit = newer
        .explicit
        .iter()
        .zip(&older.explicit)
        .map(|(newer, older)| newer.checked_sub(*older))
        .collect::<Option<Box<[u64]>>>()?;
    Some(Histogram {
        count: newer.count.checked_sub(older.count)?,
        sum: newer.sum.checked_sub(older.sum)?,
        min: 0,
        max: 0,
        explicit,
        exponential: exponential(&newer.exponential, &older.exponential)?,
    })
}

/// Scales only ever shrink, so the older buckets are merged down to the newer scale first.
fn exponential(newer: &Exponential, older: &Exponential) -> Option<Exponential> {
    let zero_count = newer.zero_count.checked_sub(older.zero_count)?;
    let mut counts = newer.counts.clone();
    if older.counts.iter().any(|count| *count > 0) {
        let shift = u32::try_from(older.scale.checked_sub(newer.scale)?).ok()?.min(31);
        for (place, count) in older.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let index = older.offset.checked_add(i32::try_from(place).ok()?)? >> shift;
            let place = usize::try_from(index.checked_sub(newer.offset)?).ok()?;
            let slot = counts.get_mut(place)?;
            *slot = slot.checked_sub(*count)?;
        }
    }
    let leading = counts.iter().take_while(|count| **count == 0).count();
    let used = counts.iter().rposition(|count| *count > 0).map_or(leading, |last| last + 1);
    let offset =
        if leading == used { 0 } else { newer.offset.checked_add(i32::try_from(leading).ok()?)? };
    let counts = counts.get(leading..used).unwrap_or_default().to_vec();
    Some(Exponential { scale: newer.scale, zero_count, offset, counts })
}

#[cfg(test)]
mod tests {
    use super::{Exponential, exponential};

    fn buckets(scale: i32, offset: i32, counts: &[u64]) -> Exponential {
        Exponential { scale, zero_count: 0, offset, counts: counts.to_vec() }
    }

    #[test]
    fn exponential_differences_merge_the_older_buckets_to_the_newer_scale() {
        let check = |newer: Exponential, older: Exponential, expect: Option<Exponential>| {
            assert_eq!(exponential(&newer, &older), expect, "{newer:?} - {older:?}");
        };
        check(buckets(3, 0, &[2, 1]), Exponential::default(), Some(buckets(3, 0, &[2, 1])));
        check(buckets(3, 0, &[2, 1]), buckets(3, 0, &[2, 1]), Some(buckets(3, 0, &[])));
        check(buckets(3, -2, &[2, 0, 5]), buckets(3, 0, &[4]), Some(buckets(3, -2, &[2, 0, 1])));
        check(
            buckets(2, -1, &[3, 3]),
            buckets(3, -2, &[1, 1, 1, 0]),
            Some(buckets(2, -1, &[1, 2])),
        );
        check(buckets(1, -1, &[9]), buckets(3, -3, &[1, 2]), Some(buckets(1, -1, &[6])));
        check(buckets(3, 0, &[1]), buckets(3, 0, &[2]), None);
        check(buckets(3, 0, &[1]), buckets(3, 7, &[1]), None);
        check(buckets(4, 0, &[1]), buckets(3, 0, &[1]), None);
    }
}
