//! Builds the kernel programs (`agent-ebpf`) to `target/kernel/steth.o`.
//!
//! They need three things a stable Rust toolchain lacks: a `core` for the bpf target, permission to
//! use unstable features, and a linker that writes BPF objects. The `core` is had in one of two
//! ways ([`Toolchain`]), chosen by looking; `bpf-linker` is pinned and installed under
//! `target/tools`. Nothing is built when nothing that goes in has changed.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::step::{announce, cargo_home, find, output, program, run, say, target, top};
use crate::{package, tool};

/// The target of the object: little-endian, as every host that is supported.
const TARGET: &str = "bpfel-unknown-none";
/// The newest LLVM whose bitcode the pinned bpf-linker reads.
const LINKER_LLVM: u32 = 22;
/// Chooses a way instead of looking: `nightly` or `system`.
const CHOICE: &str = "XTASK_BPF_TOOLCHAIN";

/// Builds the programs with their debug log when it is set.
const LOG: &str = "XTASK_KERNEL_LOG";

/// A compiler that can build for the bpf target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Toolchain {
    /// rustup's nightly, which builds `core` from the sources in its `rust-src` component.
    Nightly,
    /// The distribution's rustc, with a `core` for bpf from a package beside it.
    System,
}

impl Toolchain {
    /// What must be in place, or why it is not.
    fn look(self) -> Result<(), String> {
        let (mut rustc, library) = match self {
            Self::Nightly => (rustup_run("rustc"), "src/rust/library/core"),
            Self::System => (clean(Command::new(package::SYSTEM_RUSTC)), ""),
        };
        let version = output(rustc.arg("-vV")).ok_or_else(|| format!("{self} is not installed"))?;
        let llvm = llvm_major(&version).unwrap_or(u32::MAX);
        if llvm > LINKER_LLVM {
            return Err(format!(
                "{self} writes LLVM {llvm} bitcode, the pinned bpf-linker reads up to {LINKER_LLVM}"
            ));
        }
        match self {
            Self::Nightly => {
                let root = output(rustup_run("rustc").args(["--print", "sysroot"]));
                root.filter(|root| Path::new(root).join("lib/rustlib").join(library).is_dir())
                    .map(drop)
                    .ok_or_else(|| format!("{self} has no rust-src component"))
            }
            Self::System => prebuilt_core()
                .then_some(())
                .ok_or_else(|| format!("{self} has no prebuilt core for {TARGET}")),
        }
    }

    /// Tries to put in place what [`Self::look`] misses.
    fn install(self) -> Result<(), String> {
        match self {
            Self::Nightly => install_nightly(),
            Self::System => package::install_system_rustc().map_err(|error| format!("{error:#}")),
        }
    }

    /// Cargo, in the programs' own workspace, with this compiler.
    fn cargo(self) -> Command {
        let mut cargo = match self {
            Self::Nightly => {
                let mut cargo = rustup_run("cargo");
                cargo.args(["build", "-Z", "build-std=core"]);
                cargo
            }
            Self::System => {
                let mut cargo = clean(crate::step::cargo());
                cargo.arg("build").env("RUSTC", package::SYSTEM_RUSTC).env("RUSTC_BOOTSTRAP", "1");
                cargo
            }
        };
        cargo.current_dir(top().join("agent-ebpf"));
        cargo
    }

    /// Where the compiler's own LLVM stands. The linker carries none: it opens the first `libLLVM*`
    /// in a library path, and the one that wrote the bitcode is the one sure to read it.
    fn llvm(self) -> Result<PathBuf> {
        match self {
            Self::Nightly => output(rustup_run("rustc").args(["--print", "sysroot"]))
                .map(|root| Path::new(&root).join("lib"))
                .context("the nightly toolchain does not say where it is"),
            Self::System => {
                let linked = output(Command::new("ldd").arg(package::SYSTEM_RUSTC));
                let library = linked
                    .as_deref()
                    .and_then(|linked| linked.lines().find(|line| line.contains("libLLVM")))
                    .and_then(|line| line.split_whitespace().find(|word| word.starts_with('/')))
                    .with_context(|| format!("{self} is not linked to a shared LLVM"))?;
                let directory = target().join("ebpf/llvm");
                let link = directory.join("libLLVM.so");
                fs::create_dir_all(&directory).context("target/ebpf/llvm could not be made")?;
                if fs::read_link(&link).is_ok_and(|to| to == Path::new(library)) {
                    return Ok(directory);
                }
                drop(fs::remove_file(&link));
                symlink(library, &link).context("target/ebpf/llvm could not be written")?;
                Ok(directory)
            }
        }
    }

    /// The compiler's own name and version, part of what decides whether to build again.
    fn version(self) -> String {
        let mut rustc = match self {
            Self::Nightly => rustup_run("rustc"),
            Self::System => clean(Command::new(package::SYSTEM_RUSTC)),
        };
        output(rustc.arg("-vV")).unwrap_or_default()
    }
}

impl std::fmt::Display for Toolchain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nightly => "rustup's nightly",
            Self::System => "the distribution's rustc",
        })
    }
}

/// Where the object stands.
pub(crate) fn object() -> PathBuf {
    target().join("kernel").join("steth.o")
}

/// Sets up what is missing and builds the object, unless it is up to date.
pub(crate) fn build() -> Result<PathBuf> {
    let object = object();
    if !top().join("agent-ebpf/Cargo.toml").is_file() {
        bail!("agent-ebpf/ is missing. What to do: check out the whole repository");
    }
    let toolchain = set_up()?;
    let stamp = object.with_extension("stamp");
    let inputs = inputs(toolchain)?;
    if object.is_file() && fs::read_to_string(&stamp).is_ok_and(|stamped| stamped == inputs) {
        say(format!("    kernel programs: up to date ({})", shown(&object)));
        return Ok(object);
    }
    announce("kernel programs", &format!("compile agent-ebpf for {TARGET} with {toolchain}"));
    let directory = target().join("ebpf");
    run(
        toolchain
            .cargo()
            .args(std::env::var_os(LOG).map_or(&[][..], |_| &["--features", "log"]))
            .args(["--release", "--bin", "steth-ebpf", "--target", TARGET, "--target-dir"])
            .arg(&directory)
            .env("RUSTFLAGS", rustflags())
            .env("LD_LIBRARY_PATH", toolchain.llvm()?),
        "mend what the compiler or linker names above, in agent-ebpf/ or agent-common/",
    )?;
    let built = directory.join(TARGET).join("release/steth-ebpf");
    fs::create_dir_all(target().join("kernel")).context("target/kernel could not be made")?;
    fs::copy(&built, &object)
        .with_context(|| format!("{} could not be copied to {}", shown(&built), shown(&object)))?;
    fs::write(&stamp, inputs).context("the stamp beside the object could not be written")?;
    say(format!("    kernel programs: {}", shown(&object)));
    Ok(object)
}

/// The linker and a compiler for the bpf target, installed if they are missing.
pub(crate) fn set_up_all() -> Result<()> {
    set_up().map(drop)
}

/// Tells which compilers for the bpf target are there, for `setup`.
pub(crate) fn tell() {
    say("kernel programs:");
    for way in [Toolchain::Nightly, Toolchain::System] {
        let there = way.look().err().unwrap_or_else(|| "ready".into());
        say(format!("    {:<20} {there}", way.to_string()));
    }
}

fn set_up() -> Result<Toolchain> {
    let toolchain = choose()?;
    tool::BPF_LINKER.install()?;
    Ok(toolchain)
}

/// What is there is taken first, and only then is anything installed: nightly before the
/// distribution's, because it needs no privilege.
fn choose() -> Result<Toolchain> {
    let ways = match std::env::var(CHOICE).ok().as_deref() {
        Some("nightly") => vec![Toolchain::Nightly],
        Some("system") => vec![Toolchain::System],
        Some(other) => bail!("{CHOICE} is `{other}`; it can be `nightly` or `system`"),
        None => vec![Toolchain::Nightly, Toolchain::System],
    };
    if let Some(ready) = ways.iter().copied().find(|way| way.look().is_ok()) {
        return Ok(ready);
    }
    let mut reasons = Vec::new();
    for way in ways {
        let lacking = way.look().err().unwrap_or_default();
        let why = match way.install().and_then(|()| way.look()) {
            Ok(()) => return Ok(way),
            Err(why) => why,
        };
        say(format!("    {lacking}, and it cannot be had here: {why}"));
        reasons.push(format!("{lacking} ({why})"));
    }
    bail!(
        "no compiler for {TARGET}: {}. What to do: `rustup toolchain install nightly --component \
         rust-src`, or on Debian or Ubuntu `apt-get install {}`",
        reasons.join("; "),
        package::SYSTEM_RUSTC_PACKAGES
            .first()
            .map(|packages| packages.join(" "))
            .unwrap_or_default(),
    );
}

fn install_nightly() -> Result<(), String> {
    if find("rustup").is_none() {
        return Err("rustup is not installed".into());
    }
    let have = output(rustup_run("rustc").arg("-V")).is_some();
    let mut rustup = program("rustup");
    if have {
        announce("rust-src", "the nightly toolchain builds `core` for bpf from it");
        rustup.args(["component", "add", "rust-src", "--toolchain", "nightly"]);
    } else {
        announce("rustup nightly", "it builds `core` for bpf, which stable cannot");
        rustup.args(["toolchain", "install", "nightly", "--profile", "minimal"]);
        rustup.args(["--component", "rust-src", "--no-self-update"]);
    }
    let done = rustup.env("RUSTUP_MAX_RETRIES", "1").output().map_err(|error| error.to_string())?;
    if done.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&done.stderr);
    let told = told.lines().find(|line| line.starts_with("error")).unwrap_or("rustup failed");
    Err(told.trim_start_matches("error: ").to_owned())
}

/// A program of the nightly toolchain. `rustup run` and not `cargo +nightly`: the cargo that runs
/// us is a toolchain's own and does not know `+`.
fn rustup_run(name: &str) -> Command {
    let mut command = clean(program("rustup"));
    command.args(["run", "nightly", name]).env("RUSTUP_AUTO_INSTALL", "0");
    command
}

/// Without what rustup and cargo set for the toolchain that runs us, so another one finds its own.
fn clean(mut command: Command) -> Command {
    for name in ["RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH", "RUSTC", "RUSTDOC", "RUSTC_WRAPPER"] {
        command.env_remove(name);
    }
    for name in ["CARGO", "CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET"] {
        command.env_remove(name);
    }
    command
}

fn rustflags() -> String {
    let linker = tool::BPF_LINKER.path();
    // A loop closed by falling through, as block placement likes to lay them out, is a "back-edge" to
    // the verifiers of 5.10 and 6.1, which only take loops closed by a jump.
    let placement = "-C link-arg=--llvm-args=-disable-block-placement";
    // The verifier's log quotes the sources, which the linker reads by these names from agent-ebpf/; in
    // the object they tell nothing of where it was built. Mangled names still differ from directory to
    // directory: cargo hashes where agent-common stands, as it is outside this workspace.
    let top = top().display();
    let remap = format!(
        "--remap-path-prefix={top}/agent-ebpf=. --remap-path-prefix={top}/agent-common=../agent-common"
    );
    let crates = cargo_home()
        .map_or_else(String::new, |home| format!(" --remap-path-prefix={}=/cargo", home.display()));
    format!(
        "-C linker={} -C link-arg=--btf -C debuginfo=2 {placement} {remap}{crates}",
        linker.display()
    )
}

fn prebuilt_core() -> bool {
    let mut rustc = clean(Command::new(package::SYSTEM_RUSTC));
    let Some(directory) = output(rustc.args(["--print", "target-libdir", "--target", TARGET]))
    else {
        return false;
    };
    fs::read_dir(directory).is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
    })
}

fn llvm_major(version: &str) -> Option<u32> {
    let line = version.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    line.split('.').next()?.parse().ok()
}

/// Everything the object is made of, as one line that differs when any of it does.
fn inputs(toolchain: Toolchain) -> Result<String> {
    let mut files = vec![top().join("Cargo.toml")];
    for directory in ["agent-ebpf", "agent-common"] {
        collect(&top().join(directory), &mut files)?;
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in &files {
        file.hash(&mut hasher);
        fs::read(file)
            .with_context(|| format!("{} cannot be read", shown(file)))?
            .hash(&mut hasher);
    }
    let log = std::env::var_os(LOG).is_some();
    (toolchain.version(), rustflags(), tool::BPF_LINKER.version, log).hash(&mut hasher);
    Ok(format!("{:016x} {toolchain}\n", hasher.finish()))
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("{} cannot be read", shown(directory)))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect(&path, files)?;
            }
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    path.strip_prefix(top()).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::llvm_major;

    #[test]
    fn reads_the_major_version_of_llvm() {
        let check = |input: &str, expect| assert_eq!(llvm_major(input), expect, "{input}");
        check("release: 1.96.0\nLLVM version: 22.1.8", Some(22));
        check("LLVM version: 23.0.0-rc1", Some(23));
        check("release: 1.96.0", None);
    }
}
