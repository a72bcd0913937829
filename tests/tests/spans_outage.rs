//! Spans when something is away for a while: the collector, or the agent itself.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use steth_tests::agent::{Agent, free_port};
use steth_tests::collector::Collector;
use steth_tests::metrics::Metrics;
use steth_tests::program::{Program, Scratch, command, run};
use steth_tests::spans::Span;
use steth_tests::traffic::Traffic;

/// Answers after as many seconds as the path ends in.
const SERVER: &str = r#"
import sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        time.sleep(int(self.path.rsplit("/", 1)[1]))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_): pass
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"#;

const SERVER_KIND: u64 = 2;
const CLIENT: u64 = 3;

fn agent(collector: &Collector, more: &[(&str, &str)]) -> Result<Agent> {
    let mut environment =
        vec![("OTEL_BSP_SCHEDULE_DELAY", "200"), ("STETH_TRACES_WINDOW", "500ms")];
    environment.extend_from_slice(more);
    Agent::keeping_all(&["--interval", "30s"], collector, &environment)
}

/// What of the spans kept came to which end: kept, sent, dropped on the way.
fn fate(metrics: &Metrics) -> [u64; 3] {
    let dropped = [("steth_stage", "export")];
    [
        metrics.sum("steth_span_kept_total", &[]),
        metrics.sum("steth_span_exported_total", &[]),
        metrics.sum("steth_span_dropped_total", &dropped),
    ]
}

#[test]
fn while_the_collector_is_away_spans_wait_within_a_bound_and_no_loss_is_uncounted() -> Result<()> {
    const COUNT: u64 = 200;
    const GOES: u64 = 4;
    let Some(mut collector) = Collector::start("away-collector")? else { return Ok(()) };
    let traffic = Traffic::start(&format!("away-{}", std::process::id()))?;
    let agent = agent(
        &collector,
        &[("OTEL_BSP_MAX_QUEUE_SIZE", "64"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "16")],
    )?;
    collector.go_away();
    // No more are kept at once than the queue takes: what fills it comes in several goes.
    for _ in 0..GOES {
        traffic.ask(u32::try_from(COUNT / GOES)?)?;
        std::thread::sleep(Duration::from_millis(600));
    }
    // Others are seen as well: what is told of all must add up, and all of ours be among it.
    let is_over = |metrics: &Metrics| {
        let [kept, _, dropped] = fate(metrics);
        // Some are left where they are decided on: what is not taken is bounded by the queue as well.
        let left = metrics.sum("steth_span_dropped_total", &[]) - dropped;
        kept + left >= 2 * COUNT && dropped > 0
    };
    let metrics = agent.metrics_when(is_over)?;
    assert!(is_over(&metrics), "{:?}\n{}", fate(&metrics), agent.log());
    // What waits is in the stage, in the queue and on its way.
    let [kept, exported, dropped] = fate(&metrics);
    assert!(kept <= exported + dropped + 64 + 64 + 16, "{kept} {exported} {dropped}");
    let full = [("steth_stage", "export"), ("steth_reason", "queue_full")];
    assert!(metrics.sum("steth_span_dropped_total", &full) > 0, "{}", agent.log());
    collector.come_back()?;
    let is_sent = |metrics: &Metrics| {
        let [kept, exported, dropped] = fate(metrics);
        kept == exported + dropped && exported > 0
    };
    let metrics = agent.metrics_when(is_sent)?;
    assert!(is_sent(&metrics), "{:?}\n{}", fate(&metrics), agent.log());
    Ok(())
}

/// Starts a slow server and gives a curl that asks it.
struct Slow {
    _server: Program,
    _scratch: Scratch,
    name: String,
    port: u16,
}

impl Slow {
    fn start(name: &str) -> Result<Self> {
        let name = format!("{name}-{}", std::process::id());
        let (scratch, port) = (Scratch::new(&name)?, free_port()?);
        let mut python = command("python3", &format!("{name}-server"));
        python.arg(scratch.file("server.py", SERVER)?).arg(port.to_string());
        let server = Program::listening(python, SocketAddr::from(([127, 0, 0, 1], port)))?;
        Ok(Self { _server: server, _scratch: scratch, name, port })
    }

    fn ask(&self, path: &str, context: &str) -> std::process::Command {
        let mut curl = command("curl", &format!("{}-client", self.name));
        curl.args(["--silent", "--output", "/dev/null", "-H", &format!("traceparent: {context}")]);
        curl.arg(format!("http://127.0.0.1:{}{path}", self.port));
        curl
    }

    fn of<'a>(&self, spans: &'a [Span]) -> Vec<&'a Span> {
        spans.iter().filter(|span| span.service().starts_with(&self.name)).collect()
    }
}

#[test]
fn a_restart_in_the_middle_of_a_trace_leaves_parts_of_it_and_no_wrong_parent() -> Result<()> {
    let Some(collector) = Collector::start("restart-collector")? else { return Ok(()) };
    let slow = Slow::start("restart")?;
    let (trace, root) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let context = format!("00-{trace}-{root}-01");
    let mut first = agent(&collector, &[])?;
    run(slow.ask("/before/0", &context))?;
    let mut across = slow.ask("/across/4", &context).spawn()?;
    let begun = Instant::now();
    let in_flight = |metrics: &Metrics| {
        let server = format!("{}-server", slow.name);
        metrics.sum("http_server_active_requests", &[("job", &server)]) == 1
    };
    first.metrics_when(in_flight)?;
    first.terminate()?;
    let mut second = agent(&collector, &[])?;
    assert!(begun.elapsed() < Duration::from_secs(4), "too slow to be in the middle");
    across.wait()?;
    run(slow.ask("/after/0", &context))?;
    second.terminate()?;
    let after = |spans: &[Span]| {
        slow.of(spans).iter().filter(|span| format!("{span:?}").contains("/after/")).count() == 2
    };
    let spans = collector.spans_when(after)?;
    let ours = slow.of(&spans);
    let path = |span: &Span, path: &str| format!("{span:?}").contains(path);
    for (part, state) in [("/before/", ""), ("/across/", "in_flight"), ("/after/", "")] {
        let of: Vec<_> = ours.iter().filter(|span| path(span, part)).collect();
        let one = |kind| {
            let mut found = of.iter().filter(|span| span.kind == kind);
            // What the second agent sees of a request that is older than it is may be told as well.
            found.find(|span| span.text("steth.span.state") == state)
        };
        let (Some(client), Some(server)) = (one(CLIENT), one(SERVER_KIND)) else {
            panic!("{part}: {of:#?}\n{}\n{}", first.log(), second.log())
        };
        assert_eq!((client.trace.as_str(), client.parent.as_str()), (trace, root));
        assert_eq!((server.trace.as_str(), &server.parent), (trace, &client.id), "{part}");
    }
    for span in &ours {
        // The parent is the one that was sent, or a span of the same request.
        let parent = ours.iter().find(|other| other.id == span.parent);
        let same = |other: &Span| {
            ["/before/", "/across/", "/after/"].iter().all(|p| path(span, p) == path(other, p))
        };
        assert!(span.parent == root || parent.is_some_and(|other| same(other)), "{span:#?}");
        assert_eq!(span.trace, trace);
    }
    Ok(())
}
