//! Spans that stand for buckets of a histogram: the newest of each bucket, in this interval and the
//! one before.
//!
//! A span is kept seconds after its exchange was counted, so it is brought to its histogram later and
//! says itself when it ended. Buckets are those with explicit bounds; exponential buckets are many
//! more, and have the same exemplars.

use super::snapshot::WallTime;

/// A span and what was measured of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exemplar {
    /// Its trace's id.
    pub trace: [u8; 16],
    /// Its id.
    pub span: [u8; 8],
    /// When it ended.
    pub time: WallTime,
    /// What was measured, in the unit kept inside.
    pub value: u64,
}

/// The exemplar of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    bucket: u8,
    fresh: bool,
    exemplar: Exemplar,
}

/// The exemplars of a histogram: at most one a bucket, nothing allocated while there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exemplars(Option<Box<Slots>>);

/// In the order of their buckets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Slots(Vec<Slot>);

impl Exemplars {
    /// None.
    pub const fn new() -> Self {
        Self(None)
    }

    /// Takes the place of an older one of the same bucket.
    pub(super) fn put(&mut self, bucket: usize, exemplar: Exemplar) {
        if let Ok(bucket) = u8::try_from(bucket) {
            self.put_slot(Slot { bucket, fresh: true, exemplar });
        }
    }

    fn put_slot(&mut self, slot: Slot) {
        let Slots(slots) = &mut **self.0.get_or_insert_default();
        match slots.binary_search_by_key(&slot.bucket, |held| held.bucket) {
            Ok(at) => {
                if let Some(held) = slots.get_mut(at)
                    && held.exemplar.time <= slot.exemplar.time
                {
                    *held = slot;
                }
            }
            Err(at) => slots.insert(at, slot),
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        other.slots().iter().for_each(|slot| self.put_slot(*slot));
    }

    /// An interval has ended: what is of the one before is forgotten.
    pub fn age(&mut self) {
        let Some(slots) = &mut self.0 else { return };
        slots.0.retain_mut(|slot| std::mem::take(&mut slot.fresh));
        if slots.0.is_empty() {
            self.0 = None;
        }
    }

    /// That of a bucket with explicit bounds.
    pub fn of_bucket(&self, bucket: usize) -> Option<&Exemplar> {
        let slots = self.slots();
        let at = slots.binary_search_by_key(&bucket, |slot| slot.bucket.into()).ok()?;
        slots.get(at).map(|slot| &slot.exemplar)
    }

    /// Those that came in this interval.
    pub fn fresh(&self) -> impl Iterator<Item = &Exemplar> {
        self.slots().iter().filter(|slot| slot.fresh).map(|slot| &slot.exemplar)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.slots().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slots().is_empty()
    }

    fn slots(&self) -> &[Slot] {
        self.0.as_ref().map_or(&[], |slots| &slots.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(span: u8, time: u64) -> Exemplar {
        Exemplar { trace: [1; 16], span: [span; 8], time: WallTime(time), value: 7 }
    }

    fn spans(exemplars: &Exemplars) -> Vec<(usize, u8)> {
        (0..20).filter_map(|at| Some((at, exemplars.of_bucket(at)?.span[0]))).collect()
    }

    #[test]
    fn the_newest_of_a_bucket_stays_for_two_intervals() {
        let mut exemplars = Exemplars::new();
        exemplars.put(3, one(1, 10));
        exemplars.put(3, one(2, 12));
        exemplars.put(3, one(3, 11));
        exemplars.put(1, one(4, 1));
        assert_eq!(spans(&exemplars), [(1, 4), (3, 2)]);
        exemplars.age();
        exemplars.put(1, one(5, 20));
        assert_eq!(spans(&exemplars), [(1, 5), (3, 2)]);
        assert_eq!(exemplars.fresh().map(|e| e.span[0]).collect::<Vec<_>>(), [5]);
        exemplars.age();
        assert_eq!(spans(&exemplars), [(1, 5)]);
        exemplars.age();
        assert_eq!(exemplars, Exemplars::new());
    }

    #[test]
    fn merging_keeps_the_newest_of_both() {
        let (mut left, mut right) = (Exemplars::new(), Exemplars::new());
        left.put(0, one(1, 10));
        left.put(1, one(2, 30));
        right.put(1, one(3, 20));
        right.put(2, one(4, 20));
        left.merge(&right);
        assert_eq!(spans(&left), [(0, 1), (1, 2), (2, 4)]);
    }
}
