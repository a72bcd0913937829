//! Golden texts, names one by one, and promtool over every instrument there is.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::{Format, name, render, render_counted};
use crate::export::sample;
use crate::metric::exemplar::Exemplar;
use crate::metric::exposition;
use crate::metric::histogram::Histogram;
use crate::metric::instrument::{self, Bounds, Instrument, Kind, Scale};
use crate::metric::key::{
    CONTAINER_ID, HOST_NAME, HTTP_ROUTE, K8S_POD_NAME, Key, PROCESS_COMMAND_ARGS,
    SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_VERSION, STETH_CGROUP_PATH,
};
use crate::metric::snapshot::{
    Attribute, Data, Metric, Number, Point, Resource, ResourceMetrics, Scope, Snapshot, Value,
    WallTime,
};

static BOUNDED: Instrument = Instrument {
    name: "test.wait.duration",
    unit: "s",
    description: "Time \\ to \"wait\".",
    kind: Kind::Histogram(&const { Bounds::new(&[0.25, 1.0]) }),
    scale: Scale::NanosToSeconds,
    ..Instrument::BLANK
};

static LOAD: Instrument = Instrument {
    name: "test.load",
    unit: "1",
    description: "Load.",
    kind: Kind::Gauge,
    scale: Scale::One,
    ..Instrument::BLANK
};

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn point(attributes: &[Attribute], data: Data) -> Point {
    Point { attributes: attributes.into(), start: WallTime(1), data }
}

fn of(attributes: Vec<Attribute>, metrics: Vec<Metric>) -> ResourceMetrics {
    let resource = Arc::new(Resource { attributes });
    ResourceMetrics { resource, scopes: vec![Scope { name: "steth/test", metrics }] }
}

fn example() -> Snapshot {
    let mut histogram = Histogram::new(&BOUNDED);
    for millis in [250, 500, 4000] {
        histogram.record(&BOUNDED, millis * 1_000_000);
    }
    let time = WallTime(1_700_558_734_853_999_999);
    let exemplar = Exemplar { trace: [0x4b; 16], span: [0x0f; 8], time, value: 500_000_000 };
    histogram.exemplify(&BOUNDED, exemplar);
    let number = |number| Data::Number(number);
    let shop = of(
        vec![
            (SERVICE_NAME, text("shop")),
            (SERVICE_NAMESPACE, text("eu")),
            (SERVICE_INSTANCE_ID, text("a-1")),
            (SERVICE_VERSION, text("1.2")),
            (PROCESS_COMMAND_ARGS, Value::List(["a\"b".into(), "c".into()].into())),
        ],
        vec![
            Metric {
                instrument: &BOUNDED,
                points: vec![point(
                    &[(HTTP_ROUTE, text("/a\\b\"c\nd"))],
                    Data::Histogram(Box::new(histogram)),
                )],
            },
            Metric {
                instrument: &sample::REQUESTS,
                points: vec![
                    point(&[(HTTP_ROUTE, text("/z"))], number(Number::Int(7))),
                    point(&[(HTTP_ROUTE, text("/a"))], number(Number::Int(3))),
                    point(&[(HTTP_ROUTE, text("/gone"))], Data::Ended),
                ],
            },
        ],
    );
    let host = of(
        vec![(SERVICE_NAME, text("cart"))],
        vec![
            Metric {
                instrument: &sample::CPU_TIME,
                points: vec![point(&[], number(Number::Int(1_500_000_000)))],
            },
            Metric { instrument: &LOAD, points: vec![point(&[], number(Number::Double(2.0)))] },
        ],
    );
    Snapshot { time: WallTime(9), resources: vec![shop, host] }
}

#[test]
fn prometheus_text() {
    let expect = r#"# HELP target_info What is observed, by job and instance.
# TYPE target_info gauge
target_info{job="cart"} 1
target_info{instance="a-1",job="eu/shop",process_command_args="[\"a\\\"b\",\"c\"]",service_version="1.2"} 1
# HELP test_cpu_time_seconds_total Processor time.
# TYPE test_cpu_time_seconds_total counter
test_cpu_time_seconds_total{job="cart"} 1.5
# HELP test_load_ratio Load.
# TYPE test_load_ratio gauge
test_load_ratio{job="cart"} 2
# HELP test_requests_total Requests.
# TYPE test_requests_total counter
test_requests_total{http_route="/a",instance="a-1",job="eu/shop"} 3
test_requests_total{http_route="/z",instance="a-1",job="eu/shop"} 7
# HELP test_wait_duration_seconds Time \\ to "wait".
# TYPE test_wait_duration_seconds histogram
test_wait_duration_seconds_bucket{http_route="/a\\b\"c\nd",instance="a-1",job="eu/shop",le="0.25"} 1
test_wait_duration_seconds_bucket{http_route="/a\\b\"c\nd",instance="a-1",job="eu/shop",le="1"} 2
test_wait_duration_seconds_bucket{http_route="/a\\b\"c\nd",instance="a-1",job="eu/shop",le="+Inf"} 3
test_wait_duration_seconds_sum{http_route="/a\\b\"c\nd",instance="a-1",job="eu/shop"} 4.75
test_wait_duration_seconds_count{http_route="/a\\b\"c\nd",instance="a-1",job="eu/shop"} 3
"#;
    assert_eq!(render(&example(), Format::Text), expect);
}

#[test]
fn open_metrics() {
    let expect = r#"# HELP target What is observed, by job and instance.
# TYPE target info
target_info{job="cart"} 1
target_info{instance="a-1",job="eu/shop",process_command_args="[\"a\\\"b\",\"c\"]",service_version="1.2"} 1
# HELP test_cpu_time_seconds Processor time.
# TYPE test_cpu_time_seconds counter
# UNIT test_cpu_time_seconds seconds
test_cpu_time_seconds_total{job="cart"} 1.5
# HELP test_load_ratio Load.
# TYPE test_load_ratio gauge
# UNIT test_load_ratio ratio
test_load_ratio{job="cart"} 2.0
# HELP test_requests Requests.
# TYPE test_requests counter
test_requests_total{http_route="/a",instance="a-1",job="eu/shop"} 3
test_requests_total{http_route="/z",instance="a-1",job="eu/shop"} 7
# HELP test_wait_duration_seconds Time \\ to \"wait\".
# TYPE test_wait_duration_seconds histogram
# UNIT test_wait_duration_seconds seconds
test_wait_duration_seconds_bucket{http_route="/a\\b\"c\nd",instance="a-1",job="eu/shop",le="0.25"} 1
test_wait_duration_seconds_bucket{http_route="/a\\b\"c\nd",instance="a-1",job="eu/shop",le="1.0"} 2 # {trace_id="4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b",span_id="0f0f0f0f0f0f0f0f"} 0.5 1700558734.853
test_wait_duration_seconds_bucket{http_route="/a\\b\"c\nd",instance="a-1",job="eu/shop",le="+Inf"} 3
test_wait_duration_seconds_sum{http_route="/a\\b\"c\nd",instance="a-1",job="eu/shop"} 4.75
test_wait_duration_seconds_count{http_route="/a\\b\"c\nd",instance="a-1",job="eu/shop"} 3
# EOF
"#;
    assert_eq!(render(&example(), Format::OpenMetrics), expect);
}

#[test]
fn one_target_is_told_of_each_job_and_instance() {
    let gauge = |value| {
        let points = vec![point(&[], Data::Number(Number::Int(value)))];
        vec![Metric { instrument: &LOAD, points }]
    };
    let host = (HOST_NAME, text("node"));
    let group = |path| (STETH_CGROUP_PATH, text(path));
    let snapshot = Snapshot {
        time: WallTime(9),
        resources: vec![
            of(vec![host.clone()], gauge(1)),
            of(vec![host.clone(), group("/a")], gauge(2)),
            of(vec![host.clone(), (CONTAINER_ID, text("c1")), group("/docker/c1")], gauge(3)),
            of(vec![host, (K8S_POD_NAME, text("cart-0")), group("/kubepods/podu")], gauge(4)),
        ],
    };
    let expect = r#"# HELP target_info What is observed, by job and instance.
# TYPE target_info gauge
target_info{host_name="node"} 1
# HELP test_load_ratio Load.
# TYPE test_load_ratio gauge
test_load_ratio 1
test_load_ratio{container_id="c1",steth_cgroup_path="/docker/c1"} 3
test_load_ratio{k8s_pod_name="cart-0",steth_cgroup_path="/kubepods/podu"} 4
test_load_ratio{steth_cgroup_path="/a"} 2
"#;
    assert_eq!(render(&snapshot, Format::Text), expect);
}

#[test]
fn nothing_is_an_empty_text() {
    assert_eq!(render(&Snapshot::default(), Format::Text), "");
    assert_eq!(render(&Snapshot::default(), Format::OpenMetrics), "# EOF\n");
}

#[test]
fn the_order_of_resources_makes_no_difference() {
    let mut turned = example();
    turned.resources.reverse();
    turned.resources[1].scopes[0].metrics.reverse();
    assert_eq!(render(&turned, Format::Text), render(&example(), Format::Text));
}

#[test]
fn series_that_would_clash_are_left_out_and_counted() {
    let mut twice = example();
    twice.resources.extend(example().resources);
    twice.resources[0].scopes[0].metrics[1].points[0].data =
        Data::Histogram(Box::new(sample::quarters(1)));
    let rendered = render_counted(&twice, Format::Text);
    assert_eq!((rendered.clashes, rendered.malformed), (4, 1));
    assert_eq!(rendered.text, render(&example(), Format::Text));
}

#[test]
fn names_get_their_unit_and_kind() {
    let check = |name, unit, kind, expect: &str| {
        let instrument = Instrument { name, unit, kind, ..Instrument::BLANK };
        assert_eq!(exposition::name(&instrument), expect, "{name} {unit} {kind:?}");
    };
    check(
        "http.server.request.duration",
        "s",
        Kind::Histogram(&const { Bounds::new(&[]) }),
        "http_server_request_duration_seconds",
    );
    check(
        "http.server.active_requests",
        "{request}",
        Kind::UpDownCounter,
        "http_server_active_requests",
    );
    check("process.cpu.time", "s", Kind::Counter, "process_cpu_time_seconds_total");
    check("process.memory.usage", "By", Kind::UpDownCounter, "process_memory_usage_bytes");
    check("system.network.io", "By", Kind::Counter, "system_network_io_bytes_total");
    check("disk.rate", "By/s", Kind::Gauge, "disk_rate_bytes_per_second");
    check("request.rate", "{request}/s", Kind::Gauge, "request_rate_per_second");
    check("cpu.utilization", "1", Kind::Gauge, "cpu_utilization_ratio");
    check("cpu.count", "1", Kind::Counter, "cpu_count_total");
    check("wait.seconds", "s", Kind::Gauge, "wait_seconds");
    check("total.bytes.total", "By", Kind::Counter, "bytes_total");
    check("a..b-c/d", "", Kind::Gauge, "a_b_c_d");
    check("5xx.rate", "", Kind::Gauge, "_5xx_rate");
}

#[test]
fn label_names_are_made_valid() {
    let check = |key: &str, expect: &str| assert_eq!(name::label(key), expect);
    check("http.route", "http_route");
    check("a..b--c", "a_b_c");
    check("9lives", "key_9lives");
    check("ümlaut", "_mlaut");
    check("", "_");
}

proptest::proptest! {
    #[test]
    fn any_text_becomes_a_name_that_is_allowed(key in ".{0,30}", value in ".{0,30}") {
        let name = name::label(&key);
        assert!(!name.starts_with(|first: char| first.is_ascii_digit()), "{name}");
        assert!(!name.is_empty() && !name.contains("__"), "{name}");
        assert!(name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric()), "{name}");
        let escaped = name::escaped(&value);
        assert!(!escaped.contains('\n'));
        let back = escaped.replace("\\\\", "\0").replace("\\\"", "\"").replace("\\n", "\n");
        assert_eq!(back.replace('\0', "\\"), value.replace('\0', "\\"));
    }
}

#[test]
fn keys_that_become_the_same_name_keep_both_values() {
    let attributes = [(Key("a.b"), text("1")), (Key("a_b"), text("2"))];
    let metrics = vec![Metric {
        instrument: &LOAD,
        points: vec![point(&attributes, Data::Number(Number::Int(1)))],
    }];
    let snapshot = Snapshot { time: WallTime(1), resources: vec![of(Vec::new(), metrics)] };
    assert!(render(&snapshot, Format::Text).ends_with("test_load_ratio{a_b=\"1;2\"} 1\n"));
}

#[test]
fn open_metrics_is_for_those_who_ask() {
    let check = |accept, expect| assert_eq!(Format::accepted(accept), expect, "{accept:?}");
    check(None, Format::Text);
    check(Some(""), Format::Text);
    check(Some("*/*"), Format::Text);
    check(Some("text/html,application/xhtml+xml,*/*;q=0.8"), Format::Text);
    check(Some("application/openmetrics-text"), Format::OpenMetrics);
    check(
        Some(
            "application/openmetrics-text;version=1.0.0;q=0.5,\
             application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        ),
        Format::OpenMetrics,
    );
    check(Some("text/plain, application/openmetrics-text; q=0.5"), Format::Text);
    check(Some("application/openmetrics-text;q=0, */*"), Format::Text);
    check(Some("Application/OpenMetrics-Text; Q=x"), Format::Text);
    assert_eq!(Format::Text.content_type(), "text/plain; version=0.0.4; charset=utf-8");
}

/// Every instrument that the agent has, with one series.
fn everything() -> Snapshot {
    let metrics = instrument::all()
        .map(|instrument| {
            let data = if let Kind::Histogram(_) = instrument.kind {
                let mut histogram = Histogram::new(instrument);
                histogram.record(instrument, 1);
                Data::Histogram(Box::new(histogram))
            } else {
                Data::Number(Number::Int(1))
            };
            Metric { instrument, points: vec![point(&[(HTTP_ROUTE, text("/\\\"\n"))], data)] }
        })
        .collect();
    let resource = vec![(SERVICE_NAME, text("shop"))];
    Snapshot { time: WallTime(9), resources: vec![of(resource, metrics)] }
}

#[test]
fn promtool_finds_no_fault() {
    for snapshot in [example(), everything()] {
        let started = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut promtool = match started {
            Ok(promtool) => promtool,
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "promtool: {error}");
                println!("left out: no promtool ({error})");
                return;
            }
        };
        let rendered = render_counted(&snapshot, Format::Text);
        assert_eq!((rendered.clashes, rendered.malformed), (0, 0));
        promtool.stdin.take().unwrap().write_all(rendered.text.as_bytes()).unwrap();
        let output = promtool.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // Names of the conventions that end in `count` are what they are; promtool leaves with 3 when
        // it finds fault with anything.
        let mut found = said.lines().filter(|line| !line.ends_with("have \"_count\" suffix"));
        assert_eq!(found.next(), None, "{said}\n{}", rendered.text);
        assert!(matches!(output.status.code(), Some(0 | 3)), "{}", output.status);
    }
}
