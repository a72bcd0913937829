//! The reference page and the JSON schema, both made from the types.

use std::fmt::Write;

use super::leaf::{self, Leaf, Section};
use super::{environment, flag};

/// Set to rewrite the checked-in pages instead of comparing with them.
pub(crate) const BLESS: &str = "STETH_BLESS";

/// The JSON schema of the file, for editors and for checks before it is rolled out.
pub fn schema() -> String {
    let mut text = serde_json::to_string_pretty(&leaf::schema()).unwrap_or_default();
    text.push('\n');
    text
}

const INTRODUCTION: &str = "\
# Configuration

One YAML file, named with `--config` or `STETH_CONFIG`, else `/etc/steth/steth.yaml` if it exists.
Every key has a default. What is not known is refused, with its line and the nearest key.

Stronger sources win: defaults, then the file, then `OTEL_*` variables, then `STETH_*` variables,
then flags. `OTEL_*` variables mean what the OpenTelemetry specification says, and a value of theirs
that makes no sense is passed over with a warning. In a variable, lists are separated by commas
and mappings are written `key=value,key2=value2`; both may be written as YAML in one line instead.

`steth config show` prints what is in force and where each value came from.

This page is made from the types; do not edit it.
";

/// The reference page, in Markdown.
pub fn markdown() -> String {
    let mut out = INTRODUCTION.to_owned();
    for Section { name, description, leaves } in leaf::sections() {
        // Writing to a string cannot fail.
        let _ = write!(out, "\n## {name}\n\n{description}\n");
        for leaf in leaves {
            entry(&leaf, &mut out);
        }
    }
    out
}

fn entry(leaf: &Leaf, out: &mut String) {
    let Leaf { path, takes, words, default, description, alone } = leaf;
    let _ = write!(out, "\n### `{path}`\n\n{description}\n\n- Takes: {takes}\n");
    for (word, meaning) in words {
        let _ = writeln!(out, "  - `{word}`: {meaning}");
    }
    if !default.is_empty() {
        let _ = writeln!(out, "- Default: {}", told(default));
    }
    if !alone {
        return;
    }
    let _ = write!(out, "- Set by: `{}`", leaf.variable());
    for name in environment::standard(path) {
        let _ = write!(out, ", `{name}`");
    }
    if let Some(flag) = flag::flag_of(path) {
        let _ = write!(out, ", `{flag}`");
    }
    out.push('\n');
}

fn told(default: &str) -> String {
    match default {
        "unset" => "unset".to_owned(),
        "[]" | "{}" => "empty".to_owned(),
        other => format!("`{other}`"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{BLESS, markdown, schema};
    use crate::config::leaf::sections;

    /// Compares with the checked-in page, or rewrites it when asked to.
    fn check(name: &str, text: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/reference").join(name);
        if std::env::var_os(BLESS).is_some() {
            std::fs::write(&path, text).unwrap();
        }
        let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(checked_in == text, "deploy/reference/{name} is stale: run with {BLESS}=1");
    }

    #[test]
    fn the_checked_in_pages_are_those_of_the_types() {
        check("config.md", &markdown());
        check("config.schema.json", &schema());
    }

    #[test]
    fn every_key_is_described_and_they_stay_few() {
        let leaves: Vec<_> = sections().into_iter().flat_map(|section| section.leaves).collect();
        for leaf in &leaves {
            assert!(!leaf.description.is_empty(), "{} has no description", leaf.path);
        }
        assert!(leaves.len() <= 95, "{} keys: a new one has to replace one", leaves.len());
    }
}
