//! HTTP over a Unix socket, between programs of others: one request a connection, and many.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use steth_tests::agent::Agent;
use steth_tests::collector::Collector;
use steth_tests::program::{Program, Scratch, command, run};

/// Python's own server at a Unix socket.
const SERVER: &str = "\
import http.server, socketserver, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        self.send_response(404 if self.path == '/missing' else 200)
        self.send_header('Content-Length', '5')
        self.end_headers()
        self.wfile.write(b'hello')
    def log_message(self, *a): pass
    def address_string(self): return 'unix'
class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
Server(sys.argv[1], Handler).serve_forever()
";

/// A service's name that no other run of this test has.
fn own(name: &str) -> String {
    format!("{name}-{}", std::process::id())
}

fn wait_for(path: &Path) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    let name = path.to_string_lossy();
    loop {
        let sockets = std::fs::read_to_string("/proc/net/unix")?;
        if sockets.lines().any(|l| l.contains(" 00010000 ") && l.ends_with(&*name)) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "nobody listens at {name}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn curl_and_python_over_a_unix_socket_are_counted_in_both_roles() -> Result<()> {
    let scratch = Scratch::new("unix")?;
    let agent = Agent::start(&[])?;
    let socket = scratch.path().join("http.sock");
    let mut server = command("python3", &own("unix-server"));
    server.arg(scratch.file("server.py", SERVER)?).arg(&socket);
    let _server = Program::start(server)?;
    wait_for(&socket)?;
    let curl = |name: &str, urls: &[&str]| {
        let mut curl = command("curl", name);
        curl.args(["-s", "--unix-socket"]).arg(&socket).args(urls);
        run(curl)
    };
    for _ in 0..20 {
        curl(&own("unix-one-shot"), &["http://unix.test/one"])?;
    }
    curl(&own("unix-keep-alive"), &["http://unix.test/many"; 30])?;
    curl(&own("unix-missing"), &["http://unix.test/missing"])?;

    let metrics = agent.metrics()?;
    let found = [("http_response_status_code", "200"), ("error_type", "")];
    assert_eq!(metrics.asked(&own("unix-one-shot"), &found), 20);
    assert_eq!(metrics.asked(&own("unix-one-shot"), &[]), 20);
    assert_eq!(metrics.asked(&own("unix-keep-alive"), &found), 30);
    assert_eq!(metrics.asked(&own("unix-keep-alive"), &[]), 30);
    assert_eq!(metrics.asked(&own("unix-missing"), &[("http_response_status_code", "404")]), 1);
    assert_eq!(metrics.served(&own("unix-server"), &found), 50);
    assert_eq!(metrics.served(&own("unix-server"), &[("http_response_status_code", "404")]), 1);
    assert_eq!(metrics.served(&own("unix-server"), &[]), 51);
    assert_eq!(metrics.asked(&own("unix-server"), &[]), 0);
    Ok(())
}

/// So many connections at once, with so many requests each.
const ASK: &str = r#"
import http.client, socket, sys, threading
path, connections, each = sys.argv[1], *map(int, sys.argv[2:4])
class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
def ask(n):
    connection = Connection("unix.test", timeout=60)
    for i in range(n * each, (n + 1) * each):
        connection.request("GET", "/of/%d" % i)
        assert connection.getresponse().read() == b"hello"
threads = [threading.Thread(target=ask, args=(n,)) for n in range(connections)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"#;

#[test]
fn both_ends_of_unix_sockets_are_joined() -> Result<()> {
    const CONNECTIONS: usize = 10;
    const EACH: usize = 30;
    const SPAN_SERVER: u64 = 2;
    const SPAN_CLIENT: u64 = 3;
    let Some(collector) = Collector::start("unix-spans")? else { return Ok(()) };
    let scratch = Scratch::new("unix-spans")?;
    let mut agent =
        Agent::keeping_all(&["--interval", "1s"], &collector, &[("STETH_TRACES_WINDOW", "2s")])?;
    let socket = scratch.path().join("http.sock");
    let mut server = command("python3", &own("unix-joined-server"));
    server.arg(scratch.file("server.py", SERVER)?).arg(&socket);
    let _server = Program::start(server)?;
    wait_for(&socket)?;
    let mut client = command("python3", &own("unix-joined-client"));
    client.arg(scratch.file("ask.py", ASK)?).arg(&socket);
    run({
        client.args([CONNECTIONS, EACH].map(|n| n.to_string()));
        client
    })?;
    let total = CONNECTIONS * EACH;
    let (asking, serving) = (own("unix-joined-client"), own("unix-joined-server"));
    let spans = collector.spans_when(|spans| {
        spans.iter().filter(|s| s.service() == asking || s.service() == serving).count()
            >= 2 * total
    })?;
    let (status, _) = agent.terminate()?;
    ensure!(status.success(), "{}", agent.log());
    let clients: Vec<_> =
        spans.iter().filter(|s| s.service() == asking && s.kind == SPAN_CLIENT).collect();
    let servers: Vec<_> =
        spans.iter().filter(|s| s.service() == serving && s.kind == SPAN_SERVER).collect();
    assert_eq!((clients.len(), servers.len()), (total, total));
    for server in servers {
        let path = server.text("url.path");
        let parent = clients.iter().find(|client| client.id == server.parent);
        let Some(parent) = parent else { anyhow::bail!("{path} has no parent: {server:?}") };
        assert!(parent.text("url.full").ends_with(path), "{path}: {parent:?}");
        assert_eq!(parent.trace, server.trace);
        assert_eq!(server.text("steth.link.method"), "connection");
    }
    Ok(())
}
