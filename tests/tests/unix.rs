//! HTTP over a Unix socket, between programs of others: one request a connection, and many.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use steth_tests::agent::Agent;
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
