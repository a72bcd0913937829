//! How calls of a kind are usually sent: whether a program sends them for requests or on its own account.

use crate::event::{Nanos, Timestamp};

/// Calls of a kind until it is known well enough.
const OFTEN: u32 = 16;
/// Of so many calls of a kind that are sent in runs one may be sent out of the blue.
const SELDOM: u32 = 64;
/// Of so many one may be sent outside of a run a moment after a step: a lock or a page may make a thread
/// sleep, another thread may take over.
const RARE: u32 = 2;
/// What is sent so long after the last step of the process comes out of the blue.
pub(super) const BLUE: Nanos = Nanos(300_000);
/// For so long a kind is taken to be sent by the program itself.
const OWN: Nanos = Nanos(300_000_000_000);

/// Calls that are alike: where they go to, and a hash of what they ask for.
pub(super) type Kind = ([u8; 16], u16, u64);

/// How calls of a kind are sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Habit {
    /// So many in runs.
    pub(super) within: u32,
    /// So many outside of any, a moment after another step.
    pub(super) outside: u32,
    /// So many out of the blue.
    pub(super) blue: u32,
    /// The last time that one was sent with no request in hand.
    pub(super) own: Option<Timestamp>,
}

impl Habit {
    /// Whether such a call can be taken for a request's.
    pub(super) fn serves(&self, now: Timestamp) -> bool {
        let own = self.own.is_some_and(|own| now.since(own) < OWN);
        let few = |count: u32, of: u32| count.saturating_mul(of) <= self.within;
        !own && self.within > OFTEN && few(self.outside, RARE) && few(self.blue, SELDOM)
    }
}
