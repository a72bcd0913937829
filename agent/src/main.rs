//! The `steth` binary: reads the command line and hands over to the runtime.
#![expect(clippy::print_stdout, reason = "a command line's answers go to standard output")]

use std::process::ExitCode;

use clap::Parser;
use steth::config;
use steth::config::cli::{Cli, Verb};
use steth::runtime::privilege::Privileges;
use steth::runtime::told::told;
use steth::runtime::{check, confine, follow, record, replay, start};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("steth: {}", told(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    let sources = cli.sources(std::env::vars_os());
    match &cli.verb {
        None => start::agent(cli, &config::load(&sources)?)?,
        Some(Verb::Check) => return report(cli, &config::load(&sources)?),
        Some(Verb::Config(verb)) => print!("{}", verb.told(&sources)?),
        Some(Verb::Record { file, length, anonymous }) => {
            let wanted = record::Wanted { file, length: *length, anonymous: *anonymous };
            record::record(cli, &config::load(&sources)?, wanted)?;
        }
        Some(Verb::Trace { last }) => {
            let most = last.map(|last| usize::try_from(last).unwrap_or(usize::MAX));
            follow::follow(cli, &config::load(&sources)?, most, std::io::stdout().lock())?;
        }
        Some(Verb::Replay { file }) => {
            replay::replay(&config::load(&sources)?.config, file, std::io::stdout().lock())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn report(cli: &Cli, loaded: &config::Loaded) -> anyhow::Result<ExitCode> {
    start::find_host(&loaded.config)?;
    let options = start::options(cli, loaded, &loaded.export()?);
    let config = &loaded.config;
    let mut loaded = steth::kernel::load(steth::KERNEL_OBJECT, &options);
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = format!("{} {}", release.trim(), std::env::consts::ARCH);
    let privileges = Privileges::of_this_thread()?;
    let usage = check::usage(config);
    let report = match &mut loaded {
        Ok(kernel_side) => {
            let tier = Some(kernel_side.tier.named());
            // What would be given up is given up: this process is over when it has told of it.
            let terminal = confine::Terminal::Inherited;
            let given_up = confine::confine(&config.confine, terminal, kernel_side);
            let more = usage.into_iter().chain(given_up);
            check::report(kernel, tier, &kernel_side.reports, more, privileges)
        }
        Err(error) => {
            eprintln!("steth: {}", told(error));
            let more = usage.into_iter().chain(privileges.rows(privileges));
            check::report(kernel, None, &[], more, privileges)
        }
    };
    print!("{}", report.text());
    Ok(ExitCode::from(report.verdict().exit_code()))
}
