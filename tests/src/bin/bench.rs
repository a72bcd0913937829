//! `cargo xtask bench`: what the agent costs, side by side in one run, as ratios.
#![expect(clippy::print_stdout, reason = "a report goes to standard output")]

use clap::Parser;
use steth_tests::bench::{Plan, run, run_spans, run_usage};

/// Measures what the agent costs, beside the same load unobserved.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Arguments {
    /// What is measured: all of requests; with `spans` what spans cost beside RED alone; with `use` what observing
    /// resources costs
    #[arg(value_parser = ["use", "spans"])]
    what: Option<String>,
    #[command(flatten)]
    plan: Plan,
}

fn main() -> anyhow::Result<()> {
    let Arguments { what, plan } = Arguments::parse();
    let report = match what.as_deref() {
        Some("use") => run_usage(&plan)?,
        Some(_) => run_spans(&plan)?,
        None => run(&plan)?,
    };
    println!("{report}");
    Ok(())
}
