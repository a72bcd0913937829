//! Counts are conserved, labels are right, what ends says so.

mod far;

use std::collections::BTreeMap;

use super::*;
use crate::event::{Account, ConnId, Peer, Pid, Timestamp, Why};
use crate::metric::instrument::http as metric;
use crate::metric::key;
use crate::metric::snapshot::{Attribute, Data, Number, Point, Value};
use crate::protocol::{Course, Lines, Version};

const ONE: EntityId = EntityId(1);
const TWO: EntityId = EntityId(2);

pub(super) fn exchange(role: Role, path: &str, status: Option<u16>) -> Exchange<'_> {
    Exchange {
        conn: ConnId(1),
        pid: Pid(1),
        role,
        method: Method::Get,
        path,
        authority: Some(Authority { host: "shop.example", port: Some(8080) }),
        version: Some(Version::Http11),
        status,
        fault: None,
        begun: Timestamp(1_000),
        ended: Timestamp(2_001_000),
        request_body: 0,
        response_body: 612,
        peer: Peer::default(),
        lines: Lines::default(),
        position: None,
        course: Course::default(),
    }
}

fn red(config: Config) -> Red {
    Red::new(config, WallTime(10))
}

/// `name{labels}` of every point, in order, with what it counts.
fn told(red: &Red, entity: EntityId, instrument: &str) -> Vec<(String, String)> {
    let scopes = red.snapshot();
    let Some((_, scope)) = scopes.iter().find(|(e, _)| *e == entity) else { return Vec::new() };
    assert_eq!(scope.name, SCOPE);
    let Some(metric) = scope.metrics.iter().find(|m| m.instrument.name == instrument) else {
        return Vec::new();
    };
    let text = |attributes: &[Attribute]| {
        let keys: Vec<_> = attributes.iter().map(|(key, _)| *key).collect();
        assert!(keys.is_sorted(), "{keys:?}");
        let one = |(key, value): &Attribute| match value {
            Value::Static(text) => format!("{}={text}", key.0),
            Value::Text(text) => format!("{}={text}", key.0),
            Value::Int(number) => format!("{}={number}", key.0),
            other => format!("{}={other:?}", key.0),
        };
        attributes.iter().map(one).collect::<Vec<_>>().join(" ")
    };
    let count = |point: &Point| match &point.data {
        Data::Histogram(histogram) => histogram.count.to_string(),
        Data::Number(Number::Int(number)) => number.to_string(),
        Data::Moved(to) => format!("moved to {}", text(to)),
        other => format!("{other:?}"),
    };
    let mut points: Vec<_> =
        metric.points.iter().map(|p| (text(&p.attributes), count(p))).collect();
    points.sort();
    points
}

fn check(role: Role, path: &str, change: impl Fn(&mut Exchange<'_>), config: Config, expect: &str) {
    let mut red = red(config);
    let mut exchange = exchange(role, path, Some(200));
    change(&mut exchange);
    red.observe(ONE, &exchange, None);
    let name = match role {
        Role::Server => "http.server.request.duration",
        Role::Client => "http.client.request.duration",
    };
    assert_eq!(told(&red, ONE, name), [(expect.to_owned(), "1".to_owned())]);
}

#[test]
fn labels_are_those_of_the_conventions_and_no_others() {
    use Role::{Client, Server};
    let plain = Config::default;
    let template = || Config { guessed_as_template: true, ..plain() };
    check(
        Server,
        "/users/7",
        |_| {},
        plain(),
        "http.request.method=GET http.response.status_code=200 http.route=/users/{id} network.protocol.version=1.1 url.scheme=http",
    );
    check(
        Server,
        "/users/7",
        |_| {},
        template(),
        "http.request.method=GET http.response.status_code=200 network.protocol.version=1.1 url.scheme=http url.template=/users/{id}",
    );
    check(
        Client,
        "/users/7",
        |_| {},
        plain(),
        "http.request.method=GET http.response.status_code=200 network.protocol.version=1.1 server.address=shop.example server.port=8080 url.scheme=http",
    );
    check(
        Client,
        "/users/7",
        |_| {},
        template(),
        "http.request.method=GET http.response.status_code=200 network.protocol.version=1.1 server.address=shop.example server.port=8080 url.scheme=http url.template=/users/{id}",
    );
    let configured =
        Config { routes: vec![Pattern::parse("/users/{user}").unwrap()], ..template() };
    check(
        Server,
        "/users/7",
        |_| {},
        configured,
        "http.request.method=GET http.response.status_code=200 http.route=/users/{user} network.protocol.version=1.1 url.scheme=http",
    );
    let address = Config { server_address: true, ..plain() };
    check(
        Server,
        "/users/7",
        |_| {},
        address,
        "http.request.method=GET http.response.status_code=200 http.route=/users/{id} network.protocol.version=1.1 server.address=shop.example server.port=8080 url.scheme=http",
    );
}

#[test]
fn errors_are_named_and_no_status_is_invented() {
    use Role::{Client, Server};
    let check = |role, status, fault, expect: Option<&str>| {
        let mut red = red(Config::default());
        let mut exchange = exchange(role, "", status);
        exchange.fault = fault;
        exchange.version = None;
        red.observe(ONE, &exchange, None);
        let row = &red.rows()[0];
        assert_eq!((row.count, row.errors), (1, u64::from(expect.is_some())));
        let scopes = red.snapshot();
        let point = &scopes[0].1.metrics[0].points[0];
        let value = |key| point.attributes.iter().find(|(k, _)| *k == key).map(|(_, v)| v.clone());
        let found = match value(key::ERROR_TYPE) {
            Some(Value::Static(text)) => Some(text.to_owned()),
            Some(Value::Text(text)) => Some(text.to_string()),
            _ => None,
        };
        assert_eq!(found.as_deref(), expect);
        assert_eq!(value(key::HTTP_RESPONSE_STATUS_CODE), status.map(|s| Value::Int(s.into())));
    };
    check(Server, Some(200), None, None);
    check(Server, Some(404), None, None);
    check(Client, Some(404), None, Some("404"));
    check(Server, Some(503), None, Some("503"));
    check(Server, Some(503), Some(Fault::Reset), Some("503"));
    check(Server, Some(200), Some(Fault::Reset), Some("connection_reset"));
    check(Server, None, Some(Fault::Closed), Some("connection_closed"));
    check(Client, None, Some(Fault::Refused), Some("connection_refused"));
    check(Client, None, Some(Fault::Timeout), Some("timeout"));
    check(Client, None, Some(Fault::Unreachable), Some("host_unreachable"));
    check(Client, None, Some(Fault::Other), Some("_OTHER"));
}

/// A reader that keeps baselines and tells differences.
#[derive(Default)]
struct Deltas {
    baselines: BTreeMap<(&'static str, Vec<Attribute>), u64>,
    told: BTreeMap<&'static str, u64>,
}

impl Deltas {
    fn read(&mut self, red: &Red) {
        for (_, scope) in red.snapshot() {
            for metric in scope.metrics {
                let name = metric.instrument.name;
                for point in metric.points {
                    let series = (name, point.attributes.to_vec());
                    match point.data {
                        Data::Histogram(histogram) => {
                            let before =
                                self.baselines.insert(series, histogram.count).unwrap_or(0);
                            *self.told.entry(name).or_default() += histogram.count - before;
                        }
                        Data::Moved(to) => {
                            let before = self.baselines.remove(&series).unwrap();
                            *self.baselines.entry((name, to.to_vec())).or_default() += before;
                        }
                        Data::Ended => drop(self.baselines.remove(&series)),
                        Data::Number(_) | Data::Older { .. } => {}
                    }
                }
            }
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]
    #[test]
    fn deltas_add_up_to_what_was_observed_though_routes_merge(
        paths in proptest::collection::vec("(/(a|e|[b-f]{1,2}a|[0-9])){1,3}", 1..600),
        every in 1usize..200,
        budget in 1usize..60,
        series in 1usize..60,
    ) {
        let config =
            Config { routes_per_service: budget, series_per_service: series, ..Config::default() };
        let (mut red, mut deltas) = (red(config), Deltas::default());
        for (i, path) in paths.iter().enumerate() {
            let status = [200, 404, 500][i % 3];
            red.observe(ONE, &exchange(Role::Server, path, Some(status)), None);
            if i % every == 0 {
                deltas.read(&red);
                red.tick(WallTime(20));
            }
        }
        deltas.read(&red);
        let observed = paths.len() as u64;
        proptest::prop_assert_eq!(deltas.told.values().copied().collect::<Vec<_>>(), [observed; 3]);
        proptest::prop_assert_eq!(sums(&red), deltas.told);
        proptest::prop_assert!(red.counters().routes <= budget);
    }
}

/// The sum over all series of a snapshot, by instrument.
fn sums(red: &Red) -> BTreeMap<&'static str, u64> {
    let mut sums = BTreeMap::new();
    for (_, scope) in red.snapshot() {
        for metric in scope.metrics {
            for point in metric.points {
                if let Data::Histogram(histogram) = point.data {
                    *sums.entry(metric.instrument.name).or_default() += histogram.count;
                }
            }
        }
    }
    sums
}

#[test]
fn the_sum_over_all_series_is_the_number_observed_whatever_the_budgets() {
    for (per_service, total, routes, servers) in
        [(2000, 20_000, 256, 128), (10, 15, 5, 3), (1, 1, 1, 1), (0, 0, 0, 0), (50, 60, 8, 2)]
    {
        let mut red = red(Config {
            series_per_service: per_service,
            series_total: total,
            routes_per_service: routes,
            servers_per_service: servers,
            ..Config::default()
        });
        let mut observed = [0, 0];
        for i in 0..5000u64 {
            let words = ["ab", "bcd", "cider", "dune", "elm", "fig", "gin", "hut", "ivy", "jam"];
            let word = |n: u64| words[(i / n % 10) as usize];
            let path = format!("/{}{}/{}/{}", word(1), word(10), word(3), i % 7);
            let host = format!("host-{}", i % 200);
            let role = if i % 3 == 0 { Role::Client } else { Role::Server };
            let status = [200, 201, 404, 500][(i % 4) as usize];
            let mut exchange = exchange(role, &path, Some(status));
            exchange.authority = Some(Authority { host: &host, port: None });
            red.observe(if i % 5 == 0 { TWO } else { ONE }, &exchange, None);
            observed[usize::from(role == Role::Client)] += 1;
            if i % 1000 == 0 {
                red.tick(WallTime(i));
            }
        }
        let [server, client] = observed;
        let expect = BTreeMap::from([
            (metric::HTTP_SERVER_REQUEST_DURATION.name, server),
            (metric::HTTP_SERVER_REQUEST_BODY_SIZE.name, server),
            (metric::HTTP_SERVER_RESPONSE_BODY_SIZE.name, server),
            (metric::HTTP_CLIENT_REQUEST_DURATION.name, client),
            (metric::HTTP_CLIENT_REQUEST_BODY_SIZE.name, client),
            (metric::HTTP_CLIENT_RESPONSE_BODY_SIZE.name, client),
        ]);
        assert_eq!(sums(&red), expect);
        assert_eq!(red.rows().iter().map(|row| row.count).sum::<u64>(), server + client);
        let counters = red.counters();
        assert_eq!(counters.observed, 5000);
        assert!(counters.series <= total, "{counters:?}");
        assert_eq!(counters.overflowed > 0, per_service <= 10, "{counters:?}");
        for service in red.services.values() {
            assert!(service.series.len() <= per_service);
        }
    }
}

#[test]
fn overflow_is_one_series_a_role() {
    let mut red = red(Config { series_per_service: 1, ..Config::default() });
    for status in [200, 201, 202] {
        red.observe(ONE, &exchange(Role::Server, "/", Some(status)), None);
    }
    let points = told(&red, ONE, "http.server.request.duration");
    assert_eq!(points.len(), 2);
    assert_eq!(points[1], ("otel.metric.overflow=Bool(true)".to_owned(), "2".to_owned()));
}

#[test]
fn merged_routes_say_where_their_counts_went() {
    let mut red = red(Config::default());
    let letters: Vec<char> = ('a'..='z').collect();
    let word = |i: usize| format!("b{}l{}", ["a", "e", "i", "o", "u"][i / 26], letters[i % 26]);
    for i in 0..super::route::BREADTH {
        red.observe(ONE, &exchange(Role::Server, &format!("/{}", word(i)), Some(200)), None);
    }
    red.tick(WallTime(20));
    let name = "http.server.request.duration";
    assert_eq!(told(&red, ONE, name).len(), super::route::BREADTH);
    red.observe(ONE, &exchange(Role::Server, &format!("/{}", word(40)), Some(200)), None);
    let points = told(&red, ONE, name);
    let rest = "http.request.method=GET http.response.status_code=200 http.route=/{*} network.protocol.version=1.1 url.scheme=http";
    assert!(points.contains(&(rest.to_owned(), (super::route::BREADTH + 1).to_string())));
    let moved = points.iter().filter(|(_, to)| *to == format!("moved to {rest}"));
    assert_eq!(moved.count(), super::route::BREADTH);
    assert_eq!(points.len(), super::route::BREADTH + 1);
    red.tick(WallTime(30));
    assert_eq!(told(&red, ONE, name).len(), 1);
    assert_eq!((red.counters().series, red.counters().routes), (1, 1));
}

#[test]
fn series_begin_before_what_they_count() {
    let mut red = red(Config::default());
    red.observe(ONE, &exchange(Role::Server, "/", Some(200)), None);
    red.tick(WallTime(20));
    red.observe(ONE, &exchange(Role::Server, "/", Some(500)), None);
    let (_, scope) = &red.snapshot()[0];
    let starts: Vec<_> = scope.metrics[0].points.iter().map(|point| point.start.0).collect();
    assert_eq!(starts, [10, 20]);
}

#[test]
fn a_retired_service_tells_its_last_points_then_its_end_then_nothing() {
    let mut red = red(Config::default());
    red.observe(ONE, &exchange(Role::Server, "/users/7", Some(200)), None);
    red.connect_failed(ONE, Fault::Refused, &at_port(81), None);
    red.retire(ONE);
    let states = |red: &Red| {
        ["http.server.request.duration", "steth.tcp.connect.failures"].map(|name| {
            told(red, ONE, name).into_iter().map(|(_, state)| state).collect::<String>()
        })
    };
    assert_eq!(states(&red), ["1", "1"]);
    red.tick(WallTime(20));
    assert_eq!(states(&red), ["Ended", "Ended"]);
    red.tick(WallTime(30));
    assert!(red.snapshot().is_empty());
    assert_eq!(red.counters(), Counters { observed: 1, ..Counters::default() });
}

#[test]
fn a_late_exchange_of_a_retired_service_is_counted() {
    let mut red = red(Config::default());
    let exchange = exchange(Role::Server, "/users/7", Some(200));
    red.observe(ONE, &exchange, None);
    red.retire(ONE);
    red.observe(ONE, &exchange, None);
    red.tick(WallTime(20));
    assert_eq!(red.rows()[0].count, 2);
    red.retire(ONE);
    red.tick(WallTime(30));
    red.observe(ONE, &exchange, None);
    assert_eq!(red.rows()[0].count, 1);
    assert_eq!(red.snapshot()[0].1.metrics[0].points[0].start, WallTime(30));
}

#[test]
fn gauges_are_as_of_now_and_fall_to_zero() {
    let mut red = red(Config::default());
    let open = |idle| Open {
        entity: TWO,
        conn: ConnId(1),
        authority: Some(Authority { host: "db", port: Some(1) }),
        peer: Peer::default(),
        idle,
    };
    let active = [(ONE, Method::Get), (ONE, Method::Get), (ONE, Method::Post)];
    red.gauges(active.into_iter(), [open(true), open(false), open(true)].into_iter(), None);
    assert_eq!(red.in_flight(ONE), 3);
    let pair = |labels: &str, number: &str| (labels.to_owned(), number.to_owned());
    assert_eq!(
        told(&red, ONE, "http.server.active_requests"),
        [
            pair("http.request.method=GET url.scheme=http", "2"),
            pair("http.request.method=POST url.scheme=http", "1")
        ]
    );
    let connections =
        |state: &str| format!("http.connection.state={state} server.address=db server.port=1");
    assert_eq!(
        told(&red, TWO, "http.client.open_connections"),
        [pair(&connections("active"), "1"), pair(&connections("idle"), "2")]
    );
    red.gauges(std::iter::empty(), std::iter::empty(), None);
    assert_eq!(red.in_flight(ONE), 0);
    assert_eq!(told(&red, TWO, "http.client.open_connections").len(), 2);
}

fn at_port(port: u16) -> Peer {
    Peer { port, ..Peer::default() }
}

#[test]
fn failed_connects_are_counted_by_why_port_and_reach() {
    let mut red = red(Config::default());
    red.connect_failed(ONE, Fault::Refused, &at_port(81), None);
    red.connect_failed(ONE, Fault::Refused, &at_port(81), None);
    for port in 0..1000 {
        red.connect_failed(ONE, Fault::Timeout, &at_port(port), None);
    }
    let points = told(&red, ONE, "steth.tcp.connect.failures");
    assert!(points.contains(&(
        "error.type=connection_refused server.port=81 steth.peer.reach=loopback".into(),
        "2".into()
    )));
    let sum: u64 = points.iter().map(|(_, number)| number.parse::<u64>().unwrap()).sum();
    assert_eq!((sum, points.len()), (1002, 65));
}

#[test]
fn where_the_time_went_is_counted_by_role_and_cause() {
    let account = Account {
        ran: Nanos(1024),
        queued: Nanos(2048),
        blocked: [3072, 0, 4096, 0, 0].map(Nanos),
        switches: 1,
        ..Account::default()
    };
    let unread = [Some(Nanos(5120)), None];
    let why = Why::that(Ok(account), unread, false);
    let course = Course { answered: Some(Timestamp(9_000)), why, ..Course::default() };
    let mut red = red(Config { why: true, ..Config::default() });
    red.observe(ONE, &Exchange { course, ..exchange(Role::Server, "/a", Some(200)) }, None);
    // A thread that was at others as well says nothing of this one.
    let shared = Why::that(Ok(Account { shared: true, ..account }), unread, false);
    let course = Course { why: shared, ..course };
    red.observe(ONE, &Exchange { course, ..exchange(Role::Server, "/a", Some(200)) }, None);
    red.observe(ONE, &exchange(Role::Client, "/a", None), None);
    let check = |name, expect: &[(&str, &str)]| {
        let expect: Vec<_> =
            expect.iter().map(|(of, count)| ((*of).to_owned(), (*count).to_owned())).collect();
        assert_eq!(told(&red, ONE, name), expect);
    };
    let server = "steth.request.role=server";
    let cause = |cause| format!("{server} steth.request.wait.cause={cause}");
    check(
        "steth.request.wait.duration",
        &[
            (&cause("disk"), "1"),
            (&cause("lock"), "1"),
            (&cause("receive_queue"), "2"),
            (&cause("run_queue"), "1"),
        ],
    );
    check("steth.request.cpu.duration", &[(server, "1")]);
    check("steth.request.first_byte.duration", &[(server, "2")]);
}

/// Spans that stand for buckets, of every series of a service.
fn exemplars(red: &Red, entity: EntityId) -> Vec<[u8; 8]> {
    let scopes = red.snapshot();
    let scopes = scopes.iter().filter(|(of, _)| *of == entity);
    let points = scopes.filter_map(|(_, scope)| scope.metrics.first()).flat_map(|m| &m.points);
    let spans = points.flat_map(|point| match &point.data {
        Data::Histogram(held) => (0..20).filter_map(|at| held.exemplars.of_bucket(at)).collect(),
        _ => Vec::new(),
    });
    spans.map(|exemplar| exemplar.span).collect()
}

fn sample(red: &Red, counted: Counted, span: u8) -> Sample {
    Sample {
        role: Role::Server,
        counted,
        route: red.route(ONE, Role::Server, "/a").map(|route| route.text),
        trace: [1; 16],
        span: [span; 8],
        ended: Timestamp(2_001_000),
        values: [2_000_000, 0, 612],
    }
}

#[test]
fn a_kept_span_stands_for_the_bucket_it_was_counted_in() {
    let mut red = red(Config { series_per_service: 1, ..Config::default() });
    let anchor = Anchor::default();
    let counted = red.observe(ONE, &exchange(Role::Server, "/a", Some(200)), None);
    let over = red.observe(ONE, &exchange(Role::Server, "/a", Some(500)), None);
    let (one, two) = (sample(&red, counted, 1), sample(&red, over, 2));
    red.exemplify(ONE, &one, &anchor);
    red.exemplify(ONE, &two, &anchor);
    red.exemplify(TWO, &one, &anchor);
    assert_eq!(exemplars(&red, ONE), [[1; 8], [2; 8]]);
    assert_eq!(exemplars(&red, TWO), [[0; 8]; 0]);
    // A route's number may be another route's by the time that its span is kept.
    let other = Sample { route: Some("/other".into()), span: [3; 8], ..one };
    red.exemplify(ONE, &other, &anchor);
    assert_eq!(exemplars(&red, ONE), [[1; 8], [2; 8]]);
    red.tick(WallTime(20));
    assert_eq!(exemplars(&red, ONE).len(), 2);
    red.tick(WallTime(30));
    assert_eq!((exemplars(&red, ONE).len(), red.exemplars), (0, 0));
}
