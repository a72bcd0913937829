//! A small load whose count is known: nginx that answers at once, and curl that asks so many times.

use std::net::SocketAddr;

use crate::agent::free_port;
use crate::program::{Program, Scratch, command, run};

/// A server and the clients that ask it. Both are services of their own.
pub struct Traffic {
    _nginx: Program,
    _scratch: Scratch,
    port: u16,
    server: String,
    client: String,
}

impl Traffic {
    /// Starts the server as the service `{name}-server`. It has one process only: a master writes its
    /// title over its environment, and with it the name of the service.
    pub fn start(name: &str) -> anyhow::Result<Self> {
        let (server, client) = (format!("{name}-server"), format!("{name}-client"));
        let scratch = Scratch::new(&server)?;
        let port = free_port()?;
        let at = scratch.path().display();
        let config = scratch.file(
            "nginx.conf",
            format!(
                "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;
                 events {{ }}
                 http {{ access_log off; client_body_temp_path {at}/body; keepalive_requests 100000;
                   server {{ listen 127.0.0.1:{port};
                     location / {{ return 200 \"hello\\n\"; }}
                     location /gone/ {{ return 404; }}
                     location /broken/ {{ return 503; }} }} }}"
            ),
        )?;
        let mut nginx = command("nginx", &server);
        nginx.arg("-c").arg(config);
        let nginx = Program::listening(nginx, SocketAddr::from(([127, 0, 0, 1], port)))?;
        Ok(Self { _nginx: nginx, _scratch: scratch, port, server, client })
    }

    /// Has curl, as the service `{name}-client`, ask `count` times over one connection.
    pub fn ask(&self, count: u32) -> anyhow::Result<()> {
        self.curl(&[&format!("http://127.0.0.1:{}/items/[1-{count}]", self.port)])
    }

    /// curl with `args`; answers are thrown away.
    pub fn curl(&self, args: &[&str]) -> anyhow::Result<()> {
        let mut curl = command("curl", &self.client);
        curl.args(["--silent", "--output", "/dev/null"]).args(args);
        run(curl).map(drop)
    }

    /// Where the server listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's service name.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The clients' service name.
    pub fn client(&self) -> &str {
        &self.client
    }
}
