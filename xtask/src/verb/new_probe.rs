//! `cargo xtask new-probe`: the folder and the line a USE probe begins with.

use std::path::Path;

use anyhow::Result;

use super::scaffold::{name, register, write};
use crate::step::{say, top};

/// Begin a USE probe
///
/// Writes agent/src/usage/NAME/ with a sampler that reads nothing yet, and adds it to the list in
/// agent/src/usage/mod.rs. With --kernel, a file of the same name in agent-common (what crosses) and
/// in agent-ebpf (the programs) as well, each with its line.
#[derive(clap::Args)]
pub(crate) struct NewProbe {
    /// Its module: lower-case words joined by `_`
    name: String,
    /// It needs a kernel program
    #[arg(long)]
    kernel: bool,
}

impl NewProbe {
    pub(crate) fn run(self) -> Result<()> {
        let Self { name, kernel } = self;
        begin(top(), &name)?;
        if kernel {
            begin_kernel(top(), &name)?;
        }
        say(
            "next: what it reads and how it is parsed, with cases in its tests; then `cargo xtask test tidy unit`",
        );
        Ok(())
    }
}

fn begin(top: &Path, given: &str) -> Result<()> {
    let name = name(given)?;
    write(top, &format!("agent/src/usage/{name}/mod.rs"), &SAMPLER.replace("NAME", name))?;
    if !top.join("agent/src/usage/mod.rs").exists() {
        write(top, "agent/src/usage/mod.rs", USAGE)?;
        register(top, "agent/src/lib.rs", "pub mod usage;")?;
        say("    the README's map needs a row for `agent/src/usage/`");
    }
    register(top, "agent/src/usage/mod.rs", &format!("pub mod {name};"))
}

fn begin_kernel(top: &Path, given: &str) -> Result<()> {
    let name = name(given)?;
    write(top, &format!("agent-common/src/{name}.rs"), &SHARED.replace("NAME", name))?;
    register(top, "agent-common/src/lib.rs", &format!("pub mod {name};"))?;
    write(top, &format!("agent-ebpf/src/{name}.rs"), &PROGRAMS.replace("NAME", name))?;
    register(top, "agent-ebpf/src/main.rs", &format!("mod {name};"))
}

const USAGE: &str =
    "//! USE: utilisation, saturation and errors of what processes need, one folder a probe.\n";

const SAMPLER: &str = "\
//! NAME: one resource's utilisation, saturation and errors.
//!
//! Parsing is apart from reading, so every case is a test; a file that vanishes while it is read is
//! a sample less, never an error.

/// One reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {}

/// What the kernel's text says, none if it cannot be read.
pub fn parse(text: &str) -> Option<Sample> {
    (!text.is_empty()).then_some(Sample {})
}

#[cfg(test)]
mod tests {
    use super::{Sample, parse};

    #[test]
    fn reads_what_the_kernel_writes() {
        let check = |input: &str, expect| assert_eq!(parse(input), expect, \"{input}\");
        check(\"\", None);
        check(\"0\", Some(Sample {}));
    }
}
";

const SHARED: &str = "//! NAME: what its kernel programs and its sampler agree on.\n";

const PROGRAMS: &str = "//! NAME: its kernel programs; each says its hook, its kernel floor, what it reads and what it emits.\n";

#[cfg(test)]
mod tests {
    use std::fs;

    #[test]
    fn writes_the_same_name_in_three_crates() {
        let top = tempfile::tempdir().unwrap();
        let file = |path: &str| top.path().join(path);
        for (path, text) in [
            ("agent/src/lib.rs", "//! x\n\npub mod source;\n"),
            ("agent-common/src/lib.rs", "//! x\n#![no_std]\n\npub mod record;\n"),
            ("agent-ebpf/src/main.rs", "//! x\n#![no_std]\n\nmod emit;\nmod turn;\n"),
        ] {
            fs::create_dir_all(file(path).parent().unwrap()).unwrap();
            fs::write(file(path), text).unwrap();
        }
        super::begin(top.path(), "disk").unwrap();
        super::begin_kernel(top.path(), "disk").unwrap();
        let check = |path: &str, expect: &str| {
            assert_eq!(fs::read_to_string(file(path)).unwrap(), expect, "{path}");
        };
        check("agent/src/lib.rs", "//! x\n\npub mod source;\npub mod usage;\n");
        check("agent-common/src/lib.rs", "//! x\n#![no_std]\n\npub mod disk;\npub mod record;\n");
        check("agent-ebpf/src/main.rs", "//! x\n#![no_std]\n\nmod disk;\nmod emit;\nmod turn;\n");
        assert!(
            fs::read_to_string(file("agent/src/usage/mod.rs"))
                .unwrap()
                .ends_with("pub mod disk;\n")
        );
        assert!(file("agent/src/usage/disk/mod.rs").exists());
        assert!(super::begin(top.path(), "disk").is_err());
    }
}
