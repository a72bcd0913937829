//! Spans as OTLP requests that receivers take: one entry a service, cut below the size limit.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::trace::v1 as otlp;
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message;

use super::queue::Services;
use crate::export::otlp::{SCHEMA_URL, attribute};
use crate::host::Anchor;
use crate::metric::snapshot::Resource;
use crate::trace::{Kind, SCOPE, Span};

/// The most that the frame around a message takes: a tag and a length below 4 GiB.
const FRAME: usize = 6;
/// The trace is sampled, and its id is random.
const FLAGS: u32 = 0b11;
/// It is known whether the parent is in another process, and it is.
const REMOTE: u32 = 0x300;
/// It is known, and it is not.
const LOCAL: u32 = 0x100;

/// One request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) body: Bytes,
    pub(super) spans: u64,
}

/// All requests for some spans.
#[derive(Debug, Default)]
pub(super) struct Cut {
    pub(super) requests: Vec<Request>,
    /// Spans left out, each too large for any request.
    pub(super) too_large: u64,
}

/// Makes the requests, none larger than `limit` bytes.
pub(super) fn requests(services: &Services, limit: usize) -> Cut {
    let mut cut = Cut::default();
    let mut filling = Filling::default();
    for (anchor, resource, spans) in services {
        let empty = resource_spans(resource);
        let frame = empty.encoded_len() + 4 * FRAME;
        let mut open = false;
        for told in spans {
            let told = span(told, anchor);
            let size = told.encoded_len() + FRAME;
            if frame + size > limit {
                cut.too_large += 1;
                continue;
            }
            if filling.size + size + if open { 0 } else { frame } > limit {
                cut.requests.extend(filling.finish());
                open = false;
            }
            if !open {
                filling.message.resource_spans.push(empty.clone());
                filling.size += frame;
                open = true;
            }
            filling.push(told, size);
        }
    }
    cut.requests.extend(filling.finish());
    cut
}

/// A request being filled, with an upper bound of its size.
#[derive(Default)]
struct Filling {
    message: ExportTraceServiceRequest,
    size: usize,
    spans: u64,
}

impl Filling {
    fn push(&mut self, span: otlp::Span, size: usize) {
        let scope = self.message.resource_spans.last_mut();
        if let Some(scope) = scope.and_then(|resource| resource.scope_spans.last_mut()) {
            scope.spans.push(span);
            self.size += size;
            self.spans += 1;
        }
    }

    fn finish(&mut self) -> Option<Request> {
        let Self { message, spans, .. } = std::mem::take(self);
        (spans > 0).then(|| Request { body: message.encode_to_vec().into(), spans })
    }
}

fn resource_spans(resource: &Resource) -> otlp::ResourceSpans {
    let scope = InstrumentationScope {
        name: SCOPE.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    otlp::ResourceSpans {
        resource: Some(attribute::resource(resource)),
        scope_spans: vec![otlp::ScopeSpans {
            scope: Some(scope),
            spans: Vec::new(),
            schema_url: SCHEMA_URL.to_owned(),
        }],
        schema_url: SCHEMA_URL.to_owned(),
    }
}

fn span(span: &Span, anchor: &Anchor) -> otlp::Span {
    let kind = match span.kind {
        Kind::Server => SpanKind::Server,
        Kind::Client => SpanKind::Client,
        Kind::Internal => SpanKind::Internal,
    };
    let link = span.link.map(|(trace, id)| Link {
        trace_id: trace.0.to_vec(),
        span_id: id.0.to_vec(),
        flags: FLAGS | LOCAL,
        ..Link::default()
    });
    let status =
        span.error.then(|| otlp::Status { message: String::new(), code: StatusCode::Error.into() });
    // A parent is always in another process: that of the other end, or one that sent its context on.
    let parent = if span.parent.is_some() { REMOTE } else { LOCAL };
    otlp::Span {
        trace_id: span.trace.0.to_vec(),
        span_id: span.id.0.to_vec(),
        trace_state: span.state.clone(),
        parent_span_id: span.parent.map(|parent| parent.0.to_vec()).unwrap_or_default(),
        flags: FLAGS | parent,
        name: span.name.clone(),
        kind: kind.into(),
        start_time_unix_nano: anchor.wall(span.begun).0,
        end_time_unix_nano: anchor.wall(span.ended).0,
        attributes: attribute::attributes(&span.attributes),
        links: link.into_iter().collect(),
        status,
        ..otlp::Span::default()
    }
}
