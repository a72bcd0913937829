//! The scheduler's view against what the kernel itself tells of the same run, and against bpftrace.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use steth_tests::agent::Agent;
use steth_tests::metrics::Metrics;
use steth_tests::program::Scratch;
use steth_tests::scripts::python;

/// Has every program of these tests told by itself, with the name that it brings.
const RULES: (&str, &str) = (
    "STETH_SERVICES",
    "[{name: threads, match: {command: '*threads.py*'}}, {name: brief, match: {executable: 'true'}}]",
);
const NANOS: f64 = 1e9;

/// A program of `threads.py`, which tells a number when it is done and then waits to be ended.
struct Waiter {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
}

impl Waiter {
    fn start(service: &str, arguments: &[&str], cpu: Option<&str>) -> anyhow::Result<Self> {
        let script = python("threads.py", service);
        let mut command = match cpu {
            Some(cpu) => {
                let mut command = Command::new("taskset");
                command.args(["-c", cpu]).arg(script.get_program()).args(script.get_args());
                command.env("OTEL_SERVICE_NAME", service);
                command
            }
            None => script,
        };
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start python3")?;
        let out = BufReader::new(child.stdout.take().context("no output")?);
        Ok(Self { child, out })
    }

    /// What it tells; after that it stays as it is.
    fn told(&mut self) -> anyhow::Result<f64> {
        let mut line = String::new();
        self.out.read_line(&mut line)?;
        Ok(line.trim().parse()?)
    }

    fn file(&self, name: &str) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(format!("/proc/{}/{name}", self.child.id()))?)
    }

    /// Time on a run queue as the kernel has it, nanoseconds.
    fn delay(&self) -> anyhow::Result<f64> {
        let text = self.file("schedstat")?;
        Ok(text.split(' ').nth(1).context("no second number")?.parse()?)
    }

    /// Voluntary and involuntary switches as the kernel has them.
    fn switches(&self) -> anyhow::Result<[u64; 2]> {
        let text = self.file("status")?;
        let of = |name: &str| -> anyhow::Result<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            Ok(line.context("no such line")?.trim().parse()?)
        };
        Ok([of("voluntary_ctxt_switches:")?, of("nonvoluntary_ctxt_switches:")?])
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ended with the test.
struct Load(Child);

impl Load {
    fn start(command: &mut Command) -> anyhow::Result<Self> {
        Ok(Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // It passes the signal on to its workers.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

fn sum(metrics: &Metrics, name: &str, labels: &[(&str, &str)]) -> f64 {
    metrics.of(name, labels).map(|sample| sample.value).sum()
}

fn assert_near(what: &str, got: f64, expect: f64, share: f64) {
    let off = (got - expect).abs() / expect.max(f64::MIN_POSITIVE);
    println!("{what}: {got} against {expect}");
    assert!(off <= share, "{what}: {got}, not {expect}");
}

/// Upper bound of the bucket that the share `q` of a service's waits is below, as the page has it.
fn bound(metrics: &Metrics, job: &str, q: f64) -> f64 {
    let name = "steth_cpu_run_queue_wait_seconds_bucket";
    let mut buckets: Vec<(f64, f64)> = metrics
        .of(name, &[("job", job)])
        .filter_map(|sample| Some((sample.labels.get("le")?.parse().ok()?, sample.value)))
        .collect();
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let all = buckets.last().map_or(0.0, |last| last.1);
    buckets.iter().find(|(_, below)| *below >= q * all).map_or(f64::INFINITY, |(le, _)| *le)
}

/// Counts waits of one process by powers of two, independently of the kernel's own bookkeeping.
const WITNESS: &str = "
tracepoint:sched:sched_wakeup,tracepoint:sched:sched_wakeup_new { @since[args->pid] = nsecs }
tracepoint:sched:sched_switch {
  if (args->prev_state == 0 || args->prev_state == 256) { @since[args->prev_pid] = nsecs }
  $since = @since[args->next_pid];
  if ($since) {
    if (args->next_pid == $1) { @waits = hist((nsecs - $since) / 1000) }
    delete(@since[args->next_pid]);
  }
}
END { clear(@since) }";

/// The range in seconds of the bucket of bpftrace's text that the share `q` is in.
fn witnessed(text: &str, q: f64) -> Option<(f64, f64)> {
    let number = |text: &str| -> Option<f64> {
        let (digits, by) = match text.chars().last()? {
            'K' => (text.strip_suffix('K')?, 1024.0),
            'M' => (text.strip_suffix('M')?, 1024.0 * 1024.0),
            _ => (text, 1.0),
        };
        Some(digits.parse::<f64>().ok()? * by / 1e6)
    };
    let mut rows = Vec::new();
    for line in text.lines().filter(|line| line.starts_with(['[', '('])) {
        let (range, rest) = line.split_once([']', ')'])?;
        let count: f64 = rest.split_whitespace().next()?.parse().ok()?;
        let range = range.trim_start_matches(['[', '(']);
        let (from, to) = match range.split_once(", ") {
            Some((from, to)) => (number(from)?, number(to)?),
            None => (number(range)?, number(range)? + 1e-6),
        };
        rows.push((from, to, count));
    }
    let all: f64 = rows.iter().map(|row| row.2).sum();
    let mut below = 0.0;
    rows.into_iter().find_map(|(from, to, count)| {
        below += count;
        (below >= q * all).then_some((from, to))
    })
}

#[test]
fn waits_beside_a_neighbour_are_those_the_kernel_counts() -> anyhow::Result<()> {
    let agent = Agent::start_with(&[], &[RULES])?;
    // The first round is over: what a later one finds on its way from program to program is told of each of them.
    agent.metrics()?;
    let mut neighbour = Command::new("stress-ng");
    neighbour.args(["--cpu", "1", "--taskset", "1", "--timeout", "20"]);
    let _neighbour = Load::start(&mut neighbour)?;
    let mut waiter = Waiter::start("waiter", &["burn", "5"], Some("1"))?;
    let pid = waiter.child.id().to_string();
    let witness = Command::new("bpftrace")
        .args(["-e", WITNESS, &pid])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("bpftrace")?;
    waiter.told()?;
    std::thread::sleep(Duration::from_millis(50));
    let (delay, [voluntary, involuntary]) = (waiter.delay()?, waiter.switches()?);
    let job = ("job", "waiter");
    let switches = |metrics: &Metrics| {
        ["voluntary", "involuntary"].map(|kind| {
            let labels = [job, ("process_context_switch_type", kind)];
            metrics.sum("steth_cpu_context_switches_total", &labels)
        })
    };
    // A round that had begun before may be what is told first; the waiter does nothing any more.
    let metrics = agent.metrics_when(|metrics| switches(metrics) == [voluntary, involuntary])?;
    Command::new("kill").args(["-INT", &witness.id().to_string()]).status()?;
    let text = String::from_utf8_lossy(&witness.wait_with_output()?.stdout).into_owned();

    let waited = sum(&metrics, "steth_cpu_run_queue_wait_seconds_sum", &[job]) * NANOS;
    assert_near("time on the run queue", waited, delay, 0.02);
    assert_near(
        "by cause",
        sum(&metrics, "steth_cpu_run_queue_time_seconds_total", &[job]) * NANOS,
        delay,
        0.02,
    );
    assert_eq!(switches(&metrics), [voluntary, involuntary]);
    let counted = metrics.sum("steth_cpu_run_queue_wait_seconds_count", &[job]);
    assert_eq!(counted, voluntary + involuntary);
    assert_eq!(metrics.sum("steth_cpu_preemptions_total", &[job]), involuntary);

    for q in [0.5, 0.99] {
        let ours = bound(&metrics, "waiter", q);
        let (from, to) = witnessed(&text, q).with_context(|| format!("no waits in {text}"))?;
        println!("p{}: at most {ours}, bpftrace {from}..{to}", q * 100.0);
        // Ours are five to two decades, theirs an octave: they meet, or are neighbours.
        assert!(ours >= from / 2.5 && ours <= to * 2.5 * 2.0, "p{}", q * 100.0);
    }
    Ok(())
}

/// A control group of the controller `cpu` with a quota, whichever version.
struct Quota {
    path: PathBuf,
}

impl Quota {
    fn new(name: &str, micros: u64) -> anyhow::Result<Self> {
        let v1 = Path::new("/sys/fs/cgroup/cpu");
        let root = if v1.is_dir() { v1 } else { Path::new("/sys/fs/cgroup") };
        let path = root.join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir(&path)?;
        let quota = Self { path };
        if v1.is_dir() {
            std::fs::write(quota.path.join("cpu.cfs_quota_us"), micros.to_string())?;
        } else {
            std::fs::write(quota.path.join("cpu.max"), format!("{micros} 100000"))?;
        }
        Ok(quota)
    }

    /// Nanoseconds that it held its threads back.
    fn throttled(&self) -> anyhow::Result<f64> {
        let text = std::fs::read_to_string(self.path.join("cpu.stat"))?;
        let of = |name: &str, by: f64| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim().parse::<f64>().ok()? * by)
        };
        of("throttled_time ", 1.0).or(of("throttled_usec ", 1e3)).context("not throttled")
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.path);
    }
}

#[test]
fn a_wait_for_the_own_quota_is_told_from_one_for_a_neighbour() -> anyhow::Result<()> {
    let quota = Quota::new("steth-quota", 20_000)?;
    let agent = Agent::start_with(&[], &[RULES])?;
    let mut waiter = Waiter::start("limited", &["burn", "4"], Some("1"))?;
    std::fs::write(quota.path.join("cgroup.procs"), waiter.child.id().to_string())?;
    waiter.told()?;
    std::thread::sleep(Duration::from_millis(200));
    let (delay, throttled) = (waiter.delay()?, quota.throttled()?);
    let metrics = agent.metrics()?;
    let of = |cause| {
        let labels = [("job", "limited"), ("steth_run_queue_cause", cause)];
        sum(&metrics, "steth_cpu_run_queue_time_seconds_total", &labels) * NANOS
    };
    assert_near("all of it", of("quota") + of("contention"), delay, 0.02);
    // The group counts from the moment it is held back, a thread from when it leaves the processor.
    assert_near("its quota", of("quota"), throttled, 0.1);
    let taken = [("job", "limited"), ("steth_preempted_by", "quota")];
    assert!(metrics.sum("steth_cpu_preemptions_total", &taken) >= 20);
    drop(waiter);
    Ok(())
}

#[test]
fn time_off_the_processor_has_the_cause_that_it_has() -> anyhow::Result<()> {
    let scratch = Scratch::new("offcpu")?;
    let file = scratch.file("large", vec![1; 64 << 20])?;
    std::fs::File::open(&file)?.sync_all()?;
    let file = file.to_string_lossy().into_owned();
    let agent = Agent::start_with(&[], &[RULES, ("STETH_USAGE_LOCKS", "true")])?;
    let cases: &[(&str, &[&str], &str)] = &[
        ("off-sleep", &["sleep"], "sleep"),
        ("off-lock", &["lock"], "lock"),
        ("off-pipe", &["pipe"], "other"),
        ("off-socket", &["socket"], "network"),
        ("off-poll", &["poll"], "network"),
        ("off-disk", &["disk", &file], "disk"),
    ];
    let mut told = Vec::new();
    for (service, arguments, _) in cases {
        let mut waiter = Waiter::start(service, arguments, None)?;
        told.push((waiter.told()?, waiter.delay()?, waiter));
    }
    std::thread::sleep(Duration::from_millis(100));
    let metrics = agent.metrics()?;
    for ((service, _, cause), (waited, delay, _)) in cases.iter().zip(&told) {
        let labels = [("job", *service), ("steth_off_cpu_cause", *cause)];
        let off = sum(&metrics, "steth_off_cpu_time_seconds_total", &labels) * NANOS;
        println!("{service}: {off} off for {cause}, {waited} by its own clock, {delay} ready");
        // Its own clock has in it what it ran and was ready; its helper is of the same service.
        assert!(off > 0.0, "{service}");
        if *cause == "disk" {
            assert!(off <= waited * 1.05, "{service}");
        } else {
            assert!(off >= waited * 0.95 - delay, "{service}");
        }
    }
    let futexes = metrics.sum("steth_futex_wait_seconds_count", &[("job", "off-lock")]);
    assert!((20..=24).contains(&futexes), "{futexes} waits for futexes");
    Ok(())
}

#[test]
fn processes_that_live_a_moment_are_counted() -> anyhow::Result<()> {
    let agent = Agent::start_with(&[], &[RULES])?;
    let before = agent.metrics()?.sum("steth_cpu_context_switches_total", &[("job", "{other}")]);
    let mut parent = Waiter::start("parent", &["brief", "200"], None)?;
    parent.told()?;
    let mut threads = Waiter::start("threads", &["threads"], None)?;
    threads.told()?;
    std::thread::sleep(Duration::from_millis(100));
    let metrics = agent.metrics()?;
    let of = |name: &str, job| metrics.sum(name, &[("job", job)]);
    // What nobody asked after while it lived is of no service, but it is counted. Each is switched to
    // when it is made, and away from when it ends.
    let name = "steth_cpu_context_switches_total";
    let switches = ["brief", "{other}"].map(|job| of(name, job)).iter().sum::<u64>();
    assert!(switches - before >= 200, "{switches} after {before}");
    // Fifty threads that sleep five times and end, beside the first.
    let switches = of("steth_cpu_context_switches_total", "threads");
    assert!(switches >= 300, "{switches}");
    assert_eq!(of("steth_cpu_run_queue_wait_seconds_count", "threads"), switches);
    Ok(())
}
