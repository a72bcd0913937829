//! The user's cache: what takes minutes to build and is the same in every clone.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

/// A directory of ours in it, which may not be there yet.
pub(crate) fn place(name: &str) -> Result<PathBuf> {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    let cache = cache.context("neither HOME nor XDG_CACHE_HOME is set")?;
    Ok(cache.join("steth").join(name))
}
