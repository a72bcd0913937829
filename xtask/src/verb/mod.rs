//! The verbs. Adding one is a file here, a variant and a line below.

mod bench;
mod bless;
mod build;
mod cluster;
mod fuzz;
mod image;
mod kernels;
mod new_probe;
mod new_protocol;
mod record;
mod replay;
mod run;
mod scaffold;
mod setup;
mod test;
mod tidy;

use anyhow::Result;
use clap::Parser;

/// Everything that is done with steth: each verb installs what it lacks and says what it does.
///
/// On a fresh machine `cargo xtask run` is enough to watch it; `cargo xtask test` is all that CI runs.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
pub(crate) enum Verb {
    Run(run::Run),
    Build(build::Build),
    Image(image::Image),
    Test(test::Test),
    Bench(bench::Bench),
    Tidy(tidy::Tidy),
    Record(record::Record),
    Replay(replay::Replay),
    Bless(bless::Bless),
    NewProtocol(new_protocol::NewProtocol),
    NewProbe(new_probe::NewProbe),
    Kernels(kernels::Kernels),
    Cluster(cluster::Cluster),
    Fuzz(fuzz::Fuzz),
    Setup(setup::Setup),
}

impl Verb {
    /// Does it.
    pub(crate) fn run(self) -> Result<()> {
        match self {
            Self::Run(verb) => verb.run(),
            Self::Build(verb) => verb.run(),
            Self::Image(verb) => verb.run(),
            Self::Test(verb) => verb.run(),
            Self::Bench(verb) => verb.run(),
            Self::Tidy(verb) => verb.run(),
            Self::Record(verb) => verb.run(),
            Self::Replay(verb) => verb.run(),
            Self::Bless(verb) => verb.run(),
            Self::NewProtocol(verb) => verb.run(),
            Self::NewProbe(verb) => verb.run(),
            Self::Kernels(verb) => verb.run(),
            Self::Cluster(verb) => verb.run(),
            Self::Fuzz(verb) => verb.run(),
            Self::Setup(verb) => verb.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn every_verb_is_well_formed_and_says_what_it_does() {
        let mut command = super::Verb::command();
        command.build();
        command.clone().debug_assert();
        for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
            assert!(verb.get_about().is_some(), "{} has no help", verb.get_name());
            assert!(verb.get_long_about().is_some(), "{} teaches nothing", verb.get_name());
        }
    }
}
