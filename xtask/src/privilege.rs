//! Privilege: whether this process has it, and how one step is given it.
//!
//! Cargo and rustup always run as the person who called; only the one program that needs more is
//! started through sudo.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use anyhow::{Result, bail};

use crate::step::{find, program};

/// Capabilities the agent cannot do without, by number: `CAP_SYS_PTRACE`, `CAP_PERFMON`, `CAP_BPF`.
const OBSERVES: [u32; 3] = [19, 38, 39];

/// Meant for the agent's build: the agent itself refuses what it does not know.
pub(crate) const BUILD_ONLY: &str = "STETH_KERNEL_OBJECT";

/// Whether this process is root. `/proc/self` belongs to the effective user.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// Whether a program started by this process could observe.
pub(crate) fn may_observe() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    effective(&status).is_some_and(|bits| OBSERVES.iter().all(|bit| bits & (1 << bit) != 0))
}

fn effective(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// The words that start a program as root, none if this process is; the environment that the agent
/// and the tests read goes with it.
pub(crate) fn prefix() -> Result<Vec<String>> {
    if is_root() {
        return Ok(Vec::new());
    }
    if find("sudo").is_none() {
        bail!("this needs root and there is no sudo. What to do: run the same command as root");
    }
    let mut kept: Vec<String> = std::env::vars()
        .map(|(name, _)| name)
        .filter(|name| name != BUILD_ONLY)
        .filter(|name| ["OTEL_", "STETH_", "CARGO_", "RUST_"].iter().any(|of| name.starts_with(of)))
        .collect();
    kept.extend(["CI", "PATH", "TERM", "NO_COLOR"].map(String::from));
    Ok(vec!["sudo".into(), format!("--preserve-env={}", kept.join(","))])
}

/// `name`, as root.
pub(crate) fn raised(name: impl AsRef<OsStr>) -> Result<Command> {
    let prefix = prefix()?;
    let Some((sudo, options)) = prefix.split_first() else {
        return Ok(program(name));
    };
    let mut command = program(sudo);
    command.args(options).arg(name);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::effective;

    #[test]
    fn reads_effective_capabilities() {
        let check = |input: &str, expect| assert_eq!(effective(input), expect, "{input}");
        check("Name:\tx\nCapEff:\t000001ffffffffff\nCapBnd:\t0\n", Some(0x1ff_ffff_ffff));
        check("CapEff:\t0000000000000000\n", Some(0));
        check("Name:\tx\n", None);
    }
}
