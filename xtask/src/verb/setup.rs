//! `cargo xtask setup`: all that any verb would install, at once.

use anyhow::Result;

use crate::cluster::pieces;
use crate::image::platform::Arch;
use crate::package::{BUILD, CLUSTER, EMULATOR, FUZZ, IMAGE, SERVERS};
use crate::{collector, kernel_side, package, tool};

/// Install everything that any verb needs
///
/// The same steps each verb takes for itself, together: the bpf compiler and linker, cargo-deny and
/// cargo-fuzz under target/tools, the servers of the tests and QEMU by apt (no service is started), the
/// OpenTelemetry Collector and the Kubernetes of the tests in the user's cache.
/// With --list, tells what there is and installs nothing.
#[derive(clap::Args)]
pub(crate) struct Setup {
    /// Tell what is there and what is missing, and install nothing
    #[arg(long)]
    list: bool,
}

impl Setup {
    pub(crate) fn run(self) -> Result<()> {
        if !self.list {
            package::install(&[BUILD, IMAGE, FUZZ, SERVERS, EMULATOR, CLUSTER].concat())?;
            kernel_side::set_up_all()?;
            tool::CARGO_DENY.install()?;
            tool::CARGO_FUZZ.install()?;
            collector::build()?;
            pieces::build()?;
        }
        package::tell("build:", BUILD);
        package::tell("image:", IMAGE);
        Arch::tell();
        package::tell("fuzzing:", FUZZ);
        package::tell("end-to-end tests and bench:", SERVERS);
        package::tell("kernel tests:", EMULATOR);
        kernel_side::tell();
        tool::tell();
        collector::tell();
        package::tell("cluster of the tests:", CLUSTER);
        pieces::tell();
        Ok(())
    }
}
