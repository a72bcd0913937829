//! The agent as one static program: built for a target in a directory of its own, so that ordinary
//! builds are not done anew, and with nothing in it that tells where it was built.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::platform::{Arch, Way};
use crate::step::program as command;
use crate::step::{announce, cargo, cargo_home, output, run, target, top};

/// The kind of a segment that names a loader.
const LOADER: u32 = 3;

/// Builds it in this way.
pub(crate) fn build(arch: Arch, way: Way) -> Result<Vec<u8>> {
    let Way { target: triple, .. } = way;
    announce(&format!("agent for {arch}"), &format!("a static program, by target {triple}"));
    let directory = target().join("image");
    let upper = triple.to_uppercase().replace('-', "_");
    let lower = triple.replace('-', "_");
    let moved = moved()?;
    let mut build = cargo();
    build
        .args(["build", "--locked", "--profile", "image", "--package", "steth", "--bin", "steth"])
        .args(["--target", triple, "--target-dir"])
        .arg(&directory)
        .env("CARGO_ENCODED_RUSTFLAGS", rust_flags(&moved))
        .env(format!("CFLAGS_{lower}"), c_flags(&moved))
        .env(format!("CC_{lower}"), way.compiler());
    if way.foreign() {
        build.env(format!("CARGO_TARGET_{upper}_LINKER"), way.compiler());
    }
    run(&mut build, "mend what the compiler or linker names above")?;
    let program = directory.join(triple).join("image/steth");
    let bytes =
        fs::read(&program).with_context(|| format!("{} cannot be read", program.display()))?;
    check(&bytes, arch).with_context(|| format!("{} is not for the image", program.display()))?;
    Ok(bytes)
}

/// Directories of this machine, and what the program calls them instead.
fn moved() -> Result<Vec<(PathBuf, String)>> {
    let home = cargo_home().context("neither CARGO_HOME nor HOME is set")?;
    let version = output(command("rustc").arg("-vV")).context("rustc does not run")?;
    let sysroot =
        output(command("rustc").args(["--print", "sysroot"])).context("rustc does not run")?;
    let commit = version.lines().find_map(|line| line.strip_prefix("commit-hash: ")).unwrap_or("");
    Ok(vec![
        (home, "/cargo".into()),
        // Where its sources are installed, the standard library is told by their place.
        (Path::new(&sysroot).join("lib/rustlib/src/rust"), format!("/rustc/{commit}")),
        (top().to_path_buf(), "/steth".into()),
        (target(), "/steth/target".into()),
    ])
}

/// Cargo's form of several arguments, in which they may have spaces.
fn rust_flags(moved: &[(PathBuf, String)]) -> String {
    // The linker would make an id of all that it read, places of files among it.
    let mut flags = vec![
        "-Ctarget-feature=+crt-static".to_owned(),
        "-Clink-arg=-Wl,--build-id=none".to_owned(),
    ];
    let remap =
        |(from, to): &(PathBuf, String)| format!("--remap-path-prefix={}={to}", from.display());
    flags.extend(moved.iter().map(remap));
    flags.join("\x1f")
}

fn c_flags(moved: &[(PathBuf, String)]) -> String {
    let remap =
        |(from, to): &(PathBuf, String)| format!("-ffile-prefix-map={}={to}", from.display());
    moved.iter().map(remap).collect::<Vec<_>>().join(" ")
}

/// That it runs where there is nothing else: for this processor, and with no loader named.
fn check(bytes: &[u8], arch: Arch) -> Result<()> {
    let half = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let long = |at: usize| {
        let bytes = bytes.get(at..at + 8)?.try_into().ok()?;
        usize::try_from(u64::from_le_bytes(bytes)).ok()
    };
    // ELF, 64 bits, little-endian.
    if bytes.get(..6) != Some(b"\x7fELF\x02\x01") {
        bail!("it is no 64-bit program");
    }
    if half(18) != Some(arch.machine()) {
        bail!("it is for another processor than {arch}");
    }
    let segments = || Some((long(32)?, usize::from(half(54)?), usize::from(half(56)?)));
    let (start, size, number) = segments().context("its head is cut short")?;
    if (0..number).any(|at| word(start + at * size) == Some(LOADER)) {
        bail!("it asks for a loader and shared libraries");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Arch, check};

    /// A head with segments of these kinds.
    fn elf(machine: u16, segments: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        bytes[32..40].copy_from_slice(&64_u64.to_le_bytes());
        bytes[54..56].copy_from_slice(&56_u16.to_le_bytes());
        bytes[56..58].copy_from_slice(&u16::try_from(segments.len()).unwrap().to_le_bytes());
        for segment in segments {
            bytes.extend(segment.to_le_bytes());
            bytes.extend([0; 52]);
        }
        bytes
    }

    #[test]
    fn only_static_programs_of_the_processor_are_taken() {
        let test = |bytes: &[u8], arch, expect| assert_eq!(check(bytes, arch).is_ok(), expect);
        test(&elf(62, &[1, 2]), Arch::Amd64, true);
        test(&elf(183, &[1, 2]), Arch::Arm64, true);
        test(&elf(62, &[1, 2]), Arch::Arm64, false);
        test(&elf(62, &[6, 3, 1]), Arch::Amd64, false);
        test(&elf(62, &[])[..40], Arch::Amd64, false);
        test(b"#!/bin/sh", Arch::Amd64, false);
    }
}
