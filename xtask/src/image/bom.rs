//! What a program is made of: every crate that is linked in, on both sides of the kernel line.
//!
//! Cargo's own tree of one package tells which, as the features and the target choose them; build
//! scripts and macros are left out, for none of them is in the program.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::layout::add;
use super::platform::Way;
use super::time::Epoch;
use crate::step::{cargo, output, program, top};

/// One crate in one version.
type Key = (String, String);

/// A crate that is linked in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// What it may be used under, as SPDX writes it.
    pub(crate) license: String,
    /// Where its sources stand, for the texts of its licences.
    pub(crate) sources: PathBuf,
    /// Of the archive it came in.
    checksum: Option<String>,
    /// What it is, in a line.
    description: Option<String>,
    /// What it links in turn.
    links: BTreeSet<Key>,
}

/// The crates of a program, by name and version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts(pub(crate) BTreeMap<Key, Part>);

impl Parts {
    /// Of the agent for this target, and of the kernel programs in it.
    pub(crate) fn of_agent(target: &str) -> Result<Self> {
        let mut parts = Self::default();
        parts.add(top(), "steth", target)?;
        parts.add(&top().join("agent-ebpf"), "agent-ebpf", "bpfel-unknown-none")?;
        let kernel = parts.0.keys().find(|(name, _)| name == "agent-ebpf").cloned();
        if let Some((_, agent)) = parts.0.iter_mut().find(|((name, _), _)| name == "steth") {
            agent.links.extend(kernel);
        }
        Ok(parts)
    }

    /// Adds what `package` of the workspace at `directory` links.
    fn add(&mut self, directory: &Path, package: &str, target: &str) -> Result<()> {
        let what = || format!("cargo does not tell what {package} links");
        let mut tree = cargo();
        tree.current_dir(directory)
            .args(["tree", "--locked", "--package", package, "--target", target])
            .args(["--edges", "normal,no-proc-macro", "--prefix", "depth", "--format", " {p}"]);
        let tree = output(&mut tree).with_context(what)?;
        let mut facts = cargo();
        facts.current_dir(directory).args(["metadata", "--locked", "--format-version", "1"]);
        let facts = output(facts.args(["--filter-platform", target])).with_context(what)?;
        let facts: Value = serde_json::from_str(&facts).with_context(what)?;
        let lock = fs::read_to_string(directory.join("Cargo.lock")).with_context(what)?;
        let checksums = checksums(&lock);
        for (key, links) in links(&tree) {
            let (name, version) = &key;
            let fact = facts
                .get("packages")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .find(|fact| {
                    told(fact, "name") == Some(name) && told(fact, "version") == Some(version)
                })
                .with_context(|| format!("cargo knows nothing of {name} {version}"))?;
            let text = |name: &str| told(fact, name).map(str::to_owned);
            let manifest = text("manifest_path").unwrap_or_default();
            let part = self.0.entry(key.clone()).or_insert_with(|| Part {
                license: text("license").unwrap_or_default().replace('/', " OR "),
                sources: Path::new(&manifest).parent().unwrap_or(directory).to_path_buf(),
                checksum: checksums.get(&key).cloned(),
                description: text("description")
                    .map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")),
                links: BTreeSet::new(),
            });
            part.links.extend(links);
        }
        Ok(())
    }

    /// As a bill of materials in the form of CycloneDX 1.5, for a program of `version`.
    pub(crate) fn bill(&self, version: &str, made: Epoch, others: &[Value]) -> Value {
        let is_agent = |key: &Key| key.0 == "steth";
        let components = self.0.iter().filter(|(key, _)| !is_agent(key));
        let components = components.map(|(key, part)| component(key, part));
        let agent = self.0.iter().find(|(key, _)| is_agent(key));
        let mut root = agent.map_or(Value::Null, |(key, part)| component(key, part));
        add(&mut root, "type", "application".into());
        let dependencies = self.0.iter().map(|(key, part)| {
            let links: Vec<String> = part.links.iter().map(reference).collect();
            json!({"ref": reference(key), "dependsOn": links})
        });
        json!({
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "version": 1,
            "metadata": {
                "timestamp": made.text(),
                "tools": {"components": [
                    {"type": "application", "name": "cargo xtask image", "version": version}
                ]},
                "component": root,
            },
            "components": components.chain(others.iter().cloned()).collect::<Vec<_>>(),
            "dependencies": dependencies.collect::<Vec<_>>(),
        })
    }
}

fn reference((name, version): &Key) -> String {
    format!("pkg:cargo/{name}@{version}")
}

fn component(key: &Key, part: &Part) -> Value {
    let (name, version) = key;
    let mut component = json!({
        "type": "library",
        "bom-ref": reference(key),
        "purl": reference(key),
        "name": name,
        "version": version,
        "licenses": [{"expression": part.license}],
    });
    if let Some(checksum) = &part.checksum {
        add(&mut component, "hashes", json!([{"alg": "SHA-256", "content": checksum}]));
    }
    if let Some(description) = &part.description {
        add(&mut component, "description", description.as_str().into());
    }
    component
}

fn told<'a>(fact: &'a Value, name: &str) -> Option<&'a str> {
    fact.get(name).and_then(Value::as_str)
}

/// What is linked beside crates: the standard library, the C library, the compiler's own.
pub(crate) fn runtime(way: Way) -> Vec<Value> {
    let library = |name: &str, version: String, license: &str| {
        json!({
            "type": "library",
            "bom-ref": format!("{name}@{version}"),
            "name": name,
            "version": version,
            "licenses": [{"expression": license}],
        })
    };
    let rust = output(program("rustc").arg("-vV")).unwrap_or_default();
    let rust = rust.lines().find_map(|line| line.strip_prefix("release: ")).unwrap_or("unknown");
    let mut parts = vec![library("rust-std", rust.to_owned(), "MIT OR Apache-2.0")];
    if way.gnu() {
        let compiler = way.compiler();
        let macros = ["-E", "-dM", "-include", "features.h", "-x", "c", "/dev/null"];
        let macros = output(program(compiler).args(macros)).unwrap_or_default();
        let value = |name: &str| {
            macros
                .lines()
                .find_map(|line| {
                    line.strip_prefix("#define ")?.strip_prefix(name)?.strip_prefix(' ')
                })
                .unwrap_or("unknown")
        };
        let libc = format!("{}.{}", value("__GLIBC__"), value("__GLIBC_MINOR__"));
        let gcc = output(program(compiler).arg("-dumpfullversion")).unwrap_or_default();
        parts.push(library("glibc", libc, "LGPL-2.1-or-later"));
        parts.push(library("libgcc", gcc, "GPL-3.0-or-later WITH GCC-exception-3.1"));
    } else {
        // The one that the target's standard library brings.
        parts.push(library("musl", format!("with rust-std {rust}"), "MIT"));
    }
    parts
}

/// What each crate links, from a tree with the depth before each line. A crate that was met before has
/// no branches the second time.
fn links(tree: &str) -> BTreeMap<Key, BTreeSet<Key>> {
    let mut found: BTreeMap<Key, BTreeSet<Key>> = BTreeMap::new();
    let mut above: Vec<Key> = Vec::new();
    for line in tree.lines() {
        let mut words = line.split_whitespace();
        let depth = words.next().and_then(|depth| depth.parse().ok());
        let (Some(depth), Some(name), Some(version)) = (depth, words.next(), words.next()) else {
            continue;
        };
        let key = (name.to_owned(), version.trim_start_matches('v').to_owned());
        above.truncate(depth);
        found.entry(key.clone()).or_default();
        if let Some(parent) = above.last() {
            found.entry(parent.clone()).or_default().insert(key.clone());
        }
        above.push(key);
    }
    found
}

/// The digests of the archives, from a lock file.
fn checksums(lock: &str) -> BTreeMap<Key, String> {
    let packages = lock.split("[[package]]").filter_map(|package| {
        let value = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.strip_prefix(" = \"")?.trim_end_matches('"').to_owned())
        };
        Some(((value("name")?, value("version")?), value("checksum")?))
    });
    packages.collect()
}

#[cfg(test)]
mod tests {
    use super::{checksums, links};

    #[test]
    fn reads_a_tree_whose_branches_are_told_once() {
        let tree = "0 a v1.0.0 (/a)\n1 b v2.0.0\n2 c v3.0.0\n1 d v4.0.0\n2 b v2.0.0 (*)\n";
        let found: Vec<String> = links(tree)
            .into_iter()
            .map(|((name, _), links)| {
                let links: Vec<String> = links.into_iter().map(|(name, _)| name).collect();
                format!("{name}: {}", links.join(" "))
            })
            .collect();
        assert_eq!(found, ["a: b d", "b: c", "c: ", "d: b"]);
    }

    #[test]
    fn reads_the_digests_of_a_lock_file() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"b\"\n\
                    version = \"2.0.0\"\nchecksum = \"0f\"\ndependencies = [\n \"a\",\n]\n";
        let found: Vec<_> = checksums(lock).into_iter().collect();
        assert_eq!(found, [(("b".to_owned(), "2.0.0".to_owned()), "0f".to_owned())]);
    }
}
