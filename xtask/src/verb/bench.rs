//! `cargo xtask bench`: what observing costs, as ratios measured side by side in one run.

use anyhow::Result;

use super::build;
use crate::package;
use crate::step::{announce, run};
use crate::verb::kernels::tests_binary;

/// Compare with and without the agent, side by side
///
/// One run on one machine: nginx under wrk with no agent, with empty programs on the same hooks, and
/// with the agent on tiers 1 and 3. The figures are ratios within the run; a
/// busy machine makes them meaningless. What comes after `--` goes to the bench program.
#[derive(clap::Args)]
pub(crate) struct Bench {
    /// What is measured: all of requests; with `spans` what spans cost beside RED alone; with `use` what
    /// observing resources costs
    #[arg(value_parser = ["use", "spans"])]
    what: Option<String>,
    /// For the bench program
    #[arg(last = true)]
    bench: Vec<String>,
}

impl Bench {
    pub(crate) fn run(self) -> Result<()> {
        package::install(package::SERVERS)?;
        build::all()?;
        announce("bench", "what observing costs, beside the same load unobserved");
        run(
            tests_binary("bench")?.args(self.what).args(self.bench),
            "the bench says above which load or tool failed it",
        )
    }
}
