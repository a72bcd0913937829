//! Records one behind the other, each aligned as decoding asks.

use zerocopy::IntoBytes;

/// A reusable buffer of records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    words: Vec<u64>,
    /// Where each record begins (in words), and its length (in bytes).
    places: Vec<(usize, usize)>,
}

impl Batch {
    /// Forgets all records, keeps the memory.
    pub fn clear(&mut self) {
        self.words.clear();
        self.places.clear();
    }

    /// Adds a copy of a record.
    pub fn push(&mut self, record: &[u8]) {
        let at = self.words.len();
        self.words.resize(at + record.len().div_ceil(8), 0);
        let room = self.words.get_mut(at..).unwrap_or_default().as_mut_bytes();
        if let Some(room) = room.get_mut(..record.len()) {
            room.copy_from_slice(record);
        }
        self.places.push((at, record.len()));
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The records in their order, eight-byte aligned.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        self.places.iter().filter_map(|(at, len)| self.words.get(*at..)?.as_bytes().get(..*len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_aligned_and_whole() {
        let mut batch = Batch::default();
        let all: Vec<Vec<u8>> = (0..40_u8).map(|n| vec![n; usize::from(n)]).collect();
        for _ in 0..2 {
            batch.clear();
            for record in &all {
                batch.push(record);
            }
            assert!(batch.records().eq(all.iter().map(Vec::as_slice)));
            assert!(batch.records().all(|record| record.as_ptr().addr().is_multiple_of(8)));
        }
        assert_eq!(batch.len(), 40);
    }
}
