//! Exchanges that wait for the rest of their tree: so long and so many bytes, the oldest first out.

use std::collections::{HashMap, VecDeque};

use super::ids::TraceId;
use super::link::Missing;
use super::pending::Pending;

/// The place of an exchange in the window; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct At(u64);

/// The exchanges that wait.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// In the order they came; none where one has left already.
    waiting: VecDeque<Option<Pending>>,
    /// The place of the first of them.
    first: u64,
    count: usize,
    bytes: usize,
    /// Those whose head carries a context, by its trace.
    traces: HashMap<TraceId, Vec<At>>,
}

impl Window {
    /// The place that the next one will have.
    pub(super) fn next(&self) -> At {
        At(self.first + self.waiting.len() as u64)
    }

    pub(super) fn push(&mut self, pending: Pending) {
        if let Some(context) = &pending.context {
            let at = self.next();
            self.traces.entry(context.trace).or_default().push(at);
        }
        self.bytes += pending.weight();
        self.count += 1;
        self.waiting.push_back(Some(pending));
    }

    fn index(&self, at: At) -> Option<usize> {
        usize::try_from(at.0.checked_sub(self.first)?).ok()
    }

    pub(super) fn get(&self, at: At) -> Option<&Pending> {
        self.waiting.get(self.index(at)?)?.as_ref()
    }

    /// One that waits, to be changed in what its weight does not depend on.
    pub(super) fn get_mut(&mut self, at: At) -> Option<&mut Pending> {
        let index = self.index(at)?;
        self.waiting.get_mut(index)?.as_mut()
    }

    /// It can be joined with none.
    pub(super) fn refuse(&mut self, at: At, why: Missing) {
        if let Some(pending) = self.get_mut(at) {
            pending.refused.get_or_insert(why);
        }
    }

    /// Takes one out.
    pub(super) fn take(&mut self, at: At) -> Option<Pending> {
        let index = self.index(at)?;
        let pending = self.waiting.get_mut(index)?.take()?;
        self.count -= 1;
        self.bytes -= pending.weight();
        if let Some(context) = &pending.context
            && let Some(places) = self.traces.get_mut(&context.trace)
        {
            places.retain(|place| *place != at);
            if places.is_empty() {
                self.traces.remove(&context.trace);
            }
        }
        while let Some(None) = self.waiting.front() {
            self.waiting.pop_front();
            self.first += 1;
        }
        Some(pending)
    }

    /// The one that has waited longest.
    pub(super) fn oldest(&self) -> Option<(At, &Pending)> {
        // What has left is not at the front: see `take`.
        Some((At(self.first), self.waiting.front()?.as_ref()?))
    }

    /// Those that share a trace by the word of their heads, the oldest first, `most` of them.
    pub(super) fn of_trace(&self, trace: TraceId, most: usize) -> impl Iterator<Item = At> {
        self.traces.get(&trace).into_iter().flatten().copied().take(most)
    }

    /// The place of the one that has waited longest.
    pub(super) fn first(&self) -> At {
        At(self.first)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Bytes of memory they take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
