//! Packages of the distribution: which ones are needed for what, and how they are installed.
//!
//! Only `apt` is known. Privilege is raised for this step alone, and no service that a package
//! brings is started.

use anyhow::Result;

/// The distribution's compiler, by its path: a `rustc` found by name is rustup's.
pub(crate) const SYSTEM_RUSTC: &str = "/usr/bin/rustc";
/// Its packages, on Debian and Ubuntu.
pub(crate) const SYSTEM_RUSTC_PACKAGES: &[&str] = &["rustc-web", "libstd-rust-web-dev-bpf"];

/// Installs the distribution's compiler with a `core` for bpf.
pub(crate) fn install_system_rustc() -> Result<()> {
    anyhow::bail!("not written")
}
