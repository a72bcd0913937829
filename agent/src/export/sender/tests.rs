//! Both transports against real collectors.

use std::time::Duration;

use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use prost::Message;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::certificates::Certificates;
use super::collector::{Answer, Collector};
use super::{Outcome, Sender, Signal, Wire};
use crate::export::config::{ClientIdentity, Compression, Protocol, Target, Tls};
use crate::export::otlp::batch::{self, LIMIT};
use crate::export::otlp::delta::Baselines;
use crate::export::otlp::point::Form;
use crate::export::{config, sample};

const PROTOCOLS: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobuf];

fn target(address: &str, protocol: Protocol) -> Target {
    let path = if protocol == Protocol::Grpc { "" } else { "/v1/metrics" };
    Target {
        endpoint: format!("{address}{path}").parse().unwrap(),
        protocol,
        headers: Vec::new(),
        timeout: Duration::from_secs(10),
        compression: Compression::None,
        tls: Tls::default(),
    }
}

async fn collector(protocol: Protocol, answers: &[Answer]) -> (Collector, Target) {
    let collector = Collector::start(protocol, answers, None).await;
    let target = target(&format!("http://{}", collector.address), protocol);
    (collector, target)
}

fn body() -> Bytes {
    let form = Form {
        temporality: config::Temporality::Cumulative,
        histograms: config::Aggregation::Exponential,
    };
    let snapshot = sample::wide_snapshot(1000);
    batch::next(&snapshot, 0, form, &Baselines::default(), LIMIT).unwrap().body
}

fn accepted() -> Outcome {
    Outcome::Accepted { rejected: 0, message: String::new() }
}

#[tokio::test]
async fn what_is_received_is_what_was_sent_in_every_packing() {
    let body = body();
    for protocol in PROTOCOLS {
        for (compression, name) in [
            (Compression::None, None),
            (Compression::Gzip, Some("gzip")),
            (Compression::Zstd, Some("zstd")),
        ] {
            let (collector, target) = collector(protocol, &[]).await;
            let header = |name: &'static str, value: &'static str| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            };
            let headers = vec![header("x-tenant", "a,b"), header("content-type", "text/plain")];
            let headers = if protocol == Protocol::Grpc { headers[..1].to_vec() } else { headers };
            let target = Target { headers, compression, ..target };
            let mut sender = Sender::new(&target, Signal::Metrics).unwrap();
            for _ in 0..2 {
                assert_eq!(sender.send(&body).await, accepted(), "{protocol:?} {name:?}");
            }
            let taken: Vec<_> = collector
                .taken()
                .iter()
                .map(|request| Bytes::from(request.encode_to_vec()))
                .collect();
            assert!(taken == [body.clone(), body.clone()], "{protocol:?} {name:?}");
            assert_eq!(collector.header("x-tenant").as_deref(), Some("a,b"));
            assert!(collector.header("user-agent").unwrap().starts_with("steth-otlp-exporter/"));
            let encoding =
                if protocol == Protocol::Grpc { "grpc-encoding" } else { "content-encoding" };
            assert_eq!(collector.header(encoding).as_deref(), name, "{protocol:?}");
        }
    }
}

/// An outcome without what was said.
#[derive(Debug, PartialEq)]
enum Short {
    Accepted(u64),
    Retry(Option<u64>),
    Fatal,
}

fn short(outcome: &Outcome) -> Short {
    match outcome {
        Outcome::Accepted { rejected, .. } => Short::Accepted(*rejected),
        Outcome::Retry { after, .. } => Short::Retry(after.map(|after| after.as_secs())),
        Outcome::Fatal { .. } => Short::Fatal,
    }
}

#[tokio::test]
async fn http_statuses_are_retried_as_the_specification_says() {
    let (_, target) = collector(
        Protocol::HttpProtobuf,
        &[
            Answer::Http(429, Some("7")),
            Answer::Http(502, None),
            Answer::Http(503, Some("Wed, 21 Oct 2015 07:28:00 GMT")),
            Answer::Http(504, Some("whenever")),
            Answer::Http(400, Some("7")),
            Answer::Http(401, None),
            Answer::Http(404, None),
            Answer::Http(408, None),
            Answer::Http(413, None),
            Answer::Http(500, Some("7")),
            Answer::Http(501, None),
            Answer::Http(302, None),
            Answer::TakeInPart(3, "three were\nold"),
            Answer::TakeInPart(0, "take care"),
        ],
    )
    .await;
    let mut sender = Sender::new(&target, Signal::Metrics).unwrap();
    let body = body();
    let mut outcomes = Vec::new();
    for _ in 0..14 {
        outcomes.push(sender.send(&body).await);
    }
    let shorts: Vec<_> = outcomes.iter().map(short).collect();
    assert_eq!(
        shorts[..4],
        [Short::Retry(Some(7)), Short::Retry(None), Short::Retry(Some(0)), Short::Retry(None)]
    );
    assert!(shorts[4..12].iter().all(|short| *short == Short::Fatal), "{shorts:?}");
    let why = "HTTP 400 Bad Request: not now or never".to_owned();
    assert_eq!(outcomes[4], Outcome::Fatal { why });
    let message = "three were old".to_owned();
    assert_eq!(outcomes[12], Outcome::Accepted { rejected: 3, message });
    let message = "take care".to_owned();
    assert_eq!(outcomes[13], Outcome::Accepted { rejected: 0, message });
}

#[tokio::test]
async fn grpc_codes_are_retried_as_the_specification_says() {
    let info = |code, seconds| {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(seconds)));
        Status::with_error_details(code, "busy", details)
    };
    let retried = [
        Code::Cancelled,
        Code::DeadlineExceeded,
        Code::Aborted,
        Code::OutOfRange,
        Code::Unavailable,
        Code::DataLoss,
    ];
    let refused = [
        Code::Unknown,
        Code::InvalidArgument,
        Code::NotFound,
        Code::AlreadyExists,
        Code::PermissionDenied,
        Code::FailedPrecondition,
        Code::Unimplemented,
        Code::Internal,
        Code::Unauthenticated,
        Code::ResourceExhausted,
    ];
    let mut cases: Vec<(Answer, Short)> = Vec::new();
    cases.extend(retried.map(|code| (Answer::Grpc(Status::new(code, "x")), Short::Retry(None))));
    cases.extend(refused.map(|code| (Answer::Grpc(Status::new(code, "x")), Short::Fatal)));
    cases.push((Answer::Grpc(info(Code::Unavailable, 9)), Short::Retry(Some(9))));
    cases.push((Answer::Grpc(info(Code::ResourceExhausted, 8)), Short::Retry(Some(8))));
    cases.push((Answer::Grpc(info(Code::ResourceExhausted, 0)), Short::Retry(None)));
    cases.push((Answer::Grpc(info(Code::InvalidArgument, 8)), Short::Fatal));
    cases.push((Answer::TakeInPart(4, "old"), Short::Accepted(4)));
    let answers: Vec<_> = cases.iter().map(|(answer, _)| answer.clone()).collect();
    let (_, target) = collector(Protocol::Grpc, &answers).await;
    let mut sender = Sender::new(&target, Signal::Metrics).unwrap();
    let body = body();
    for (answer, expect) in cases {
        assert_eq!(short(&sender.send(&body).await), expect, "{answer:?}");
    }
}

#[tokio::test]
async fn a_collector_that_is_not_there_is_to_be_tried_again() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for protocol in PROTOCOLS {
        let mut sender = Sender::new(&target(&address, protocol), Signal::Metrics).unwrap();
        let outcome = sender.send(&body()).await;
        let Outcome::Retry { after: None, why } = &outcome else { panic!("{outcome:?}") };
        assert!(why.contains("Connection refused"), "{why}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_under_a_request_is_to_be_tried_again() {
    for protocol in PROTOCOLS {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.readable().await.unwrap();
                let mut some = [0; 64];
                let _ = stream.try_read(&mut some);
            }
        });
        let mut sender = Sender::new(&target(&address, protocol), Signal::Metrics).unwrap();
        for _ in 0..2 {
            let outcome = sender.send(&body()).await;
            assert_eq!(short(&outcome), Short::Retry(None), "{protocol:?} {outcome:?}");
        }
    }
}

#[tokio::test]
async fn an_attempt_without_an_answer_ends_by_the_timeout_and_the_next_one_works() {
    for protocol in PROTOCOLS {
        let (collector, target) = collector(protocol, &[Answer::Hang]).await;
        let target = Target { timeout: Duration::from_millis(300), ..target };
        let mut sender = Sender::new(&target, Signal::Metrics).unwrap();
        let small = Bytes::new();
        let why = "no answer within 300ms".to_owned();
        assert_eq!(sender.send(&small).await, Outcome::Retry { after: None, why });
        assert_eq!(sender.send(&small).await, accepted());
        assert_eq!(collector.requests(), 2);
    }
}

async fn secured(certificates: &Certificates, protocol: Protocol, mutual: bool) -> Collector {
    let alpn: &[&[u8]] = if protocol == Protocol::Grpc { &[b"h2"] } else { &[] };
    Collector::start(protocol, &[], Some(certificates.acceptor(alpn, mutual))).await
}

#[tokio::test]
async fn tls_trusts_the_named_authority_only_and_shows_the_client_certificate() {
    let Some(certificates) = Certificates::make() else { return };
    let body = body();
    for protocol in PROTOCOLS {
        let check = async |mutual: bool,
                           host: &str,
                           ca: &str,
                           client: Option<&str>,
                           works: bool| {
            let collector = secured(&certificates, protocol, mutual).await;
            let address = format!("https://{host}:{}", collector.address.port());
            let client = client.map(|name| ClientIdentity {
                certificate: certificates.path(&format!("{name}.pem")),
                key: certificates.path(&format!("{name}.key")),
            });
            let tls = Tls { ca: Some(certificates.path(ca)), client };
            let target = Target { tls, ..target(&address, protocol) };
            let outcome = Sender::new(&target, Signal::Metrics).unwrap().send(&body).await;
            let expect = if works { Short::Accepted(0) } else { Short::Retry(None) };
            assert_eq!(short(&outcome), expect, "{protocol:?} {mutual} {host} {ca} {outcome:?}");
            assert_eq!(collector.taken().len(), usize::from(works));
        };
        check(false, "localhost", "ca.pem", None, true).await;
        check(false, "127.0.0.1", "ca.pem", None, true).await;
        check(false, "127.0.0.2", "ca.pem", None, false).await;
        check(false, "localhost", "other.pem", None, false).await;
        check(true, "localhost", "ca.pem", Some("client"), true).await;
        check(true, "localhost", "ca.pem", None, false).await;
        check(true, "localhost", "ca.pem", Some("other"), false).await;
    }
}

#[tokio::test]
async fn files_that_cannot_be_used_are_said_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("text"), "no certificate").unwrap();
    for protocol in PROTOCOLS {
        let check = |tls: Tls, expect: &str| {
            let target = Target { tls, ..target("https://localhost:1", protocol) };
            let error = Sender::new(&target, Signal::Metrics).unwrap_err().to_string();
            let place = directory.path().display().to_string();
            assert_eq!(error.replace(&place, "."), expect, "{protocol:?}");
        };
        check(
            Tls { ca: Some(path("absent")), client: None },
            "cannot read ./absent: No such file or directory (os error 2)",
        );
        check(
            Tls { ca: Some(path("text")), client: None },
            "./text holds no usable PEM certificate: there is none",
        );
        let client = ClientIdentity { certificate: path("text"), key: path("absent") };
        check(
            Tls { ca: None, client: Some(client) },
            "cannot read ./absent: No such file or directory (os error 2)",
        );
    }
}
