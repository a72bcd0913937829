//! Snapshots through the encoder: forms, deltas, sizes.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality;
use opentelemetry_proto::tonic::metrics::v1::exemplar::Value as ExemplarValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data as MetricData;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as NumberValue;
use prost::Message;

use super::batch::{self, LIMIT};
use super::delta::Baselines;
use super::departed::{left_behind, points};
use super::point::Form;
use super::{SCHEMA_URL, series};
use crate::export::config::{Aggregation, Temporality};
use crate::export::sample::{self, REQUESTS};
use crate::metric::exemplar::Exemplar;
use crate::metric::instrument::http::HTTP_SERVER_REQUEST_DURATION;
use crate::metric::snapshot::{Data, Number, Snapshot, WallTime};

const CUMULATIVE: Form =
    Form { temporality: Temporality::Cumulative, histograms: Aggregation::Exponential };
const DELTA: Form = Form { temporality: Temporality::Delta, histograms: Aggregation::Explicit };

/// All requests of a snapshot, decoded, with what is acknowledged on the way.
fn requests(
    snapshot: &Snapshot,
    form: Form,
    baselines: &mut Baselines,
    limit: usize,
) -> Vec<(ExportMetricsServiceRequest, usize)> {
    let mut requests = Vec::new();
    let mut place = 0;
    while let Some(batch) = batch::next(snapshot, place, form, baselines, limit) {
        for series in series(snapshot).take(batch.end).skip(place) {
            baselines.acknowledge(&series);
        }
        place = batch.end;
        let request = ExportMetricsServiceRequest::decode(batch.body.clone()).unwrap();
        assert_eq!(sample::points_in(&request), batch.points);
        requests.push((request, batch.body.len()));
    }
    requests
}

fn only(snapshot: &Snapshot, form: Form) -> ExportMetricsServiceRequest {
    let mut requests = requests(snapshot, form, &mut Baselines::default(), LIMIT);
    assert_eq!(requests.len(), 1);
    requests.remove(0).0
}

#[test]
fn says_resource_scope_schema_and_instrument() {
    let request = only(&sample::snapshot(7, &[("shop", 3), ("cart", 4)]), CUMULATIVE);
    assert_eq!(request.resource_metrics.len(), 2);
    let shop = &request.resource_metrics[0];
    assert_eq!(shop.schema_url, SCHEMA_URL);
    assert_eq!(shop.resource.as_ref().unwrap().attributes[0].key, "service.name");
    let scope = &shop.scope_metrics[0];
    assert_eq!(scope.schema_url, SCHEMA_URL);
    let named = scope.scope.as_ref().unwrap();
    assert_eq!((named.name.as_str(), named.version.as_str()), ("steth/red", "0.1.0"));
    let metric = &scope.metrics[0];
    assert_eq!(metric.name, "http.server.request.duration");
    assert_eq!(metric.unit, "s");
    assert_eq!(metric.description, "Duration of HTTP server requests.");
}

#[test]
fn a_histogram_has_exponential_or_explicit_buckets_in_the_exported_unit() {
    let snapshot = sample::snapshot(7, &[("shop", 3)]);
    let request = only(&snapshot, CUMULATIVE);
    let Some(MetricData::ExponentialHistogram(metric)) =
        &request.resource_metrics[0].scope_metrics[0].metrics[0].data
    else {
        panic!("exponential")
    };
    assert_eq!(metric.aggregation_temporality(), AggregationTemporality::Cumulative);
    let point = &metric.data_points[0];
    assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (1, 7));
    assert_eq!((point.count, point.sum), (3, Some(0.75)));
    assert_eq!((point.min, point.max), (Some(0.25), Some(0.25)));
    assert_eq!((point.scale, point.zero_count), (0, 0));
    let positive = point.positive.as_ref().unwrap();
    assert_eq!((positive.offset, positive.bucket_counts.as_slice()), (-3, &[3][..]));

    let explicit = Form { histograms: Aggregation::Explicit, ..CUMULATIVE };
    let request = only(&snapshot, explicit);
    let Some(MetricData::Histogram(metric)) =
        &request.resource_metrics[0].scope_metrics[0].metrics[0].data
    else {
        panic!("explicit")
    };
    let point = &metric.data_points[0];
    assert_eq!(point.explicit_bounds.len() + 1, point.bucket_counts.len());
    assert_eq!(point.bucket_counts.iter().sum::<u64>(), 3);
    assert_eq!(point.bucket_counts[6], 3);
    assert_eq!((point.count, point.sum), (3, Some(0.75)));
}

/// Trace, span, time and value of all exemplars of the first metric.
fn exemplars(request: &ExportMetricsServiceRequest) -> Vec<(u8, u8, u64, ExemplarValue)> {
    let exemplars = match &request.resource_metrics[0].scope_metrics[0].metrics[0].data {
        Some(MetricData::Histogram(metric)) => &metric.data_points[0].exemplars,
        Some(MetricData::ExponentialHistogram(metric)) => &metric.data_points[0].exemplars,
        other => panic!("{other:?}"),
    };
    exemplars
        .iter()
        .map(|e| (e.trace_id[15], e.span_id[7], e.time_unix_nano, e.value.unwrap()))
        .collect()
}

#[test]
fn histograms_carry_the_spans_of_the_interval() {
    let mut snapshot = sample::snapshot(7, &[("shop", 3)]);
    let Data::Histogram(histogram) = &mut snapshot.resources[0].scopes[0].metrics[0].points[0].data
    else {
        panic!("a histogram")
    };
    let mut put = |span, time, value| {
        let exemplar = Exemplar { trace: [9; 16], span: [span; 8], time: WallTime(time), value };
        histogram.exemplify(&HTTP_SERVER_REQUEST_DURATION, exemplar);
    };
    put(1, 3, 250_000_000);
    put(2, 6, 1_000_000);
    let value = ExemplarValue::AsDouble;
    let expect = [(9, 2, 6, value(0.001)), (9, 1, 3, value(0.25))];
    for histograms in [Aggregation::Exponential, Aggregation::Explicit] {
        assert_eq!(exemplars(&only(&snapshot, Form { histograms, ..CUMULATIVE })), expect);
    }
    // What ended before a delta begins was counted before.
    let mut baselines = Baselines::default();
    requests(&sample::snapshot(5, &[("shop", 2)]), DELTA, &mut baselines, LIMIT);
    let (request, _) = requests(&snapshot, DELTA, &mut baselines, LIMIT).remove(0);
    assert_eq!(exemplars(&request), [expect[0]]);
    let Data::Histogram(histogram) = &mut snapshot.resources[0].scopes[0].metrics[0].points[0].data
    else {
        panic!("a histogram")
    };
    histogram.exemplars.age();
    assert_eq!(exemplars(&only(&snapshot, CUMULATIVE)), []);
}

#[test]
fn temporality_follows_the_preference_and_the_kind() {
    use crate::metric::instrument::{FINE_SECONDS, Kind};
    let check = |temporality, expect: [bool; 4]| {
        let form = Form { temporality, histograms: Aggregation::Explicit };
        let kinds =
            [Kind::Counter, Kind::UpDownCounter, Kind::Gauge, Kind::Histogram(&FINE_SECONDS)];
        assert_eq!(kinds.map(|kind| form.is_delta(kind)), expect, "{temporality:?}");
    };
    check(Temporality::Cumulative, [false, false, false, false]);
    check(Temporality::Delta, [true, false, false, true]);
    check(Temporality::LowMemory, [false, false, false, true]);
}

#[test]
fn an_ended_series_is_sent_as_no_recorded_value() {
    for form in [CUMULATIVE, DELTA] {
        let mut snapshot = sample::snapshot(7, &[("shop", 3)]);
        for metric in &mut snapshot.resources[0].scopes[0].metrics {
            metric.points[0].data = Data::Ended;
        }
        let request = only(&snapshot, form);
        for metric in &request.resource_metrics[0].scope_metrics[0].metrics {
            let (flags, value) = match metric.data.as_ref().unwrap() {
                MetricData::Sum(sum) => {
                    (sum.data_points[0].flags, sum.data_points[0].value.is_some())
                }
                MetricData::Histogram(histogram) => (histogram.data_points[0].flags, false),
                MetricData::ExponentialHistogram(histogram) => {
                    (histogram.data_points[0].flags, false)
                }
                other => panic!("{other:?}"),
            };
            assert_eq!((flags, value), (1, false), "{}", metric.name);
        }
    }
}

#[test]
fn a_delta_begins_where_the_acknowledged_state_ended() {
    let mut baselines = Baselines::default();
    let mut seen = Vec::new();
    for (time, count) in [(5, 2), (6, 2), (9, 12)] {
        let snapshot = sample::snapshot(time, &[("shop", count)]);
        let request = requests(&snapshot, DELTA, &mut baselines, LIMIT).remove(0).0;
        let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
        let Some(MetricData::Histogram(histogram)) = &metrics[0].data else { panic!() };
        let Some(MetricData::Sum(sum)) = &metrics[1].data else { panic!() };
        assert_eq!(histogram.aggregation_temporality(), AggregationTemporality::Delta);
        let (point, number) = (&histogram.data_points[0], &sum.data_points[0]);
        assert_eq!(number.value, Some(NumberValue::AsInt(i64::try_from(point.count).unwrap())));
        assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
        seen.push((point.start_time_unix_nano, point.time_unix_nano, point.count, point.sum));
    }
    assert_eq!(seen, [(1, 5, 2, Some(0.5)), (5, 6, 0, Some(0.0)), (6, 9, 10, Some(2.5))]);
}

#[test]
fn a_series_that_began_anew_counts_from_its_start() {
    let mut baselines = Baselines::default();
    requests(&sample::snapshot(5, &[("shop", 9)]), DELTA, &mut baselines, LIMIT);
    let mut anew = sample::snapshot(8, &[("shop", 4)]);
    for metric in &mut anew.resources[0].scopes[0].metrics {
        metric.points[0].start = WallTime(6);
    }
    let request = requests(&anew, DELTA, &mut baselines, LIMIT).remove(0).0;
    let Some(MetricData::Histogram(histogram)) =
        &request.resource_metrics[0].scope_metrics[0].metrics[0].data
    else {
        panic!()
    };
    assert_eq!(histogram.data_points[0].start_time_unix_nano, 6);
    assert_eq!(histogram.data_points[0].count, 4);
}

#[test]
fn baselines_of_series_that_are_gone_are_forgotten() {
    let mut baselines = Baselines::default();
    let both = sample::snapshot(5, &[("shop", 9), ("cart", 1)]);
    requests(&both, DELTA, &mut baselines, LIMIT);
    assert_eq!(baselines.len(), 4);
    let one = sample::snapshot(6, &[("shop", 9)]);
    baselines.retain([&one].into_iter());
    assert_eq!(baselines.len(), 2);
    let mut ended = sample::snapshot(7, &[("shop", 9)]);
    for metric in &mut ended.resources[0].scopes[0].metrics {
        metric.points[0].data = Data::Ended;
    }
    requests(&ended, DELTA, &mut baselines, LIMIT);
    assert_eq!(baselines.len(), 0);
}

#[test]
fn ten_thousand_series_are_cut_below_the_limit_and_none_is_lost() {
    let snapshot = sample::wide_snapshot(10_000);
    let check = |limit: usize, form: Form| {
        let requests = requests(&snapshot, form, &mut Baselines::default(), limit);
        assert!(requests.iter().all(|(_, size)| *size <= limit));
        let sent: u64 = requests.iter().map(|(request, _)| sample::points_in(request)).sum();
        assert_eq!(sent, 10_000);
        let mut names: Vec<_> =
            requests.iter().flat_map(|(request, _)| sample::identities(request)).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 10_000);
        // Full but for the last: the bound that is kept while filling is not a loose one.
        let (_, full) = requests.split_last().unwrap();
        assert!(full.iter().all(|(_, size)| *size > limit * 9 / 10), "{limit}");
        requests.len()
    };
    assert!(check(LIMIT, CUMULATIVE) > 1);
    assert!(check(100_000, CUMULATIVE) > 10);
    check(100_000, DELTA);
}

#[test]
fn a_point_larger_than_a_request_is_left_out_and_counted() {
    let snapshot = sample::wide_snapshot(3);
    let form = CUMULATIVE;
    let batch = batch::next(&snapshot, 0, form, &Baselines::default(), 300).unwrap();
    assert_eq!((batch.points, batch.too_large, batch.end), (0, 3, 3));
    assert!(batch.body.is_empty());
    assert!(batch::next(&snapshot, 3, form, &Baselines::default(), 300).is_none());
}

#[test]
fn data_that_does_not_fit_its_instrument_is_counted() {
    let mut snapshot = sample::snapshot(7, &[("shop", 3)]);
    snapshot.resources[0].scopes[0].metrics[0].points[0].data = Data::Number(Number::Int(1));
    let batch = batch::next(&snapshot, 0, CUMULATIVE, &Baselines::default(), LIMIT).unwrap();
    assert_eq!((batch.points, batch.malformed, batch.end), (1, 1, 2));
}

#[test]
fn whole_nanoseconds_become_seconds_and_fractions_stay() {
    let check = |number, expect| {
        let mut snapshot = sample::snapshot(7, &[("shop", 3)]);
        let metric = &mut snapshot.resources[0].scopes[0].metrics[1];
        assert_eq!(metric.instrument, &REQUESTS);
        metric.instrument = &sample::CPU_TIME;
        metric.points[0].data = Data::Number(number);
        let request = only(&snapshot, CUMULATIVE);
        let Some(MetricData::Sum(sum)) =
            &request.resource_metrics[0].scope_metrics[0].metrics[1].data
        else {
            panic!()
        };
        assert_eq!(sum.data_points[0].value, Some(NumberValue::AsDouble(expect)));
    };
    check(Number::Int(250_000_000), 0.25);
    check(Number::Int(100_000_000), 0.1);
    check(Number::Double(0.5), 0.5);
}

#[test]
fn what_a_newer_snapshot_does_not_continue_is_left_behind() {
    let older = sample::snapshot(5, &[("shop", 9), ("cart", 1)]);
    let newer = sample::snapshot(6, &[("shop", 10)]);
    let check = |left: Snapshot, expect: &[&str]| {
        assert_eq!(points(&left), expect.len() * 2);
        assert_eq!(left.time, older.time);
        let names: Vec<_> =
            left.resources.iter().map(|entry| sample::service(&entry.resource)).collect();
        assert_eq!(names, expect);
    };
    check(left_behind(&older, 0, &newer, &[]), &["cart"]);
    check(left_behind(&older, 4, &newer, &[]), &[]);
    check(left_behind(&older, 0, &older, &[]), &[]);
    let mut ended = sample::snapshot(6, &[("shop", 9), ("cart", 1)]);
    for metric in &mut ended.resources[0].scopes[0].metrics {
        metric.points[0].data = Data::Ended;
    }
    check(left_behind(&older, 0, &ended, &[]), &["shop"]);
    assert_eq!(points(&left_behind(&ended, 0, &newer, &[])), 2);
    let shared = Arc::clone(&older.resources[1].resource);
    assert!(Arc::ptr_eq(&left_behind(&older, 0, &newer, &[]).resources[0].resource, &shared));
}

#[test]
fn what_is_older_than_its_watching_is_whole_once_and_no_delta() {
    let mut baselines = Baselines::default();
    let mut told = |time, form, value| {
        let mut snapshot = sample::snapshot(time, &[("shop", 3)]);
        snapshot.resources[0].scopes[0].metrics[1].points[0].data =
            Data::Older { value: Number::Int(value), before: Number::Int(500), since: WallTime(5) };
        let sent = requests(&snapshot, form, &mut baselines, LIMIT);
        let (request, _) = sent.first().unwrap();
        let Some(MetricData::Sum(sum)) =
            &request.resource_metrics[0].scope_metrics[0].metrics[1].data
        else {
            panic!()
        };
        (sum.data_points[0].start_time_unix_nano, sum.data_points[0].value)
    };
    assert_eq!(told(7, DELTA, 520), (5, Some(NumberValue::AsInt(20))));
    assert_eq!(told(9, DELTA, 523), (7, Some(NumberValue::AsInt(3))));
    assert_eq!(told(9, CUMULATIVE, 523), (1, Some(NumberValue::AsInt(523))));
}
