//! Set-up, build, run, test, bench: `cargo xtask VERB`.

mod kernel_side;
mod package;
mod step;
mod tool;

use std::process::ExitCode;

use clap::Parser;

/// Set-up, build, run, test, bench of steth.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Verb {
    /// Build the kernel programs and the agent.
    Build,
    /// Install what the build needs.
    Setup,
}

fn main() -> ExitCode {
    let done = match Verb::parse() {
        Verb::Build => kernel_side::build().and_then(|_| {
            step::run(step::cargo().args(["build", "--release", "-p", "steth"]), "mend the code")
        }),
        Verb::Setup => kernel_side::set_up_all(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            step::say(format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
