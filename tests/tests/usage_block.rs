//! Requests to a block device against fio's own counts and percentiles, and the kernel's.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use serde_json::Value;
use steth_tests::agent::Agent;
use steth_tests::metrics::Metrics;
use steth_tests::program::{Scratch, run};

/// A loop device over a file, given back when dropped.
struct Loop(PathBuf);

impl Loop {
    fn new(file: &Path) -> anyhow::Result<Self> {
        let mut losetup = Command::new("losetup");
        losetup.args(["--find", "--show"]).arg(file);
        let said = String::from_utf8(run(losetup)?.stdout)?;
        Ok(Self(PathBuf::from(said.trim())))
    }

    fn name(&self) -> anyhow::Result<&str> {
        self.0.file_name().and_then(|name| name.to_str()).context("no name")
    }

    /// Whether the kernel keeps statistics for write-back throttling, and so notes times of issue.
    fn throttle(&self, microseconds: u32) -> anyhow::Result<()> {
        let file = format!("/sys/block/{}/queue/wbt_lat_usec", self.name()?);
        if !Path::new(&file).exists() {
            println!("left out: this kernel has no write-back throttling");
            return Ok(());
        }
        std::fs::write(&file, microseconds.to_string()).with_context(|| file)
    }

    /// Reads, sectors read, writes, sectors written.
    fn diskstats(&self) -> anyhow::Result<[u64; 4]> {
        let all = std::fs::read_to_string("/proc/diskstats")?;
        let line = all
            .lines()
            .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>())
            .find(|words| words.get(2).copied() == self.name().ok())
            .context("no such device")?;
        let at = |i: usize| line.get(i).and_then(|word| word.parse().ok()).context("no number");
        Ok([at(3)?, at(5)?, at(7)?, at(9)?])
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("--detach").arg(&self.0).status();
    }
}

fn fio(device: &Path) -> anyhow::Result<Value> {
    let mut fio = Command::new("fio");
    fio.args(["--name=mix", "--rw=randrw", "--bs=4k", "--direct=1", "--ioengine=libaio"]);
    fio.args(["--iodepth=4", "--number_ios=20000", "--size=64M", "--output-format=json"]);
    fio.args(["--loops=4", "--percentile_list=50:99"]);
    fio.arg(format!("--filename={}", device.display()));
    let said = String::from_utf8(run(fio)?.stdout)?;
    let from = said.find('{').context("fio says nothing")?;
    Ok(serde_json::from_str(said.get(from..).unwrap_or_default())?)
}

/// Ends of requests that came while a program stood in the same hook on the same processor: the kernel
/// leaves the second one out, and counts it.
fn left_out() -> anyhow::Result<u64> {
    let mut bpftool = Command::new("bpftool");
    bpftool.args(["--json", "prog", "show", "name", "block_complete"]);
    let said: Value = serde_json::from_slice(&run(bpftool)?.stdout)?;
    let all = said.as_array().into_iter().flatten().chain(said.is_object().then_some(&said));
    Ok(all.filter_map(|program| program["recursion_misses"].as_u64()).sum())
}

const BUCKETS: &str = "steth_system_disk_request_device_duration_seconds_bucket";

/// Cumulative counts by upper bound.
fn buckets(metrics: &Metrics, labels: &[(&str, &str)]) -> Vec<(f64, f64)> {
    let bound = |le: &String| le.parse().unwrap_or(f64::INFINITY);
    let mut all: Vec<(f64, f64)> = metrics
        .of(BUCKETS, labels)
        .filter_map(|sample| Some((bound(sample.labels.get("le")?), sample.value)))
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all
}

/// Counts must agree; whether the percentiles do, of which fio's have its own waits for a processor in them.
fn check(device: &Loop, agent: &Agent) -> anyhow::Result<bool> {
    let mut agree = true;
    // What a device's first request tells is where its times are kept.
    let mut dd = Command::new("dd");
    dd.args(["of=/dev/null", "bs=4k", "count=1", "iflag=direct", "status=none"]);
    dd.arg(format!("if={}", device.0.display()));
    run(dd)?;
    let name = device.name()?;
    let all = |metrics: &Metrics| {
        metrics.sum("steth_system_disk_requests_total", &[("system_device", name)])
    };
    let sectors = device.diskstats()?;
    // A round may be late on a busy host.
    let before = (agent.metrics_when(|m| all(m) > 0)?, sectors);
    let fio = fio(&device.0)?;
    let lost = left_out()?;
    let made = ["read", "write"].map(|way| fio["jobs"][0][way]["total_ios"].as_u64().unwrap_or(0));
    let wanted = all(&before.0) + made[0] + made[1] - lost;
    let after = (agent.metrics_when(|m| all(m) >= wanted)?, device.diskstats()?);
    println!("{lost} left out by the kernel");
    let (mut told, mut made) = (0, 0);
    for (i, operation) in ["read", "write"].into_iter().enumerate() {
        let labels = [("system_device", name), ("steth_disk_operation", operation)];
        let more = |metric: &str| after.0.sum(metric, &labels) - before.0.sum(metric, &labels);
        let witness = &fio["jobs"][0][operation];
        let number = |key: &str| witness[key].as_u64().context("no number");
        let requests = more("steth_system_disk_requests_total");
        let bytes = more("steth_system_disk_request_io_bytes_total");
        println!("{operation}: {requests} requests, {bytes} bytes");
        let theirs = (number("total_ios")?, number("io_bytes")?);
        let kernel =
            (after.1[i * 2] - before.1[i * 2], (after.1[i * 2 + 1] - before.1[i * 2 + 1]) * 512);
        assert_eq!(kernel, theirs, "{operation}: /proc/diskstats and fio");
        assert_eq!(bytes, requests * 4096, "{operation}: bytes");
        assert!(requests <= theirs.0, "{operation}: {requests} of {}", theirs.0);
        told += requests;
        made += theirs.0;
        assert_eq!(more("steth_system_disk_request_failures_total"), 0);
        for kind in ["queue", "device"] {
            let count = format!("steth_system_disk_request_{kind}_duration_seconds_count");
            assert_eq!(more(&count), requests, "{operation}: {kind} times");
        }
        let (old, new) = (buckets(&before.0, &labels), buckets(&after.0, &labels));
        let counts: Vec<(f64, f64)> = new
            .iter()
            .map(|(le, count)| {
                let then = old
                    .iter()
                    .find(|(bound, _)| bound.to_bits() == le.to_bits())
                    .map_or(0.0, |(_, n)| *n);
                (*le, count - then)
            })
            .collect();
        let all = counts.last().context("no buckets")?.1;
        for (share, key) in [(0.5, "50.000000"), (0.99, "99.000000")] {
            let said =
                witness["clat_ns"]["percentile"][key].as_f64().context("no percentile")? / 1e9;
            let ours = counts.iter().position(|(_, n)| *n >= share * all).context("empty")?;
            let theirs = counts.iter().position(|(le, _)| said <= *le).context("empty")?;
            println!("{operation}: share {share} at {said} s, ours up to {} s", counts[ours].0);
            agree &= ours.abs_diff(theirs) <= 1;
        }
    }
    // On a crowded host the kernel ends a few requests in ten thousand without saying so at this hook
    // (bpftrace on the same run sees as many as the agent): operations are exact in `system.disk.operations`.
    let untold = made / 2000;
    assert!(made - told <= lost + untold, "{told} of {made} requests, {lost} left out");
    assert!(lost < made / 1000, "{lost} left out of {made}");
    Ok(agree)
}

#[test]
fn requests_are_those_that_were_made() -> anyhow::Result<()> {
    let scratch = Scratch::new("block")?;
    let file = scratch.file("disk", vec![1u8; 64 << 20])?;
    let device = Loop::new(&file)?;
    let agent = Agent::start(&[])?;
    for throttle in [75_000, 0] {
        println!("write-back throttling at {throttle} us");
        device.throttle(throttle)?;
        // Other load on the host shows in fio's percentiles: one undisturbed run is enough.
        let mut agree = false;
        for _ in 0..4 {
            agree = check(&device, &agent)?;
            if agree {
                break;
            }
        }
        assert!(agree, "the percentiles are more than a bucket apart each time");
    }
    Ok(())
}
