//! `cargo xtask run`: from a fresh machine to a live view.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::build;
use crate::privilege::{BUILD_ONLY, may_observe, raised};
use crate::step::{announce, program};

/// Watch this host
///
/// Sets up what is missing, builds both sides and starts the agent: a live table on a terminal, the
/// daemon otherwise. sudo is used for the agent alone, and not at all where this process may observe
/// already. What comes after `--` goes to the agent: `cargo xtask run -- check`,
/// `cargo xtask run -- --help`.
#[derive(clap::Args)]
pub(crate) struct Run {
    /// For the agent
    #[arg(last = true)]
    agent: Vec<String>,
}

impl Run {
    pub(crate) fn run(self) -> Result<()> {
        let agent = build::all()?;
        become_agent(&agent, &self.agent)
    }
}

/// Replaces this process by the agent, so that signals, terminal and exit code are its own.
pub(crate) fn become_agent(agent: &Path, args: &[String]) -> Result<()> {
    let mut command = observer(agent)?;
    Err(command.args(args).env_remove(BUILD_ONLY).exec()).context(
        "the agent could not be started. What to do: see that target/release/steth may be executed",
    )
}

fn observer(agent: &Path) -> Result<Command> {
    if may_observe() {
        announce("steth", "observes this host");
        return Ok(program(agent));
    }
    announce("steth", "observes this host; sudo for it alone, as loading kernel programs needs it");
    raised(agent)
}
