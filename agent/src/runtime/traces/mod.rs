//! The newest traces, for people to look at: spans as they are kept, put together again.

pub mod draw;
#[cfg(test)]
pub(in crate::runtime) mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::event::Nanos;
use crate::metric::key::{self, Key};
use crate::metric::snapshot::{Resource, Value, WallTime};
use crate::trace::ids::{SpanId, TraceId};
use crate::trace::{Batch, Kind, Span};

/// Traces that are held; the one that changed longest ago goes first.
const TRACES: usize = 256;
/// Spans of one trace; those beyond are told by their number.
const SPANS: usize = 64;

/// A span as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Whose.
    pub service: Arc<str>,
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: SpanId,
    /// Its parent's.
    pub parent: Option<SpanId>,
    /// When it began.
    pub begun: WallTime,
    /// How long it took.
    pub took: Nanos,
    /// Whether it failed.
    pub error: bool,
    /// What came of it: a status, an error, that it has not ended.
    pub outcome: String,
    /// What links it to its parent, or why it has none.
    pub evidence: String,
    /// What its time went into, in the order of the names.
    pub why: Vec<(&'static str, Nanos)>,
}

/// The spans of a trace that were seen here.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Its id.
    pub id: TraceId,
    /// In the order they began; never empty.
    pub spans: Vec<Shown>,
    /// Spans that there was no room for.
    pub more: usize,
}

impl Trace {
    /// When its first span began, and how long it was until the last one had ended.
    pub fn extent(&self) -> (WallTime, Nanos) {
        let begun = self.spans.iter().map(|span| span.begun).min().unwrap_or_default();
        let ended = self.spans.iter().map(|span| span.begun.0.saturating_add(span.took.0)).max();
        (begun, Nanos(ended.unwrap_or_default().saturating_sub(begun.0)))
    }

    /// Whether any of it failed.
    pub fn failed(&self) -> bool {
        self.spans.iter().any(|span| span.error)
    }

    /// The span that stands for it: the first of those that nothing here is the parent of.
    pub fn root(&self) -> Option<&Shown> {
        let is_here = |id: SpanId| self.spans.iter().any(|span| span.id == id);
        let root = self.spans.iter().find(|span| span.parent.is_none_or(|id| !is_here(id)));
        root.or(self.spans.first())
    }
}

/// The newest traces.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    /// The one that changed last is last.
    held: VecDeque<Arc<Trace>>,
}

impl Traces {
    /// Takes spans in.
    pub fn take(&mut self, batch: &Batch) {
        for (resource, spans) in &batch.services {
            let service = service(resource);
            for span in spans {
                self.put(span.trace, shown(span, &service, batch));
            }
        }
    }

    fn put(&mut self, id: TraceId, span: Shown) {
        let place = self.held.iter().rposition(|trace| trace.id == id);
        let mut trace = match place.and_then(|place| self.held.remove(place)) {
            Some(trace) => trace,
            None => Arc::new(Trace { id, spans: Vec::new(), more: 0 }),
        };
        let changed = Arc::make_mut(&mut trace);
        if changed.spans.len() < SPANS {
            let at = changed.spans.partition_point(|known| known.begun <= span.begun);
            changed.spans.insert(at, span);
        } else {
            changed.more += 1;
        }
        self.held.push_back(trace);
        if self.held.len() > TRACES {
            self.held.pop_front();
        }
    }

    /// The newest, the very newest last.
    pub fn newest(&self, most: usize) -> impl Iterator<Item = &Arc<Trace>> {
        self.held.iter().skip(self.held.len().saturating_sub(most))
    }

    /// The newest of those that failed, the very newest first.
    pub fn errors(&self, most: usize) -> Vec<Arc<Trace>> {
        self.held.iter().rev().filter(|trace| trace.failed()).take(most).cloned().collect()
    }

    /// The slowest of those that did not fail, the very slowest first.
    pub fn slowest(&self, most: usize) -> Vec<Arc<Trace>> {
        let mut all: Vec<_> = self.held.iter().filter(|trace| !trace.failed()).cloned().collect();
        all.sort_by_key(|trace| std::cmp::Reverse(trace.extent().1));
        all.truncate(most);
        all
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.held.clear();
    }
}

/// The name a service goes by.
pub fn service(resource: &Resource) -> Arc<str> {
    let found = resource.attributes.iter().find(|(key, _)| *key == key::SERVICE_NAME);
    match found.map(|(_, value)| value) {
        Some(Value::Text(text)) => Arc::clone(text),
        Some(Value::Static(text)) => Arc::from(*text),
        _ => Arc::from("?"),
    }
}

fn shown(span: &Span, service: &Arc<str>, batch: &Batch) -> Shown {
    let text = |wanted: Key| {
        let (_, value) = span.attributes.iter().find(|(key, _)| *key == wanted)?;
        match value {
            Value::Static(text) => Some((*text).to_owned()),
            Value::Text(text) => Some(text.to_string()),
            Value::Int(number) => Some(number.to_string()),
            Value::Bool(_) | Value::Seconds(_) | Value::List(_) => None,
        }
    };
    let status = text(key::HTTP_RESPONSE_STATUS_CODE);
    let error = text(key::ERROR_TYPE).filter(|error| Some(error) != status.as_ref());
    let outcome: Vec<String> =
        [status, error, text(key::STETH_SPAN_STATE)].into_iter().flatten().collect();
    let evidence = text(key::STETH_LINK_METHOD).or_else(|| text(key::STETH_LINK_MISSING));
    let why = span.attributes.iter().filter_map(|(key, value)| match value {
        Value::Seconds(nanos) => Some((key.0.strip_prefix(key::STETH_WHY)?, Nanos(*nanos))),
        _ => None,
    });
    Shown {
        service: Arc::clone(service),
        kind: span.kind,
        name: span.name.clone(),
        id: span.id,
        parent: span.parent,
        begun: batch.anchor.wall(span.begun),
        took: span.ended.since(span.begun),
        error: span.error,
        outcome: outcome.join(" "),
        evidence: evidence.unwrap_or_default(),
        why: why.collect(),
    }
}
