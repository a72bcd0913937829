//! What became of every point that was to be sent.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a point did not reach the collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The collector refused the request and said not to send it again.
    Refused,
    /// The request was retried until it was too old.
    Expired,
    /// While it waited to be retried, a newer value of the same series came.
    Superseded,
    /// A single point is larger than a request may be.
    TooLarge,
    /// Its data does not fit the kind of its instrument.
    Malformed,
    /// The last value of a series that ended while the collector was away, beyond what is kept.
    EndedUnsent,
    /// The agent stopped first.
    Shutdown,
    /// So many waited already that the oldest had to go.
    QueueFull,
}

impl DropReason {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Refused,
        Self::Expired,
        Self::Superseded,
        Self::TooLarge,
        Self::Malformed,
        Self::EndedUnsent,
        Self::Shutdown,
        Self::QueueFull,
    ];

    /// Its name as a label's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Superseded => "superseded",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::EndedUnsent => "ended_unsent",
            Self::Shutdown => "shutdown",
            Self::QueueFull => "queue_full",
        }
    }
}

/// Points dropped, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped([u64; DropReason::ALL.len()]);

impl Dropped {
    /// How many for this reason.
    pub fn by(&self, reason: DropReason) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    /// How many in all.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// The exporter's counts since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Snapshots handed in.
    pub published: u64,
    /// Snapshots that a newer one overwrote before the task could look at them.
    pub overwritten: u64,
    /// Points the collector took.
    pub exported: u64,
    /// Points the collector said it rejected from requests it took.
    pub rejected: u64,
    /// Points that did not arrive.
    pub dropped: Dropped,
    /// Requests the collector took.
    pub requests: u64,
    /// Attempts that failed and were to be repeated.
    pub retries: u64,
    /// Encoded bytes the collector took, before compression.
    pub bytes: u64,
    /// Baselines kept for deltas.
    pub baselines: u64,
    /// Last values kept of series that ended while the collector was away.
    pub departed: u64,
}

/// The counts while they are counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) published: AtomicU64,
    pub(crate) overwritten: AtomicU64,
    pub(crate) exported: AtomicU64,
    pub(crate) rejected: AtomicU64,
    dropped: [AtomicU64; DropReason::ALL.len()],
    pub(crate) requests: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) baselines: AtomicU64,
    pub(crate) departed: AtomicU64,
}

/// Adds to a count.
pub(crate) fn add(count: &AtomicU64, by: u64) {
    count.fetch_add(by, Ordering::Relaxed);
}

impl Tally {
    pub(crate) fn drop_points(&self, reason: DropReason, points: u64) {
        if let Some(count) = self.dropped.get(reason as usize) {
            add(count, points);
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        let Self {
            published,
            overwritten,
            exported,
            rejected,
            dropped,
            requests,
            retries,
            bytes,
            baselines,
            departed,
        } = self;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counters {
            published: read(published),
            overwritten: read(overwritten),
            exported: read(exported),
            rejected: read(rejected),
            dropped: Dropped(dropped.each_ref().map(read)),
            requests: read(requests),
            retries: read(retries),
            bytes: read(bytes),
            baselines: read(baselines),
            departed: read(departed),
        }
    }
}
