//! From variables to a collector: the whole stage over real sockets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::config::{Metrics, Protocol};
use super::env::{Overrides, config};
use super::sender::collector::{Answer, Collector};
use super::{Export, Exporter, sample};
use crate::export::counters::DropReason;

const LONG: Duration = Duration::from_mins(1);
const PROTOCOLS: [(&str, Protocol); 2] =
    [("grpc", Protocol::Grpc), ("http/protobuf", Protocol::HttpProtobuf)];

fn metrics(address: SocketAddr, more: &[(&str, &str)]) -> Metrics {
    let endpoint = format!("http://{address}");
    let mut variables = BTreeMap::from([("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), endpoint)]);
    for (short, value) in more {
        variables.insert(format!("OTEL_EXPORTER_OTLP_{short}"), (*value).to_owned());
    }
    config(&variables, &Overrides::default(), &Overrides::default()).unwrap().metrics.unwrap()
}

fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn a_collector_that_comes_late_has_the_right_values_and_no_others() {
    let check = async |(name, protocol): (&str, Protocol), temporality: &str| {
        let address = free_address();
        let variables = [
            ("PROTOCOL", name),
            ("METRICS_TEMPORALITY_PREFERENCE", temporality),
            ("HEADERS", "tenant=a%20b"),
            ("COMPRESSION", "gzip"),
        ];
        let handle = Exporter::spawn(&metrics(address, &variables)).unwrap();
        handle.publish(Arc::new(sample::snapshot(1, &[("shop", 1)])));
        while handle.counters().retries < 1 {
            tokio::task::yield_now().await;
        }
        let collector = Collector::start_at(address, protocol, &[], None).await;
        handle.publish(Arc::new(sample::snapshot(9, &[("shop", 9)])));
        let counters = handle.shutdown(LONG).await;
        assert_eq!(counters.exported, 2, "{name} {temporality} {counters:?}");
        assert_eq!(counters.dropped.by(DropReason::Superseded), 2, "{counters:?}");
        assert_eq!(counters.dropped.total(), 2);
        let taken = collector.taken();
        let expect = BTreeMap::from([(("shop".to_owned(), 1), 9)]);
        assert_eq!(sample::totals(&taken, temporality == "delta"), expect);
        assert_eq!(taken.len(), 1);
        assert_eq!(collector.header("tenant").as_deref(), Some("a b"));
    };
    let [grpc, http] = PROTOCOLS;
    tokio::join!(
        check(grpc, "cumulative"),
        check(grpc, "delta"),
        check(http, "cumulative"),
        check(http, "delta"),
    );
}

#[tokio::test]
async fn many_series_arrive_in_requests_that_a_collector_takes() {
    for (name, protocol) in PROTOCOLS {
        // The collector refuses more than 4 MiB, as the generated service does by default.
        let collector = Collector::start(protocol, &[Answer::TakeInPart(7, "old")], None).await;
        let variables = [("PROTOCOL", name), ("COMPRESSION", "zstd")];
        let handle = Exporter::spawn(&metrics(collector.address, &variables)).unwrap();
        handle.publish(Arc::new(sample::wide_snapshot(20_000)));
        let counters = handle.shutdown(LONG).await;
        assert_eq!((counters.exported, counters.rejected), (19_993, 7), "{name}");
        assert_eq!(counters.dropped.total(), 0);
        let taken = collector.taken();
        assert!(taken.len() > 1);
        assert_eq!(counters.requests, taken.len() as u64);
        let mut identities: Vec<_> = taken.iter().flat_map(sample::identities).collect();
        identities.sort();
        identities.dedup();
        assert_eq!(identities.len(), 20_000);
    }
}
