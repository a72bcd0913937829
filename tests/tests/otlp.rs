//! What the real Collector received is what was counted, over every transport and in every form.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use steth_tests::agent::{Agent, free_port};
use steth_tests::collector::{Collector, Kind, Point, Received};
use steth_tests::conventions;
use steth_tests::receiver::{Manner, Receiver};
use steth_tests::traffic::Traffic;

const DURATION: &str = "http.server.request.duration";
const ASKED: &str = "http.client.request.duration";
/// Tells the agents of one test apart at their common collector.
const RUN: &str = "test.run";

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// One way of sending.
struct Way {
    run: &'static str,
    grpc: bool,
    environment: &'static [(&'static str, &'static str)],
    kind: Kind,
    delta: bool,
}

const EXPLICIT: (&str, &str) =
    ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "explicit_bucket_histogram");
const DELTA: (&str, &str) = ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta");
const COMPRESSION: &str = "OTEL_EXPORTER_OTLP_COMPRESSION";

const WAYS: &[Way] = &[
    Way {
        run: "grpc-gzip",
        grpc: true,
        environment: &[(COMPRESSION, "gzip")],
        kind: Kind::Exponential,
        delta: false,
    },
    Way {
        run: "grpc-none-explicit",
        grpc: true,
        environment: &[(COMPRESSION, "none"), EXPLICIT],
        kind: Kind::Explicit,
        delta: false,
    },
    Way {
        run: "grpc-zstd-delta",
        grpc: true,
        environment: &[(COMPRESSION, "zstd"), DELTA],
        kind: Kind::Exponential,
        delta: true,
    },
    Way {
        run: "http-gzip-explicit-delta",
        grpc: false,
        environment: &[(COMPRESSION, "gzip"), EXPLICIT, DELTA],
        kind: Kind::Explicit,
        delta: true,
    },
    Way {
        run: "http-none",
        grpc: false,
        environment: &[(COMPRESSION, "none")],
        kind: Kind::Exponential,
        delta: false,
    },
];

impl Way {
    fn start(&self, collector: &Collector) -> anyhow::Result<Agent> {
        let (endpoint, protocol) = if self.grpc {
            (collector.grpc(), "grpc")
        } else {
            (collector.http(), "http/protobuf")
        };
        let run = format!("{RUN}={}", self.run);
        let mut environment = vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_METRIC_EXPORT_INTERVAL", "1000"),
            ("OTEL_RESOURCE_ATTRIBUTES", &run),
        ];
        environment.extend_from_slice(self.environment);
        Agent::start_with(&[], &environment)
    }
}

#[test]
fn every_way_of_sending_brings_the_same_counts_as_the_page_and_the_client_know()
-> anyhow::Result<()> {
    const FIRST: u32 = 150;
    const SECOND: u32 = 75;
    let Some(collector) = Collector::start("otlp-collector")? else { return Ok(()) };
    let traffic = Traffic::start("otlp")?;
    let begun = now();
    let agents: Vec<Agent> =
        WAYS.iter().map(|way| way.start(&collector)).collect::<Result<_, _>>()?;
    traffic.ask(FIRST)?;
    // Two intervals at least, so that deltas have something to add up.
    let server = traffic.server();
    collector.received_when(|received| {
        WAYS.iter()
            .all(|way| received.from(RUN, way.run).total(server, DURATION) >= u64::from(FIRST))
    })?;
    traffic.ask(SECOND)?;
    let total = u64::from(FIRST + SECOND);
    let received = collector.received_when(|received| {
        WAYS.iter().all(|way| {
            let received = received.from(RUN, way.run);
            received.total(server, DURATION) >= total
                && received.total(traffic.client(), ASKED) >= total
                && received.total("steth", "steth.exchange.reported") >= 2 * total
        })
    })?;
    for (way, agent) in WAYS.iter().zip(&agents) {
        let page = agent.metrics()?;
        let received = received.from(RUN, way.run);
        let said = format!("{}: {}", way.run, agent.log());
        assert_eq!(page.served(server, &[]), total, "{said}");
        assert_eq!(page.asked(traffic.client(), &[]), total, "{said}");
        for (service, name) in [(server, DURATION), (traffic.client(), ASKED)] {
            let series = received.series(service, name);
            let last: Vec<_> = series.iter().filter_map(|points| points.last()).collect();
            assert_eq!(received.total(service, name), total, "{said}\n{last:#?}");
        }
        for point in received.of(server, DURATION).chain(received.of(traffic.client(), ASKED)) {
            check_point(way, point, begun);
        }
        check_times(way, &received, server);
        check_times(way, &received, traffic.client());
        assert!(received.of("steth", "steth.exchange.reported").next().is_some(), "{said}");
    }
    Ok(())
}

fn check_point(way: &Way, point: &Point, begun: u64) {
    let run = way.run;
    assert_eq!(point.kind, way.kind, "{run}");
    assert_eq!(point.delta, way.delta, "{run}");
    assert_eq!(point.unit, "s", "{run}");
    assert_eq!(point.schema, "https://opentelemetry.io/schemas/1.44.0", "{run}");
    assert_eq!(point.buckets.iter().sum::<u64>(), point.count, "{run}: {point:?}");
    if way.kind == Kind::Explicit {
        let advised =
            [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
        assert_eq!(point.bounds, advised, "{run}");
    }
    assert!(point.start >= begun, "{run}: began before the agent: {point:?}");
    assert!(point.start < point.time && point.time <= now(), "{run}: {point:?}");
    for key in [
        "service.name",
        "service.instance.id",
        "host.name",
        "host.arch",
        "os.type",
        "telemetry.sdk.name",
        "telemetry.sdk.version",
    ] {
        assert!(!point.of(key).is_empty(), "{run}: no {key} in {:?}", point.resource);
    }
}

/// A cumulative series keeps its start; a delta begins where the one before ended.
fn check_times(way: &Way, received: &Received, service: &str) {
    for name in [DURATION, ASKED] {
        for series in received.series(service, name) {
            for pair in series.windows(2) {
                let [before, after] = pair else { continue };
                let expect = if way.delta { before.time } else { before.start };
                assert_eq!(after.start, expect, "{}: {name} of {service}", way.run);
                assert!(after.time > before.time, "{}: {name} of {service}", way.run);
            }
        }
    }
}

#[test]
fn a_collector_that_was_away_has_the_right_counts_as_soon_as_it_is_back() -> anyhow::Result<()> {
    const AWAY: Duration = Duration::from_secs(20);
    let Some(mut collector) = Collector::start("away-collector")? else { return Ok(()) };
    let traffic = Traffic::start("away")?;
    let agent = Agent::start(&["--interval", "1s", "--otlp-endpoint", &collector.http()])?;
    let server = traffic.server().to_owned();
    traffic.ask(50)?;
    let before = collector.received_when(|received| received.total(&server, DURATION) == 50)?;
    assert_eq!(before.total(&server, DURATION), 50, "{}", agent.log());
    let rss = |agent: &Agent| -> anyhow::Result<u64> {
        Ok(agent.status()?["agent"]["rss_bytes"].as_u64().unwrap_or_default())
    };
    let resident = rss(&agent)?;

    collector.go_away();
    let gone = Instant::now();
    let mut asked = 50;
    while gone.elapsed() < AWAY {
        traffic.ask(20)?;
        asked += 20;
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(agent.metrics()?.served(&server, &[]), asked, "{}", agent.log());
    let grown = rss(&agent)?.saturating_sub(resident);
    assert!(grown < 8 << 20, "{grown} bytes grown in {AWAY:?} without a collector");
    let complaints = agent.log().lines().filter(|line| line.contains("OTLP")).count();
    assert!((1..=3).contains(&complaints), "{complaints} lines in {AWAY:?}: {}", agent.log());

    let back = now();
    collector.come_back()?;
    let received = collector
        .received_when(|received| received.of(&server, DURATION).any(|point| point.time > back))?;
    // The first that comes is a whole one.
    let first: Vec<&Point> =
        received.of(&server, DURATION).skip_while(|point| point.time <= back).collect();
    let counted = first.first().map_or(0, |point| point.count);
    assert_eq!(counted, asked, "{}", agent.log());
    let starts: BTreeSet<u64> = received.of(&server, DURATION).map(|point| point.start).collect();
    assert_eq!(starts.len(), 1, "the start has moved: {starts:?}");
    Ok(())
}

#[test]
fn the_last_counts_arrive_before_the_agent_ends() -> anyhow::Result<()> {
    for protocol in ["grpc", "http/protobuf"] {
        let Some(collector) = Collector::start("end-collector")? else { return Ok(()) };
        let traffic = Traffic::start("end")?;
        let endpoint = if protocol == "grpc" { collector.grpc() } else { collector.http() };
        // So long an interval that only the end can send anything.
        let mut agent = Agent::start_with(
            &["--interval", "1h", "--otlp-endpoint", &endpoint],
            &[("STETH_OTLP_PROTOCOL", protocol)],
        )?;
        traffic.ask(30)?;
        let (status, took) = agent.terminate()?;
        assert!(status.success(), "{protocol}: {status}: {}", agent.log());
        assert!(took < Duration::from_secs(5), "{protocol}: {took:?}: {}", agent.log());
        let own = "steth.exchange.reported";
        let received = collector.received_when(|received| {
            received.total(traffic.server(), DURATION) == 30 && received.total("steth", own) >= 60
        })?;
        assert_eq!(received.total(traffic.server(), DURATION), 30, "{protocol}: {}", agent.log());
        let own = received.total("steth", own);
        assert!(own >= 60, "{protocol}: {own} of 60 in its own last values: {}", agent.log());
    }
    Ok(())
}

#[test]
fn the_agent_and_its_receiver_are_watched_only_if_asked_for() -> anyhow::Result<()> {
    for asked_for in ["false", "true"] {
        let Some(collector) = Collector::start("watched-collector")? else { return Ok(()) };
        let agent = Agent::start_with(
            &["--interval", "1s", "--otlp-endpoint", &collector.http()],
            &[("STETH_OBSERVE_SELF", asked_for), ("STETH_OBSERVE_RECEIVERS", asked_for)],
        )?;
        // A few exports.
        collector
            .received_when(|received| received.of("steth", "steth.exchange.seen").count() >= 3)?;
        let page = agent.metrics()?;
        let port = collector.http().rsplit(':').next().unwrap_or_default().to_owned();
        let sent = page
            .sum("http_client_request_duration_seconds_count", &[("server_port", port.as_str())]);
        let answered = page.served("watched-collector", &[]);
        if asked_for == "true" {
            assert!(sent >= 2, "{sent} of the agent's requests: {}", agent.get("/metrics")?);
            assert!(answered >= 2, "{answered} at its receiver: {}", agent.get("/metrics")?);
        } else {
            assert_eq!((sent, answered), (0, 0), "{}", agent.get("/metrics")?);
        }
    }
    Ok(())
}

/// The agent's export points that came to this end, as it says itself.
fn points(agent: &Agent, outcome: &str) -> anyhow::Result<u64> {
    Ok(agent.metrics()?.sum("steth_export_points_total", &[("steth_outcome", outcome)]))
}

#[test]
fn a_collector_that_misbehaves_costs_points_that_are_counted_and_nothing_else() -> anyhow::Result<()>
{
    // ExportMetricsServiceResponse { partial_success: { rejected_data_points: 2, error_message: "no" } }
    let partial = vec![0x0a, 0x06, 0x08, 0x02, 0x12, 0x02, b'n', b'o'];
    let manner = |status, body, delay| Manner { status, body, delay: Duration::from_millis(delay) };
    let cases = [
        ("refuses", manner(400, Vec::new(), 0), "dropped", "refused"),
        ("takes a part", manner(200, partial, 0), "rejected", "in part"),
        ("is too busy", manner(503, Vec::new(), 0), "dropped", "repeated"),
        ("is slow", manner(200, Vec::new(), 2_500), "dropped", "repeated"),
        ("speaks in tongues", manner(200, vec![0xff; 4096], 0), "", ""),
    ];
    let traffic = Traffic::start("misbehaving")?;
    for (name, manner, outcome, complaint) in cases {
        let receiver = Receiver::start(&manner)?;
        let mut agent = Agent::start_with(
            &["--interval", "1s", "--otlp-endpoint", &receiver.url()],
            &[("STETH_OTLP_TIMEOUT", "1s")],
        )?;
        traffic.ask(10)?;
        let deadline = Instant::now() + Duration::from_secs(15);
        let served = |agent: &Agent| -> anyhow::Result<bool> {
            let lost = outcome.is_empty() || points(agent, outcome)? > 0;
            Ok(lost && receiver.requests() >= 3)
        };
        while !served(&agent)? && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!(served(&agent)?, "{name}: {} requests\n{}", receiver.requests(), agent.log());
        assert!(agent.log().contains(complaint), "{name}: {}", agent.log());
        let lines = agent.log().lines().filter(|line| line.contains("OTLP")).count();
        assert!(lines <= 3, "{name}: {lines} lines: {}", agent.log());
        assert_eq!(agent.metrics()?.served(traffic.server(), &[]), 10, "{name}");
        let (status, took) = agent.terminate()?;
        assert!(status.success() && took < Duration::from_secs(12), "{name}: {status} {took:?}");
    }
    Ok(())
}

#[test]
fn everything_that_comes_out_is_in_the_conventions_or_our_registry() -> anyhow::Result<()> {
    let Some(conventions) = conventions::read()? else { return Ok(()) };
    let Some(collector) = Collector::start("names-collector")? else { return Ok(()) };
    let traffic = Traffic::start("names")?;
    let agent =
        Agent::start(&["--stats", "--interval", "1s", "--otlp-endpoint", &collector.http()])?;
    let at = format!("http://127.0.0.1:{}", traffic.port());
    traffic.ask(5)?;
    traffic.curl(&["--data", "a=1", &format!("{at}/items/1")])?;
    traffic.curl(&["--request", "PURGE", &format!("{at}/items/1"), &format!("{at}/gone/1")])?;
    traffic.curl(&["--http1.0", &format!("{at}/broken/1")])?;
    // Nobody listens there: curl's own failure is what is wanted.
    let _refused = traffic.curl(&[&format!("http://127.0.0.1:{}/", free_port()?)]);
    let expected = [
        "http.server.request.duration",
        "http.client.request.duration",
        "http.server.request.body.size",
        "http.server.response.body.size",
        "http.client.request.body.size",
        "http.client.response.body.size",
        "steth.tcp.connect.failures",
        "steth.exchange.seen",
        "steth.exchange.reported",
        "steth.record.seen",
        "steth.bpf.program.runs",
        "steth.bpf.program.time",
        "steth.cpu.time",
        "steth.memory.usage",
        "steth.export.points",
        "steth.export.requests",
    ];
    let names = |received: &Received| -> BTreeSet<String> {
        received.0.iter().map(|point| point.name.clone()).collect()
    };
    let received = collector.received_when(|received| {
        let names = names(received);
        expected.iter().all(|name| names.contains(*name))
    })?;
    let there = names(&received);
    for name in expected {
        assert!(there.contains(name), "{name} never came: {there:?}\n{}", agent.log());
    }
    let mut faults = BTreeSet::new();
    for point in &received.0 {
        let kind = match point.kind {
            Kind::Counter => "counter",
            Kind::UpDownCounter => "updowncounter",
            Kind::Gauge => "gauge",
            Kind::Explicit | Kind::Exponential => "histogram",
        };
        let is = (kind.to_owned(), point.unit.clone());
        match conventions.metrics.get(&point.name) {
            Some(should) if *should == is => {}
            other => {
                faults.insert(format!("{} is {is:?}, should be {other:?}", point.name));
            }
        }
        let all = point.attributes.iter().chain(&point.resource);
        faults.extend(all.filter_map(|(key, value)| conventions.fault_of(key, value)));
    }
    assert!(faults.is_empty(), "{faults:#?}");
    Ok(())
}
