//! The Collectors of `deploy/collector`, as they are deployed: the real agent's spans go through the gateway to two
//! samplers and on to what stores them, and nothing is chosen that was not to be chosen.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use steth_tests::agent::{Agent, free_port};
use steth_tests::collector::{self, Collector, Received};
use steth_tests::metrics::Metrics;
use steth_tests::program::{Program, Scratch, command};
use steth_tests::spans::Span;
use steth_tests::traffic::Traffic;

const ERROR: u64 = 2;
/// For what is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Requests that go well, and that fail.
const WELL: u64 = 400;
const FAILED: u64 = 7;
/// Percent of the rest that the samplers keep.
const SHARE: u64 = 25;
/// What stands for all samplers, in a table of hosts that the gateway alone sees.
const SAMPLERS: &str = "samplers.test";

/// What the samplers are started with in `deploy/collector/kubernetes.yaml`.
const GATE: &str = "--feature-gates=processor.tailsamplingprocessor.recordpolicy";

/// One Collector of the two tiers.
struct Tier {
    _program: Program,
    metrics: SocketAddr,
}

/// What is in `deploy/collector`.
fn deployed(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/collector").join(file)
}

/// A configuration of `deploy/collector`, run at this address until all of it is ready; `before` are words that come
/// before the Collector's.
fn tier(
    file: &str,
    address: Ipv4Addr,
    port: u16,
    before: &[&str],
    environment: &[(&str, &str)],
) -> Result<Tier> {
    let binary = collector::binary()?.context("it was there")?;
    let mut words = before.iter().map(Path::new).chain([binary.as_path()]);
    let mut command: Command = command(words.next().unwrap_or(&binary), file);
    command.args(words).arg("--config").arg(deployed(file)).arg(GATE);
    let (metrics, health) = (free_port()?, free_port()?);
    command.env("POD_IP", address.to_string()).env("PORT", port.to_string());
    command.env("METRICS_PORT", metrics.to_string()).env("HEALTH_PORT", health.to_string());
    command.envs(environment.iter().copied());
    let at = |port| SocketAddr::from((address, port));
    let program = Program::listening(command, at(health))?;
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = page(at(health), "/") {
        if Instant::now() > deadline {
            return Err(error.context(format!("{file} is not ready")));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(Tier { _program: program, metrics: at(metrics) })
}

/// A page, if there is one.
fn page(of: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(of)?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: x\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, page) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
    ensure!(head.contains(" 200 "), "{head}");
    Ok(page.to_owned())
}

impl Tier {
    /// What it counts of itself.
    fn metrics(&self) -> Result<Metrics> {
        Ok(Metrics::parse(&page(self.metrics, "/metrics")?))
    }
}

/// A counter of the samplers' choice, of both together.
fn counted(samplers: &[Tier], name: &str, labels: &[(&str, &str)]) -> Result<u64> {
    let name = format!("otelcol_processor_tail_sampling_{name}_total");
    samplers.iter().map(|tier| Ok(tier.metrics()?.sum(&name, labels))).sum()
}

/// Asks again until both say the same, for what programs still have to do.
fn settled(mut left: impl FnMut() -> Result<u64>, right: u64, what: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = left()?;
        if now == right {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("{what}: {now}, not {right}");
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The policy that kept a span.
fn policy(span: &Span) -> &str {
    span.scope.get("tailsampling.policy").and_then(Value::as_str).unwrap_or_default()
}

/// Whether the policy `share` keeps a trace: FNV-1a over a salt and the trace's id, as the processor has it.
fn is_shared(trace: &str) -> bool {
    let id = (0..trace.len()).step_by(2).filter_map(|at| {
        let digits = trace.get(at..at + 2)?;
        u8::from_str_radix(digits, 16).ok()
    });
    let hash =
        "default-hash-seed".bytes().chain(id).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    hash <= u64::MAX / 100 * SHARE
}

#[test]
fn whole_traces_are_kept_by_what_happened_in_them_with_the_weight_they_came_with() -> Result<()> {
    let Some(backend) = Collector::start("gateway-backend")? else { return Ok(()) };
    let deployment = std::fs::read_to_string(deployed("kubernetes.yaml"))?;
    ensure!(deployment.contains(GATE), "the samplers are deployed without {GATE}");
    let scratch = Scratch::new("gateway")?;
    let to = backend.grpc();
    let to = to.trim_start_matches("http://");
    let share = SHARE.to_string();
    let (port, front) = (free_port()?, free_port()?);
    let addresses = [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2)];
    let environment = [("BACKEND", to), ("DECISION_WAIT", "3s"), ("SHARE", &share)];
    let samplers: Vec<Tier> = addresses
        .iter()
        .map(|address| tier("sampler.yaml", *address, port, &[], &environment))
        .collect::<Result<_>>()?;
    // The name that is a headless Service's in a cluster stands in a file, in a mount namespace of the gateway's.
    let hosts = addresses.map(|address| format!("{address} {SAMPLERS}\n")).concat();
    let hosts = scratch.file("hosts", hosts)?.display().to_string();
    let script = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
    let before =
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, hosts.as_str()];
    let sampler_port = port.to_string();
    let environment =
        [("BACKEND", to), ("SAMPLERS", SAMPLERS), ("SAMPLER_PORT", sampler_port.as_str())];
    let gateway = tier("gateway.yaml", Ipv4Addr::LOCALHOST, front, &before, &environment)?;

    let traffic = Traffic::start("gateway")?;
    let endpoint = format!("http://127.0.0.1:{front}");
    let watched = traffic.port().to_string();
    let mut agent = Agent::start_with(
        &["--interval", "1s"],
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("STETH_TRACES_ENABLED", "true"),
            ("STETH_TRACES_RATIO", "0.5"),
            ("STETH_TRACES_PER_SERVICE", "100000"),
            ("STETH_TRACES_TOTAL", "1000000"),
            ("STETH_TRACES_RATE", "10000000"),
            ("STETH_TRACES_WINDOW", "1s"),
            ("STETH_FILTER_INCLUDE_PORTS", &watched),
        ],
    )?;
    traffic.ask(u32::try_from(WELL)?)?;
    let broken = format!("http://127.0.0.1:{watched}/broken/[1-{FAILED}]");
    traffic.curl(&[&broken])?;
    // Every request is two spans, asked and answered, and each is kept or left.
    let decided = |metrics: &Metrics| {
        let [kept, left] =
            ["kept", "dropped"].map(|name| metrics.sum(&format!("steth_span_{name}_total"), &[]));
        (kept, kept + left)
    };
    let metrics = agent.metrics_when(|metrics| decided(metrics).1 == 2 * (WELL + FAILED))?;
    let (kept, all) = decided(&metrics);
    // A span without a parent begins a trace: one for both ends, or for each where they were not brought together.
    let begun = metrics.sum("steth_span_unlinked_total", &[]);
    assert_eq!(all, 2 * (WELL + FAILED), "{}", agent.log());
    assert_eq!(metrics.served(traffic.server(), &[("error_type", "503")]), FAILED);
    let (status, _) = agent.terminate()?;
    assert!(status.success(), "{}", agent.log());

    // RED has passed the gateway as it was counted, before anybody sampled.
    let counts = |received: &Received| {
        let of = |role, service| received.total(service, &format!("http.{role}.request.duration"));
        (of("server", traffic.server()), of("client", traffic.client()))
    };
    let asked = WELL + FAILED;
    let received = backend.received_when(|received| counts(received) == (asked, asked))?;
    assert_eq!(counts(&received), (asked, asked), "requests served and made");

    // All that the agent kept came, each trace to one sampler and no other.
    let accepted = || {
        let name = "otelcol_receiver_accepted_spans_total";
        samplers.iter().map(|tier| Ok(tier.metrics()?.sum(name, &[]))).sum()
    };
    settled(accepted, kept, "spans at the samplers")?;
    let traces = counted(&samplers, "new_trace_id_received", &[])?;
    assert_eq!(traces, begun, "a trace is counted by each sampler that it came to");
    let took: Vec<u64> = samplers
        .iter()
        .map(|tier| Ok(tier.metrics()?.sum("otelcol_receiver_accepted_spans_total", &[])))
        .collect::<Result<_>>()?;
    assert!(took.iter().all(|spans| *spans > 0), "{took:?}");
    settled(
        || counted(&samplers, "global_count_traces_sampled", &[]),
        traces,
        "traces decided on",
    )?;

    // What was kept is what the samplers say they kept.
    let sampled = counted(&samplers, "global_count_traces_sampled", &[("sampled", "true")])?;
    let sent = || {
        let name = "otelcol_exporter_sent_spans_total";
        samplers.iter().map(|tier| Ok(tier.metrics()?.sum(name, &[]))).sum()
    };
    let in_traces = |spans: &[Span]| -> u64 {
        spans.iter().map(|span| span.trace.as_str()).collect::<BTreeSet<_>>().len() as u64
    };
    settled(|| Ok(in_traces(&backend.spans()?)), sampled, "traces kept")?;
    let spans = backend.spans()?;
    settled(sent, spans.len() as u64, "spans sent by the samplers")?;
    let mut by_trace: BTreeMap<&str, Vec<&Span>> = BTreeMap::new();
    for span in &spans {
        by_trace.entry(&span.trace).or_default().push(span);
    }
    for (trace, spans) in &by_trace {
        let ids: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
        let whole = spans.iter().filter(|span| !span.parent.is_empty());
        let whole = whole.filter(|span| ids.contains(span.parent.as_str())).count();
        assert_eq!(whole + 1, spans.len(), "{trace}: {spans:?}");
    }
    assert_eq!(gateway.metrics()?.sum("otelcol_exporter_send_failed_spans_total", &[]), 0);

    // Every request that failed is there, and of the others those that the share keeps.
    let (failed, well): (Vec<_>, Vec<_>) =
        by_trace.iter().partition(|(_, spans)| spans.iter().any(|span| span.status == ERROR));
    assert_eq!(spans.iter().filter(|span| span.status == ERROR).count() as u64, 2 * FAILED);
    let policies = |traces: &[(&&str, &Vec<&Span>)]| -> BTreeSet<String> {
        traces.iter().flat_map(|(_, spans)| spans.iter()).map(|span| policy(span).into()).collect()
    };
    assert_eq!(policies(&failed), BTreeSet::from(["errors".to_owned()]));
    assert_eq!(policies(&well), BTreeSet::from(["share".to_owned()]));
    for (trace, _) in &well {
        assert!(is_shared(trace), "{trace} is beyond {SHARE} %");
    }
    let of = |policy: &str| {
        let labels = [("policy", policy), ("sampled", "true")];
        counted(&samplers, "count_traces_sampled", &labels)
    };
    let counts = (failed.len() as u64, 0, well.len() as u64);
    assert_eq!((of("errors")?, of("slow")?, of("share")?), counts);

    // The agent's weights are as it wrote them: what failed or was slow for its route stands for itself alone, the rest
    // for two, and its randomness is in the half that is kept.
    for (trace, spans) in &by_trace {
        let states: BTreeSet<&str> = spans.iter().map(|span| span.state.as_str()).collect();
        let weight: Vec<&str> = states.into_iter().collect();
        match weight.as_slice() {
            ["ot=th:0"] => {}
            ["ot=th:8"] => {
                assert!(!failed.iter().any(|(of, _)| *of == trace), "{trace} failed");
                let first = trace.get(18..20).context("a trace's id is short")?;
                assert!(u8::from_str_radix(first, 16)? >= 0x80, "{trace} is in the other half");
            }
            other => bail!("{trace}: {other:?}"),
        }
    }
    assert!(spans.iter().any(|span| span.state == "ot=th:8"), "no weight but one");
    Ok(())
}
