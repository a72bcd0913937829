//! A real Prometheus beside the agent.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::agent::{Agent, free_port};
use crate::program::{Program, Scratch, command, connect};

/// How long a scrape and a query may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Head and body of an answer.
pub fn fetch(port: u16, path: &str, accept: &str) -> anyhow::Result<(String, String)> {
    let mut stream = connect(port)?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: x\r\nAccept: {accept}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
    Ok((head.to_ascii_lowercase(), body.to_owned()))
}

/// Prometheus, scraping each second.
pub struct Prometheus {
    _program: Program,
    _scratch: Scratch,
    port: u16,
}

impl Prometheus {
    /// Starts it on this agent.
    pub fn start(agent: &Agent) -> anyhow::Result<Self> {
        let scratch = Scratch::new("prometheus")?;
        let port = free_port()?;
        let config = scratch.file(
            "prometheus.yml",
            format!(
                "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
                 scrape_configs:\n\
                 - {{job_name: steth, honor_labels: true, static_configs: [{{targets: ['{}']}}]}}\n",
                agent.address()
            ),
        )?;
        let mut program = command("prometheus", "prometheus-scraping");
        program.arg(format!("--config.file={}", config.display()));
        program.arg(format!("--storage.tsdb.path={}/data", scratch.path().display()));
        program.arg("--enable-feature=exemplar-storage");
        program.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let program = Program::listening(program, SocketAddr::from(([127, 0, 0, 1], port)))?;
        Ok(Self { _program: program, _scratch: scratch, port })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What an instant query gives; none while it cannot be asked yet.
    pub fn query(&self, query: &str) -> anyhow::Result<Option<serde_json::Value>> {
        let query = encoded(query);
        let (head, body) = fetch(self.port, &format!("/api/v1/query?query={query}"), "*/*")?;
        if head.contains(" 503 ") {
            // It listens a moment before it is ready.
            return Ok(None);
        }
        let mut answer: serde_json::Value = serde_json::from_str(&body)?;
        anyhow::ensure!(head.contains(" 200 "), "{body}");
        Ok(answer.pointer_mut("/data/result").map(serde_json::Value::take))
    }

    /// What it knows of exemplars of these series as JSON text, once it knows any, or after a while.
    pub fn exemplars_until(&self, query: &str) -> anyhow::Result<String> {
        let deadline = Instant::now() + PATIENCE;
        let query = encoded(query);
        let path = format!("/api/v1/query_exemplars?query={query}&start=0&end=4102444800");
        loop {
            let (_, body) = fetch(self.port, &path, "*/*")?;
            if body.contains("\"exemplars\"") || Instant::now() > deadline {
                return Ok(body);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// The value of an instant query that gives one number; none while there is no result.
    pub fn ask(&self, query: &str) -> anyhow::Result<Option<f64>> {
        let result = self.query(query)?.unwrap_or_default();
        let value = result.pointer("/0/value/1").and_then(serde_json::Value::as_str);
        Ok(value.map(str::parse).transpose()?)
    }

    /// The same once it is `wanted`, or after a while.
    pub fn ask_until(&self, query: &str, wanted: f64) -> anyhow::Result<Option<f64>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let value = self.ask(query)?;
            if value == Some(wanted) || Instant::now() > deadline {
                return Ok(value);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

fn encoded(query: &str) -> String {
    query.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02X}"))
}
