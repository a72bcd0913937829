//! curl -> nginx -> Python, each request four spans: who is whose parent, by what evidence, against
//! what the programs themselves wrote down.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use steth_tests::agent::{Agent, free_port};
use steth_tests::collector::Collector;
use steth_tests::conventions;
use steth_tests::program::{Program, Scratch, command, run};
use steth_tests::spans::Span;

const SERVER: u64 = 2;
const CLIENT: u64 = 3;
const ERROR: u64 = 2;

/// Answers over keep-alive connections, and writes down each body's size with the context it got.
const PYTHON: &str = r#"
import sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
log, lock = open(sys.argv[2], "w", buffering=1), threading.Lock()
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        size = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(size)
        with lock:
            log.write("%d %s\n" % (size, self.headers.get("traceparent") or "-"))
        status = 404 if "/gone" in self.path else 500 if "/broken" in self.path else 200
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    do_GET = do_POST = answer
    def log_message(self, *_): pass
ThreadingHTTPServer.request_queue_size = 64
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"#;

/// A chain of real programs and their names as services.
struct Chain {
    _programs: [Program; 2],
    scratch: Scratch,
    front: u16,
    name: String,
}

impl Chain {
    fn start(name: &str) -> Result<Self> {
        let name = format!("{name}-{}", std::process::id());
        let scratch = Scratch::new(&name)?;
        let (front, back) = (free_port()?, free_port()?);
        let script = scratch.file("server.py", PYTHON)?;
        let mut python = command("python3", &format!("{name}-python"));
        python.arg(script).arg(back.to_string()).arg(scratch.path().join("truth"));
        let python = Program::listening(python, local(back))?;
        let at = scratch.path().display();
        let config = scratch.file(
            "nginx.conf",
            format!(
                "worker_processes 1; daemon off; master_process off; error_log {at}/error.log;
                 pid {at}/pid; events {{ worker_connections 1024; }}
                 http {{ access_log off; keepalive_requests 1000000; client_body_temp_path {at}/b;
                   proxy_temp_path {at}/p;
                   upstream behind {{ server 127.0.0.1:{back}; keepalive 16; }}
                   server {{ listen 127.0.0.1:{front}; location / {{ proxy_pass http://behind;
                     proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }} }}"
            ),
        )?;
        let mut nginx = command("nginx", &format!("{name}-nginx"));
        nginx.arg("-c").arg(config);
        let nginx = Program::listening(nginx, local(front))?;
        Ok(Self { _programs: [python, nginx], scratch, front, name })
    }

    fn service(&self, of: &str) -> String {
        format!("{}-{of}", self.name)
    }

    /// curl as a service, with these arguments.
    fn curl(&self, args: &[&str]) -> Result<()> {
        let mut curl = command("curl", &self.service("curl"));
        curl.args(["--silent", "--output", "/dev/null"]).args(args);
        run(curl).map(drop)
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.front)
    }

    /// What the Python server wrote down: the context by the body's size.
    fn truth(&self) -> Result<BTreeMap<u64, String>> {
        let text = std::fs::read_to_string(self.scratch.path().join("truth"))?;
        text.lines()
            .map(|line| {
                let (size, context) = line.split_once(' ').context("a line of the server")?;
                Ok((size.parse()?, context.to_owned()))
            })
            .collect()
    }

    fn of<'a>(&self, spans: &'a [Span], service: &str, kind: u64) -> Vec<&'a Span> {
        let service = self.service(service);
        spans.iter().filter(|span| span.service() == service && span.kind == kind).collect()
    }

    fn all(&self, spans: &[Span]) -> usize {
        spans.iter().filter(|span| span.service().starts_with(&self.name)).count()
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// An agent that keeps every span and sends them at once.
fn agent(collector: &Collector, grpc: bool, more: &[(&str, &str)]) -> Result<Agent> {
    let (endpoint, protocol) = if grpc {
        (collector.grpc(), "grpc")
    } else {
        (format!("{}/v1/traces", collector.http()), "http/protobuf")
    };
    let mut environment = vec![
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", protocol),
        ("STETH_TRACES_WINDOW", "2s"),
    ];
    environment.extend_from_slice(more);
    Agent::keeping_all(&["--interval", "1s"], collector, &environment)
}

fn size(span: &Span) -> u64 {
    span.number("http.request.body.size").unwrap_or(u64::MAX)
}

/// The context that the request with a body of this size is given, for some of them.
fn given(size: u64) -> Option<(String, String)> {
    let given = size.is_multiple_of(7);
    given.then(|| (format!("{:032x}", 0xfeed_0000 + size), format!("{:016x}", 0xbeef_0000 + size)))
}

/// curl's requests of these sizes, over one connection.
fn script(chain: &Chain, name: &str, sizes: impl Iterator<Item = u64>) -> Result<String> {
    let mut text = String::new();
    for (place, size) in sizes.enumerate() {
        if place > 0 {
            text.push_str("next\n");
        }
        let _ = writeln!(text, "silent\noutput = /dev/null\nurl = {}", chain.url("/same"));
        let _ = writeln!(text, "header = \"Content-Type: text/plain\"\nheader = \"Expect:\"");
        let _ = writeln!(text, "data = \"{}\"", "x".repeat(usize::try_from(size)?));
        if let Some((trace, span)) = given(size) {
            let _ = writeln!(text, "header = \"TraceParent: 00-{trace}-{span}-01\"");
        }
    }
    Ok(chain.scratch.file(name, text)?.display().to_string())
}

#[test]
fn no_parent_is_wrong_in_a_thousand_requests_on_keep_alive_connections() -> Result<()> {
    const CLIENTS: u64 = 4;
    const EACH: u64 = 250;
    for grpc in [true, false] {
        let Some(collector) = Collector::start("spans-collector")? else { return Ok(()) };
        let chain = Chain::start("spans")?;
        let mut agent = agent(&collector, grpc, &[])?;
        let scripts: Vec<String> = (0..CLIENTS)
            .map(|client| {
                let sizes = (0..EACH).map(|n| 1 + n * CLIENTS + client);
                script(&chain, &format!("client-{client}"), sizes)
            })
            .collect::<Result<_>>()?;
        std::thread::scope(|scope| {
            let asking: Vec<_> = scripts
                .iter()
                .map(|script| scope.spawn(|| chain.curl(&["--config", script])))
                .collect();
            asking.into_iter().try_for_each(|asking| match asking.join() {
                Ok(outcome) => outcome,
                Err(_) => anyhow::bail!("a client ended badly"),
            })
        })?;
        let (status, _) = agent.terminate()?;
        assert!(status.success(), "{}", agent.log());
        let total = usize::try_from(CLIENTS * EACH)?;
        let spans = collector.spans_when(|spans| chain.all(spans) >= 4 * total)?;
        assert_eq!(chain.truth()?.len(), total);
        check(&chain, &spans, total, &agent.log());
    }
    Ok(())
}

/// How many there are of each service and kind.
fn by_service(spans: &[Span]) -> BTreeMap<(&str, u64), usize> {
    let mut all = BTreeMap::new();
    for span in spans {
        *all.entry((span.service(), span.kind)).or_default() += 1;
    }
    all
}

fn check(chain: &Chain, spans: &[Span], total: usize, log: &str) {
    let by_size = |service, kind| -> BTreeMap<u64, &Span> {
        let found = chain.of(spans, service, kind);
        let all = by_service(spans);
        assert_eq!(found.len(), total, "{service} {kind}: {all:?}\n{log}");
        found.into_iter().map(|span| (size(span), span)).collect()
    };
    let hops = [
        (by_size("curl", CLIENT), by_size("nginx", SERVER)),
        (by_size("nginx", CLIENT), by_size("python", SERVER)),
    ];
    let mut ids = BTreeSet::new();
    let (mut joined, mut apart, mut caused) = (0, 0, 0);
    for (clients, servers) in &hops {
        assert_eq!(
            (clients.len(), servers.len()),
            (total, total),
            "sizes are not as they were sent"
        );
        for (size, server) in servers {
            let client = clients.get(size).expect("every size was asked for");
            for span in [client, server] {
                assert!(span.trace.len() == 32 && span.id.len() == 16, "{span:?}");
                assert!(ids.insert(&span.id), "{} is there twice", span.id);
                assert!(span.start <= span.end, "{span:?}");
                assert_eq!(span.state, "ot=th:0");
            }
            let given = given(*size);
            match server.text("steth.link.method") {
                "connection" => {
                    joined += 1;
                    assert_eq!(server.parent, client.id, "a wrong parent: {server:#?} {client:#?}");
                    assert_eq!(server.trace, client.trace);
                }
                "context" => {
                    apart += 1;
                    let (trace, span) = given.clone().expect("a context that nobody gave");
                    assert_eq!((&server.trace, &server.parent), (&trace, &span));
                }
                _ => {
                    apart += 1;
                    assert!(server.parent.is_empty(), "{server:#?}");
                    assert!(!server.text("steth.link.missing").is_empty(), "{server:#?}");
                }
            }
            if let Some((trace, span)) = given {
                assert_eq!((&client.trace, &client.parent), (&trace, &span), "{client:#?}");
                assert_eq!(client.text("steth.link.method"), "context");
            } else if client.service() == chain.service("curl") {
                assert!(client.parent.is_empty(), "{client:#?}");
                assert_eq!(client.text("steth.link.missing"), "no_request");
            } else if client.text("steth.link.method") == "slice" {
                caused += 1;
                let front = hops[0].1.get(size).expect("every size was asked for");
                assert_eq!((&client.trace, &client.parent), (&front.trace, &front.id));
            } else {
                assert!(client.parent.is_empty(), "{client:#?}");
                assert!(!client.text("steth.link.missing").is_empty(), "{client:#?}");
            }
        }
    }
    println!("joined by the connection: {joined} of {}", joined + apart);
    println!("caused by a request: {caused}");
    assert!(joined >= (joined + apart) * 99 / 100, "only {joined} joined, {apart} not");
}

#[test]
fn spans_say_what_happened_and_keep_secrets() -> Result<()> {
    let Some(collector) = Collector::start("said-collector")? else { return Ok(()) };
    let chain = Chain::start("said")?;
    let more =
        [("STETH_TRACES_REQUEST_HEADERS", "x-tenant"), ("STETH_TRACES_QUERY_PARAMETERS", "page")];
    let mut agent = agent(&collector, true, &more)?;
    let url = |path: &str| chain.url(path);
    let secret = url("/items/7?token=hunter2&page=3").replace("http://", "http://user:hunter2@");
    let forwarded = "X-Forwarded-For: 192.0.2.7, 10.0.0.1";
    chain.curl(&["-H", forwarded, "-H", "X-Tenant: blue", "-H", "Cookie: hunter2", &secret])?;
    chain.curl(&[&url("/gone/1")])?;
    chain.curl(&[&url("/broken/1")])?;
    agent.terminate()?;
    let spans = collector.spans_when(|spans| chain.all(spans) >= 12)?;
    assert_eq!(chain.all(&spans), 12, "{}", agent.log());

    let told = format!("{spans:?}");
    assert!(!told.contains("hunter2"), "{told}");
    let one = |service, kind, status: u64| -> &Span {
        let found = chain.of(&spans, service, kind);
        let mut found = found
            .into_iter()
            .filter(|span| span.number("http.response.status_code") == Some(status));
        found.next().unwrap_or_else(|| panic!("{service} {kind} {status}"))
    };
    for (status, server, client) in [(200, 0, 0), (404, 0, ERROR), (500, ERROR, ERROR)] {
        for (service, kind, expect) in [
            ("curl", CLIENT, client),
            ("nginx", SERVER, server),
            ("nginx", CLIENT, client),
            ("python", SERVER, server),
        ] {
            let span = one(service, kind, status);
            assert_eq!(span.status, expect, "{span:#?}");
            let error = if expect == ERROR { status.to_string() } else { String::new() };
            assert_eq!(span.text("error.type"), error, "{span:#?}");
        }
    }
    let front = one("nginx", SERVER, 200);
    assert_eq!(front.text("url.path"), "/items/7");
    assert_eq!(front.text("url.query"), "token=REDACTED&page=3");
    assert_eq!(front.text("client.address"), "192.0.2.7");
    assert_eq!(front.text("network.peer.address"), "127.0.0.1");
    assert_eq!(front.number("server.port"), Some(chain.front.into()));
    assert!(front.text("user_agent.original").starts_with("curl/"), "{front:#?}");
    assert!(format!("{front:?}").contains("blue"), "{front:#?}");
    assert_eq!(front.name, format!("GET {}", front.text("http.route")));
    let client = one("curl", CLIENT, 200);
    assert_eq!(client.name, "GET");
    let full = format!("http://127.0.0.1:{}/items/7?token=REDACTED&page=3", chain.front);
    assert_eq!(client.text("url.full"), full);

    let Some(conventions) = conventions::read()? else { return Ok(()) };
    let mut faults = BTreeSet::new();
    for span in &spans {
        assert_eq!(span.schema, "https://opentelemetry.io/schemas/1.44.0");
        let all = span.attributes.iter().chain(&span.resource);
        let all = all.filter(|(key, _)| !key.starts_with("http.request.header."));
        faults.extend(all.filter_map(|(key, value)| conventions.fault_of(key, value)));
    }
    assert!(faults.is_empty(), "{faults:#?}");
    Ok(())
}

#[test]
fn nobody_who_asks_for_metrics_alone_is_sent_spans() -> Result<()> {
    let Some(collector) = Collector::start("alone-collector")? else { return Ok(()) };
    let chain = Chain::start("alone")?;
    let mut agent = Agent::start(&["--interval", "1s", "--otlp-endpoint", &collector.http()])?;
    chain.curl(&[&chain.url("/items/1"), &chain.url("/broken/1")])?;
    agent.terminate()?;
    let asked = "http.client.request.duration";
    let received = collector.received_when(|all| all.total(&chain.service("curl"), asked) == 2)?;
    assert_eq!(received.total(&chain.service("curl"), asked), 2, "{}", agent.log());
    assert!(collector.spans()?.is_empty());
    assert!(Path::new(&chain.scratch.path().join("truth")).exists());
    Ok(())
}

#[test]
fn a_context_is_found_in_any_case_behind_any_number_of_other_headers() -> Result<()> {
    let Some(collector) = Collector::start("behind-collector")? else { return Ok(()) };
    let chain = Chain::start("behind")?;
    let mut agent = agent(&collector, true, &[])?;
    let filler = format!("X-Filler: {}\n", "f".repeat(1000));
    for kibibytes in [0, 1, 3, 30] {
        let (trace, span) = (format!("{:032x}", 0xabc0 + kibibytes), "00f067aa0ba902b7");
        let fillers = filler.repeat(kibibytes);
        let headers = format!("{fillers}tRaCePaReNt: 00-{trace}-{span}-01\n");
        let headers = chain.scratch.file(&format!("headers-{kibibytes}"), headers)?;
        let headers = format!("@{}", headers.display());
        // Of what is longer than anybody expects, the first on a connection may be missed.
        let url = chain.url(&format!("/items/[1-2]?n={kibibytes}"));
        chain.curl(&["-H", &headers, &url])?;
    }
    for (place, odd) in ["00-x", "ff-1-2-3", ""].iter().enumerate() {
        chain.curl(&[
            "-H",
            &format!("traceparent: {odd}"),
            &chain.url(&format!("/odd/{place}")),
        ])?;
    }
    agent.terminate()?;
    let total = 4 * (2 * 4 + 3);
    let spans = collector.spans_when(|spans| chain.all(spans) >= total)?;
    assert_eq!(chain.all(&spans), total, "{}", agent.log());
    for kibibytes in [0, 1, 3, 30] {
        let trace = format!("{:032x}", 0xabc0 + kibibytes);
        let found = spans.iter().filter(|span| span.trace == trace).count();
        let least = if kibibytes > 3 { 4 } else { 8 };
        assert!(found >= least, "{kibibytes} KiB: {found} spans of the trace\n{}", agent.log());
    }
    let odd = spans.iter().filter(|span| span.text("url.path").starts_with("/odd/"));
    assert!(odd.clone().count() == 6 && odd.clone().all(|span| span.trace.len() == 32));
    Ok(())
}
