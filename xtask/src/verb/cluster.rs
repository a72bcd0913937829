//! `cargo xtask cluster`: a one-node Kubernetes to try the agent on, and what the tests do with it.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::image;
use crate::cluster::{self, Cluster as Node};
use crate::step::{Tests, announce, cargo, output, run, run_tests, say};
use crate::{collector, package};

/// Start, use and end a one-node Kubernetes with the agent's image in it
///
/// Kubernetes is built from Go modules once, into the user's cache, containerd and runc are unpacked
/// beside it, and all of it runs in a network and mount namespace of its own. The agent's image is built anew and
/// loaded. `up` leaves it running, `kubectl` and `helm` are run on it, `test` runs the tests that need it, `down` ends it
/// and leaves nothing but its logs. A host has one at a time, and none beside a kubelet of its own.
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
                build()?.up(false)?;
                say(
                    "    `cargo xtask cluster kubectl get pods --all-namespaces` asks it; `cargo xtask cluster down` ends it",
                );
                Ok(())
            }
            What::Down => cluster::down(None),
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
    let collector = collector::build()?;
    let program = program()?;
    let begun = node.up(true)?;
    announce("cluster", "the chart on real pods, counts compared with ==");
    let outcome = tests(node, &program, &collector, harness);
    if begun.is_some() {
        let ended = cluster::down(begun);
        return outcome.and_then(|tests| ended.map(|()| tests));
    }
    outcome
}

/// The program of the tests: built here, where there is a network, by whoever called.
fn program() -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["test", "--package", "steth-tests", "--test", "cluster", "--no-run"]);
    run(&mut build, "mend what the compiler names above")?;
    let said = output(build.arg("--message-format=json")).context("cargo does not answer")?;
    // Programs that the tests run are among them.
    let messages = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs = messages
        .filter(|message| message.pointer("/target/kind/0").is_some_and(|kind| kind == "test"))
        .filter_map(|message| Some(PathBuf::from(message.get("executable")?.as_str()?)));
    programs.next().context("cargo built no program of the tests")
}

fn tests(node: &Node, program: &Path, collector: &Path, harness: &[String]) -> Result<Tests> {
    let mut command =
        node.within(&program.display().to_string(), &[(collector::VARIABLE, collector)])?;
    command.args(["--ignored", "--test-threads=1"]).args(harness);
    run_tests(
        &mut command,
        "`cargo xtask cluster test -- NAME` runs one alone; `cargo xtask cluster up` keeps the cluster",
    )
}
