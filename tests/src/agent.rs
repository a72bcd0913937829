//! The agent under test: the real binary, started as a user would, asked over HTTP.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::collector::Collector;
use crate::metrics::Metrics;

/// How long the agent may take to start, and to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running agent.
pub struct Agent {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

/// Where the agent's binary is: `STETH_AGENT`, else the workspace's release build.
pub fn binary() -> PathBuf {
    std::env::var_os("STETH_AGENT").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/release/steth"),
        PathBuf::from,
    )
}

/// A loopback port that was free a moment ago.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

impl Agent {
    /// Starts the agent with `flags` (and no live view), and waits until it watches.
    pub fn start(flags: &[&str]) -> anyhow::Result<Self> {
        Self::start_with(flags, &[])
    }

    /// The same with variables of the environment; `OTEL_*` and `STETH_*` of the caller do not count.
    pub fn start_with(flags: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        Self::start_through(&[], &binary(), flags, environment)
    }

    /// The same with every request a span, sent to `collector` as soon as it is decided on. What `more` says goes
    /// before that.
    pub fn keeping_all(
        flags: &[&str],
        collector: &Collector,
        more: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let endpoint = collector.grpc();
        let mut environment = vec![
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
            ("OTEL_TRACES_SAMPLER", "always_on"),
            ("OTEL_BSP_SCHEDULE_DELAY", "300"),
            ("STETH_TRACES_PER_SERVICE", "100000"),
            ("STETH_TRACES_TOTAL", "1000000"),
            ("STETH_TRACES_RATE", "10000000"),
            ("STETH_TRACES_WINDOW", "1s"),
        ];
        environment.extend_from_slice(more);
        Self::start_with(flags, &environment)
    }

    /// The same by way of another program, which is given the words after its name and then the
    /// agent at `binary` with its flags, and becomes it.
    pub fn start_through(
        before: &[&str],
        binary: &Path,
        flags: &[&str],
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let port = free_port()?;
        let log =
            std::env::temp_dir().join(format!("steth-test-{}-{port}.log", std::process::id()));
        let stderr = std::fs::File::create(&log)?;
        let mut words = before.iter().map(OsStr::new).chain([binary.as_os_str()]);
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("OTEL_") || text.starts_with("STETH_") {
                command.env_remove(&name);
            }
        }
        let child = command
            .args(["--no-live", "--listen", &format!("127.0.0.1:{port}")])
            .args(flags)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let mut agent = Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)), log };
        let deadline = Instant::now() + PATIENCE;
        while agent.get("/healthz").is_err() {
            if let Some(status) = agent.child.try_wait()? {
                bail!("the agent ended at once ({status}):\n{}", agent.log());
            }
            if Instant::now() > deadline {
                bail!("the agent does not answer:\n{}", agent.log());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(agent)
    }

    /// Where it serves its pages.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks it to end, as an init system would, and waits for that; gives how it ended and how long
    /// that took.
    pub fn terminate(&mut self) -> anyhow::Result<(ExitStatus, Duration)> {
        let begun = Instant::now();
        let told = Command::new("kill").arg(self.child.id().to_string()).status()?;
        if !told.success() {
            bail!("the agent is not there any more:\n{}", self.log());
        }
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok((status, begun.elapsed()));
            }
            if begun.elapsed() > PATIENCE {
                bail!("the agent does not end:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The body of a page.
    pub fn get(&self, path: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let answer = String::from_utf8(answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        if !head.starts_with("HTTP/1.1 200") {
            bail!("{path}: {head}");
        }
        if !head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
            return Ok(body.to_owned());
        }
        let mut out = String::new();
        let mut rest = body;
        while let Some((size, more)) = rest.split_once("\r\n") {
            let size = usize::from_str_radix(size.trim(), 16)?;
            if size == 0 {
                break;
            }
            out.push_str(more.get(..size).context("a chunk is cut")?);
            rest = more.get(size + 2..).context("a chunk is cut")?;
        }
        Ok(out)
    }

    /// Everything counted at this moment. The agent sweeps and drains before it answers, so what
    /// ended before this call is in it.
    pub fn metrics(&self) -> anyhow::Result<Metrics> {
        Ok(Metrics::parse(&self.get("/metrics")?))
    }

    /// `/status`.
    pub fn status(&self) -> anyhow::Result<serde_json::Value> {
        Ok(serde_json::from_str(&self.get("/status")?)?)
    }

    /// Asks again until `wanted` says yes, for what other programs still have to do; gives the last
    /// answer either way.
    pub fn metrics_when(&self, wanted: impl Fn(&Metrics) -> bool) -> anyhow::Result<Metrics> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let metrics = self.metrics()?;
            if wanted(&metrics) || Instant::now() > deadline {
                return Ok(metrics);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Everything counted while a witness says the same before and after: what it says is what the
    /// agent has to say.
    pub fn metrics_while<W: PartialEq>(
        &self,
        witness: impl Fn() -> anyhow::Result<W>,
    ) -> anyhow::Result<(Metrics, W)> {
        for _ in 0..200 {
            let before = witness()?;
            let metrics = self.metrics()?;
            if before == witness()? {
                return Ok((metrics, before));
            }
        }
        bail!("the witness never stands still")
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Kills it without a warning.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // The test has its verdict already; the process must not outlive it.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.log);
    }
}
