//! The programs under `tests/programs`, in the languages they are written in.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{Program, command};

/// A Python server on the port of its argument that answers each request with the path it had.
pub const ECHO: &str = r#"
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.path)))
        self.end_headers()
        self.wfile.write(self.path.encode())
    def log_message(self, *_): pass
ThreadingHTTPServer.request_queue_size = 64
ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), Handler).serve_forever()
"#;

/// Where the program `name` stands.
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("programs").join(name)
}

/// A Python program as the service `service`.
pub fn python(name: &str, service: &str) -> Command {
    let mut command = command("python3", service);
    command.arg(path(name));
    command
}

/// The same, listening on loopback at `port`, which is its last argument.
pub fn python_server(
    name: &str,
    service: &str,
    arguments: &[&str],
    port: u16,
) -> anyhow::Result<Program> {
    let mut command = python(name, service);
    command.args(arguments).arg(port.to_string());
    Program::listening(command, SocketAddr::from(([127, 0, 0, 1], port)))
}

/// So many loopback ports that were free a moment ago, no two alike.
pub fn free_ports(count: usize) -> anyhow::Result<Vec<u16>> {
    let held: Vec<_> =
        (0..count).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect::<Result<_, _>>()?;
    Ok(held.iter().map(|held| Ok(held.local_addr()?.port())).collect::<std::io::Result<_>>()?)
}
