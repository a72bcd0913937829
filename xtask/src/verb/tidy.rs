//! `cargo xtask tidy`: the rules of the house that no compiler keeps.

use anyhow::{Result, bail};

use crate::step::{announce, say, top};
use crate::tidy::findings;

/// Check what no compiler checks: layers, names, documents
///
/// A file uses only what is on a lower floor; `//!` comes first; no file is over 600 lines; what
/// crosses the kernel line is used on both sides; aya stays under kernel/, clocks in runtime/ and
/// export/, names of metrics and labels under metric/; the README's map names every module; the top
/// level is what the README says; every dependency has its reason.
#[derive(clap::Args)]
pub(crate) struct Tidy {}

impl Tidy {
    pub(crate) fn run(self) -> Result<()> {
        let Self {} = self;
        check().map(drop)
    }
}

/// The check, for `test` as well; how many files were looked at.
pub(crate) fn check() -> Result<usize> {
    announce("tidy", "rules that no compiler keeps");
    let (files, findings) = findings(top())?;
    for finding in &findings {
        say(finding.to_string());
    }
    if !findings.is_empty() {
        bail!("{} findings. What to do: each line above says it", findings.len());
    }
    say(format!("    tidy: {files} files"));
    Ok(files)
}
