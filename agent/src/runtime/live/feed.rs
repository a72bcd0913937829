//! Snapshots to views: what changed from one to the next, by service, role, method and route.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::model::{Header, Row, View};
use super::quantile::Buckets;
use crate::metric::histogram::Histogram;
use crate::metric::instrument::{
    HTTP_CLIENT_REQUEST_DURATION, HTTP_SERVER_REQUEST_DURATION, Instrument,
};
use crate::metric::key::{HTTP_REQUEST_METHOD, HTTP_ROUTE, Key, SERVICE_NAME};
use crate::metric::snapshot::{Attribute, Data, Number, Resource, Snapshot, Value, WallTime};
use crate::protocol::Role;

/// Names that the view reads besides those of the two durations.
#[derive(Clone, Copy, Debug)]
pub struct Vocabulary {
    /// Present on an exchange that failed.
    pub error: Key,
    /// Where a guessed route may stand instead of the route's own key.
    pub template: Key,
    /// Requests a server has begun and not ended.
    pub active: Option<&'static Instrument>,
}

type Attributes = Arc<[Attribute]>;
type SeriesKey = (Arc<Resource>, Role, Attributes);

/// Keeps the last snapshot's distributions to take the next one's difference from.
#[derive(Debug)]
pub struct Feed {
    vocabulary: Vocabulary,
    before: HashMap<SeriesKey, Histogram>,
    time: Option<WallTime>,
}

/// What is gathered of one row.
#[derive(Default)]
struct Sum {
    failed: u64,
    seen: u64,
    buckets: Buckets,
    open: Option<u64>,
}

type RowKey = (Arc<str>, Role, Arc<str>);

impl Feed {
    /// A feed that has seen nothing: the first view's rates are zero.
    pub fn new(vocabulary: Vocabulary) -> Self {
        Self { vocabulary, before: HashMap::new(), time: None }
    }

    /// The view of what came since the last snapshot.
    pub fn view(&mut self, snapshot: &Snapshot, header: Header) -> View {
        let elapsed = self.time.map(|before| snapshot.time.0.saturating_sub(before.0));
        let elapsed = elapsed.filter(|nanos| *nanos > 0).map(|nanos| nanos as f64 / 1e9);
        let before = std::mem::take(&mut self.before);
        let mut sums: BTreeMap<RowKey, Sum> = BTreeMap::new();
        for resource in &snapshot.resources {
            let service = shown(&resource.resource.attributes, SERVICE_NAME);
            let service = service.unwrap_or_else(|| Arc::from("?"));
            for metric in resource.scopes.iter().flat_map(|scope| &scope.metrics) {
                let instrument = metric.instrument;
                let Some(role) = role(instrument) else {
                    if self.vocabulary.active.is_some_and(|active| active == instrument) {
                        for point in &metric.points {
                            self.add_open(&service, &point.attributes, &point.data, &mut sums);
                        }
                    }
                    continue;
                };
                for point in &metric.points {
                    let Data::Histogram(now) = &point.data else { continue };
                    let series =
                        (Arc::clone(&resource.resource), role, Arc::clone(&point.attributes));
                    // Without an earlier snapshot everything would seem to have come just now.
                    let earlier = before.get(&series);
                    let known = self.time.is_some();
                    let key = (Arc::clone(&service), role, self.route(&point.attributes));
                    let sum = sums.entry(key).or_default();
                    if known {
                        let count = now.count.saturating_sub(earlier.map_or(0, |h| h.count));
                        sum.seen += count;
                        if find(&point.attributes, self.vocabulary.error).is_some() {
                            sum.failed += count;
                        }
                        sum.buckets.add(now, earlier, instrument.kind, instrument.scale);
                    }
                    self.before.insert(series, now.as_ref().clone());
                }
            }
        }
        self.time = Some(snapshot.time);
        let rows = sums.into_iter().map(|(key, sum)| row(key, sum, elapsed)).collect();
        View { header, rows }
    }

    /// Open requests are known by method, before there is a route: they stand in a row of their own.
    fn add_open(
        &self,
        service: &Arc<str>,
        attributes: &[Attribute],
        data: &Data,
        sums: &mut BTreeMap<RowKey, Sum>,
    ) {
        let Data::Number(Number::Int(open)) = data else { return };
        let open = u64::try_from(*open).unwrap_or(0);
        let key = (Arc::clone(service), Role::Server, self.route(attributes));
        if open == 0 && !sums.contains_key(&key) {
            return;
        }
        let sum = sums.entry(key).or_default();
        sum.open = Some(sum.open.unwrap_or(0).saturating_add(open));
    }

    fn route(&self, attributes: &[Attribute]) -> Arc<str> {
        let method = shown(attributes, HTTP_REQUEST_METHOD);
        let route = shown(attributes, HTTP_ROUTE)
            .or_else(|| shown(attributes, self.vocabulary.template))
            .unwrap_or_else(|| Arc::from("-"));
        match method {
            Some(method) => Arc::from(format!("{method} {route}")),
            None => route,
        }
    }
}

fn role(instrument: &'static Instrument) -> Option<Role> {
    if *instrument == HTTP_SERVER_REQUEST_DURATION {
        Some(Role::Server)
    } else if *instrument == HTTP_CLIENT_REQUEST_DURATION {
        Some(Role::Client)
    } else {
        None
    }
}

fn row((service, role, route): RowKey, mut sum: Sum, elapsed: Option<f64>) -> Row {
    let rate = elapsed.map_or(0.0, |seconds| sum.seen as f64 / seconds);
    let errors = if sum.seen == 0 { 0.0 } else { sum.failed as f64 / sum.seen as f64 };
    let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|q| sum.buckets.quantile(q));
    Row { service, role, route, rate, errors, p50, p95, p99, in_flight: sum.open }
}

fn find(attributes: &[Attribute], key: Key) -> Option<&Value> {
    attributes.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
}

fn shown(attributes: &[Attribute], key: Key) -> Option<Arc<str>> {
    match find(attributes, key)? {
        Value::Static(text) => Some(Arc::from(*text)),
        Value::Text(text) => Some(Arc::clone(text)),
        Value::Int(number) => Some(Arc::from(number.to_string())),
        Value::Bool(_) | Value::List(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Feed, Vocabulary};
    use crate::metric::histogram::{Exponential, Histogram};
    use crate::metric::instrument::HTTP_SERVER_REQUEST_DURATION;
    use crate::metric::key::{HTTP_REQUEST_METHOD, HTTP_ROUTE, Key, SERVICE_NAME};
    use crate::metric::snapshot::{
        Attribute, Data, Metric, Point, Resource, ResourceMetrics, Scope, Snapshot, Value, WallTime,
    };
    use crate::runtime::live::model::Header;

    const ERROR: Key = Key("an error");

    fn point(labels: Vec<Attribute>, count: u64) -> Point {
        let exponential = Exponential { scale: 0, zero_count: 0, offset: 0, counts: vec![count] };
        let histogram =
            Histogram { count, sum: 0, min: 0, max: 0, explicit: Box::new([]), exponential };
        let data = Data::Histogram(Box::new(histogram));
        Point { attributes: labels.into(), start: WallTime(0), data }
    }

    fn snapshot(second: u64, well: u64, failed: u64) -> Snapshot {
        let labels = vec![
            (HTTP_REQUEST_METHOD, Value::Static("GET")),
            (HTTP_ROUTE, Value::Text(Arc::from("/a"))),
        ];
        let mut failing = labels.clone();
        failing.push((ERROR, Value::Static("500")));
        let points = vec![point(labels, well), point(failing, failed)];
        let instrument = &HTTP_SERVER_REQUEST_DURATION;
        let attributes = vec![(SERVICE_NAME, Value::Static("shop"))];
        let scope = Scope { name: "x", metrics: vec![Metric { instrument, points }] };
        let resource = Arc::new(Resource { attributes });
        let resources = vec![ResourceMetrics { resource, scopes: vec![scope] }];
        Snapshot { time: WallTime(second * 1_000_000_000), resources }
    }

    #[test]
    fn a_view_tells_what_came_since_the_last_one() {
        let vocabulary = Vocabulary { error: ERROR, template: Key("a template"), active: None };
        let mut feed = Feed::new(vocabulary);
        let check = |view: super::View, rate: f64, errors: f64, p50: Option<f64>| {
            let [row] = view.rows.as_slice() else { panic!("{view:?}") };
            assert_eq!((&*row.service, &*row.route), ("shop", "GET /a"));
            assert_eq!((row.rate, row.errors, row.p50), (rate, errors, p50));
        };
        // What was counted before anyone looked is no rate.
        check(feed.view(&snapshot(10, 100, 0), Header::default()), 0.0, 0.0, None);
        check(feed.view(&snapshot(12, 109, 1), Header::default()), 5.0, 0.1, Some(1.5));
        check(feed.view(&snapshot(13, 109, 1), Header::default()), 0.0, 0.0, None);
    }
}
