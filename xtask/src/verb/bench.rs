//! `cargo xtask bench`: what observing costs, as ratios measured side by side in one run.

use std::num::NonZeroU32;

use anyhow::Result;

use super::build;
use crate::package;
use crate::step::{announce, run};
use crate::verb::kernels::tests_binary;

/// Compare with and without the agent, side by side
///
/// One run on one machine: nginx under wrk with no agent, with empty programs on the same hooks, and
/// with the agent on tiers 1 and 3. The figures are ratios within the run; a
/// busy machine makes them meaningless.
#[derive(clap::Args)]
pub(crate) struct Bench {
    /// What is measured: all of requests; with `spans` what spans cost beside RED alone; with `use` what
    /// observing resources costs
    #[arg(value_parser = ["use", "spans"])]
    what: Option<String>,
    /// Seconds of one round of load [default: 5]
    #[arg(long)]
    seconds: Option<NonZeroU32>,
    /// Rounds of each variant [default: 4]
    #[arg(long)]
    rounds: Option<NonZeroU32>,
    /// Seconds of idleness; none with 0 [default: 60]
    #[arg(long)]
    idle: Option<u32>,
}

impl Bench {
    pub(crate) fn run(self) -> Result<()> {
        let Self { what, seconds, rounds, idle } = self;
        let seconds = seconds.map(|seconds| format!("--seconds={seconds}"));
        let rounds = rounds.map(|rounds| format!("--rounds={rounds}"));
        let idle = idle.map(|idle| format!("--idle={idle}"));
        package::install(package::SERVERS)?;
        build::all()?;
        announce("bench", "what observing costs, beside the same load unobserved");
        run(
            tests_binary("bench")?.args(what).args(seconds).args(rounds).args(idle),
            "the bench says above which load or tool failed it",
        )
    }
}
