//! What a guest shows that the machine the tests run on may not: a host with nothing but control groups of
//! version 2, and a processor that goes away and comes back.

use std::fs;
use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::exposition::{self, Series};
use super::watched;

/// The argument with which this program starts itself as the load of the group.
pub const ROLE_BURNER: &str = "guest-burner";

const ROOT: &str = "/sys/fs/cgroup";
const GROUP: &str = "/sys/fs/cgroup/limited";
const SECOND: &str = "/sys/devices/system/cpu/cpu1/online";
/// Of the processors that are left.
const COUNT: &str = "system_cpu_logical_count";
const TIME: &str = "system_cpu_time_seconds_total";
/// How long the group has to use up its quota.
const BURN: Duration = Duration::from_secs(1);
/// For the page and the kernel to say the same.
const LIMIT: Duration = Duration::from_secs(20);

/// The load: once it is let go, it is busy for a while.
pub fn burn() -> Result<()> {
    io::stdin().read_to_end(&mut Vec::new())?;
    let began = Instant::now();
    while began.elapsed() < BURN {
        std::hint::spin_loop();
    }
    Ok(())
}

/// Compares what the agent tells of a group with a quota, and of the processors, with what the kernel says.
pub fn check() -> Result<()> {
    limited().context("control groups of version 2")?;
    hotplug().context("a processor that goes and comes")
}

fn limited() -> Result<()> {
    let write = |path: &str, text: &str| {
        fs::write(path, text).with_context(|| format!("writing {text} into {path}"))
    };
    write(&format!("{ROOT}/cgroup.subtree_control"), "+cpu +memory +pids")?;
    fs::create_dir(GROUP).context("making a group")?;
    write(&format!("{GROUP}/cpu.max"), "20000 100000")?;
    write(&format!("{GROUP}/memory.max"), "67108864")?;
    let mut burner =
        Command::new("/init").arg(ROLE_BURNER).stdin(Stdio::piped()).spawn().context("a load")?;
    write(&format!("{GROUP}/cgroup.procs"), &burner.id().to_string())?;
    drop(burner.stdin.take());
    ensure!(burner.wait()?.success(), "the load ended badly");
    let began = Instant::now();
    loop {
        let before = fs::read_to_string(format!("{GROUP}/cpu.stat"))?;
        let page = exposition::parse(&watched::page("/metrics")?);
        let still = before == fs::read_to_string(format!("{GROUP}/cpu.stat"))?;
        let differs = compare(&before, &page);
        if still && differs.is_empty() {
            return Ok(());
        }
        ensure!(began.elapsed() < LIMIT, "{differs:?}, and it is told: {:?}", of_group(&page));
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn of_group(page: &[Series]) -> Vec<&Series> {
    let is = |series: &&Series| series.labels.values().any(|value| value == "/limited");
    page.iter().filter(is).collect()
}

/// What differs, with what is told and what should be.
fn compare(stat: &str, page: &[Series]) -> Vec<(&'static str, f64, f64)> {
    let stat = |key: &str| {
        let mut lines = stat.lines().filter_map(|line| line.split_once(' '));
        let found = lines.find(|(name, _)| *name == key);
        found.and_then(|(_, number)| number.parse().ok()).unwrap_or(f64::NAN)
    };
    let told = |name: &str| {
        let of = of_group(page);
        let all: Vec<f64> = of.iter().filter(|s| s.name == name).map(|s| s.value).collect();
        if all.is_empty() { f64::NAN } else { all.iter().sum() }
    };
    [
        ("container_cpu_time_seconds_total", (stat("user_usec") + stat("system_usec")) / 1e6),
        ("steth_container_cpu_periods_total", stat("nr_periods")),
        ("steth_container_cpu_throttled_periods_total", stat("nr_throttled").max(1.0)),
        ("steth_container_cpu_throttled_time_seconds_total", stat("throttled_usec") / 1e6),
        ("steth_container_cpu_limit", 0.2),
        ("steth_container_memory_limit_bytes", 67_108_864.0),
    ]
    .into_iter()
    .map(|(name, shall)| (name, told(name), shall))
    .filter(|(_, told, shall)| (told - shall).abs() > 1e-6 || told.is_nan() || shall.is_nan())
    .collect()
}

fn hotplug() -> Result<()> {
    let page = || anyhow::Ok(exposition::parse(&watched::page("/metrics")?));
    let before = page()?;
    is(&before, 2)?;
    fs::write(SECOND, "0").context("switching a processor off")?;
    let without = page()?;
    fs::write(SECOND, "1").context("switching it on again")?;
    let after = page()?;
    is(&without, 1)?;
    is(&after, 2)?;
    for series in before.iter().filter(|series| series.name == TIME) {
        let same = |other: &&Series| other.name == TIME && other.labels == series.labels;
        let later =
            after.iter().find(same).with_context(|| format!("{:?} is gone", series.labels))?;
        ensure!(
            later.value >= series.value,
            "{:?}: {} after {}",
            series.labels,
            later.value,
            series.value
        );
    }
    Ok(())
}

/// Whether so many processors are told.
fn is(page: &[Series], count: u32) -> Result<()> {
    let told: f64 =
        page.iter().filter(|series| series.name == COUNT).map(|series| series.value).sum();
    ensure!((told - f64::from(count)).abs() < 0.5, "{told} processors, not {count}");
    Ok(())
}
