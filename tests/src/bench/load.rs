//! nginx and wrk, and what a round of them costs.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::Context;

use crate::agent::{Agent, free_port};
use crate::program::{Program, Scratch, command, run};

/// nginx, running.
pub(super) struct Bench {
    nginx: Program,
    port: u16,
    _scratch: Scratch,
}

/// One round of load.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Round {
    /// CPU time of nginx a request, us.
    pub(super) nginx: f64,
    /// Requests a second.
    pub(super) rate: f64,
    /// CPU time of the agent an exchange seen, us.
    pub(super) agent: f64,
    /// Resident bytes of the agent.
    pub(super) rss: u64,
    /// Bytes of its kernel maps.
    pub(super) maps: u64,
    /// What it says it lost.
    pub(super) lost: u64,
    /// What it counted for the client beyond or below what wrk did; 0 is exact.
    pub(super) off: i64,
}

/// A command on one processor: a scheduler that puts server and client together now and then would
/// be most of what is measured.
fn pinned(cpu: usize, program: &str, name: &str) -> Command {
    let mut command = command("taskset", name);
    let last = std::thread::available_parallelism().map_or(0, |cpus| cpus.get() - 1);
    command.args(["-c", &cpu.min(last).to_string(), program]);
    command
}

const SERVER: &str = "bench-nginx";
const CLIENT: &str = "bench-wrk";

impl Bench {
    pub(super) fn start() -> anyhow::Result<Self> {
        let scratch = Scratch::new("bench")?;
        let port = free_port()?;
        let at = scratch.path().display();
        let config = scratch.file(
            "nginx.conf",
            format!(
                "worker_processes 1; daemon off; master_process off; error_log {at}/error.log; pid {at}/pid;
                 events {{ worker_connections 1024; }}
                 http {{ access_log off; keepalive_requests 1000000000;
                   server {{ listen 127.0.0.1:{port}; location / {{ return 200 \"hello\\n\"; }} }} }}"
            ),
        )?;
        let mut nginx = pinned(0, "nginx", SERVER);
        nginx.arg("-c").arg(config);
        let nginx = Program::listening(nginx, SocketAddr::from(([127, 0, 0, 1], port)))?;
        Ok(Self { nginx, port, _scratch: scratch })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Full speed for `seconds`; how many requests wrk says it made.
    pub(super) fn requests(&self, seconds: u64) -> anyhow::Result<u64> {
        let mut wrk = pinned(1, "wrk", CLIENT);
        let url = format!("http://127.0.0.1:{}/", self.port);
        wrk.args(["-t1", "-c16", &format!("-d{seconds}"), &url]);
        let said = String::from_utf8(run(wrk)?.stdout)?;
        said.lines()
            .find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok())
            .with_context(|| format!("wrk said: {said}"))
    }

    pub(super) fn round(&self, agent: Option<&Agent>, seconds: u64) -> anyhow::Result<Round> {
        let (cpu, own) = (on_cpu(self.nginx.pid())?, agent.map(own_cpu).transpose()?);
        let requests = self.requests(seconds)?;
        let spent = on_cpu(self.nginx.pid())? - cpu;
        let mut round = Round {
            nginx: spent as f64 / 1e3 / requests as f64,
            rate: requests as f64 / seconds as f64,
            ..Round::default()
        };
        let (Some(agent), Some(own)) = (agent, own) else { return Ok(round) };
        let metrics = agent.metrics()?;
        let status = agent.status()?;
        let of = |name: &str| status["agent"][name].as_u64().unwrap_or(0);
        (round.rss, round.maps) = (of("rss_bytes"), of("map_bytes"));
        round.agent = (own_cpu(agent)? - own) as f64 / 1e3 / (requests * 2) as f64;
        round.lost = metrics.lost();
        let counted = metrics.asked(CLIENT, &[("error_type", "")]);
        if counted > 0 {
            round.off = i64::try_from(counted)? - i64::try_from(requests)?;
        }
        Ok(round)
    }
}

impl Round {
    /// Of each figure the median.
    pub(super) fn median(rounds: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| {
            let mut all: Vec<f64> = rounds.iter().map(figure).collect();
            all.sort_by(f64::total_cmp);
            all.get(all.len() / 2).copied().unwrap_or_default()
        };
        Self {
            nginx: of(|r| r.nginx),
            rate: of(|r| r.rate),
            agent: of(|r| r.agent),
            rss: rounds.iter().map(|r| r.rss).max().unwrap_or(0),
            maps: rounds.iter().map(|r| r.maps).max().unwrap_or(0),
            lost: rounds.iter().map(|r| r.lost).sum(),
            off: rounds.iter().map(|r| r.off).sum(),
        }
    }
}

/// Nanoseconds a process with one thread has been on a CPU.
pub(super) fn on_cpu(pid: u32) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat"))?;
    Ok(text.split_ascii_whitespace().next().context("no schedstat")?.parse()?)
}

/// The same of all threads of the agent.
pub(super) fn own_cpu(agent: &Agent) -> anyhow::Result<u64> {
    let mut sum = 0;
    for thread in std::fs::read_dir(format!("/proc/{}/task", agent.pid()))? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        sum += text.split_ascii_whitespace().next().context("no schedstat")?.parse::<u64>()?;
    }
    Ok(sum)
}
