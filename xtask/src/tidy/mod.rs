//! Rules of the house, checked on the text of the tree; see `cargo xtask tidy --help`.
//!
//! A rule is a function from the [`Tree`] to [`Finding`]s. It reads text and not types, so it is
//! cheap and works on code that does not compile; what it cannot see is left to review.

mod document;
mod floors;
mod manifest;
mod names;
mod shape;
mod source;
mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use source::Source;

/// One breach of a rule: where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    file: String,
    line: usize,
    what: String,
}

impl Finding {
    fn new(file: &str, line: usize, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// The repository as text: paths from its top level, with `/`.
#[derive(Debug, Default)]
struct Tree {
    /// Rust files.
    rust: BTreeMap<String, Source>,
    /// Manifests and the README, as they are.
    text: BTreeMap<String, String>,
    /// What stands at the top level.
    top: Vec<String>,
}

impl Tree {
    fn add(&mut self, path: &str, text: String) {
        if is_rust(path) {
            self.rust.insert(path.to_owned(), Source::of(&text));
        } else {
            self.text.insert(path.to_owned(), text);
        }
    }

    /// Has files that are compiled for tests alone count as tests.
    fn settle(&mut self) {
        let mut tests = Vec::new();
        for (path, source) in &self.rust {
            let stem = path.strip_suffix(".rs").unwrap_or(path);
            let (folder, name) = stem.rsplit_once('/').unwrap_or(("", stem));
            let folder = if ["mod", "lib", "main"].contains(&name) { folder } else { stem };
            tests.extend(source.test_modules().iter().map(|test| format!("{folder}/{test}")));
        }
        for (path, source) in &mut self.rust {
            let within = |test: &String| {
                path.strip_prefix(test.as_str())
                    .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
            };
            if tests.iter().any(within) {
                source.is_test();
            }
        }
    }

    /// Rust files under a folder.
    fn under<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a Source)> + 'a {
        self.rust.iter().map(|(path, source)| (path.as_str(), source)).filter(move |(path, _)| {
            path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
        })
    }
}

/// How many files were looked at, and what is wrong with them.
pub(crate) fn findings(top: &Path) -> Result<(usize, Vec<Finding>)> {
    let mut tree = Tree::default();
    for entry in fs::read_dir(top).context("the top level cannot be read")?.flatten() {
        tree.top.push(entry.file_name().to_string_lossy().into_owned());
    }
    tree.top.sort();
    read(top, "", &mut tree)?;
    tree.settle();
    let mut found = all(&tree);
    found.sort();
    Ok((tree.rust.len() + tree.text.len(), found))
}

fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "rs")
}

fn all(tree: &Tree) -> Vec<Finding> {
    let rules =
        [floors::check, shape::check, wire::check, names::check, document::check, manifest::check];
    rules.iter().flat_map(|rule| rule(tree)).collect()
}

fn read(directory: &Path, prefix: &str, tree: &mut Tree) -> Result<()> {
    let entries = fs::read_dir(directory)
        .with_context(|| format!("{} cannot be read", directory.display()))?;
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().with_context(|| format!("{path} cannot be read"))?;
        if kind.is_dir() {
            let skipped = name.starts_with('.') || ["target", "node_modules"].contains(&&*name);
            if !skipped {
                read(&entry.path(), &format!("{path}/"), tree)?;
            }
        } else if is_rust(&name) || name == "Cargo.toml" || path == "README.md" {
            let text = fs::read_to_string(entry.path())
                .with_context(|| format!("{path} cannot be read"))?;
            tree.add(&path, text);
        }
    }
    Ok(())
}

/// A tree of the given files, and what `rule` finds in it, as text.
#[cfg(test)]
fn found(rule: fn(&Tree) -> Vec<Finding>, files: &[(&str, &str)]) -> Vec<String> {
    let mut tree = Tree::default();
    for (path, text) in files {
        tree.add(path, (*text).to_owned());
    }
    tree.settle();
    let mut found: Vec<String> =
        rule(&tree).iter().map(|Finding { file, line, .. }| format!("{file}:{line}")).collect();
    found.sort();
    found
}
