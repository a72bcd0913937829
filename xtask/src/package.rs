//! Packages of the distribution: which program comes from which one, and what for.
//!
//! Only `apt` is known; elsewhere the names are told. Privilege is raised for this step alone, and
//! no service that a package brings is started.

use std::path::Path;

use anyhow::{Result, bail};

use crate::privilege::raised;
use crate::step::{announce, find, run, say};

/// The distribution's compiler, by its path: a `rustc` found by name is rustup's.
pub(crate) const SYSTEM_RUSTC: &str = "/usr/bin/rustc";
/// Its packages with a `core` for bpf: Debian's newer compiler (kept for browsers), then the plain
/// one of releases that are new enough themselves.
pub(crate) const SYSTEM_RUSTC_PACKAGES: &[[&str; 2]] =
    &[["rustc-web", "libstd-rust-web-dev-bpf"], ["rustc", "libstd-rust-dev-bpf"]];

/// A program that something needs and a package that brings it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    /// The program, as it is found in a path.
    program: &'static str,
    /// The package, installed only if the program is not there.
    package: &'static str,
    /// What for.
    why: &'static str,
}

const fn need(program: &'static str, package: &'static str, why: &'static str) -> Need {
    Need { program, package, why }
}

/// What every build needs.
pub(crate) const BUILD: &[Need] =
    &[need("cc", "gcc", "links; compiles ring and zstd"), need("ldd", "libc-bin", "finds LLVM")];

/// What fuzzing needs beside that.
pub(crate) const FUZZ: &[Need] = &[need("c++", "g++", "compiles libFuzzer")];

/// What the end-to-end tests and the bench start.
pub(crate) const SERVERS: &[Need] = &[
    need("nginx", "nginx-light", "server and proxy under test"),
    need("wrk", "wrk", "load whose own count is the truth"),
    need("curl", "curl", "client under test"),
    need("ip", "iproute2", "network namespaces of the tests' own"),
    need("bpftool", "bpftool", "tells what a killed agent left in the kernel"),
    need("prometheus", "prometheus", "scrapes the agent; brings promtool"),
    need("python3", "python3", "http.server and asyncio under test"),
    need("java", "default-jdk-headless", "JVM server and client under test"),
    need("node", "nodejs", "Node server and client under test"),
    need("go", "golang-go", "Go server and client; builds the Collector"),
    need("setpriv", "util-linux", "the agent with few privileges"),
    need("unshare", "util-linux", "the agent without the kernel's types"),
    need("stress-ng", "stress-ng", "loads of processors and memory"),
    need("fio", "fio", "load of a block device whose own count is the truth"),
    need("losetup", "mount", "block devices of the tests' own"),
    need("mkfs.ext4", "e2fsprogs", "file systems of the tests' own"),
    need("nstat", "iproute2", "the kernel's own counts of TCP"),
    need("nft", "nftables", "translates ports between namespaces"),
    need("ss", "iproute2", "the kernel's own view of sockets"),
    need("openssl", "openssl", "certificates for the export tests"),
];

/// What the kernel tests boot other kernels with.
pub(crate) const EMULATOR: &[Need] = &[
    need("qemu-system-x86_64", "qemu-system-x86", "runs other kernels without their hardware"),
    need("dpkg-deb", "dpkg", "unpacks kernel packages"),
];

/// What the image takes from the system.
pub(crate) const IMAGE: &[Need] =
    &[need("update-ca-certificates", "ca-certificates", "roots of collectors' certificates")];

/// What the cluster of the tests needs beside what is built and unpacked for it.
pub(crate) const CLUSTER: &[Need] = &[
    need("go", "golang-go", "builds Kubernetes and the programs of the pods"),
    need("dpkg-deb", "dpkg", "unpacks containerd and runc"),
    need("nsenter", "util-linux", "looks into the cluster"),
    need("ip", "iproute2", "the node's network"),
    need("nft", "nftables", "what kube-proxy writes its rules with"),
    need("sysctl", "procps", "puts back what the kubelet sets for the machine"),
    need("openssl", "openssl", "the key of service accounts"),
    need("curl", "curl", "asks whether the API server is ready"),
    need("bpftool", "bpftool", "tells what is left in the kernel"),
];

/// Installs the packages of whatever is missing in `needs`.
pub(crate) fn install(needs: &[Need]) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().filter(|need| find(need.program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for Need { program, package, why } in &missing {
        announce(&format!("package {package}"), &format!("`{program}` is missing: {why}"));
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    apt(&packages)
}

/// Installs these packages.
pub(crate) fn install_named(packages: &[&str]) -> Result<()> {
    apt(packages)
}

/// Installs the distribution's compiler with a `core` for bpf.
pub(crate) fn install_system_rustc() -> Result<()> {
    let mut tried = Vec::new();
    for packages in SYSTEM_RUSTC_PACKAGES {
        announce(&packages.join(", "), "a compiler with a prebuilt `core` for bpf");
        match apt(packages) {
            Ok(()) => return Ok(()),
            Err(error) => tried.push(format!("{error:#}")),
        }
    }
    bail!("{}", tried.join("; "));
}

/// One script, so privilege is raised once: package lists are fetched only where a name is not
/// known yet, and a `policy-rc.d` that is there only meanwhile keeps packages from starting servers.
const APT: &str = r#"set -eu
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
fi
install() { apt-get install -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 "$@" > /dev/null; }
install "$@" 2> /dev/null || { apt-get update -qq && install "$@"; }
"#;

fn apt(packages: &[&str]) -> Result<()> {
    let names = packages.join(" ");
    if find("apt-get").is_none() {
        bail!("no apt-get here. What to do: install what this system calls {names}");
    }
    let mut command = raised("sh")?;
    command.args(["-c", APT, "apt"]).args(packages);
    run(&mut command, &format!("`apt-get update && apt-get install {names}` by hand shows why"))
        .map_err(|error| anyhow::anyhow!("{names} could not be installed: {}", error.root_cause()))
}

/// Tells which programs of `needs` are there, for `setup`.
pub(crate) fn tell(title: &str, needs: &[Need]) {
    say(title);
    for Need { program, package, why } in needs {
        let place = find(program);
        let place = place.as_deref().map_or_else(|| "missing".into(), Path::to_string_lossy);
        say(format!("    {program:<20} {place:<30} {why} (package {package})"));
    }
}
