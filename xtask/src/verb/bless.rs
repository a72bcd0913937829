//! `cargo xtask bless`: what the code gives becomes what the tests expect.

use anyhow::Result;

use crate::cluster::pieces;
use crate::step::{announce, cargo, run, say};

/// Accept changed golden files and reference pages
///
/// Runs the userspace tests once with golden files rewritten to what the code gives. Read the
/// difference before you commit it: a golden file is a promise to users.
#[derive(clap::Args)]
pub(crate) struct Bless {
    /// Only tests whose names contain this
    filter: Option<String>,
}

impl Bless {
    pub(crate) fn run(self) -> Result<()> {
        announce("golden files", "rewritten to what the code gives");
        let mut command = cargo();
        // What the chart renders is golden text as well.
        match pieces::helm() {
            Ok(helm) => drop(command.env(pieces::HELM, helm)),
            Err(error) => say(format!("    no helm, so not the manifests: {error:#}")),
        }
        run(
            command
                .arg("test")
                .args(self.filter)
                .env("INSTA_UPDATE", "always")
                .env("STETH_BLESS", "1")
                .env_remove("CI"),
            "mend the failing test: only differences from golden files are accepted",
        )?;
        say("done; `git diff` shows what changed");
        Ok(())
    }
}
