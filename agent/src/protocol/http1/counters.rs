//! What the HTTP/1 stage did with everything it was given.
//!
//! Two sums hold at any time, and a test keeps them: every request recognised is reported, lost for
//! a reason, or still open; every pair brought a request or has a reason why it brought none.

/// What is counted. The number is the place in [`Counters`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(usize)]
pub enum Count {
    /// Pairs taken that ended, or came with their connection's handover; not those of a sweep.
    Pairs,
    /// Pairs read by a sweep.
    Swept,
    /// Segments taken.
    Segments,
    /// Requests recognised.
    Requests,
    /// Exchanges reported.
    Exchanges,
    /// Requests lost: their answers, or what tells them apart, moved unseen.
    LostGap,
    /// Requests lost: their connection was idle longest when room was needed.
    LostEvicted,
    /// Requests lost: two sweeps did not show their connection any more, nor was its end told.
    LostVanished,
    /// Requests lost: more of them awaited answers on one connection than are kept.
    LostPipeline,
    /// Requests lost: records of their connection are missing.
    LostSequence,
    /// Requests lost: sent on a connection that an earlier one made a tunnel.
    LostTunnel,
    /// No request: a sweep had reported it.
    Reported,
    /// No request: begun before the connection was observed.
    Late,
    /// No request: the bytes asked are none, and nobody answered them.
    Unparsed,
    /// No request: an answer nobody is known to have asked for.
    Unasked,
    /// No request: the rest of an earlier one.
    Continued,
    /// No request: the connection is a tunnel, another protocol or noise.
    Opaque,
    /// No request: the connection speaks HTTP/2.
    Http2,
    /// Answers before the final one.
    Interim,
    /// Connections that became another protocol's by 101, or a tunnel.
    Upgraded,
    /// Heads with both Content-Length and Transfer-Encoding.
    BothFramings,
    /// Heads with a Content-Length that is no number, or several that differ.
    BadLength,
    /// Bodies whose chunks made no sense.
    BadChunk,
    /// Heads with a malformed line behind a good first one.
    BadHead,
    /// Heads of which the end was not seen.
    HeadCut,
    /// Heads longer than is kept.
    HeadTooLong,
    /// Requests of which not even a request line could be read, and that were answered.
    UnreadAnswered,
    /// Answers of which no byte was seen.
    StatusUnseen,
    /// Answers that are not HTTP/1.
    NotHttp,
    /// Connections taken out because room was needed.
    Evicted,
    /// Exchanges a sweep could have reported, had there been room to remember that it did.
    SweepFull,
}

/// How many counters there are.
pub const COUNTS: usize = Count::SweepFull as usize + 1;

impl Count {
    /// All of them, in order.
    pub const ALL: [Self; COUNTS] = [
        Self::Pairs,
        Self::Swept,
        Self::Segments,
        Self::Requests,
        Self::Exchanges,
        Self::LostGap,
        Self::LostEvicted,
        Self::LostVanished,
        Self::LostPipeline,
        Self::LostSequence,
        Self::LostTunnel,
        Self::Reported,
        Self::Late,
        Self::Unparsed,
        Self::Unasked,
        Self::Continued,
        Self::Opaque,
        Self::Http2,
        Self::Interim,
        Self::Upgraded,
        Self::BothFramings,
        Self::BadLength,
        Self::BadChunk,
        Self::BadHead,
        Self::HeadCut,
        Self::HeadTooLong,
        Self::UnreadAnswered,
        Self::StatusUnseen,
        Self::NotHttp,
        Self::Evicted,
        Self::SweepFull,
    ];

    /// Requests recognised that were not reported.
    pub const LOST: [Self; 6] = [
        Self::LostGap,
        Self::LostEvicted,
        Self::LostVanished,
        Self::LostPipeline,
        Self::LostSequence,
        Self::LostTunnel,
    ];
}

/// The counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters([u64; COUNTS]);

impl Default for Counters {
    fn default() -> Self {
        Self([0; COUNTS])
    }
}

impl Counters {
    /// What was counted.
    pub fn get(&self, count: Count) -> u64 {
        self.0.get(count as usize).copied().unwrap_or_default()
    }

    /// Requests recognised that were not reported, for all reasons.
    pub fn lost(&self) -> u64 {
        Count::LOST.iter().map(|count| self.get(*count)).sum()
    }

    pub(super) fn add(&mut self, count: Count, n: usize) {
        if let Some(slot) = self.0.get_mut(count as usize) {
            *slot += n as u64;
        }
    }

    pub(super) fn bump(&mut self, count: Count) {
        self.add(count, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_has_its_own_place() {
        let mut counters = Counters::default();
        for (place, count) in Count::ALL.into_iter().enumerate() {
            assert_eq!(count as usize, place);
            counters.add(count, place);
        }
        assert!(Count::ALL.iter().enumerate().all(|(n, count)| counters.get(*count) == n as u64));
    }
}
