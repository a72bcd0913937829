//! Tools written in Rust, pinned and installed under `target/tools`, so that nothing of the person's
//! own `~/.cargo/bin` is used or changed.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use crate::step::{announce, cargo, run, say, target};

/// One pinned tool.
pub(crate) struct Tool {
    /// Its package and its program.
    pub(crate) name: &'static str,
    /// The only version that is used.
    pub(crate) version: &'static str,
    /// What it is for, in the words of a step's line.
    pub(crate) why: &'static str,
}

/// Writes BPF objects; 0.10.3 reads the bitcode of LLVM 22 and opens the LLVM of the compiler.
pub(crate) const BPF_LINKER: Tool =
    Tool { name: "bpf-linker", version: "0.10.3", why: "links the kernel programs to one object" };

/// Licences, sources, duplicates and advisories.
pub(crate) const CARGO_DENY: Tool =
    Tool { name: "cargo-deny", version: "0.20.2", why: "checks what the dependencies bring" };

/// Drives libFuzzer.
pub(crate) const CARGO_FUZZ: Tool =
    Tool { name: "cargo-fuzz", version: "0.13.2", why: "fuzzes parsers and decoders" };

/// Tells which tools are there, for `setup`.
pub(crate) fn tell() {
    for tool in [BPF_LINKER, CARGO_DENY, CARGO_FUZZ] {
        let there = if tool.present() { "in target/tools" } else { "missing" };
        say(format!("    {:<20} {there:<30} {} ({})", tool.name, tool.why, tool.version));
    }
}

impl Tool {
    /// Where the program stands once installed.
    pub(crate) fn path(&self) -> PathBuf {
        target().join("tools/bin").join(self.name)
    }

    /// Whether this very version is installed.
    pub(crate) fn present(&self) -> bool {
        let marker = format!("\"{} {} ", self.name, self.version);
        self.path().is_file()
            && fs::read_to_string(target().join("tools/.crates.toml"))
                .is_ok_and(|list| list.contains(&marker))
    }

    /// Installs it unless it is there. Its build directory is kept apart, so a second tool reuses
    /// what the first compiled and the workspace's own build is never invalidated.
    pub(crate) fn install(&self) -> Result<()> {
        if self.present() {
            return Ok(());
        }
        let Self { name, version, why } = self;
        announce(&format!("{name} {version}"), &format!("{why}; installed once, in target/tools"));
        let mut command = cargo();
        command.args(["install", "--locked", "--quiet", name, "--version"]);
        command.arg(format!("={version}")).arg("--root").arg(target().join("tools"));
        command.arg("--target-dir").arg(target().join("tools/build"));
        run(
            command.env_remove("RUSTFLAGS"),
            &format!(
                "see that a package registry is reachable, then `cargo install {name}` by hand shows the reason"
            ),
        )
    }
}
