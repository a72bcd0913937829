//! Requests that came to nothing, hang, or are cut short by the agent's end: spans that say so.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use anyhow::Result;
use steth_tests::agent::{Agent, free_port};
use steth_tests::collector::Collector;
use steth_tests::conventions;
use steth_tests::program::{Program, Scratch, command};
use steth_tests::spans::Span;

/// Resets a connection after the request was read, or answers after some seconds, as the path says.
const SERVER: &str = r#"
import socket, struct, sys, threading, time
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=16)
def serve(connection):
    head = connection.recv(4096).decode()
    path = head.split(" ")[1]
    if path.startswith("/reset"):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        return
    time.sleep(int(path.rsplit("/", 1)[1]))
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    connection.close()
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"#;

const INTERNAL: u64 = 1;
const SERVER_KIND: u64 = 2;
const CLIENT: u64 = 3;

struct Scene {
    _server: Program,
    _scratch: Scratch,
    name: String,
    port: u16,
}

impl Scene {
    fn start(name: &str) -> Result<Self> {
        let name = format!("{name}-{}", std::process::id());
        let (scratch, port) = (Scratch::new(&name)?, free_port()?);
        let mut python = command("python3", &format!("{name}-server"));
        python.arg(scratch.file("server.py", SERVER)?).arg(port.to_string());
        let server = Program::listening(python, SocketAddr::from(([127, 0, 0, 1], port)))?;
        Ok(Self { _server: server, _scratch: scratch, name, port })
    }

    /// curl; how it ends is told by its span.
    fn curl(&self, port: u16, args: &[&str], path: &str) -> Result<std::process::Child> {
        let mut curl = command("curl", &format!("{}-client", self.name));
        curl.args(["--silent", "--output", "/dev/null"]).args(args);
        Ok(curl.arg(format!("http://127.0.0.1:{port}{path}")).spawn()?)
    }

    fn of<'a>(&self, spans: &'a [Span], who: &str, kind: u64) -> Vec<&'a Span> {
        let service = format!("{}-{who}", self.name);
        spans.iter().filter(|span| span.service() == service && span.kind == kind).collect()
    }
}

/// Whatever is told is in the conventions or in our registry, and of the type it has there.
fn faultless(spans: &[Span]) -> Result<()> {
    let Some(conventions) = conventions::read()? else { return Ok(()) };
    let all = spans.iter().flat_map(|span| span.attributes.iter().chain(&span.resource));
    let faults: BTreeSet<_> =
        all.filter_map(|(key, value)| conventions.fault_of(key, value)).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    Ok(())
}

fn agent(collector: &Collector, more: &[(&str, &str)]) -> Result<Agent> {
    let endpoint = collector.grpc();
    let mut environment = vec![
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
        ("OTEL_BSP_SCHEDULE_DELAY", "200"),
        ("STETH_TRACES_WINDOW", "1s"),
        // What is kept is kept for what it is.
        ("STETH_TRACES_RATIO", "0"),
    ];
    environment.extend_from_slice(more);
    Agent::start_with(&["--interval", "30s"], &environment)
}

#[test]
fn what_came_to_nothing_says_how() -> Result<()> {
    let Some(collector) = Collector::start("failed-collector")? else { return Ok(()) };
    let scene = Scene::start("failed")?;
    let mut agent = agent(&collector, &[])?;
    let nobody = free_port()?;
    scene.curl(nobody, &[], "/refused")?.wait()?;
    scene.curl(scene.port, &[], "/reset/0")?.wait()?;
    scene.curl(scene.port, &["--max-time", "1"], "/timeout/3")?.wait()?;
    // A connection that its client has left is over when the server has left it, too.
    let clients = |spans: &[Span]| scene.of(spans, "client", CLIENT).len();
    let spans = collector.spans_when(|spans| clients(spans) >= 3)?;
    agent.terminate()?;
    let mut told: Vec<String> = scene
        .of(&spans, "client", CLIENT)
        .iter()
        .map(|span| {
            let path = span.text("url.full").rsplit_once(&format!(":{}", scene.port));
            let path = path.map_or("-", |(_, path)| path);
            let state = span.text("steth.span.state");
            format!("{} {path} {} {}{state}", span.name, span.text("error.type"), span.status)
        })
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            "GET /reset/0 connection_reset 2",
            "GET /timeout/3 connection_closed 2",
            "connect - connection_refused 2",
        ],
        "{}",
        agent.log()
    );
    faultless(&spans)?;
    let refused = scene.of(&spans, "client", CLIENT).into_iter().find(|s| s.name == "connect");
    let port = refused.and_then(|span| span.number("server.port"));
    assert_eq!(port, Some(nobody.into()));
    Ok(())
}

#[test]
fn what_hangs_is_told_while_it_does_and_at_the_agents_end() -> Result<()> {
    let Some(collector) = Collector::start("hangs-collector")? else { return Ok(()) };
    let scene = Scene::start("hangs")?;
    let mut agent = agent(&collector, &[("STETH_TRACES_HANGING", "2s")])?;
    let mut ends = scene.curl(scene.port, &[], "/ends/6")?;
    let mut never = scene.curl(scene.port, &[], "/never/60")?;
    let reports = |spans: &[Span]| scene.of(spans, "server", INTERNAL).len();
    let early = collector.spans_when(|spans| reports(spans) >= 2)?;
    assert_eq!(reports(&early), 2, "{}", agent.log());
    assert_eq!(scene.of(&early, "server", SERVER_KIND).len(), 0, "told before it has ended");
    ends.wait()?;
    agent.terminate()?;
    never.kill()?;
    never.wait()?;
    let spans = collector.spans_when(|spans| scene.of(spans, "server", SERVER_KIND).len() >= 2)?;
    for who in ["server", "client"] {
        let kind = if who == "server" { SERVER_KIND } else { CLIENT };
        let path = |span: &Span| match who {
            "server" => span.text("url.path").to_owned(),
            _ => span.text("url.full").rsplitn(3, '/').take(2).collect::<Vec<_>>().join("/"),
        };
        let (reports, all) = (scene.of(&spans, who, INTERNAL), scene.of(&spans, who, kind));
        assert_eq!((reports.len(), all.len()), (2, 2), "{who}: {spans:#?}");
        for report in &reports {
            assert_eq!((report.text("steth.span.state"), report.status), ("hanging", 0));
            assert!(report.end - report.start >= 2_000_000_000, "{report:?}");
            let same = all.iter().find(|span| path(span) == path(report)).expect("its own span");
            assert_eq!(same.links, [(report.trace.clone(), report.id.clone())]);
            // Each is told by the clocks as they stood when it was sent.
            assert!(same.start.abs_diff(report.start) < 1_000_000, "{same:?}, {report:?}");
        }
        let state = |part: &str| {
            let span = all.iter().find(|span| format!("{span:?}").contains(part)).expect(part);
            (span.text("steth.span.state").to_owned(), span.state.clone())
        };
        assert_eq!(state("ends"), (String::new(), "ot=th:0".to_owned()));
        assert_eq!(state("never"), ("in_flight".to_owned(), String::new()));
    }
    faultless(&spans)?;
    // Both ends of what the agent's end cut short are one trace.
    let both = ["client", "server"].map(|who| {
        let kind = if who == "server" { SERVER_KIND } else { CLIENT };
        let all = scene.of(&spans, who, kind);
        all.into_iter().find(|span| span.text("steth.span.state") == "in_flight").expect(who)
    });
    assert_eq!((&both[1].parent, &both[1].trace), (&both[0].id, &both[0].trace));
    Ok(())
}
