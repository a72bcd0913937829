//! Spans as the real Collector received them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::collector::{attributes, list, text, whole};

/// One span with all it stood under.
#[derive(Clone, Debug)]
pub struct Span {
    /// Attributes of the resource.
    pub resource: BTreeMap<String, Value>,
    /// The resource's schema.
    pub schema: String,
    /// Attributes of the scope.
    pub scope: BTreeMap<String, Value>,
    /// 32 hexadecimal digits.
    pub trace: String,
    /// 16 hexadecimal digits.
    pub id: String,
    /// The same; empty for a root.
    pub parent: String,
    /// `tracestate`.
    pub state: String,
    /// Its name.
    pub name: String,
    /// 2 for SERVER, 3 for CLIENT.
    pub kind: u64,
    /// 0 for unset, 2 for an error.
    pub status: u64,
    /// Nanoseconds since 1970.
    pub start: u64,
    /// The same.
    pub end: u64,
    /// Trace and id of spans it links to.
    pub links: Vec<(String, String)>,
    /// Its own attributes.
    pub attributes: BTreeMap<String, Value>,
}

impl Span {
    /// The service's name.
    pub fn service(&self) -> &str {
        self.resource.get("service.name").and_then(Value::as_str).unwrap_or_default()
    }

    /// An attribute that is text.
    pub fn text(&self, key: &str) -> &str {
        self.attributes.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// An attribute that is a number.
    pub fn number(&self, key: &str) -> Option<u64> {
        self.attributes.get(key)?.as_u64()
    }
}

/// The spans of a request to the Collector.
pub(crate) fn of(request: &Value) -> Vec<Span> {
    let mut spans = Vec::new();
    for of in list(request, "resourceSpans") {
        let resource = attributes(of.get("resource").unwrap_or(&Value::Null));
        let scopes = list(of, "scopeSpans");
        let spans_of = |scope| list(scope, "spans").map(move |span| (scope, span));
        for (scope, span) in scopes.flat_map(spans_of) {
            let status = span.get("status").unwrap_or(&Value::Null);
            spans.push(Span {
                resource: resource.clone(),
                schema: text(of, "schemaUrl"),
                scope: attributes(scope.get("scope").unwrap_or(&Value::Null)),
                trace: text(span, "traceId"),
                id: text(span, "spanId"),
                parent: text(span, "parentSpanId"),
                state: text(span, "traceState"),
                name: text(span, "name"),
                kind: whole(span.get("kind")),
                status: whole(status.get("code")),
                start: whole(span.get("startTimeUnixNano")),
                end: whole(span.get("endTimeUnixNano")),
                links: list(span, "links")
                    .map(|link| (text(link, "traceId"), text(link, "spanId")))
                    .collect(),
                attributes: attributes(span),
            });
        }
    }
    spans
}
