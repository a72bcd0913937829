//! The OpenTelemetry Collector that the end-to-end tests send to: built once, into the user's cache.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::cache;
use crate::go::{ADVICE, go, in_go};
use crate::step::{announce, run, say, top};

/// What it is made of; its builder is of the same version.
const RECIPE: &str = "tests/collector/builder.yaml";
/// How the tests are told where it is.
pub(crate) const VARIABLE: &str = "STETH_OTELCOL";
/// Where it is, built if it is not there yet.
pub(crate) fn build() -> Result<PathBuf> {
    let version = version()?;
    let place = place(&version)?;
    let collector = place.join("otelcol");
    if collector.is_file() {
        return Ok(collector);
    }
    announce(
        &format!("OpenTelemetry Collector {version}"),
        &format!("the tests send to it; built once, into {}, in some minutes", place.display()),
    );
    fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    fs::copy(top().join(RECIPE), place.join("builder.yaml")).context("the recipe is gone")?;
    let builder = format!("go.opentelemetry.io/collector/cmd/builder@v{version}");
    run(go(&place).env("GOBIN", &place).args(["install", "-trimpath", &builder]), ADVICE)?;
    let mut generate = in_go(Command::new(place.join("builder")), &place);
    run(generate.args(["--config", "builder.yaml", "--skip-compilation"]), ADVICE)?;
    // Under another name until it is whole.
    let part = place.join("otelcol.part");
    let mut compile = go(&place.join("source"));
    compile.args(["build", "-p", "2", "-trimpath", "-ldflags=-s -w", "-o"]).arg(&part).arg(".");
    run(&mut compile, ADVICE)?;
    fs::rename(&part, &collector).context("the Collector cannot be put in its place")?;
    // What is left over is large and of no further use.
    let _ = fs::remove_file(place.join("builder"));
    let _ = fs::remove_dir_all(place.join("source"));
    Ok(collector)
}

/// Tells whether it is there, for `setup`.
pub(crate) fn tell() {
    let there = version()
        .and_then(|version| place(&version))
        .is_ok_and(|place| place.join("otelcol").is_file());
    let there = if there { "in the user's cache" } else { "missing" };
    say(format!("    {:<20} {there:<30} receives what the tests export", "otelcol"));
}

fn version() -> Result<String> {
    let recipe = fs::read_to_string(top().join(RECIPE)).context(RECIPE)?;
    version_of(&recipe).with_context(|| format!("{RECIPE} names no version"))
}

fn version_of(recipe: &str) -> Option<String> {
    recipe.lines().find_map(|line| line.trim().strip_prefix("version: ")).map(str::to_owned)
}

fn place(version: &str) -> Result<PathBuf> {
    cache::place(&format!("otelcol-{version}"))
}

#[cfg(test)]
mod tests {
    use super::{version, version_of};

    #[test]
    fn the_recipe_names_its_version() {
        assert_eq!(version_of("dist:\n  name: x\n  version: 1.2.3\n").as_deref(), Some("1.2.3"));
        assert_eq!(version_of("dist:\n  name: x\n"), None);
        assert!(version().is_ok());
    }
}
