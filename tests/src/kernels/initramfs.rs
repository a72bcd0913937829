//! What a guest's memory disk holds: this very program as `/init`, the agent, the shared libraries both ask for, and
//! nothing of a distribution.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::cpio::Archive;
use super::report::Task;

/// Where the guest finds its [`Task`].
pub const TASK: &str = "/task.json";
/// Where the guest finds the agent.
pub const AGENT: &str = "/usr/bin/steth";

const DIRECTORIES: [&str; 14] = [
    "dev", "etc", "proc", "sys", "tmp", "root", "run", "var", "usr", "usr/bin", "usr/lib", "lib",
    "lib64", "var/log",
];

const FILES: [(&str, &str); 4] = [
    ("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
    ("etc/passwd", "root:x:0:0:root:/root:/bin/false\n"),
    ("etc/machine-id", "00000000000000000000000000005e7a\n"),
    ("etc/os-release", "ID=steth-guest\nNAME=\"steth guest\"\nVERSION_ID=1\n"),
];

/// The archive for `task`, with the agent's program in it when there is one.
pub fn pack(task: &Task, agent: Option<&Path>) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for dir in DIRECTORIES {
        archive.directory(dir);
    }
    // The kernel opens it for PID 1 before anything is mounted.
    archive.character_device("dev/console", 5, 1);
    for (path, content) in FILES {
        archive.file(path, 0o644, content.as_bytes());
    }
    archive.file(TASK, 0o644, &serde_json::to_vec(task)?);

    let init = std::env::current_exe().context("finding this program")?;
    let mut libraries = libraries_of(&init)?;
    archive.file("init", 0o755, &read(&init)?);
    if let Some(agent) = agent {
        libraries.extend(libraries_of(agent)?);
        archive.file(AGENT, 0o755, &stripped(agent)?);
    }
    let mut made: BTreeSet<PathBuf> =
        DIRECTORIES.iter().map(|dir| Path::new("/").join(dir)).collect();
    for library in libraries {
        let parents: Vec<_> =
            library.ancestors().skip(1).filter(|dir| dir.parent().is_some()).collect();
        for dir in parents.into_iter().rev() {
            if made.insert(dir.to_owned()) {
                archive.directory(&dir.to_string_lossy());
            }
        }
        archive.file(&library.to_string_lossy(), 0o755, &read(&library)?);
    }
    Ok(archive.finish())
}

/// The loader and the shared libraries a program asks for, under the paths it asks for them with.
fn libraries_of(program: &Path) -> Result<BTreeSet<PathBuf>> {
    let output = Command::new("ldd").arg(program).output().context("running ldd")?;
    Ok(libraries_in(&String::from_utf8_lossy(&output.stdout)))
}

/// Lines are `name => /path (address)`, `/path (address)` for the loader, `name (address)` for what the kernel brings.
fn libraries_in(ldd: &str) -> BTreeSet<PathBuf> {
    ldd.lines()
        .filter_map(|line| {
            let path = line.rsplit("=>").next()?.split_whitespace().next()?;
            path.starts_with('/').then(|| PathBuf::from(path))
        })
        .collect()
}

/// The program without its debug information, which is most of it; whole when there is no `strip` here.
fn stripped(program: &Path) -> Result<Vec<u8>> {
    let copy = std::env::temp_dir().join(format!("steth-stripped-{}", std::process::id()));
    let result =
        Command::new("strip").arg("--strip-debug").arg("-o").arg(&copy).arg(program).output();
    let bytes = match result {
        Ok(output) if output.status.success() => read(&copy),
        _ => read(program),
    };
    let _ = fs::remove_file(copy);
    bytes
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("reading {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_libraries_and_the_loader_from_ldd() {
        let ldd = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
            \tlibgone.so => not found\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let expect =
            ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        assert_eq!(libraries_in(ldd), BTreeSet::from(expect));
        assert_eq!(libraries_in("\tnot a dynamic executable\n"), BTreeSet::new());
    }
}
