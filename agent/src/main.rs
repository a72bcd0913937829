//! The `steth` binary: reads the command line and hands over to the runtime.
#![expect(clippy::print_stdout, reason = "a command line's answers go to standard output")]

use std::process::ExitCode;

use clap::Parser;
use steth::cli::{Cli, Flags, Verb};
use steth::config::{self, Sources};
use steth::runtime::{assemble, probes, start};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("steth: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    let flags = &cli.flags;
    match &cli.verb {
        None => start::agent(flags, &start::configuration(flags)?)?,
        Some(Verb::Check) => return check(flags),
        Some(Verb::Config(verb)) => {
            let file = flags.config.clone();
            let environment = start::environment();
            let sources = Sources { file, environment, flags: flags.settings() };
            print!("{}", config::told(verb, &sources)?);
        }
        Some(Verb::Record { .. } | Verb::Replay { .. }) => anyhow::bail!("not built yet"),
    }
    Ok(ExitCode::SUCCESS)
}

fn check(flags: &Flags) -> anyhow::Result<ExitCode> {
    let loaded = start::configuration(flags)?;
    let variables = start::environment().into_iter().collect();
    let exports = assemble::export(&loaded, &variables)?;
    let report = probes::check(&assemble::kernel(&loaded.config, &exports));
    print!("{}", report.text());
    Ok(ExitCode::from(report.verdict().exit_code()))
}
