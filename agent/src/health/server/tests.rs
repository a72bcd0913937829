//! The server over loopback: what it answers, what it turns away, how it ends.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::{Limits, Page, Served, Server, Views, listen};
use crate::health::Status;

struct Fake {
    ailments: Vec<String>,
}

impl Views for Fake {
    fn metrics(&self, accept: Option<&str>) -> Page {
        let body = format!("accept {}\n", accept.unwrap_or("nothing"));
        Page { content_type: "text/plain; version=0.0.4".into(), body: body.into() }
    }

    fn ailments(&self) -> Vec<String> {
        self.ailments.clone()
    }

    fn status(&self) -> Status {
        Status { version: "1.2.3", ..Status::default() }
    }
}

struct Running {
    address: SocketAddr,
    served: Arc<Served>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

fn running(limits: Limits, ailments: &[&str]) -> Running {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = Server::on(listen(any).unwrap(), limits).unwrap();
    let address = server.address().unwrap();
    let counts = server.served();
    let (halter, halt) = watch::channel(false);
    let ailments = ailments.iter().map(|text| (*text).to_owned()).collect();
    let task = tokio::spawn(server.run(Arc::new(Fake { ailments }), halt));
    Running { address, served: counts, stop: halter, task }
}

/// Everything the server says until it closes.
async fn told(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may have closed already: what it said still counts.
    let _ = stream.write_all(bytes).await;
    let mut out = Vec::new();
    let _ = stream.read_to_end(&mut out).await;
    String::from_utf8_lossy(&out).into_owned()
}

async fn get(address: SocketAddr, path: &str, more: &str) -> String {
    told(
        address,
        format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{more}\r\n").as_bytes(),
    )
    .await
}

#[tokio::test]
async fn each_path_answers_with_its_view() {
    let server = running(Limits::default(), &[]);
    let address = server.address;
    let check = |told: String, status: &str, contains: &str| {
        assert!(told.starts_with(&format!("HTTP/1.1 {status}")), "{told}");
        assert!(told.contains(contains), "{told}");
    };
    let metrics = get(address, "/metrics", "accept: application/openmetrics-text\r\n").await;
    check(metrics, "200", "accept application/openmetrics-text");
    check(get(address, "/metrics", "").await, "200", "version=0.0.4");
    check(get(address, "/healthz", "").await, "200", "ok");
    check(get(address, "/status?x=1", "").await, "200", "\"version\": \"1.2.3\"");
    check(get(address, "/", "").await, "200", "/metrics");
    check(get(address, "/nothing", "").await, "404", "/status");
    let post =
        b"POST /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    check(told(address, post).await, "405", "allow: GET, HEAD");
    let head = told(address, b"HEAD / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
}

#[tokio::test]
async fn what_ails_the_agent_is_told_with_503() {
    let server = running(Limits::default(), &["no tier works"]);
    let address = server.address;
    let told = get(address, "/healthz", "").await;
    assert!(told.starts_with("HTTP/1.1 503") && told.contains("no tier works"), "{told}");
}

#[tokio::test]
async fn garbage_is_turned_away_and_counted_and_the_server_lives_on() {
    let server = running(Limits::default(), &[]);
    let address = server.address;
    let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(1000));
    let garbage: [&[u8]; 5] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET\x00/ HTTP/1.1\r\n\r\n",
        long.as_bytes(),
        many.as_bytes(),
    ];
    for bytes in garbage {
        let answer = told(address, bytes).await;
        let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
        assert!(refused, "{answer}");
    }
    assert!(get(address, "/healthz", "").await.contains("ok"));
    while server.served.broken.load(Ordering::Relaxed) < garbage.len() as u64 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.served.broken.load(Ordering::Relaxed), garbage.len() as u64);
    assert_eq!(server.served.requests.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_client_that_sends_nothing_is_let_go_and_makes_room() {
    let limits = Limits { connections: 1, head: Duration::from_millis(50), ..Limits::default() };
    let server = running(limits, &[]);
    let address = server.address;
    let mut silent = TcpStream::connect(address).await.unwrap();
    silent.write_all(b"GET / HT").await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    let mut byte = [0];
    // The second is over the limit: closed without a word.
    assert_eq!(second.read(&mut byte).await.unwrap_or(0), 0);
    assert_eq!(server.served.refused.load(Ordering::Relaxed), 1);
    let mut rest = Vec::new();
    let _ = silent.read_to_end(&mut rest).await;
    while server.served.broken.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    // The place is given back right after the count.
    tokio::task::yield_now().await;
    assert!(get(address, "/healthz", "").await.contains("ok"));
}

#[tokio::test]
async fn an_address_in_use_is_told_with_what_to_do() {
    let server = running(Limits::default(), &[]);
    let address = server.address;
    let error = listen(address).unwrap_err().to_string();
    assert!(error.contains("another program") && error.contains("--listen"), "{error}");
}

#[tokio::test]
async fn it_ends_when_told_to_even_with_an_idle_client() {
    let Running { address, stop, task, .. } = running(Limits::default(), &[]);
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut byte = [0];
    assert_eq!(idle.read(&mut byte).await.unwrap(), 1);
    stop.send(true).unwrap();
    task.await.unwrap();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
}
