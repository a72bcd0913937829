//! The OpenTelemetry Collector that the end-to-end tests send to: built once, into the user's cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::step::{announce, find, output, run, say, top};

/// What it is made of; its builder is of the same version.
const RECIPE: &str = "tests/collector/builder.yaml";
/// How the tests are told where it is.
pub(crate) const VARIABLE: &str = "STETH_OTELCOL";
/// What to do when it cannot be built.
const ADVICE: &str = "see that a Go module proxy is reachable (`go env GOPROXY`) and that `go version` is at \
                      least 1.24, then try again";

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
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    let cache = cache.context("neither HOME nor XDG_CACHE_HOME is set")?;
    Ok(cache.join(format!("steth/otelcol-{version}")))
}

fn go(place: &Path) -> Command {
    in_go(Command::new(find("go").unwrap_or_else(|| "go".into())), place)
}

/// The compiler that is here and no other; modules from proxies alone, since a repository that has
/// moved would make the build wait for its host.
fn in_go(mut command: Command, place: &Path) -> Command {
    command.current_dir(place).env("GOTOOLCHAIN", "local");
    let list = output(Command::new("go").args(["env", "GOPROXY"]));
    if let Some(proxies) = list.as_deref().and_then(proxies) {
        command.env("GOPROXY", proxies);
    }
    command
}

/// The list without `direct`; none if nothing would be left.
fn proxies(list: &str) -> Option<String> {
    let proxies: Vec<&str> =
        list.split([',', '|']).filter(|one| !one.is_empty() && *one != "direct").collect();
    (!proxies.is_empty()).then(|| proxies.join(","))
}

#[cfg(test)]
mod tests {
    use super::{proxies, version, version_of};

    #[test]
    fn the_recipe_names_its_version() {
        assert_eq!(version_of("dist:\n  name: x\n  version: 1.2.3\n").as_deref(), Some("1.2.3"));
        assert_eq!(version_of("dist:\n  name: x\n"), None);
        assert!(version().is_ok());
    }

    #[test]
    fn repositories_are_not_asked_directly() {
        let check = |list: &str, expect| {
            assert_eq!(proxies(list).as_deref(), expect, "{list}");
        };
        check("https://proxy.example,direct", Some("https://proxy.example"));
        check(
            "https://a.example|https://b.example,off",
            Some("https://a.example,https://b.example,off"),
        );
        check("direct", None);
        check("", None);
    }
}
