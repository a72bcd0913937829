//! Who has which requests in hand: threads, or the goroutines of a program of Go.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use super::Id;
use crate::event::ConnId;

/// Goroutines and connections that are remembered; all are forgotten beyond that.
const READERS: usize = 65_536;
/// Goroutines that are known to be event loops; beyond that all are taken for such.
const LOOPS: usize = 4096;

/// What does one thing after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Worker {
    Thread(u32),
    Goroutine(u32),
}

/// What each has in hand.
#[derive(Debug, Default)]
pub(super) struct Workers {
    /// Requests that were read and are not done with.
    holds: HashMap<Worker, Vec<Id>>,
    /// Goroutines that are event loops themselves: they had two requests at once, or went from one connection to
    /// another and back.
    loops: HashSet<Worker>,
    /// The connection that each goroutine has read last, and who has read each connection last.
    reads: HashMap<Worker, ConnId>,
    readers: HashMap<ConnId, Worker>,
}

impl Workers {
    /// One reads a request. Gives whether it has others, by what is said of those it had: `true` is that it has it
    /// still.
    pub(super) fn takes(
        &mut self,
        by: Worker,
        id: Id,
        conn: ConnId,
        mut has: impl FnMut(Id) -> bool,
    ) -> bool {
        let holds = self.holds.entry(by).or_default();
        holds.retain(|other| has(*other));
        let shared = !holds.is_empty();
        holds.push(id);
        let goroutine = matches!(by, Worker::Goroutine(_));
        if goroutine && (self.goes_back(by, conn) || shared) && self.loops.len() < LOOPS {
            self.loops.insert(by);
        }
        shared
    }

    /// Whether it reads a connection that it has read before, and another in between.
    fn goes_back(&mut self, by: Worker, conn: ConnId) -> bool {
        if self.reads.len() >= READERS || self.readers.len() >= READERS {
            self.reads.clear();
            self.readers.clear();
        }
        let before = self.reads.insert(by, conn);
        let reader = self.readers.insert(conn, by);
        before.is_some_and(|before| before != conn) && reader == Some(by)
    }

    /// Whether what it does may be for anybody.
    pub(super) fn is_loop(&self, by: Worker) -> bool {
        self.loops.contains(&by)
            || (self.loops.len() >= LOOPS && matches!(by, Worker::Goroutine(_)))
    }

    /// The only request it has.
    pub(super) fn only(&self, by: Worker) -> Option<Id> {
        let [only] = self.holds.get(&by)?.as_slice() else { return None };
        (!self.is_loop(by)).then_some(*only)
    }

    /// It is done with one.
    pub(super) fn done(&mut self, by: Worker, id: Id) {
        if let Entry::Occupied(mut holds) = self.holds.entry(by) {
            holds.get_mut().retain(|other| *other != id);
            if holds.get().is_empty() {
                holds.remove();
            }
        }
    }
}
