//! What USE from kernel events costs: a storm of requests to a block device, of connections, and of
//! bytes, each with the agent as it is without these families, with empty programs, and with them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::agent::Agent;
use crate::program::{Scratch, run};

/// The families of USE from kernel events, by their switches.
const FAMILIES: [&str; 4] = ["DISK", "MEMORY", "TCP", "NETWORK"];

/// Variants: a name, flags, and whether the families are on.
const VARIANTS: &[(&str, &[&str], bool)] = &[
    ("without them", &[], false),
    ("empty programs", &["--empty-programs"], true),
    ("with them", &[], true),
];

fn agent(flags: &[&str], is_on: bool) -> anyhow::Result<Agent> {
    let names: Vec<String> = FAMILIES.iter().map(|f| format!("STETH_USAGE_{f}")).collect();
    let off: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "false")).collect();
    Agent::start_with(flags, if is_on { &[] } else { &off })
}

/// A loop device over a file, given back when dropped.
struct Loop(PathBuf);

impl Loop {
    fn new(scratch: &Scratch) -> anyhow::Result<Self> {
        let file = scratch.file("disk", vec![1u8; 64 << 20])?;
        let mut losetup = Command::new("losetup");
        losetup.args(["--find", "--show", "--direct-io=off"]).arg(file);
        Ok(Self(PathBuf::from(String::from_utf8(run(losetup)?.stdout)?.trim())))
    }

    /// Requests a second.
    fn storm(&self, seconds: u64) -> anyhow::Result<f64> {
        let mut fio = Command::new("fio");
        fio.args(["--name=storm", "--rw=randread", "--bs=4k", "--direct=1", "--ioengine=libaio"]);
        fio.args(["--iodepth=16", "--time_based", "--output-format=json", "--size=64M"]);
        fio.arg(format!("--runtime={seconds}")).arg(format!("--filename={}", self.0.display()));
        let said = String::from_utf8(run(fio)?.stdout)?;
        let from = said.find('{').context("fio says nothing")?;
        let said: serde_json::Value = serde_json::from_str(said.get(from..).unwrap_or_default())?;
        said["jobs"][0]["read"]["iops"].as_f64().context("fio tells no rate")
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("--detach").arg(&self.0).status();
    }
}

/// Connections a second: made, accepted, closed.
fn connections(seconds: u64) -> anyhow::Result<f64> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let (begun, mut count) = (Instant::now(), 0u32);
    while begun.elapsed() < Duration::from_secs(seconds) {
        let mut client = TcpStream::connect(address)?;
        let (mut server, _) = listener.accept()?;
        server.write_all(b"x")?;
        client.read_exact(&mut [0])?;
        // Whoever closes first keeps a port busy: a reset does not.
        rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO))?;
        count += 1;
    }
    Ok(f64::from(count) / begun.elapsed().as_secs_f64())
}

/// Megabytes a second through one connection.
fn bytes(seconds: u64) -> anyhow::Result<f64> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let mut sink = TcpStream::connect(listener.local_addr()?)?;
    let (mut source, _) = listener.accept()?;
    let reader = std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 18];
        let mut all = 0;
        while let Ok(n @ 1..) = sink.read(&mut buffer) {
            all += n;
        }
        all
    });
    let (begun, block) = (Instant::now(), vec![7; 1 << 16]);
    while begun.elapsed() < Duration::from_secs(seconds) {
        source.write_all(&block)?;
    }
    drop(source);
    let all = reader.join().map_err(|_| anyhow::anyhow!("the reader panicked"))?;
    Ok(all as f64 / 1e6 / begun.elapsed().as_secs_f64())
}

/// A load; gives its rate.
type Storm = Box<dyn Fn() -> anyhow::Result<f64>>;

/// The round that was disturbed least: a loop device's rate halves and doubles by itself.
fn best(rates: &[f64]) -> f64 {
    rates.iter().copied().fold(0.0, f64::max)
}

/// All storms, in turns; the report.
pub fn report(seconds: u64, rounds: usize) -> anyhow::Result<String> {
    let scratch = Scratch::new("events")?;
    let device = Loop::new(&scratch)?;
    let storms: [(&str, Storm); 3] = [
        ("requests/s", Box::new(move || device.storm(seconds))),
        ("connections/s", Box::new(move || connections(seconds))),
        ("MB/s", Box::new(move || bytes(seconds))),
    ];
    let mut out =
        String::from("USE from kernel events.\nstorm           variant              rate  ratio\n");
    for (name, storm) in &storms {
        let mut rates = vec![Vec::new(); VARIANTS.len()];
        for _ in 0..rounds {
            for ((variant, flags, is_on), rates) in VARIANTS.iter().zip(&mut rates) {
                eprintln!("{name}: {variant}");
                let _agent = agent(flags, *is_on)?;
                rates.push(storm()?);
            }
        }
        let rates: Vec<f64> = rates.iter().map(|rates| best(rates)).collect();
        let base = rates.first().copied().unwrap_or(1.0);
        for ((variant, ..), rate) in VARIANTS.iter().zip(rates) {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{name:15} {variant:15} {rate:9.0} {:6.3}", rate / base);
        }
        let agent = agent(&["--stats"], true)?;
        storm()?;
        out.push_str(&programs(&agent)?);
    }
    Ok(out)
}

/// What the programs cost by the kernel's own statistics, which are part of it.
fn programs(agent: &Agent) -> anyhow::Result<String> {
    let metrics = agent.metrics()?;
    let mut costs: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    let all = [("steth_bpf_program_time_seconds_total", 0), ("steth_bpf_program_runs_total", 1)];
    for (metric, place) in all {
        for sample in metrics.of(metric, &[]) {
            let name = sample.labels.get("steth_bpf_program_name").cloned().unwrap_or_default();
            let cost = costs.entry(name).or_default();
            if place == 0 { cost.0 += sample.value } else { cost.1 += sample.value }
        }
    }
    let ours = ["block_", "tcp_", "packet_", "reclaim_", "compaction_", "cgroup_reclaim_"];
    let mut out = String::new();
    for (name, (time, runs)) in costs {
        if runs > 0.0 && ours.iter().any(|start| name.starts_with(start)) {
            let _ = writeln!(out, "    {name:22} {runs:10} runs {:6.0} ns each", time / runs * 1e9);
        }
    }
    Ok(out)
}
