//! `cargo xtask build`: the kernel programs, then the agent with them inside.

use std::path::PathBuf;

use anyhow::Result;

use crate::step::{announce, cargo, run, say, target};
use crate::{kernel_side, package};

/// Build the kernel programs and the agent
///
/// Compiles agent-ebpf for the bpf target to target/kernel/steth.o, then the agent, which embeds it,
/// to target/release/steth. Installs a bpf compiler and linker if they are missing: rustup's nightly
/// with rust-src, else the distribution's rustc with its bpf core (`XTASK_BPF_TOOLCHAIN`
/// set to `nightly` or `system` chooses). What is up to date is not built again. With
/// `XTASK_KERNEL_LOG` set the programs write a debug log, which the agent passes on at level debug.
#[derive(clap::Args)]
pub(crate) struct Build {
    /// The kernel programs alone
    #[arg(long)]
    kernel_only: bool,
}

impl Build {
    pub(crate) fn run(self) -> Result<()> {
        package::install(package::BUILD)?;
        let object = kernel_side::build()?;
        if self.kernel_only {
            say(format!("built {}", object.display()));
            return Ok(());
        }
        let agent = agent()?;
        say(format!("built {}; `cargo xtask run` starts it", agent.display()));
        Ok(())
    }
}

/// Both sides; where the agent stands.
pub(crate) fn all() -> Result<PathBuf> {
    package::install(package::BUILD)?;
    kernel_side::build()?;
    agent()
}

/// The agent with what kernel programs there are.
pub(crate) fn agent() -> Result<PathBuf> {
    announce("agent", "release build of the `steth` binary");
    run(
        cargo().args(["build", "--release", "--package", "steth"]),
        "mend what the compiler names above",
    )?;
    Ok(target().join("release/steth"))
}
