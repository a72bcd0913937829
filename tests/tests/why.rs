//! Where a request's time went, by what the agent says on its span and by an independent witness: the
//! server's own look at the kernel's accounts, and the clock of who asked.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;
use steth_tests::agent::{Agent, free_port};
use steth_tests::collector::Collector;
use steth_tests::disk::Loop;
use steth_tests::group::Group;
use steth_tests::program::{Program, command};
use steth_tests::scripts::path;
use steth_tests::spans::Span;

const SERVER: u64 = 2;
const FLAGS: &[&str] = &["--interval", "1s"];

/// Every part of a request's time.
const PARTS: [&str; 10] = [
    "accept_queue",
    "receive_queue",
    "cpu",
    "run_queue",
    "throttled",
    "blocked.disk",
    "blocked.network",
    "blocked.lock",
    "blocked.sleep",
    "blocked.other",
];

/// A server of `why.py`, watched.
struct Bench {
    collector: Collector,
    agent: Agent,
    _server: Program,
    port: u16,
    name: String,
}

impl Bench {
    /// None where there is no Collector.
    fn start(name: &str, change: impl FnOnce(Command) -> Result<Command>) -> Result<Option<Self>> {
        Self::with(name, "exact", change)
    }

    fn with(
        name: &str,
        why: &str,
        change: impl FnOnce(Command) -> Result<Command>,
    ) -> Result<Option<Self>> {
        let name = format!("why-{name}-{}", std::process::id());
        let Some(collector) = Collector::start(&name)? else { return Ok(None) };
        let agent = Agent::keeping_all(FLAGS, &collector, &[("STETH_TRACES_WHY", why)])?;
        let port = free_port()?;
        let server = server(&format!("{name}-server"), port, change)?;
        Ok(Some(Self { collector, agent, _server: server, port, name }))
    }

    fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect(local(self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(stream)
    }

    /// The server's spans, in the order of time, once there are as many as are expected.
    fn spans(mut self, expect: usize) -> Result<Vec<Span>> {
        let service = format!("{}-server", self.name);
        // What a connection that is still open has carried is told when it is swept.
        self.agent.metrics_when(|metrics| metrics.served(&service, &[]) >= expect as u64)?;
        let (status, _) = self.agent.terminate()?;
        assert!(status.success(), "{}", self.agent.log());
        let of = |spans: &[Span]| -> Vec<Span> {
            let mine = |span: &&Span| span.kind == SERVER && span.service() == service;
            spans.iter().filter(mine).cloned().collect()
        };
        let all = self.collector.spans_when(|spans| of(spans).len() >= expect)?;
        let mut spans = of(&all);
        spans.sort_by_key(|span| span.start);
        assert_eq!(spans.len(), expect, "{}", self.agent.log());
        Ok(spans)
    }
}

fn server(
    name: &str,
    port: u16,
    change: impl FnOnce(Command) -> Result<Command>,
) -> Result<Program> {
    let mut python = command("python3", name);
    python.arg(path("why.py")).arg(port.to_string());
    Program::listening(change(python)?, local(port))
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn send(stream: &mut TcpStream, target: &str) -> Result<()> {
    Ok(stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: why\r\n\r\n").as_bytes())?)
}

/// What the server tells of its own time.
fn told(stream: &mut TcpStream) -> Result<Value> {
    let mut answer = String::new();
    let mut block = [0; 4096];
    while !answer.ends_with('}') {
        let len = stream.read(&mut block)?;
        anyhow::ensure!(len > 0, "no answer");
        answer.push_str(std::str::from_utf8(block.get(..len).unwrap_or_default())?);
    }
    let body = answer.split("\r\n\r\n").nth(1).context("no body")?;
    Ok(serde_json::from_str(body)?)
}

fn asked(stream: &mut TcpStream, target: &str) -> Result<Value> {
    send(stream, target)?;
    told(stream)
}

fn of(told: &Value, name: &str) -> f64 {
    told.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN)
}

fn part(span: &Span, name: &str) -> Option<f64> {
    span.attributes.get(&format!("steth.why.{name}"))?.as_f64()
}

/// The parts as text, for whom a test has failed.
fn parts(span: &Span) -> String {
    let all = span.attributes.iter().filter(|(key, _)| key.starts_with("steth.why."));
    all.map(|(key, value)| format!("{key}={value} ")).collect()
}

/// `name` is within `expect`, and no other part but those of `more` is beyond a fifth of it. Others use
/// the processors too: by the witness's word the thread waited `delay` for one.
fn check(span: &Span, name: &str, expect: Range<f64>, delay: f64, more: &[&str]) {
    println!("{name}: {}", parts(span));
    let found = part(span, name).unwrap_or(0.0);
    assert!(expect.contains(&found), "{name} not in {expect:?}: {}", parts(span));
    for other in PARTS.into_iter().filter(|part| *part != name && !more.contains(part)) {
        let others = if other == "run_queue" { delay } else { 0.0 };
        let small = part(span, other).unwrap_or(0.0) <= 0.2 * expect.end + others;
        assert!(small, "{other} beside {name}: {}", parts(span));
    }
    // Nothing is counted twice, and nothing is left out.
    let inside = PARTS.iter().filter(|part| !part.ends_with("_queue") || **part == "run_queue");
    let sum: f64 = inside.filter_map(|part| self::part(span, part)).sum();
    let all = part(span, "first_byte").unwrap_or(0.0);
    assert!((sum - all).abs() <= 0.01 * all + 0.000_1, "{sum} of {all}: {}", parts(span));
}

#[test]
fn time_on_a_processor_is_told_as_such() -> Result<()> {
    let Some(bench) = Bench::start("burn", Ok)? else { return Ok(()) };
    let witness = asked(&mut bench.connect()?, "/burn?ms=200")?;
    let cpu = of(&witness, "cpu");
    let span = bench.spans(1)?.remove(0);
    check(&span, "cpu", cpu * 0.9..cpu * 1.1 + 0.01, of(&witness, "delay"), &[]);
    Ok(())
}

#[test]
fn a_burner_on_the_same_processor_is_time_on_the_run_queue() -> Result<()> {
    let pinned = |command: Command| {
        let mut pinned = self::command("taskset", "");
        pinned.args(["-c", "0"]).arg(command.get_program()).args(command.get_args());
        pinned.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Ok(pinned)
    };
    let Some(bench) = Bench::start("neighbour", pinned)? else { return Ok(()) };
    let mut burner = command("taskset", "why-burner");
    burner.args(["-c", "0", "sh", "-c", "while :; do :; done"]);
    let burner = Program::start(burner)?;
    let witness = asked(&mut bench.connect()?, "/burn?ms=200")?;
    drop(burner);
    let delay = of(&witness, "delay");
    assert!(delay > 0.05, "nobody was in the way: {witness}");
    let span = bench.spans(1)?.remove(0);
    check(&span, "run_queue", delay * 0.9..delay * 1.1 + 0.005, delay, &["cpu"]);
    Ok(())
}

#[test]
fn a_used_up_quota_is_time_throttled() -> Result<()> {
    let Ok(group) = Group::new(77) else {
        println!("left out: control groups cannot be made here");
        return Ok(());
    };
    let Some(bench) = Bench::start("quota", |command| Ok(group.inside(&command)))? else {
        return Ok(());
    };
    let stat = |key: &str| group.number("cpu", "cpu.stat", key);
    group.quota(20_000)?;
    let held = || -> Result<f64> {
        if group.is_two() {
            return Ok(stat("throttled_usec")? as f64 / 1e6);
        }
        Ok(stat("throttled_time")? as f64 / 1e9)
    };
    let (before, held_before) = (stat("nr_throttled")?, held()?);
    let witness = asked(&mut bench.connect()?, "/burn?ms=150")?;
    let (times, held) = (stat("nr_throttled")? - before, held()? - held_before);
    group.quota(1_000_000)?;
    let delay = of(&witness, "delay");
    println!("throttled {times} times for {held} s, {delay} s on the run queue");
    assert!(times >= 2 && held > 0.1, "{times} times: {witness}");
    let span = bench.spans(1)?.remove(0);
    check(&span, "throttled", held * 0.85..held * 1.05, delay, &["cpu"]);
    let queues: f64 =
        ["throttled", "run_queue"].iter().filter_map(|queue| part(&span, queue)).sum();
    assert!((queues - delay).abs() < 0.05 * delay, "{delay}: {}", parts(&span));
    Ok(())
}

#[test]
fn a_lock_that_another_thread_holds_is_time_blocked_by_a_lock() -> Result<()> {
    let Some(bench) = Bench::start("lock", Ok)? else { return Ok(()) };
    let witness = asked(&mut bench.connect()?, "/lock?ms=200")?;
    let off = of(&witness, "wall") - of(&witness, "cpu") - of(&witness, "delay");
    let span = bench.spans(1)?.remove(0);
    check(&span, "blocked.lock", off * 0.9..off * 1.05 + 0.005, of(&witness, "delay"), &[]);
    Ok(())
}

#[test]
fn a_pause_is_time_asleep_on_its_span_and_in_the_service_s_distribution() -> Result<()> {
    let Some(bench) = Bench::start("sleep", Ok)? else { return Ok(()) };
    let witness = asked(&mut bench.connect()?, "/sleep?ms=200")?;
    let service = format!("{}-server", bench.name);
    let labels = |cause| {
        [
            ("job", service.as_str()),
            ("steth_request_role", "server"),
            ("steth_request_wait_cause", cause),
        ]
    };
    let name = "steth_request_wait_duration_seconds_count";
    let metrics = bench.agent.metrics_when(|metrics| metrics.sum(name, &labels("sleep")) > 0)?;
    assert_eq!(metrics.sum(name, &labels("sleep")), 1);
    assert_eq!(metrics.sum(name, &labels("lock")), 0);
    let name = "steth_request_wait_duration_seconds_sum";
    let slept: f64 = metrics.of(name, &labels("sleep")).map(|sample| sample.value).sum();
    assert!((0.19..0.25).contains(&slept), "{slept}");
    let off = of(&witness, "wall") - of(&witness, "cpu") - of(&witness, "delay");
    let span = bench.spans(1)?.remove(0);
    check(&span, "blocked.sleep", off * 0.95..off * 1.05 + 0.005, of(&witness, "delay"), &[]);
    Ok(())
}

#[test]
fn reads_past_the_cache_are_time_blocked_by_a_disk() -> Result<()> {
    let disk = match Loop::new("why-disk", 64 << 20) {
        Ok(disk) => disk,
        Err(error) => {
            println!("left out: no loop device: {error:#}");
            return Ok(());
        }
    };
    let Some(bench) = Bench::start("disk", Ok)? else { return Ok(()) };
    let target = format!("/disk?count=3000&path={}", disk.device());
    let witness = asked(&mut bench.connect()?, &target)?;
    let off = of(&witness, "wall") - of(&witness, "cpu") - of(&witness, "delay");
    let span = bench.spans(1)?.remove(0);
    check(&span, "blocked.disk", off * 0.9..off * 1.1 + 0.005, of(&witness, "delay"), &["cpu"]);
    Ok(())
}

#[test]
fn a_slow_upstream_is_time_blocked_by_the_network() -> Result<()> {
    let Some(bench) = Bench::start("upstream", Ok)? else { return Ok(()) };
    let port = free_port()?;
    let _upstream = server("why-upstream", port, Ok)?;
    let witness = asked(&mut bench.connect()?, &format!("/upstream?port={port}"))?;
    let off = of(&witness, "wall") - of(&witness, "cpu") - of(&witness, "delay");
    let span = bench.spans(1)?.remove(0);
    check(&span, "blocked.network", off * 0.9..off * 1.05 + 0.005, of(&witness, "delay"), &[]);
    Ok(())
}

#[test]
fn a_connection_that_nobody_accepts_waits_in_the_accept_queue() -> Result<()> {
    let Some(bench) = Bench::start("backlog", Ok)? else { return Ok(()) };
    let mut first = bench.connect()?;
    send(&mut first, "/sleep?ms=300")?;
    let mut second = bench.connect()?;
    let since = Instant::now();
    send(&mut second, "/quick")?;
    told(&mut first)?;
    // The server is at this connection until it ends.
    drop(first);
    told(&mut second)?;
    let waited = since.elapsed().as_secs_f64();
    let spans = bench.spans(2)?;
    let [_, span] = spans.as_slice() else { anyhow::bail!("two spans") };
    check(span, "accept_queue", waited * 0.9..waited * 1.05 + 0.01, 0.0, &[]);
    Ok(())
}

#[test]
fn bytes_that_nobody_reads_wait_in_the_receive_queue() -> Result<()> {
    let Some(bench) = Bench::start("unread", Ok)? else { return Ok(()) };
    let mut stream = bench.connect()?;
    asked(&mut stream, "/later?ms=250")?;
    let since = Instant::now();
    asked(&mut stream, "/quick")?;
    let waited = since.elapsed().as_secs_f64();
    let spans = bench.spans(2)?;
    let [first, span] = spans.as_slice() else { anyhow::bail!("two spans") };
    check(span, "receive_queue", waited * 0.9..waited * 1.01 + 0.002, 0.0, &[]);
    assert!(part(span, "accept_queue").is_none(), "{}", parts(span));
    assert!(part(first, "receive_queue").is_none_or(|wait| wait < 0.02), "{}", parts(first));
    Ok(())
}

#[test]
fn without_a_look_at_every_segment_long_waits_to_be_read_are_told_to_the_tick() -> Result<()> {
    let Some(bench) = Bench::with("tick", "on", Ok)? else { return Ok(()) };
    let mut stream = bench.connect()?;
    asked(&mut stream, "/later?ms=250")?;
    let since = Instant::now();
    asked(&mut stream, "/quick")?;
    let waited = since.elapsed().as_secs_f64();
    let spans = bench.spans(2)?;
    let [first, span] = spans.as_slice() else { anyhow::bail!("two spans") };
    check(span, "receive_queue", waited - 0.02..waited, 0.0, &[]);
    assert!(part(first, "receive_queue").is_none(), "{}", parts(first));
    Ok(())
}

#[test]
fn without_the_scheduler_s_view_there_is_no_account_and_the_status_says_why() -> Result<()> {
    let Some(collector) = Collector::start("why-bare")? else { return Ok(()) };
    let off = ["SCHEDULER", "OFFCPU", "LOCKS"].map(|family| format!("STETH_USAGE_{family}"));
    let environment: Vec<(&str, &str)> = off.iter().map(|name| (name.as_str(), "false")).collect();
    let agent = Agent::keeping_all(FLAGS, &collector, &environment)?;
    let status = agent.status()?;
    let probes = status["capture"]["probes"].as_array().context("no probes")?;
    let probe = probes.iter().find(|probe| probe["name"] == "request_time").context("no probe")?;
    assert_eq!(probe["state"], "disabled", "{probe}");
    assert_eq!(probe["why"], "no family that is on needs it", "{probe}");
    let port = free_port()?;
    let name = format!("why-bare-{}", std::process::id());
    let server = server(&format!("{name}-server"), port, Ok)?;
    let bench = Bench { collector, agent, _server: server, port, name };
    asked(&mut bench.connect()?, "/sleep?ms=50")?;
    let span = bench.spans(1)?.remove(0);
    assert!(
        part(&span, "cpu").is_none() && part(&span, "first_byte").is_some(),
        "{}",
        parts(&span)
    );
    Ok(())
}

#[test]
fn a_thread_that_is_at_two_requests_says_so() -> Result<()> {
    let Some(bench) = Bench::start("pair", Ok)? else { return Ok(()) };
    let mut streams = [bench.connect()?, bench.connect()?];
    for stream in &mut streams {
        send(stream, "/pair")?;
    }
    for stream in &mut streams {
        told(stream)?;
    }
    asked(&mut bench.connect()?, "/sleep?ms=20")?;
    let spans = bench.spans(3)?;
    let shared: Vec<bool> =
        spans.iter().map(|span| span.attributes.contains_key("steth.why.shared")).collect();
    assert_eq!(shared, [true, true, false]);
    Ok(())
}

#[test]
fn an_answer_of_another_thread_has_no_account_and_says_why() -> Result<()> {
    let Some(bench) = Bench::start("thread", Ok)? else { return Ok(()) };
    asked(&mut bench.connect()?, "/thread")?;
    let span = bench.spans(1)?.remove(0);
    assert_eq!(span.text("steth.why.missing"), "other_thread");
    assert!(
        part(&span, "cpu").is_none() && part(&span, "first_byte").is_some(),
        "{}",
        parts(&span)
    );
    Ok(())
}
