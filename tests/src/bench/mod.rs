//! The cost of the agent: nginx and wrk with no agent, with empty programs on the same hooks, and
//! with the agent on tiers 1 and 3, in turns, so that all see the same machine.

pub mod events;
mod idle;
mod load;
mod pace;
mod spans;
mod switches;
mod syscalls;

use std::fmt::Write;

use clap::builder::RangedU64ValueParser;

use crate::agent::Agent;
use load::{Bench, Round};
use pace::Latency;

/// How much is measured.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Plan {
    /// Seconds of one round of load
    #[arg(long, default_value_t = 5, value_parser = RangedU64ValueParser::<u64>::new().range(1..))]
    pub seconds: u64,
    /// Rounds of each variant
    #[arg(long, default_value_t = 4, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub rounds: usize,
    /// Seconds of idleness; none with 0
    #[arg(long, default_value_t = 60)]
    pub idle: u64,
}

/// One way of running the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Variant {
    name: &'static str,
    flags: Option<&'static [&'static str]>,
}

const VARIANTS: &[Variant] = &[
    Variant { name: "no agent", flags: None },
    Variant { name: "empty programs", flags: Some(&["--empty-programs", "--capture-tier", "1"]) },
    Variant { name: "agent, tier 1", flags: Some(&["--capture-tier", "1"]) },
    Variant { name: "agent, tier 3", flags: Some(&["--capture-tier", "3"]) },
];

/// What observing resources costs; the report.
pub fn run_usage(plan: &Plan) -> anyhow::Result<String> {
    switches::report(plan)
}

/// What spans cost beside RED alone; the report.
pub fn run_spans(plan: &Plan) -> anyhow::Result<String> {
    spans::report(plan)
}

/// Runs everything; the report.
pub fn run(plan: &Plan) -> anyhow::Result<String> {
    let bench = Bench::start()?;
    let half = bench.round(None, 1)?.rate / 2.0;
    let mut rounds: Vec<Vec<Round>> = vec![Vec::new(); VARIANTS.len()];
    let mut paced: Vec<Vec<Latency>> = vec![Vec::new(); VARIANTS.len()];
    for number in 0..plan.rounds {
        for ((variant, results), looks) in VARIANTS.iter().zip(&mut rounds).zip(&mut paced) {
            eprintln!("round {} of {}: {}", number + 1, plan.rounds, variant.name);
            let agent = variant.flags.map(Agent::start).transpose()?;
            results.push(bench.round(agent.as_ref(), plan.seconds)?);
            looks.push(pace::run(bench.port(), half, plan.seconds)?);
        }
    }
    let sums: Vec<Round> = rounds.iter().map(|rounds| Round::median(rounds)).collect();
    let mut out = saturated(&sums);
    out.push_str(&at_half_load(half, &paced));
    out.push_str(&programs(&bench, plan)?);
    drop(bench);
    out.push('\n');
    out.push_str(&spans::report(plan)?);
    eprintln!("a program without sockets");
    out.push_str(&syscalls::report(plan)?);
    if plan.idle > 0 {
        eprintln!("idle for {} s", plan.idle);
        out.push_str(&idle::report(plan)?);
    }
    Ok(out)
}

fn saturated(sums: &[Round]) -> String {
    let mut out = String::from(
        "Saturated: nginx (one worker, constant answer), wrk with 16 connections, both observed.\n\
         variant          nginx us/req  ratio   req/s  ratio  agent us/exchange  RSS MB  maps MB  lost  off by\n",
    );
    let Some(base) = sums.first() else { return out };
    for (variant, sum) in VARIANTS.iter().zip(sums) {
        let Round { nginx, rate, agent, rss, maps, lost, off } = sum;
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{:16} {nginx:12.2} {:6.3} {rate:7.0} {:6.3} {agent:18.2} {:7.1} {:8.1} {lost:5} {off:7}",
            variant.name,
            nginx / base.nginx,
            rate / base.rate,
            *rss as f64 / 1e6,
            *maps as f64 / 1e6,
        );
    }
    out
}

fn at_half_load(rate: f64, paced: &[Vec<Latency>]) -> String {
    let mut out = format!("\nHalf load, {rate:.0} requests/s in the open: latency.\n");
    let _ = writeln!(out, "variant           p50 us  ratio  p99 us  ratio  sent/s");
    let medians: Vec<Latency> = paced.iter().map(|looks| Latency::median(looks)).collect();
    let Some(base) = medians.first() else { return out };
    for (variant, Latency { p50, p99, rate }) in VARIANTS.iter().zip(&medians) {
        let (first, second) = (p50 / base.p50, p99 / base.p99);
        let _ = writeln!(
            out,
            "{:16} {p50:7.1} {first:6.3} {p99:7.1} {second:6.3} {rate:7.0}",
            variant.name
        );
    }
    out
}

fn programs(bench: &Bench, plan: &Plan) -> anyhow::Result<String> {
    eprintln!("what each kernel program costs");
    let mut out = String::from(
        "\nBPF run time (the kernel's own statistics, whose clock reads are part of it).\n",
    );
    for tier in ["1", "3"] {
        let agent = Agent::start(&["--stats", "--capture-tier", tier])?;
        let exchanges = bench.requests(plan.seconds)?;
        let metrics = agent.metrics()?;
        let mut total = 0.0;
        for sample in metrics.of("steth_bpf_program_time_seconds_total", &[]) {
            let name = sample.labels.get("steth_bpf_program_name").map_or("", String::as_str);
            let runs = metrics
                .sum("steth_bpf_program_runs_total", &[("steth_bpf_program_name", name)])
                .max(1);
            if sample.value > 0.0 {
                let ns = sample.value * 1e9;
                total += ns;
                let _ = writeln!(
                    out,
                    "tier {tier}  {name:20} {:7.0} ns a run  {runs:9} runs  {:7.3} us an exchange end",
                    ns / runs as f64,
                    ns / 1e3 / (exchanges * 2) as f64,
                );
            }
        }
        // Each exchange was observed twice, at its server and at its client.
        let _ = writeln!(
            out,
            "tier {tier}  all programs: {:.3} us of BPF an exchange, at one of its ends",
            total / 1e3 / (exchanges * 2) as f64
        );
    }
    Ok(out)
}
