//! A queue in pieces of fixed size: it grows without copying and shrinks to what it holds.

use std::collections::VecDeque;

/// Elements that are allocated at a time.
const PIECE: usize = 256;

/// The queue. Places count from its very first element on.
#[derive(Debug)]
pub(super) struct Queue<T> {
    pieces: VecDeque<Vec<T>>,
    /// The place of the first element of the first piece; a multiple of [`PIECE`].
    base: u64,
    /// The place of the first element that has not been popped.
    first: u64,
    next: u64,
    /// A piece that was freed and is as good as a new one.
    spare: Vec<T>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        let (pieces, spare) = (VecDeque::new(), Vec::new());
        Self { pieces, base: 0, first: 0, next: 0, spare }
    }
}

impl<T> Queue<T> {
    /// The place of the oldest element.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The place that the next element will have.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    #[inline]
    pub(super) fn push(&mut self, element: T) {
        if self.pieces.back().is_none_or(|piece| piece.len() == PIECE) {
            let mut piece = std::mem::take(&mut self.spare);
            piece.reserve_exact(PIECE);
            self.pieces.push_back(piece);
        }
        if let Some(piece) = self.pieces.back_mut() {
            piece.push(element);
            self.next += 1;
        }
    }

    fn index(&self, place: u64) -> Option<(usize, usize)> {
        if place < self.first {
            return None;
        }
        let index = usize::try_from(place - self.base).ok()?;
        Some((index / PIECE, index % PIECE))
    }

    pub(super) fn get(&self, place: u64) -> Option<&T> {
        let (piece, index) = self.index(place)?;
        self.pieces.get(piece)?.get(index)
    }

    pub(super) fn get_mut(&mut self, place: u64) -> Option<&mut T> {
        let (piece, index) = self.index(place)?;
        self.pieces.get_mut(piece)?.get_mut(index)
    }

    /// The elements from a place on.
    pub(super) fn from(&self, place: u64) -> impl Iterator<Item = (u64, &T)> {
        let place = place.clamp(self.first, self.next);
        let index = usize::try_from(place - self.base).unwrap_or(usize::MAX);
        let pieces = self.pieces.iter().skip(index / PIECE).flatten();
        (place..).zip(pieces.skip(index % PIECE))
    }

    /// The oldest element is there no more. Its memory goes with that of those beside it.
    pub(super) fn pop(&mut self) {
        if self.first == self.next {
            return;
        }
        self.first += 1;
        if self.first - self.base == PIECE as u64
            && let Some(mut piece) = self.pieces.pop_front()
        {
            self.base = self.first;
            piece.clear();
            self.spare = piece;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_stay_in_their_places_until_they_are_popped() {
        let mut queue = Queue::default();
        for n in 0..3000_u64 {
            assert_eq!(queue.next(), n);
            queue.push(Box::new(n));
            if n % 3 != 0 {
                queue.pop();
            }
            let first = queue.first();
            let all: Vec<u64> = queue.from(0).map(|(place, n)| place.max(**n)).collect();
            assert_eq!(all, (first..=n).collect::<Vec<_>>());
            assert_eq!(queue.from(first + 2).count() as u64, (n + 1 - first).saturating_sub(2));
            assert_eq!(queue.get(n).map(|n| **n), Some(n).filter(|n| *n >= first));
            assert!(
                queue.get(n + 1).is_none()
                    && first.checked_sub(1).is_none_or(|n| queue.get_mut(n).is_none())
            );
            let waiting = queue.from(0).count();
            assert!(queue.pieces.len() <= waiting / PIECE + 2);
        }
        (0..3000).for_each(|_| queue.pop());
        assert_eq!((queue.first(), queue.from(0).count()), (3000, 0));
        queue.push(Box::new(7));
        assert_eq!(queue.get(3000), Some(&Box::new(7)));
    }
}
