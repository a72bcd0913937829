//! Processors that an image can be for, and the ways to build a static program for each.
//!
//! A way is a target of the compiler: its standard library and a C compiler for it must be there.
//! What is there is taken first, and only then is anything installed. musl comes first: the agent holds
//! half as much memory of its own with it as with GNU's (4 and 8 MB, tier 1, a quiet host), for more of
//! the processor while allocating.

use std::fmt;
use std::path::Path;

use anyhow::{Result, bail};

use crate::package::install_named;
use crate::step::{announce, find, output, program, run, say};

/// A processor, by its name in Go and so in images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Arch {
    /// x86-64.
    Amd64,
    /// 64-bit Arm.
    Arm64,
}

impl Arch {
    /// All there are.
    const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The machine's number in the head of its programs.
    pub(crate) fn machine(self) -> u16 {
        match self {
            Self::Amd64 => 62,
            Self::Arm64 => 183,
        }
    }

    /// This machine's.
    pub(crate) fn here() -> Result<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Ok(Self::Amd64),
            "aarch64" => Ok(Self::Arm64),
            other => bail!("no image for {other}. What to do: name one with --platform"),
        }
    }

    /// As `--platform` takes it: `linux/arm64`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|arch| text == format!("linux/{}", arch.name()));
        match known {
            Some(arch) => Ok(arch),
            None => bail!("`{text}` is neither linux/amd64 nor linux/arm64"),
        }
    }

    /// Its ways, best first.
    fn ways(self) -> [Way; 2] {
        let way = |target, compiler, package| Way { arch: self, target, compiler, package };
        match self {
            Self::Amd64 => [
                way("x86_64-unknown-linux-musl", "musl-gcc", Some("musl-tools")),
                way(
                    "x86_64-unknown-linux-gnu",
                    "x86_64-linux-gnu-gcc",
                    Some("gcc-x86-64-linux-gnu"),
                ),
            ],
            Self::Arm64 => [
                way("aarch64-unknown-linux-musl", "aarch64-linux-musl-gcc", None),
                way(
                    "aarch64-unknown-linux-gnu",
                    "aarch64-linux-gnu-gcc",
                    Some("gcc-aarch64-linux-gnu"),
                ),
            ],
        }
    }

    /// The way to build for it, with what it needs in place.
    pub(crate) fn way(self) -> Result<Way> {
        let ways = self.ways();
        if let Some(ready) = ways.iter().find(|way| way.look().is_ok()) {
            return Ok(*ready);
        }
        let mut reasons = Vec::new();
        for way in ways {
            way.install();
            match way.look() {
                Ok(()) => return Ok(way),
                Err(lacking) => reasons.push(format!("{} lacks {lacking}", way.target)),
            }
        }
        bail!(
            "no static program can be built for {self}. What to do, one of: {}",
            reasons.join("; ")
        );
    }

    /// Tells which ways are ready, for `setup`.
    pub(crate) fn tell() {
        for way in Self::ALL.into_iter().flat_map(Self::ways) {
            let there = way.look().err().unwrap_or_else(|| "ready".into());
            say(format!("    {:<28} {there}", way.target));
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "linux/{}", self.name())
    }
}

/// One target of the compiler that makes static programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// What for.
    arch: Arch,
    /// The compiler's name for it.
    pub(crate) target: &'static str,
    /// Compiles what is written in C, against the C library that the target links.
    compiler: &'static str,
    /// Debian's name for that, if it has it.
    package: Option<&'static str>,
}

impl Way {
    /// The compiler of C for it: the system's own where it makes programs for this C library anyway.
    pub(crate) fn compiler(self) -> &'static str {
        let native = Arch::here().is_ok_and(|here| here == self.arch);
        if native && self.gnu() && find(self.compiler).is_none() { "cc" } else { self.compiler }
    }

    /// Whether the program is linked by that compiler too: the target's own linker is this machine's.
    pub(crate) fn foreign(self) -> bool {
        !Arch::here().is_ok_and(|here| here == self.arch)
    }

    /// Whether its C library is GNU's.
    pub(crate) fn gnu(self) -> bool {
        self.target.ends_with("-gnu")
    }

    /// `Err` is what it lacks, and what brings that.
    fn look(self) -> Result<(), String> {
        let Self { target, .. } = self;
        let mut lacking = Vec::new();
        if !self.has_library() {
            lacking.push(format!("the standard library (`rustup target add {target}`)"));
        }
        let compiler = self.compiler();
        if find(compiler).is_none() {
            let from = self.package.map_or_else(String::new, |name| format!(" (package {name})"));
            lacking.push(format!("the C compiler `{compiler}`{from}"));
        } else if self.gnu() && !static_library(compiler) {
            lacking.push(format!("the static C library, libc.a, of `{compiler}`"));
        }
        if lacking.is_empty() { Ok(()) } else { Err(lacking.join(" and ")) }
    }

    fn has_library(self) -> bool {
        let query = ["--print", "target-libdir", "--target", self.target];
        output(program("rustc").args(query)).is_some_and(|libraries| {
            std::fs::read_dir(libraries).is_ok_and(|mut entries| {
                entries.any(|entry| {
                    entry.is_ok_and(|entry| {
                        entry.file_name().to_string_lossy().starts_with("libstd-")
                    })
                })
            })
        })
    }

    /// Tries to put in place what [`Self::look`] misses; what cannot be had is told there.
    fn install(self) {
        let Self { target, compiler, package, .. } = self;
        if !self.has_library() && find("rustup").is_some() {
            announce(target, &format!("standard library for {}", self.arch));
            let mut rustup = program("rustup");
            rustup.args(["target", "add", target]).env("RUSTUP_MAX_RETRIES", "1");
            tell_failure(run(&mut rustup, "see whether rustup reaches its server"));
        }
        if let Some(package) = package.filter(|_| find(self.compiler()).is_none()) {
            announce(&format!("package {package}"), &format!("`{compiler}` is missing"));
            tell_failure(install_named(&[package]));
        }
    }
}

fn tell_failure(done: Result<()>) {
    if let Err(error) = done {
        say(format!("    {error:#}"));
    }
}

/// Whether `compiler` finds a C library to link into a program.
fn static_library(compiler: &str) -> bool {
    output(program(compiler).arg("-print-file-name=libc.a"))
        .is_some_and(|path| Path::new(&path).is_absolute())
}

#[cfg(test)]
mod tests {
    use super::Arch;

    #[test]
    fn reads_platforms() {
        let check = |text: &str, expect| assert_eq!(Arch::parse(text).ok(), expect, "{text}");
        check("linux/amd64", Some(Arch::Amd64));
        check("linux/arm64", Some(Arch::Arm64));
        check("linux/arm", None);
        check("windows/amd64", None);
        check("arm64", None);
    }
}
