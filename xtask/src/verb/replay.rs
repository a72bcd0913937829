//! `cargo xtask replay`: a recording through the pipeline, on any machine.

use std::path::PathBuf;

use anyhow::Result;

use super::build;
use crate::step::{program, run};

/// Replay a recording, without privileges
///
/// Builds the agent, with or without kernel programs, and runs `steth replay FILE`: the same records
/// and ticks give the same metrics as when they were recorded.
#[derive(clap::Args)]
pub(crate) struct Replay {
    /// The recording
    file: PathBuf,
    /// For the agent
    #[arg(last = true)]
    agent: Vec<String>,
}

impl Replay {
    pub(crate) fn run(self) -> Result<()> {
        let agent = build::agent()?;
        let file = std::path::absolute(&self.file)?;
        run(
            program(agent).arg("replay").arg(file).args(self.agent),
            "the agent says above what is wrong with the recording or the flags",
        )
    }
}
