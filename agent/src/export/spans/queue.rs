//! Spans that wait to be sent: so many and no more, the oldest dropped first.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::host::Anchor;
use crate::metric::snapshot::Resource;
use crate::trace::{Batch, Span};

/// Spans of several services, each at the clocks they are told in.
pub(super) type Services = Vec<(Anchor, Arc<Resource>, Vec<Span>)>;

/// What waits.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: VecDeque<(Anchor, Arc<Resource>, Vec<Span>)>,
    spans: usize,
    limit: usize,
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Self { waiting: VecDeque::new(), spans: 0, limit }
    }

    /// Puts spans behind those that wait. Gives how many had to go for them.
    pub(super) fn put(&mut self, batch: Batch) -> u64 {
        let Batch { anchor, services } = batch;
        for (resource, spans) in services.into_iter().filter(|(_, spans)| !spans.is_empty()) {
            self.spans += spans.len();
            self.waiting.push_back((anchor, resource, spans));
        }
        let mut over = self.spans.saturating_sub(self.limit);
        let lost = over as u64;
        while over > 0
            && let Some((.., spans)) = self.waiting.front_mut()
        {
            let first = over.min(spans.len());
            spans.drain(..first);
            over -= first;
            self.spans -= first;
            if spans.is_empty() {
                self.waiting.pop_front();
            }
        }
        lost
    }

    /// The oldest, `most` of them.
    pub(super) fn take(&mut self, most: usize) -> Services {
        let mut taken = Services::new();
        let mut room = most;
        while room > 0
            && let Some((anchor, resource, spans)) = self.waiting.front_mut()
        {
            let first = room.min(spans.len());
            taken.push((*anchor, Arc::clone(resource), spans.drain(..first).collect()));
            room -= first;
            self.spans -= first;
            if spans.is_empty() {
                self.waiting.pop_front();
            }
        }
        taken
    }

    /// Drops everything; gives how many that were.
    pub(super) fn clear(&mut self) -> u64 {
        self.waiting.clear();
        std::mem::take(&mut self.spans) as u64
    }
}
