//! The OpenTelemetry Collector that the end-to-end tests send to: built once, into the user's cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::cache;
use crate::go::{ADVICE, go, in_go};
use crate::step::{announce, run, say, top};

/// What it is made of; its builder is of the same version.
const RECIPE: &str = "tests/collector/builder.yaml";
/// The recipe it was built from, beside it; the tests look there as well.
const BUILT_FROM: &str = "builder.yaml";
/// How the tests are told where it is.
pub(crate) const VARIABLE: &str = "STETH_OTELCOL";
/// Where it is, built if it is not there yet.
pub(crate) fn build() -> Result<PathBuf> {
    let recipe = recipe()?;
    let version = version_of(&recipe).with_context(|| format!("{RECIPE} names no version"))?;
    let place = place(&version)?;
    let collector = place.join("otelcol");
    if is_built(&place, &recipe) {
        return Ok(collector);
    }
    announce(
        &format!("OpenTelemetry Collector {version}"),
        &format!("the tests send to it; built once, into {}, in some minutes", place.display()),
    );
    fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    let next = place.join("builder.part.yaml");
    fs::write(&next, &recipe).with_context(|| format!("cannot write {}", next.display()))?;
    let builder = format!("go.opentelemetry.io/collector/cmd/builder@v{version}");
    run(go(&place).env("GOBIN", &place).args(["install", "-trimpath", &builder]), ADVICE)?;
    let mut generate = in_go(Command::new(place.join("builder")), &place);
    run(generate.arg("--config").arg(&next).arg("--skip-compilation"), ADVICE)?;
    // Under another name until it is whole.
    let part = place.join("otelcol.part");
    let mut compile = go(&place.join("source"));
    compile.args(["build", "-p", "2", "-trimpath", "-ldflags=-s -w", "-o"]).arg(&part).arg(".");
    run(&mut compile, ADVICE)?;
    let misplaced = "the Collector cannot be put in its place";
    fs::rename(&part, &collector).context(misplaced)?;
    fs::rename(&next, place.join(BUILT_FROM)).context(misplaced)?;
    // What is left over is large and of no further use.
    let _ = fs::remove_file(place.join("builder"));
    let _ = fs::remove_dir_all(place.join("source"));
    Ok(collector)
}

/// Whether it is there, and made of what the recipe says now.
fn is_built(place: &Path, recipe: &str) -> bool {
    let built_from = fs::read_to_string(place.join(BUILT_FROM)).unwrap_or_default();
    place.join("otelcol").is_file() && built_from == recipe
}

/// Tells whether it is there, for `setup`.
pub(crate) fn tell() {
    let there = recipe().ok().and_then(|recipe| {
        let place = place(&version_of(&recipe)?).ok()?;
        is_built(&place, &recipe).then_some(())
    });
    let there = there.is_some();
    let there = if there { "in the user's cache" } else { "missing" };
    say(format!("    {:<20} {there:<30} receives what the tests export", "otelcol"));
}

fn recipe() -> Result<String> {
    fs::read_to_string(top().join(RECIPE)).context(RECIPE)
}

fn version_of(recipe: &str) -> Option<String> {
    recipe.lines().find_map(|line| line.trim().strip_prefix("version: ")).map(str::to_owned)
}

fn place(version: &str) -> Result<PathBuf> {
    cache::place(&format!("otelcol-{version}"))
}

#[cfg(test)]
mod tests {
    use super::{is_built, recipe, version_of};

    #[test]
    fn the_recipe_names_its_version() {
        assert_eq!(version_of("dist:\n  name: x\n  version: 1.2.3\n").as_deref(), Some("1.2.3"));
        assert_eq!(version_of("dist:\n  name: x\n"), None);
        assert!(version_of(&recipe().unwrap()).is_some());
    }

    #[test]
    fn another_recipe_makes_another_collector() {
        let place = tempfile::tempdir().unwrap();
        let check = |expect| assert_eq!(is_built(place.path(), "now"), expect);
        check(false);
        std::fs::write(place.path().join("builder.yaml"), "now").unwrap();
        check(false);
        std::fs::write(place.path().join("otelcol"), "").unwrap();
        check(true);
        std::fs::write(place.path().join("builder.yaml"), "before").unwrap();
        check(false);
    }
}
