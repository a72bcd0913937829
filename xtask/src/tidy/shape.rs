//! The shape of files and of the top level.

use super::{Finding, Tree};

/// A file longer than this is two files.
const LONGEST: usize = 600;

/// All that stands at the top level, beside files whose names begin with a dot.
const TOP: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-GPL-2.0",
    "LICENSE-MIT",
    "README.md",
    "agent",
    "agent-common",
    "agent-ebpf",
    "deploy",
    "tests",
    "xtask",
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, source) in &tree.rust {
        if !source.lines.first().is_some_and(|line| line.starts_with("//!")) {
            found.push(Finding::new(path, 1, "begins without `//!`: say first what the file is"));
        }
        let length = source.lines.len();
        if length > LONGEST {
            let what =
                format!("{length} lines, {LONGEST} are the most: split it by what it is about");
            found.push(Finding::new(path, LONGEST + 1, what));
        }
    }
    found.extend(top(&tree.top));
    found
}

fn top(names: &[String]) -> Vec<Finding> {
    if names.is_empty() {
        return Vec::new();
    }
    let stray = names
        .iter()
        .filter(|name| !name.starts_with('.') && *name != "target" && !TOP.contains(&name.as_str()))
        .map(|name| {
            Finding::new(
                name,
                1,
                "does not belong at the top level: move it into one of its folders",
            )
        });
    let missing = TOP
        .iter()
        .filter(|name| !names.iter().any(|have| have == *name))
        .map(|name| Finding::new(name, 1, "is missing from the top level"));
    stray.chain(missing).collect()
}

#[cfg(test)]
mod tests {
    use super::super::found;

    #[test]
    fn a_file_says_first_what_it_is_and_ends_in_time() {
        let check = |text: &str, expect: &[&str]| {
            assert_eq!(found(super::check, &[("x/a.rs", text)]), expect);
        };
        check("//! This.\nfn f() {}", &[]);
        check("fn f() {}", &["x/a.rs:1"]);
        check("", &["x/a.rs:1"]);
        check(&format!("//! x{}", "\nx".repeat(599)), &[]);
        check(&format!("//! x{}", "\nx".repeat(600)), &["x/a.rs:601"]);
    }

    #[test]
    fn the_top_level_is_what_it_is() {
        let mut names: Vec<String> = super::TOP.iter().map(|name| (*name).to_owned()).collect();
        names.push(".ci".into());
        assert!(super::top(&names).is_empty());
        names.push("notes".into());
        names.retain(|name| name != "deploy");
        let found = super::top(&names);
        assert_eq!(found.iter().map(|f| f.file.as_str()).collect::<Vec<_>>(), ["notes", "deploy"]);
    }
}
