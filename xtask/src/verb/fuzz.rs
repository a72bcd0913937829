//! `cargo xtask fuzz`: parsers and decoders against bytes nobody would write.

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::package::{self, BUILD, FUZZ};
use crate::step::{announce, program, run, target, top};
use crate::tool;

/// Fuzz the parsers and decoders
///
/// Runs every target under tests/fuzz, or the one named, with cargo-fuzz on the stable
/// compiler, starting from the seeds beside it. A crash is written under tests/fuzz/artifacts: mend it and
/// keep the input as a test.
#[derive(clap::Args)]
pub(crate) struct Fuzz {
    /// Only this target
    target: Option<String>,
    /// Seconds for each target
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

impl Fuzz {
    pub(crate) fn run(self) -> Result<()> {
        set_up()?;
        let all = targets();
        let chosen: Vec<&String> =
            all.iter().filter(|name| self.target.as_ref().is_none_or(|it| it == *name)).collect();
        if chosen.is_empty() {
            bail!("no such target. What to do: choose one of: {}", all.join(", "));
        }
        chosen.into_iter().try_for_each(|name| one(name, self.seconds))
    }
}

fn directory() -> PathBuf {
    top().join("tests/fuzz")
}

/// The names of the targets.
pub(crate) fn targets() -> Vec<String> {
    let entries = fs::read_dir(directory().join("fuzz_targets"));
    let mut names: Vec<String> = entries
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".rs")?.to_owned()))
        .collect();
    names.sort();
    names
}

/// Installs cargo-fuzz and what compiles libFuzzer.
pub(crate) fn set_up() -> Result<()> {
    package::install(BUILD)?;
    package::install(FUZZ)?;
    tool::CARGO_FUZZ.install()
}

/// Fuzzes one target for so long; its corpus grows under the target directory, the seeds are read.
pub(crate) fn one(name: &str, seconds: u32) -> Result<()> {
    announce(&format!("fuzz {name}"), &format!("{seconds} s of hostile bytes, from the seeds"));
    let corpus = target().join("fuzz-corpus").join(name);
    fs::create_dir_all(&corpus)?;
    let seeds = directory().join("seeds").join(name);
    let mut command = program(tool::CARGO_FUZZ.path());
    // Coverage alone works on stable; the sanitizers want nightly, and find little in safe code.
    command.args(["fuzz", "run", "--sanitizer", "none", "--fuzz-dir"]).arg(directory());
    command.arg("--target-dir").arg(target().join("fuzz")).arg(name).arg(corpus);
    if seeds.is_dir() {
        command.arg(seeds);
    }
    command
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .args(["-timeout=5", "-verbosity=0"]);
    run(&mut command, "the input is under tests/fuzz/artifacts: mend the code, keep it as a test")
}
