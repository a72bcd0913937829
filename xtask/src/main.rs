//! Set-up, build, run, test, bench: `cargo xtask VERB`, one file a verb under `verb/`.
//!
//! Every verb installs what it lacks, says in one line what it does and why, and does no work twice.

mod cache;
mod cluster;
mod collector;
mod go;
mod image;
mod kernel_side;
mod package;
mod privilege;
mod step;
mod tidy;
mod tool;
mod verb;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match verb::Verb::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            step::say(format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
