//! Own telemetry against real collectors, and without one.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data as MetricData;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as NumberValue;

use super::{Own, OwnStats};
use crate::export::config::{
    Aggregation, Compression, Metrics, Protocol, Target, Temporality, Tls,
};
use crate::export::sender::collector::Collector;

/// Long enough for a collector on this machine.
const FAREWELL: Duration = Duration::from_secs(30);
const PROTOCOLS: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobuf];

fn metrics(address: &str, protocol: Protocol, compression: Compression) -> Metrics {
    let path = if protocol == Protocol::Grpc { "" } else { "/v1/metrics" };
    let mut key = hyper::header::HeaderValue::from_static("secret");
    key.set_sensitive(true);
    let target = Target {
        endpoint: format!("http://{address}{path}").parse().unwrap(),
        protocol,
        headers: vec![(hyper::header::HeaderName::from_static("api-key"), key)],
        timeout: Duration::from_secs(10),
        compression,
        tls: Tls::default(),
    };
    Metrics {
        target,
        temporality: Temporality::Cumulative,
        histograms: Aggregation::Exponential,
        max_age: Duration::from_mins(5),
    }
}

fn stats() -> OwnStats {
    OwnStats {
        seen: 10,
        reported: 7,
        lost: vec![("kernel", "ring_full", 2), ("protocol", "malformed", 1)],
        queue_bytes: 4096,
        cpu_user: 1_500_000_000,
        rss_bytes: 20 << 20,
        ..OwnStats::default()
    }
}

#[tokio::test]
async fn what_the_agent_counts_arrives_under_its_own_name() {
    for protocol in PROTOCOLS {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let collector = Collector::start(protocol, &[], None).await;
            let config = metrics(&collector.address.to_string(), protocol, compression);
            let given = [("deployment.environment.name".to_owned(), "test".to_owned())];
            let own = Own::start(&config, Duration::from_hours(1), "host-1", &given).unwrap();
            own.update(&stats());
            own.shutdown(FAREWELL).await;
            let taken = collector.taken();
            assert_eq!(taken.len(), 1, "{protocol:?} {compression:?}");
            assert_eq!(collector.header("api-key").as_deref(), Some("secret"));
            let [resource] = &taken[0].resource_metrics[..] else { panic!() };
            let attributes: BTreeMap<String, AnyValue> = resource
                .resource
                .as_ref()
                .unwrap()
                .attributes
                .iter()
                .map(|pair| (pair.key.clone(), pair.value.clone().unwrap().value.unwrap()))
                .collect();
            let expect = [
                ("deployment.environment.name", "test"),
                ("service.instance.id", "host-1"),
                ("service.name", "steth"),
                ("service.version", env!("CARGO_PKG_VERSION")),
            ]
            .map(|(key, value)| (key.to_owned(), AnyValue::StringValue(value.to_owned())));
            assert_eq!(attributes, BTreeMap::from(expect));
            let mut values: Vec<String> = Vec::new();
            for metric in resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
                let Some(MetricData::Sum(sum)) = &metric.data else { panic!() };
                for point in &sum.data_points {
                    let value = match point.value.unwrap() {
                        NumberValue::AsInt(value) => value.to_string(),
                        NumberValue::AsDouble(value) => value.to_string(),
                    };
                    values.push(format!("{} {} {value}", metric.name, point.attributes.len()));
                }
            }
            for expect in [
                "steth.exchange.seen 0 10",
                "steth.exchange.reported 0 7",
                "steth.exchange.lost 2 2",
                "steth.exchange.lost 2 1",
                "steth.cpu.time 1 1.5",
                "steth.memory.usage 0 20971520",
                "steth.export.queue.usage 1 4096",
                "steth.export.points 2 0",
            ] {
                assert!(values.iter().any(|value| value == expect), "{expect}: {values:?}");
            }
        }
    }
}

#[tokio::test]
async fn without_a_collector_it_starts_and_stops() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let check = async |protocol| {
        let config = metrics(&address, protocol, Compression::None);
        let own = Own::start(&config, Duration::from_hours(1), "host-1", &[]).unwrap();
        own.update(&stats());
        own.shutdown(FAREWELL).await;
        drop(Own::start(&config, Duration::from_hours(1), "host-1", &[]).unwrap());
    };
    tokio::join!(check(Protocol::Grpc), check(Protocol::HttpProtobuf));
}
