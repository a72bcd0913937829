//! Cuts a snapshot into requests that receivers take.
//!
//! gRPC receivers refuse more than 4 MiB by default, so a request ends before 3.5 MiB. A resource may
//! stand in two requests, a point in one only. Requests are made one at a time: what they need of
//! memory does not grow with the number of series.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::metrics::v1 as otlp;
use prost::Message;

use super::delta::Baselines;
use super::point::{DataPoint, Form};
use super::{SCHEMA_URL, Series, attribute, series};
use crate::metric::snapshot::Snapshot;

/// No request is larger, in bytes.
pub(crate) const LIMIT: usize = 3_670_016;

/// The most that the frame around a message takes: a tag and a length below 4 GiB.
const FRAME: usize = 6;
/// What a metric's inner message takes beside its points: two more tags with a value each.
const METRIC_FRAME: usize = 2 * FRAME;

/// One request and the series it covers.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The encoded request; empty if no point of these could be sent.
    pub(crate) body: Bytes,
    /// Points in it.
    pub(crate) points: u64,
    /// Points left out, each too large for any request.
    pub(crate) too_large: u64,
    /// Points left out because their data does not fit their instrument.
    pub(crate) malformed: u64,
    /// The place of the first series that is not covered.
    pub(crate) end: usize,
}

/// The next request of a snapshot from the series at place `from` on; `None` behind the last.
pub(crate) fn next(
    snapshot: &Snapshot,
    from: usize,
    form: Form,
    baselines: &Baselines,
    limit: usize,
) -> Option<Batch> {
    let mut request = Request::default();
    let mut batch = Batch { body: Bytes::new(), points: 0, too_large: 0, malformed: 0, end: from };
    for series in series(snapshot).skip(from) {
        match form.point(&series, baselines) {
            None => batch.malformed += 1,
            Some(point) => {
                let size = request.size_with(&series, &point, form);
                if size <= limit {
                    request.push(&series, point, form, size);
                    batch.points += 1;
                } else if batch.points == 0 {
                    batch.too_large += 1;
                } else {
                    break;
                }
            }
        }
        batch.end += 1;
    }
    if batch.end == from {
        return None;
    }
    if batch.points > 0 {
        batch.body = Bytes::from(request.message.encode_to_vec());
    }
    Some(batch)
}

/// A request being filled, with an upper bound of its encoded size.
#[derive(Default)]
struct Request<'a> {
    message: ExportMetricsServiceRequest,
    size: usize,
    last: Option<Series<'a>>,
}

/// How much of what a point stands under is open already.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Open {
    Nothing,
    Resource,
    Scope,
    Metric,
}

impl<'a> Request<'a> {
    fn open(&self, series: &Series<'a>) -> Open {
        let Some(last) = &self.last else { return Open::Nothing };
        if !std::ptr::eq(last.resource, series.resource) {
            Open::Nothing
        } else if !std::ptr::eq(last.scope, series.scope) {
            Open::Resource
        } else if !std::ptr::eq(last.metric, series.metric) {
            Open::Scope
        } else {
            Open::Metric
        }
    }

    fn size_with(&self, series: &Series<'a>, point: &DataPoint, form: Form) -> usize {
        let open = self.open(series);
        let mut size = self.size + point.encoded_len() + FRAME;
        if open < Open::Metric {
            size += form.metric(series.metric.instrument).encoded_len() + FRAME + METRIC_FRAME;
        }
        if open < Open::Scope {
            size += scope_metrics(series).encoded_len() + FRAME;
        }
        if open < Open::Resource {
            size += resource_metrics(series).encoded_len() + FRAME;
        }
        size
    }

    fn push(&mut self, series: &Series<'a>, point: DataPoint, form: Form, size: usize) {
        let open = self.open(series);
        let resources = &mut self.message.resource_metrics;
        if open < Open::Resource {
            resources.push(resource_metrics(series));
        }
        let Some(resource) = resources.last_mut() else { return };
        if open < Open::Scope {
            resource.scope_metrics.push(scope_metrics(series));
        }
        let Some(scope) = resource.scope_metrics.last_mut() else { return };
        if open < Open::Metric {
            scope.metrics.push(form.metric(series.metric.instrument));
        }
        let Some(metric) = scope.metrics.last_mut() else { return };
        point.push_to(metric);
        self.size = size;
        self.last = Some(*series);
    }
}

fn resource_metrics(series: &Series<'_>) -> otlp::ResourceMetrics {
    otlp::ResourceMetrics {
        resource: Some(attribute::resource(series.resource)),
        scope_metrics: Vec::new(),
        schema_url: SCHEMA_URL.to_owned(),
    }
}

fn scope_metrics(series: &Series<'_>) -> otlp::ScopeMetrics {
    otlp::ScopeMetrics {
        scope: Some(InstrumentationScope {
            name: series.scope.name.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        }),
        metrics: Vec::new(),
        schema_url: SCHEMA_URL.to_owned(),
    }
}
