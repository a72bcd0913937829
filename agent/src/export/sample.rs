//! Snapshots for the tests of this stage.

use std::collections::BTreeMap;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data as MetricData;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as NumberValue;

use crate::metric::exemplar::Exemplars;
use crate::metric::histogram::{Exponential, Histogram};
use crate::metric::instrument::http::HTTP_SERVER_REQUEST_DURATION;
use crate::metric::instrument::{Instrument, Kind, SECONDS, Scale};
use crate::metric::key::{HTTP_ROUTE, SERVICE_NAME};
use crate::metric::snapshot::{
    Attribute, Data, Metric, Number, Point, Resource, ResourceMetrics, Scope, Snapshot, Value,
    WallTime,
};

/// A counter.
pub(crate) static REQUESTS: Instrument = Instrument {
    name: "test.requests",
    unit: "{request}",
    description: "Requests.",
    kind: Kind::Counter,
    scale: Scale::One,
    ..Instrument::BLANK
};

/// A counter of time.
pub(crate) static CPU_TIME: Instrument = Instrument {
    name: "test.cpu.time",
    unit: "s",
    description: "Processor time.",
    kind: Kind::Counter,
    scale: Scale::NanosToSeconds,
    ..Instrument::BLANK
};

/// When all series of these snapshots began.
pub(crate) const START: WallTime = WallTime(1);

/// `count` values of a quarter of a second.
pub(crate) fn quarters(count: u64) -> Histogram {
    let mut explicit = vec![0; SECONDS.len() + 1];
    explicit[6] = count;
    Histogram {
        count,
        sum: u128::from(count) * 250_000_000,
        min: 250_000_000,
        max: 250_000_000,
        explicit: explicit.into(),
        exponential: Exponential { scale: 0, zero_count: 0, offset: -3, counts: vec![count] },
        exemplars: Exemplars::new(),
    }
}

/// A resource that is a service.
pub(crate) fn resource(service: &str) -> Arc<Resource> {
    Arc::new(Resource { attributes: vec![(SERVICE_NAME, Value::Text(service.into()))] })
}

/// The name of such a resource.
pub(crate) fn service(resource: &Resource) -> &str {
    match &resource.attributes[0].1 {
        Value::Text(name) => name,
        other => panic!("{other:?}"),
    }
}

/// Each service with a histogram and a counter, both of this count.
pub(crate) fn snapshot(time: u64, services: &[(&str, u64)]) -> Snapshot {
    let resources = services
        .iter()
        .map(|(name, count)| {
            let attributes: Arc<[Attribute]> = [(HTTP_ROUTE, Value::Static("/"))].into();
            let point = |data| Point { attributes: Arc::clone(&attributes), start: START, data };
            let number = Number::Int(i64::try_from(*count).unwrap());
            let metrics = vec![
                Metric {
                    instrument: &HTTP_SERVER_REQUEST_DURATION,
                    points: vec![point(Data::Histogram(Box::new(quarters(*count))))],
                },
                Metric { instrument: &REQUESTS, points: vec![point(Data::Number(number))] },
            ];
            let scopes = vec![Scope { name: "steth/red", metrics }];
            ResourceMetrics { resource: resource(name), scopes }
        })
        .collect();
    Snapshot { time: WallTime(time), resources }
}

/// This many histograms, a hundred to a service, each full.
pub(crate) fn wide_snapshot(series: usize) -> Snapshot {
    let mut snapshot = Snapshot { time: WallTime(9), resources: Vec::new() };
    for number in 0..series {
        if number % 100 == 0 {
            let metrics =
                vec![Metric { instrument: &HTTP_SERVER_REQUEST_DURATION, points: Vec::new() }];
            let scopes = vec![Scope { name: "steth/red", metrics }];
            let resource = resource(&format!("service-{}", number / 100));
            snapshot.resources.push(ResourceMetrics { resource, scopes });
        }
        let mut histogram = quarters(7);
        histogram.exponential.counts = vec![1000; 160];
        let route = Value::Text(format!("/route/{number}").into());
        let metric = &mut snapshot.resources.last_mut().unwrap().scopes[0].metrics[0];
        metric.points.push(Point {
            attributes: [(HTTP_ROUTE, route)].into(),
            start: START,
            data: Data::Histogram(Box::new(histogram)),
        });
    }
    snapshot
}

/// How many points a request has.
pub(crate) fn points_in(request: &ExportMetricsServiceRequest) -> u64 {
    identities(request).len() as u64
}

/// Service, metric and labels of each point of a request.
pub(crate) fn identities(request: &ExportMetricsServiceRequest) -> Vec<String> {
    let mut identities = Vec::new();
    for resource in &request.resource_metrics {
        let service = format!("{:?}", resource.resource.as_ref().unwrap().attributes[0].value);
        for metric in resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            let mut add = |attributes| {
                identities.push(format!("{service} {} {attributes:?}", metric.name));
            };
            match metric.data.as_ref().unwrap() {
                MetricData::Sum(sum) => sum.data_points.iter().for_each(|p| add(&p.attributes)),
                MetricData::Gauge(sum) => sum.data_points.iter().for_each(|p| add(&p.attributes)),
                MetricData::Histogram(histogram) => {
                    histogram.data_points.iter().for_each(|p| add(&p.attributes));
                }
                MetricData::ExponentialHistogram(histogram) => {
                    histogram.data_points.iter().for_each(|p| add(&p.attributes));
                }
                MetricData::Summary(_) => panic!("never sent"),
            }
        }
    }
    identities
}

/// What the collector knows: by service and start of the series, the last cumulative value or the
/// sum of the deltas. Histogram and counter of a service say the same, and the deltas have no gaps.
pub(crate) fn totals(
    taken: &[ExportMetricsServiceRequest],
    delta: bool,
) -> BTreeMap<(String, u64), u64> {
    let mut totals: BTreeMap<(String, u64), u64> = BTreeMap::new();
    let mut counted: BTreeMap<(String, u64), u64> = BTreeMap::new();
    let mut ends: BTreeMap<(String, bool), (u64, u64)> = BTreeMap::new();
    let mut add = |service: &str, start: u64, time: u64, value: u64, histogram: bool| {
        let end = ends.entry((service.to_owned(), histogram)).or_insert((start, start));
        // The start of a delta is the end of the one before, unless the series began anew.
        let began = if delta && end.1 == start { end.0 } else { start };
        assert!(time >= end.1, "{service}: time goes on");
        *end = (began, time);
        let into = if histogram { &mut totals } else { &mut counted };
        let total = into.entry((service.to_owned(), began)).or_default();
        *total = if delta { *total + value } else { value };
    };
    for resource in taken.iter().flat_map(|request| &request.resource_metrics) {
        let name = resource.resource.as_ref().unwrap().attributes[0].value.clone().unwrap();
        let name = format!("{:?}", name.value.unwrap());
        let name = name.trim_start_matches("StringValue(\"").trim_end_matches("\")").to_owned();
        for metric in resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            match metric.data.as_ref().unwrap() {
                MetricData::ExponentialHistogram(histogram) => {
                    for point in histogram.data_points.iter().filter(|point| point.flags == 0) {
                        let positive = point.positive.as_ref().unwrap();
                        assert_eq!(positive.bucket_counts.iter().sum::<u64>(), point.count);
                        let (start, time) = (point.start_time_unix_nano, point.time_unix_nano);
                        add(&name, start, time, point.count, true);
                    }
                }
                MetricData::Sum(sum) => {
                    for point in sum.data_points.iter().filter(|point| point.flags == 0) {
                        let Some(NumberValue::AsInt(value)) = point.value else { panic!() };
                        let value = u64::try_from(value).unwrap();
                        let (start, time) = (point.start_time_unix_nano, point.time_unix_nano);
                        add(&name, start, time, value, false);
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(totals, counted);
    totals
}
