//! The README's map names every module of the agent, and no other.

use std::collections::BTreeSet;

use super::{Finding, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(readme) = tree.text.get("README.md") else { return Vec::new() };
    let modules: BTreeSet<&str> = tree
        .under("agent/src")
        .filter_map(|(path, _)| path.strip_prefix("agent/src/")?.split('/').next())
        .map(|name| name.strip_suffix(".rs").unwrap_or(name))
        .filter(|name| !["lib", "main"].contains(name))
        .collect();
    let rows: Vec<(usize, &str)> = readme
        .lines()
        .enumerate()
        .filter_map(|(at, line)| {
            let name = line.strip_prefix("| `agent/src/")?.split('`').next()?;
            Some((at + 1, name.trim_end_matches('/')))
        })
        .collect();
    let missing =
        modules.iter().filter(|module| !rows.iter().any(|(_, row)| row == *module)).map(|module| {
            Finding::new(
                "README.md",
                1,
                format!("the map lacks a row \"| `agent/src/{module}/` | …\""),
            )
        });
    let stale = rows.iter().filter(|(_, row)| !modules.contains(row)).map(|(line, row)| {
        Finding::new(
            "README.md",
            *line,
            format!("agent/src/{row} is not there: take its row out of the map"),
        )
    });
    missing.chain(stale).collect()
}

#[cfg(test)]
mod tests {
    use super::super::found;

    #[test]
    fn the_map_names_every_module_and_no_other() {
        let flow = ("agent/src/flow/mod.rs", "//! x");
        let lib = ("agent/src/lib.rs", "//! x");
        let readme = |text| ("README.md", text);
        assert!(
            found(super::check, &[flow, lib, readme("# x\n| `agent/src/flow/` | y |")]).is_empty()
        );
        assert_eq!(found(super::check, &[flow, readme("flow")]), ["README.md:1"]);
        let stale = readme("\n| `agent/src/flow/` | y |\n| `agent/src/gone/` | y |");
        assert_eq!(found(super::check, &[flow, stale]), ["README.md:3"]);
    }
}
