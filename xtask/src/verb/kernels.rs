//! `cargo xtask kernels`: the kernel programs on kernels other than this one.

use std::process::Command;

use anyhow::Result;

use super::build;
use crate::package;
use crate::privilege::prefix;
use crate::step::{announce, cargo, run};

/// Load the kernel programs on other kernels, in QEMU
///
/// Boots Debian's kernels under software emulation and, on each, loads every program and counts the
/// requests of a small server exactly. What comes after `--` goes to the program that does it.
#[derive(clap::Args)]
pub(crate) struct Kernels {
    /// For the program that boots them
    #[arg(last = true)]
    kernels: Vec<String>,
}

impl Kernels {
    pub(crate) fn run(self) -> Result<()> {
        package::install(package::EMULATOR)?;
        build::all()?;
        announce("kernels", "every program loads and counts on each supported kernel");
        run(
            command().args(self.kernels),
            "the kernel's own messages above say which program it refused, and why",
        )
    }
}

/// The program that boots them, for `test` as well.
pub(crate) fn command() -> Command {
    let mut command = cargo();
    command.args(["run", "--release", "--package", "steth-tests", "--bin", "kernels", "--"]);
    command
}

/// A program of the tests' crate, built as the caller and started as root.
pub(crate) fn tests_binary(name: &str) -> Result<Command> {
    let mut command = cargo();
    run_as_root(&mut command)?;
    command.args(["run", "--release", "--package", "steth-tests", "--bin", name, "--"]);
    Ok(command)
}

/// Has cargo start what it builds through sudo, where this process is not root.
pub(crate) fn run_as_root(cargo: &mut Command) -> Result<()> {
    let prefix = prefix()?;
    if !prefix.is_empty() {
        let words: Vec<String> = prefix.iter().map(|word| format!("{word:?}")).collect();
        cargo.arg("--config");
        cargo.arg(format!("target.\"cfg(unix)\".runner=[{}]", words.join(",")));
    }
    Ok(())
}
