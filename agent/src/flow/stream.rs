//! One direction of a connection: how far it has come, and the bytes that wait to be understood.

use crate::event::Timestamp;

/// A run of bytes in one direction, of which the first `data.len()` were carried.
#[derive(Clone, Copy, Debug)]
pub struct Capture<'a> {
    /// Position of the first byte.
    pub start: u64,
    /// Position behind the last byte that moved.
    pub end: u64,
    /// The bytes from `start` on that were carried.
    pub data: &'a [u8],
    /// When the first byte had crossed.
    pub first: Timestamp,
    /// When the last byte had crossed.
    pub last: Timestamp,
    /// Whether the other direction moved before it.
    pub turn: bool,
}

/// What of a capture is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted<'a> {
    /// Bytes before `data` that moved unseen, and when the last of them had crossed.
    pub before: u64,
    /// See `before`.
    pub before_time: Timestamp,
    /// The bytes that were not taken earlier.
    pub data: &'a [u8],
    /// Bytes after `data` that moved unseen.
    pub after: u64,
}

/// One direction of a connection.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// Position behind the last byte accounted for; none before the first.
    end: Option<u64>,
    /// When that byte had crossed.
    last: Timestamp,
    /// How far the direction is said to have come, without the bytes that would show it.
    claim: Option<(u64, Timestamp)>,
    /// Bytes carried of the current turn.
    carried: u64,
    held: Vec<u8>,
    held_since: Timestamp,
}

impl Stream {
    /// Takes a capture: what is new of it, and what is missing before and after it.
    pub fn accept<'a>(&mut self, capture: &Capture<'a>) -> Accepted<'a> {
        let Capture { start, end, data, first, last, turn } = *capture;
        let at = *self.end.get_or_insert(start);
        let before = start.saturating_sub(at);
        let before_time = match self.claim {
            Some((_, time)) if before > 0 => time.min(first),
            _ => first,
        };
        let known = usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX);
        let fresh = data.get(known..).unwrap_or_default();
        let seen = start.saturating_add(data.len() as u64).max(at);
        let reached = end.max(seen);
        if turn {
            self.carried = 0;
        }
        self.carried = self.carried.saturating_add(fresh.len() as u64);
        self.end = Some(reached);
        self.last = self.last.max(last);
        self.claim = self.claim.filter(|(claimed, _)| *claimed > reached);
        Accepted { before, before_time, data: fresh, after: reached - seen }
    }

    /// Notes how far the direction is said to have come; nothing is skipped yet.
    pub fn claim(&mut self, end: u64, time: Timestamp) {
        if self.end.is_some_and(|at| end > at) && self.claim.is_none_or(|(c, _)| end > c) {
            self.claim = Some((end, time));
        }
    }

    /// The bytes that are claimed and not accounted for, and when the last of them had crossed.
    pub fn claimed(&self) -> Option<(u64, Timestamp)> {
        let (end, time) = self.claim?;
        Some((end.saturating_sub(self.end?), time))
    }

    /// Accounts for `bytes` that moved unseen.
    pub fn skip(&mut self, bytes: u64, time: Timestamp) {
        let at = self.end.unwrap_or_default().saturating_add(bytes);
        self.end = Some(at);
        self.last = self.last.max(time);
        self.claim = self.claim.filter(|(claimed, _)| *claimed > at);
    }

    /// Position behind the last byte accounted for.
    pub fn end(&self) -> Option<u64> {
        self.end
    }

    /// When the last byte accounted for had crossed.
    pub fn last(&self) -> Timestamp {
        self.last
    }

    /// Bytes carried of the current turn.
    pub fn carried(&self) -> u64 {
        self.carried
    }

    /// Keeps bytes that cannot be understood without those that follow.
    pub fn hold(&mut self, data: &[u8], time: Timestamp) {
        if self.held.is_empty() {
            self.held_since = time;
        }
        self.held.extend_from_slice(data);
    }

    /// The bytes kept.
    pub fn held(&self) -> &[u8] {
        &self.held
    }

    /// When the first byte kept had crossed.
    pub fn held_since(&self) -> Timestamp {
        self.held_since
    }

    /// Gives the kept bytes away.
    pub fn take_held(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    /// Bytes of memory kept.
    pub fn weight(&self) -> usize {
        self.held.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(start: u64, end: u64, data: &[u8]) -> Capture<'_> {
        let time = Timestamp(end);
        Capture { start, end, data, first: time, last: time, turn: false }
    }

    #[test]
    fn tells_what_is_new_and_what_is_missing() {
        // (start, end, data) one after the other -> (missing before, new, missing after).
        type Step<'a> = ((u64, u64, &'a [u8]), (u64, &'a [u8], u64));
        let check = |steps: &[Step<'_>]| {
            let mut stream = Stream::default();
            for ((start, end, data), (before, fresh, after)) in steps {
                let got = stream.accept(&capture(*start, *end, data));
                assert_eq!((got.before, got.data, got.after), (*before, *fresh, *after));
            }
        };
        check(&[((100, 103, b"abc"), (0, b"abc", 0)), ((103, 104, b"d"), (0, b"d", 0))]);
        check(&[((0, 3, b"abc"), (0, b"abc", 0)), ((1, 5, b"bcde"), (0, b"de", 0))]);
        check(&[((0, 9, b"abc"), (0, b"abc", 6)), ((12, 13, b"x"), (3, b"x", 0))]);
        check(&[((0, 9, b"abc"), (0, b"abc", 6)), ((3, 6, b"def"), (0, b"", 0))]);
        check(&[((u64::MAX, u64::MAX, b"abc"), (0, b"abc", 0)), ((0, 2, b"ab"), (0, b"", 0))]);
        check(&[((5, 2, b""), (0, b"", 0)), ((5, 6, b"a"), (0, b"a", 0))]);
    }

    #[test]
    fn a_claim_is_forgotten_once_reached() {
        let mut stream = Stream::default();
        stream.claim(50, Timestamp(1));
        assert_eq!(stream.claimed(), None, "nothing is known of a direction that never moved");
        stream.accept(&capture(0, 3, b"abc"));
        stream.claim(10, Timestamp(7));
        assert_eq!(stream.claimed(), Some((7, Timestamp(7))));
        let later = stream.accept(&capture(8, 9, b"x"));
        assert_eq!((later.before, later.before_time), (5, Timestamp(7)));
        assert_eq!(stream.claimed(), Some((1, Timestamp(7))));
        stream.skip(1, Timestamp(8));
        assert_eq!((stream.claimed(), stream.end()), (None, Some(10)));
    }
}
