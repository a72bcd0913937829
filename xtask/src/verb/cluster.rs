//! `cargo xtask cluster`: a one-node Kubernetes to try the agent on, and what the tests do with it.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::image;
use crate::cluster::{self, Cluster as Node};
use crate::step::{Tests, announce, cargo, run_tests, say};
use crate::{collector, package};

/// Start, use and end a one-node Kubernetes with the agent's image in it
///
/// Kubernetes is built from Go modules once, into the user's cache, containerd and runc are unpacked
/// beside it: nothing is installed, and all of it runs in a network and mount namespace of its own. The
/// agent's image is built anew. `up` leaves it running, `kubectl` and `helm` are run on it, `test` runs the tests
/// that need it, `down` ends it and leaves nothing.
#[derive(clap::Args)]
pub(crate) struct Cluster {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Start it, unless it runs
    Up,
    /// End it
    Down,
    /// Run the tests that need it; those that begin it end it
    Test {
        /// A filter, or flags of the harness
        #[arg(last = true)]
        harness: Vec<String>,
    },
    /// Run kubectl on it: `cargo xtask cluster kubectl get pods`
    Kubectl {
        /// For kubectl
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Run helm on it
    Helm {
        /// For helm
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
}

impl Cluster {
    pub(crate) fn run(self) -> Result<()> {
        match self.what {
            What::Up => {
                build()?.up()?;
                say(
                    "    `cargo xtask cluster kubectl get pods --all-namespaces` asks it; `cargo xtask cluster down` ends it",
                );
                Ok(())
            }
            What::Down => cluster::found()?.down(None),
            What::Test { harness } => {
                let tests = test(&build()?, &harness)?;
                say(format!("    {} tests", tests.passed));
                Ok(())
            }
            What::Kubectl { words } => {
                become_that(&mut cluster::found()?.program("kubectl")?, &words)
            }
            What::Helm { words } => become_that(&mut cluster::found()?.program("helm")?, &words),
        }
    }
}

fn become_that(command: &mut Command, words: &[String]) -> Result<()> {
    Err(command.args(words).exec()).context("it could not be started")
}

/// Builds all that it is made of, and the agent's image.
pub(crate) fn build() -> Result<Node> {
    package::install(package::CLUSTER)?;
    let agent = cluster::place().join("steth.tar");
    image::build(cluster::AGENT, &agent)?;
    cluster::build(agent)
}

/// Runs the tests that need it, on one that is there or on one that is begun and ended here.
pub(crate) fn test(node: &Node, harness: &[String]) -> Result<Tests> {
    let begun = node.up()?;
    let outcome = tests(node, harness);
    if begun.is_some() {
        let ended = node.down(begun);
        return outcome.and_then(|tests| ended.map(|()| tests));
    }
    outcome
}

fn tests(node: &Node, harness: &[String]) -> Result<Tests> {
    let collector = collector::build()?;
    announce("cluster", "the chart on real pods, counts compared with ==");
    let cargo = cargo();
    let mut command = node.within(&cargo.get_program().to_string_lossy())?;
    command.env(collector::VARIABLE, collector);
    command
        .args(["test", "--no-fail-fast", "--package", "steth-tests", "--test", "cluster", "--"])
        .args(["--ignored", "--test-threads=1"]);
    command.args(harness);
    run_tests(
        &mut command,
        "`cargo xtask cluster test -- NAME` runs one alone; `cargo xtask cluster up` keeps the cluster",
    )
}
