//! The far end of a call, from what the API server says of an address to what is told of requests and connects.

use agent_common::record::{ConnectFailed, Kind};
use zerocopy::IntoBytes;

use super::*;
use crate::cluster::{self, Pod, PodUid, Service, ServiceUid, Source};
use crate::event::{Nanos, Peer};
use crate::host::{Facts, Machine, Process, Unread};
use crate::metric::key::{SERVICE_PEER_NAME, SERVICE_PEER_NAMESPACE};
use crate::metric::snapshot::{Attribute, Value, WallTime};
use crate::protocol::{Course, Lines, Method};
use crate::trace::sampling::{Parent, Sampler, Threshold};

/// They are in no pod and wait for nothing.
struct Nobody;

impl Facts for Nobody {
    fn process(&mut self, _: Pid) -> Result<Process, Unread> {
        Err(Unread::Vanished)
    }

    fn pids(&mut self, _: usize) -> Vec<Pid> {
        Vec::new()
    }
}

const ANCHOR: Anchor =
    Anchor { monotonic: Timestamp(0), boot: Nanos(0), wall: WallTime(1_000_000) };

fn pipeline() -> Pipeline {
    let registry =
        Registry::new(crate::entity::Config::default(), Machine::default(), Box::new(Nobody));
    let sampler = Sampler { threshold: Threshold::ALL, parent: Parent::Keeps, tail: true };
    let trace = trace::Config { sampler, ..crate::config::Config::default().trace([1; 4], 100) };
    let config = Config { trace: Some(trace), ..Config::default() };
    Pipeline::new(config, registry, &ANCHOR)
}

fn peer(address: [u8; 4]) -> Peer {
    let address = std::net::Ipv4Addr::from(address).to_ipv6_mapped().octets();
    Peer { address, port: 80, local_port: 40_000 }
}

fn asked(pipeline: &mut Pipeline, conn: u64, address: [u8; 4]) {
    let exchange = Exchange {
        conn: ConnId(conn << 8),
        pid: Pid(7),
        role: Role::Client,
        method: Method::Get,
        path: "/",
        authority: Some(Authority { host: "cart.shop", port: None }),
        version: None,
        status: Some(200),
        fault: None,
        begun: Timestamp(conn * 1000),
        ended: Timestamp(conn * 1000 + 500),
        request_body: 0,
        response_body: 0,
        peer: peer(address),
        lines: Lines::new(b"GET / HTTP/1.1\r\nHost: cart.shop\r\n\r\n", true),
        position: None,
        course: Course::default(),
    };
    let mut next = Next {
        entities: &mut pipeline.entities,
        red: &mut pipeline.red,
        trace: pipeline.trace.as_mut(),
        paths: &pipeline.paths,
        verdicts: &mut pipeline.verdicts,
        filtered: &mut pipeline.counters.filtered,
    };
    next.exchange(&exchange);
}

/// `namespace/name` of the far end.
fn far(attributes: &[Attribute]) -> String {
    let of = |wanted| match attributes.iter().find(|(key, _)| *key == wanted) {
        Some((_, Value::Text(text))) => text.to_string(),
        _ => String::new(),
    };
    format!("{}/{}", of(SERVICE_PEER_NAMESPACE), of(SERVICE_PEER_NAME))
}

/// Far ends of all points of an instrument, and of all spans.
fn told(pipeline: &mut Pipeline, instrument: &str) -> (Vec<String>, Vec<String>) {
    let snapshot = pipeline.snapshot(&ANCHOR);
    let scopes = snapshot.resources.iter().flat_map(|of| &of.scopes);
    let metrics = scopes.flat_map(|scope| &scope.metrics);
    let metrics = metrics.filter(|metric| metric.instrument.name == instrument);
    let points = metrics.flat_map(|metric| &metric.points);
    let mut points: Vec<_> = points.map(|point| far(&point.attributes)).collect();
    points.sort();
    pipeline.end_spans();
    let spans = pipeline.spans(&ANCHOR).services.into_iter().flat_map(|(_, spans)| spans);
    let mut spans: Vec<_> = spans.map(|span| far(&span.attributes)).collect();
    spans.sort();
    (points, spans)
}

fn learn(pipeline: &mut Pipeline) {
    let mut pod = Pod::new(PodUid::new("u1"), "shop", "cart-0");
    pod.addresses = vec![[10, 0, 0, 7].into()];
    pipeline.learn(News::Pod(Source::Server, Box::new(pod), Vec::new()));
    let service = Service {
        uid: ServiceUid("s1".into()),
        name: "pay".into(),
        namespace: "bank".into(),
        addresses: vec![[10, 96, 0, 7].into()],
    };
    pipeline.learn(News::Services(vec![service], 0));
}

#[test]
fn requests_say_which_pod_or_service_they_went_to() {
    let mut pipeline = pipeline();
    pipeline.entities().join_cluster(cluster::Config::default());
    asked(&mut pipeline, 1, [10, 0, 0, 7]);
    learn(&mut pipeline);
    for (conn, address) in
        [(2, [10, 0, 0, 7]), (3, [10, 96, 0, 7]), (4, [192, 0, 2, 7]), (5, [127, 0, 0, 1])]
    {
        asked(&mut pipeline, conn, address);
    }
    let (points, spans) = told(&mut pipeline, "http.client.request.duration");
    // Those of whom nothing is known are in one series.
    assert_eq!(points, ["/", "bank/pay", "shop/cart-0"]);
    assert_eq!(spans, ["/", "/", "/", "bank/pay", "shop/cart-0"]);
}

#[test]
fn a_connect_that_failed_says_to_whom() {
    let mut pipeline = pipeline();
    pipeline.entities().join_cluster(cluster::Config::default());
    learn(&mut pipeline);
    let kind = Kind::ConnectFailed as u8;
    let peer = peer([10, 96, 0, 7]);
    let failed = ConnectFailed {
        kind,
        tgid: 7,
        begun: 5,
        time: 9,
        errno: 111,
        peer,
        ..ConnectFailed::default()
    };
    pipeline.record(failed.as_bytes());
    let (points, spans) = told(&mut pipeline, "steth.tcp.connect.failures");
    assert_eq!((points, spans), (vec!["bank/pay".to_owned()], vec!["bank/pay".to_owned()]));
}

#[test]
fn outside_of_a_cluster_nobody_is_looked_for() {
    let mut pipeline = pipeline();
    learn(&mut pipeline);
    asked(&mut pipeline, 1, [10, 0, 0, 7]);
    assert!(pipeline.entities().fars().is_none());
    let (points, spans) = told(&mut pipeline, "http.client.request.duration");
    assert_eq!((points, spans), (vec!["/".to_owned()], vec!["/".to_owned()]));
}
