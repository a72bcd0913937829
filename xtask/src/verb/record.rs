//! `cargo xtask record`: a recording of this host, which replays anywhere.

use std::path::PathBuf;

use anyhow::Result;

use super::{build, run};

/// Record what the kernel side says
///
/// Builds the agent and runs `steth record FILE`: everything the kernel side tells is written as it
/// came, before anything is made of it. A recording is a bug report that becomes a test:
/// `cargo xtask replay FILE` needs no privileges and no kernel programs. It holds the first bytes of
/// messages: look at it before you give it away.
#[derive(clap::Args)]
pub(crate) struct Record {
    /// Where to
    file: PathBuf,
    /// For the agent
    #[arg(last = true)]
    agent: Vec<String>,
}

impl Record {
    pub(crate) fn run(self) -> Result<()> {
        let agent = build::all()?;
        let file = std::path::absolute(&self.file)?;
        let mut args = vec!["record".to_owned(), file.to_string_lossy().into_owned()];
        args.extend(self.agent);
        run::become_agent(&agent, &args)
    }
}
