//! What spans cost: the same load with RED alone, with spans as they are by default, and with more and fewer.

use std::fmt::Write;
use std::time::Duration;

use super::Plan;
use super::load::{Bench, Round};
use crate::agent::Agent;
use crate::receiver::{Manner, Receiver};

/// More spans a second than any load makes.
const UNBOUNDED: &[(&str, &str)] =
    &[("STETH_TRACES_PER_SERVICE", "100000"), ("STETH_TRACES_TOTAL", "1000000")];
/// More exchanges a second than any load makes.
const ALL: (&str, &str) = ("STETH_TRACES_RATE", "10000000");
/// How often spans are handed over.
const DELAY: (&str, &str) = ("OTEL_BSP_SCHEDULE_DELAY", "1000");
/// Short, so that most of what a round brings is decided on within it; it leaves after two of them.
const WINDOW: (&str, &str) = ("STETH_TRACES_WINDOW", "1s");
/// After which all has left.
const LEFT: Duration = Duration::from_millis(3500);

/// One way of making spans.
struct Variant {
    name: &'static str,
    /// What is set for the sampler; none where spans are off.
    sampler: Option<&'static [(&'static str, &'static str)]>,
    /// Without a budget.
    unbounded: bool,
    /// However many exchanges there are.
    all: bool,
}

const SHARE: &[(&str, &str)] = &[("STETH_TRACES_RATIO", "1%"), ("STETH_TRACES_SLOW", "1h")];

const VARIANTS: &[Variant] = &[
    Variant { name: "RED only", sampler: None, unbounded: false, all: false },
    Variant {
        name: "0 % kept",
        sampler: Some(&[("OTEL_TRACES_SAMPLER", "always_off")]),
        unbounded: false,
        all: false,
    },
    // As it is by default: errors, the slowest of each route, and a share of the rest, in a budget.
    Variant { name: "default", sampler: Some(&[]), unbounded: false, all: false },
    Variant { name: "1 % kept", sampler: Some(SHARE), unbounded: true, all: false },
    Variant { name: "1 % of all", sampler: Some(SHARE), unbounded: true, all: true },
    Variant {
        name: "100 % of all",
        sampler: Some(&[("OTEL_TRACES_SAMPLER", "always_on")]),
        unbounded: true,
        all: true,
    },
];

/// What a round of a variant gave beside what every round gives.
#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    kept: u64,
    dropped: u64,
    /// Those of them that were not looked at.
    over: u64,
    exported: u64,
    early: u64,
    /// Bytes of the window, and its limit.
    window: (u64, u64),
}

impl Fate {
    fn of(agent: &Agent) -> anyhow::Result<Self> {
        let metrics = agent.metrics()?;
        let sum = |name: &str| metrics.sum(name, &[]);
        Ok(Self {
            kept: sum("steth_span_kept_total"),
            dropped: metrics.sum("steth_span_dropped_total", &[("steth_stage", "trace")]),
            over: metrics.sum("steth_span_dropped_total", &[("steth_reason", "rate_limit")]),
            exported: sum("steth_span_exported_total"),
            early: sum("steth_span_early_total"),
            window: (sum("steth_window_usage_bytes"), sum("steth_window_limit_bytes")),
        })
    }
}

fn agent(variant: &Variant, collector: &str) -> anyhow::Result<Agent> {
    let Some(sampler) = variant.sampler else { return Agent::start(&["--stats"]) };
    let mut environment = vec![
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
        DELAY,
        WINDOW,
    ];
    environment.extend_from_slice(sampler);
    if variant.unbounded {
        environment.extend_from_slice(UNBOUNDED);
    }
    if variant.all {
        environment.push(ALL);
    }
    Agent::start_with(&["--stats"], &environment)
}

/// CPU time in kernel programs so far, us.
fn in_kernel(agent: &Agent) -> anyhow::Result<f64> {
    let metrics = agent.metrics()?;
    let samples = metrics.of("steth_bpf_program_time_seconds_total", &[]);
    Ok(samples.into_iter().map(|sample| sample.value * 1e6).sum())
}

/// All variants, in turns; the report.
pub(super) fn report(plan: &Plan) -> anyhow::Result<String> {
    let bench = Bench::start()?;
    let taken = Manner { status: 200, body: Vec::new(), delay: Duration::ZERO };
    let receiver = Receiver::start(&taken)?;
    let collector = format!("{}/v1/traces", receiver.url());
    let mut rounds: Vec<Vec<(Round, f64, Fate)>> = vec![Vec::new(); VARIANTS.len()];
    for number in 0..plan.rounds {
        for (variant, results) in VARIANTS.iter().zip(&mut rounds) {
            eprintln!("round {} of {}: {}", number + 1, plan.rounds, variant.name);
            let agent = agent(variant, &collector)?;
            let round = bench.round(Some(&agent), plan.seconds)?;
            let exchanges = (round.rate * plan.seconds as f64 * 2.0).max(1.0);
            let in_kernel = in_kernel(&agent)? / exchanges;
            if variant.sampler.is_some() {
                std::thread::sleep(LEFT);
            }
            results.push((round, in_kernel, Fate::of(&agent)?));
        }
    }
    let mut out = String::from(
        "Spans: nginx (one worker, constant answer), wrk with 16 connections, both observed; run-time\n\
         statistics on. Budget: with 1 % kept at most 1.15 of the agent CPU of RED only.\n\
         variant      nginx us/req  req/s  agent us/end  ratio  BPF us/end  ratio  RSS MB  window MB of  \
         kept    dropped  looked at  exported  early  lost\n",
    );
    let median = |rounds: &[(Round, f64, Fate)]| {
        let all: Vec<Round> = rounds.iter().map(|(round, ..)| *round).collect();
        let mut kernel: Vec<f64> = rounds.iter().map(|(_, kernel, _)| *kernel).collect();
        kernel.sort_by(f64::total_cmp);
        let last = rounds.last().map(|(.., kept)| *kept).unwrap_or_default();
        (Round::median(&all), kernel.get(kernel.len() / 2).copied().unwrap_or_default(), last)
    };
    let sums: Vec<_> = rounds.iter().map(|rounds| median(rounds)).collect();
    let base = sums.first().map_or((1.0, 1.0), |(round, kernel, _)| (round.agent, *kernel));
    for (variant, (round, kernel, kept)) in VARIANTS.iter().zip(&sums) {
        let Round { nginx, rate, agent, rss, lost, .. } = round;
        let Fate { kept, dropped, over, exported, early, window: (window, limit) } = kept;
        let all = (kept + dropped).max(1);
        let looked_at = 100.0 * (all - over) as f64 / all as f64;
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{:12} {nginx:12.2} {rate:6.0} {agent:13.3} {:6.3} {kernel:11.3} {:6.3} {:7.1} {:10.1} {:2.0} \
             {kept:8} {dropped:8} {looked_at:8.1} % {exported:9} {early:6} {lost:5}",
            variant.name,
            agent / base.0,
            kernel / base.1,
            *rss as f64 / 1e6,
            *window as f64 / 1e6,
            *limit as f64 / 1e6,
        );
    }
    Ok(out)
}
