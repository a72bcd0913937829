//! What is told of processes is what `/proc` says of them at the same moment.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context;
use steth_tests::agent::Agent;
use steth_tests::collector::Collector;
use steth_tests::metrics::Metrics;
use steth_tests::program::{Program, command};

/// Uses some of everything, then only waits: what is read of it stands still.
const BURNER: &str = "
# usage-burner
import signal, time
held = bytearray(64 << 20)
for at in range(0, len(held), 4096):
    held[at] = 1
files = [open('/dev/null') for _ in range(17)]
until = time.process_time() + 0.4
while time.process_time() < until:
    pass
for _ in range(150):
    time.sleep(0.001)
signal.pause()
";
/// Has every burner told by itself.
const RULE: (&str, &str) =
    ("STETH_SERVICES", "[{name: burner, match: {command: '*usage-burner*'}}]");

/// Starts a burner as a service and waits until it only waits.
fn burner(name: &str) -> anyhow::Result<Program> {
    let mut python = command("python3", name);
    python.args(["-c", BURNER]);
    let program = Program::start(python)?;
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let stat = stat(program.pid())?;
        let voluntary = status(program.pid(), "voluntary_ctxt_switches:")?;
        if stat.user > 0 && voluntary >= 150 && stat.state == "S" {
            std::thread::sleep(Duration::from_millis(100));
            return Ok(program);
        }
        anyhow::ensure!(Instant::now() < deadline, "the burner does not come to rest");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What `/proc/PID/stat` says, in its own units.
#[derive(Debug, PartialEq)]
struct Stat {
    state: String,
    minor: u64,
    major: u64,
    user: u64,
    system: u64,
    threads: u64,
    vsize: u64,
    rss: u64,
}

fn stat(pid: u32) -> anyhow::Result<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = text.rsplit_once(") ").context("no name")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let field = |number: usize| -> anyhow::Result<u64> {
        Ok(fields.get(number - 3).context("too few fields")?.parse()?)
    };
    Ok(Stat {
        state: fields.first().copied().unwrap_or_default().to_owned(),
        minor: field(10)?,
        major: field(12)?,
        user: field(14)?,
        system: field(15)?,
        threads: field(20)?,
        vsize: field(23)?,
        rss: field(24)?,
    })
}

/// The number of a line of `/proc/PID/status`.
fn status(pid: u32, name: &str) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
    Ok(line.split_whitespace().next().context("no number")?.parse()?)
}

/// The one value of a process's series.
fn value(metrics: &Metrics, job: &str, name: &str, label: Option<(&str, &str)>) -> Option<f64> {
    let labels: Vec<_> = [("job", job)].into_iter().chain(label).collect();
    let mut samples = metrics.of(name, &labels);
    let value = samples.next()?.value;
    assert!(samples.next().is_none(), "{name} of {job} stands there twice");
    Some(value)
}

#[test]
fn a_process_is_told_as_proc_tells_it() -> anyhow::Result<()> {
    const JOB: &str = "usage-burner";
    let program = burner(JOB)?;
    let agent = Agent::start_with(&[], &[RULE])?;
    // What takes a file each is read from the second round on.
    let metrics = agent.metrics_when(|metrics| {
        value(metrics, JOB, "process_unix_file_descriptor_count", None).is_some()
    })?;
    let Stat { state, minor, major, user, system, threads, vsize, rss } = stat(program.pid())?;
    assert_eq!(state, "S");
    let page = 4096.0;
    let open = std::fs::read_dir(format!("/proc/{}/fd", program.pid()))?.count();
    let mode = |mode| Some(("cpu_mode", mode));
    let fault = |kind| Some(("system_paging_fault_type", kind));
    let switch = |kind| Some(("process_context_switch_type", kind));
    let voluntary = status(program.pid(), "voluntary_ctxt_switches:")?;
    let involuntary = status(program.pid(), "nonvoluntary_ctxt_switches:")?;
    let whole = |number: u64| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    for (name, label, expect) in [
        ("process_cpu_time_seconds_total", mode("user"), whole(user) / 100.0),
        ("process_cpu_time_seconds_total", mode("system"), whole(system) / 100.0),
        ("process_paging_faults_total", fault("minor"), whole(minor)),
        ("process_paging_faults_total", fault("major"), whole(major)),
        ("process_context_switches_total", switch("voluntary"), whole(voluntary)),
        ("process_context_switches_total", switch("involuntary"), whole(involuntary)),
        ("process_thread_count", None, whole(threads)),
        ("process_memory_virtual_bytes", None, whole(vsize)),
        ("process_memory_usage_bytes", None, whole(rss) * page),
        ("process_unix_file_descriptor_count", None, whole(open as u64)),
    ] {
        assert_eq!(value(&metrics, JOB, name, label), Some(expect), "{name} {label:?}");
    }
    assert!(user + system >= 40, "{user} + {system}");
    // The host's processors are told as well, and what all of this costs.
    let online = std::thread::available_parallelism()?.get();
    let idle = metrics.of("system_cpu_time_seconds_total", &[("cpu_mode", "idle")]).count();
    assert!(idle >= online, "{idle} processors of {online}");
    assert!(metrics.sum("steth_collect_rounds_total", &[("steth_usage_family", "process")]) >= 2);
    let probes = agent.status()?;
    let states: BTreeMap<_, _> = probes
        .pointer("/capture/probes")
        .and_then(serde_json::Value::as_array)
        .context("no probes")?
        .iter()
        .filter_map(|probe| {
            (probe.get("hook")?.as_str()? == "files")
                .then_some((probe.get("name")?.as_str()?, probe.get("state")?.as_str()?))
        })
        .collect();
    assert_eq!(states.get("steth/process"), Some(&"active"), "{states:?}");
    assert_eq!(states.get("steth/locks"), Some(&"disabled"), "{states:?}");
    Ok(())
}

#[test]
fn a_process_that_ends_says_so_once() -> anyhow::Result<()> {
    const JOB: &str = "usage-ending";
    let Some(collector) = Collector::start("usage-collector")? else { return Ok(()) };
    let endpoint = collector.http();
    let flags = ["--otlp-endpoint", endpoint.as_str(), "--interval", "1s"];
    let agent = Agent::start_with(&flags, &[RULE])?;
    let program = burner(JOB)?;
    let pid = i64::from(program.pid());
    let is_of = |point: &steth_tests::collector::Point| {
        let told = point.resource.get("process.pid");
        point.of("service.name") == JOB
            && point.name == "process.paging.faults"
            && told.is_some_and(|told| {
                told.as_i64() == Some(pid) || told.as_str() == Some(&pid.to_string())
            })
    };
    let Stat { minor, major, .. } = stat(program.pid())?;
    let wanted = minor + major;
    let received = collector.received_when(|received| {
        let last = |kind: &str| {
            let of_kind = |p: &&steth_tests::collector::Point| {
                is_of(p)
                    && p.attributes.get("system.paging.fault.type").and_then(|v| v.as_str())
                        == Some(kind)
            };
            received.0.iter().rfind(of_kind).map_or(0, |point| point.count)
        };
        last("minor") + last("major") == wanted
    })?;
    let told: Vec<_> = received.0.iter().filter(|point| is_of(point)).collect();
    assert!(told.iter().all(|point| !point.ended), "{told:?}");
    let made = told.first().context("nothing was received")?;
    assert!(made.of("process.creation.time").ends_with('Z'), "{made:?}");
    drop(program);
    let ended = |received: &steth_tests::collector::Received| {
        received.0.iter().filter(|point| is_of(point) && point.ended).count()
    };
    let received = collector.received_when(|received| ended(received) >= 2)?;
    // One for each kind of fault, and nothing after.
    assert_eq!(ended(&received), 2);
    let count = received.0.iter().filter(|point| is_of(point)).count();
    std::thread::sleep(Duration::from_millis(2500));
    let later = collector.received()?;
    assert_eq!(later.0.iter().filter(|point| is_of(point)).count(), count);
    drop(agent);
    Ok(())
}

/// Threads of all processes there are.
fn threads() -> u64 {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
    pids.filter_map(|pid| stat(pid).ok()).map(|stat| stat.threads).sum()
}

#[test]
fn who_has_no_place_is_counted_in_other() -> anyhow::Result<()> {
    let burner = burner("usage-crowded")?;
    let agent = Agent::start_with(&[], &[RULE, ("STETH_USAGE_PROCESSES", "0")])?;
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let before = threads();
        let metrics = agent.metrics()?;
        let after = threads();
        let told = metrics.sum("process_thread_count", &[("job", "{other}")]);
        // Threads come and go: a moment counts in which none did.
        if before == after {
            assert_eq!(told, before);
            assert_eq!(metrics.of("process_thread_count", &[]).count(), 1);
            break;
        }
        anyhow::ensure!(Instant::now() < deadline, "the host does not come to rest");
    }
    drop(burner);
    Ok(())
}
