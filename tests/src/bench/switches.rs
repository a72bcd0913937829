//! What the scheduler's view costs: a storm of switches with no agent, with empty programs on the same
//! hook, with the other families alone and with this one, in turns.

use std::fmt::Write as _;
use std::process::Command;
use std::time::Instant;

use anyhow::Context;

use super::Plan;
use super::load::own_cpu;
use crate::agent::Agent;

/// Round trips of one look; each is two switches.
const TRIPS: u32 = 150_000;
/// Looks at one variant in a round.
const LOOKS: usize = 3;

/// Flags and environment of an agent; none for no agent.
type How = Option<(&'static [&'static str], &'static [(&'static str, &'static str)])>;

const VARIANTS: &[(&str, How)] = &[
    ("no agent", None),
    ("empty programs", Some((&["--empty-programs"], &[]))),
    (
        "families off",
        Some((&[], &[("STETH_USAGE_SCHEDULER", "false"), ("STETH_USAGE_OFFCPU", "false")])),
    ),
    ("scheduler", Some((&[], &[("STETH_USAGE_OFFCPU", "false")]))),
    ("and off-CPU", Some((&[], &[]))),
    ("and locks", Some((&[], &[("STETH_USAGE_LOCKS", "true")]))),
];

#[derive(Debug, Default)]
struct Looks {
    /// Microseconds of one round trip.
    trips: Vec<f64>,
    /// Share of a processor that the agent used meanwhile.
    agent: Vec<f64>,
    maps: f64,
}

impl Looks {
    fn quarter(&mut self) -> f64 {
        self.trips.sort_by(f64::total_cmp);
        self.trips.get(self.trips.len() / 4).copied().unwrap_or(f64::NAN)
    }
}

/// Runs everything; the report.
pub(super) fn report(plan: &Plan) -> anyhow::Result<String> {
    let mut looks: Vec<Looks> = VARIANTS.iter().map(|_| Looks::default()).collect();
    for round in 0..plan.rounds {
        for ((name, how), looks) in VARIANTS.iter().zip(&mut looks) {
            eprintln!("round {} of {}: {name}", round + 1, plan.rounds);
            let start = |(flags, environment)| Agent::start_with(flags, environment);
            let agent = how.map(start).transpose()?;
            let used = || agent.as_ref().map_or(Ok(0), own_cpu);
            for _ in 0..LOOKS {
                let (before, cpu) = (Instant::now(), used()?);
                looks.trips.push(storm()?);
                let part = (used()? - cpu) as f64 / before.elapsed().as_nanos() as f64;
                looks.agent.push(part);
            }
            if let Some(agent) = &agent {
                looks.maps = agent.status()?["agent"]["map_bytes"].as_f64().unwrap_or(0.0) / 1e6;
            }
        }
    }
    let mut out = String::from(
        "A storm of switches: perf bench sched pipe on one processor, first quartile of the looks.\n\
         variant         us/round trip  throughput  agent % of a core  maps MB\n",
    );
    let base = looks.first_mut().map_or(f64::NAN, Looks::quarter);
    for ((name, _), looks) in VARIANTS.iter().zip(&mut looks) {
        let trip = looks.quarter();
        let agent = looks.agent.iter().sum::<f64>() / looks.agent.len().max(1) as f64;
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{name:15} {trip:13.3} {:11.3} {:18.2} {:8.1}",
            base / trip,
            agent * 100.0,
            looks.maps
        );
    }
    out.push_str(&programs()?);
    Ok(out)
}

fn programs() -> anyhow::Result<String> {
    let mut out =
        String::from("\nBPF run time of one switch (statistics' clock reads included).\n");
    for (name, how) in VARIANTS.iter().filter_map(|(name, how)| Some((name, (*how)?))) {
        let (flags, environment) = how;
        let flags = [flags, &["--stats"]].concat();
        let agent = Agent::start_with(&flags, environment)?;
        storm()?;
        let metrics = agent.metrics()?;
        let of = [("steth_bpf_program_name", "switch")];
        let runs = metrics.sum("steth_bpf_program_runs_total", &of);
        let time: f64 =
            metrics.of("steth_bpf_program_time_seconds_total", &of).map(|s| s.value).sum();
        if runs > 0 {
            let _ = writeln!(out, "{name:15} {:6.1} ns, {runs} runs", time * 1e9 / runs as f64);
        }
    }
    Ok(out)
}

/// Microseconds of one round trip between two processes on one processor.
fn storm() -> anyhow::Result<f64> {
    let output = Command::new("taskset")
        .args(["-c", "1", "perf", "bench", "sched", "pipe", "-l", &TRIPS.to_string()])
        .output()
        .context("perf (package linux-perf) is not here")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.trim().strip_suffix("usecs/op"));
    Ok(line.with_context(|| format!("perf says {text:?}"))?.trim().parse()?)
}
