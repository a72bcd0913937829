//! Layers: a file of the agent uses only what is on its own floor or below, and on one floor no two
//! modules use each other.

use std::collections::BTreeMap;

use super::source::Source;
use super::{Finding, Tree};

/// The floors of `agent/src`, lowest first.
/// `agent-common` is below them all, `main` above.
const FLOORS: &[&[&str]] = &[
    &["event", "metric"],
    &["source", "host", "cluster", "entity", "flow"],
    &["protocol", "red", "usage", "trace"],
    &["pipeline"],
    &["export", "kernel", "health"],
    &["config"],
    &["runtime"],
];

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|modules| modules.contains(&module))
}

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    // The first use of one module by another, for what is mutual.
    let mut uses: BTreeMap<(String, String), (String, usize)> = BTreeMap::new();
    for (path, source) in tree.under("agent/src") {
        let Some(own) = module(path) else { continue };
        let Some(own_floor) = floor(own) else {
            let what = format!(
                "module `{own}` stands on no floor: add it to FLOORS in xtask/src/tidy/floors.rs, and to the README's map"
            );
            found.push(Finding::new(path, 1, what));
            continue;
        };
        for (line, used) in used(path, source) {
            let Some(used_floor) = floor(&used).filter(|_| used != own) else { continue };
            if used_floor > own_floor {
                let what = format!(
                    "`{own}` uses `{used}`, which stands above it: move what it needs down, or pass it in"
                );
                found.push(Finding::new(path, line, what));
            } else if used_floor == own_floor {
                uses.entry((own.to_owned(), used)).or_insert_with(|| (path.to_owned(), line));
            }
        }
    }
    for ((own, used), (path, line)) in &uses {
        if own < used
            && let Some((other, at)) = uses.get(&(used.clone(), own.clone()))
        {
            let what = format!(
                "`{own}` and `{used}` use each other (see {other}:{at}): one of them must not"
            );
            found.push(Finding::new(path, *line, what));
        }
    }
    found
}

/// The module of a file, the first name below `agent/src`; none for `lib.rs` and `main.rs`.
fn module(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("agent/src/")?;
    let name = rest.split('/').next()?;
    let name = name.strip_suffix(".rs").unwrap_or(name);
    (!["lib", "main"].contains(&name)).then_some(name)
}

/// How far a file's module is from the crate's root: as many `super` lead there.
fn depth(path: &str) -> usize {
    let rest = path.strip_prefix("agent/src/").unwrap_or(path);
    rest.matches('/').count() + usize::from(!rest.ends_with("/mod.rs"))
}

/// Top modules that the code names by `crate::` or by as many `super::`.
fn used(path: &str, source: &Source) -> Vec<(usize, String)> {
    let root = "super::".repeat(depth(path));
    let mut all = Vec::new();
    let mut group = None;
    for (number, line) in source.product() {
        let mut rest = line;
        // A `use crate::{ … }` over several lines: what begins an element of the outer braces.
        if let Some(depth) = group.take() {
            group = elements(rest, depth, number, &mut all);
        }
        while let Some(after) = root_path(rest, &root) {
            if let Some(inside) = after.strip_prefix('{') {
                group = elements(inside, 1, number, &mut all);
            } else {
                all.push((number, word(after)));
            }
            rest = after;
        }
    }
    all
}

fn root_path<'a>(line: &'a str, root: &str) -> Option<&'a str> {
    ["crate::", root]
        .into_iter()
        .filter_map(|start| {
            line.match_indices(start).find_map(|(at, _)| {
                let before = line.get(..at)?.chars().next_back();
                let whole = !before
                    .is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '$');
                let after = line.get(at + start.len()..)?;
                (whole && !after.starts_with("super::")).then_some(after)
            })
        })
        .max_by_key(|after| after.len())
}

/// Collects the first words of a group's elements; the depth of braces at the end of the line, or
/// none if the group closed.
fn elements(
    line: &str,
    mut depth: u32,
    number: usize,
    all: &mut Vec<(usize, String)>,
) -> Option<u32> {
    let mut begins = depth == 1;
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        match first {
            '{' => depth += 1,
            '}' => depth = depth.checked_sub(1).filter(|depth| *depth > 0)?,
            ',' => begins = depth == 1,
            c if begins && (c.is_alphanumeric() || c == '_') => {
                all.push((number, word(rest)));
                begins = false;
            }
            _ => {}
        }
        rest = rest.get(first.len_utf8()..)?;
    }
    Some(depth)
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[cfg(test)]
mod tests {
    use super::super::found;

    #[test]
    fn a_file_uses_only_what_is_below_it() {
        let check = |path: &str, text: &str, expect: &[&str]| {
            assert_eq!(found(super::check, &[(path, text)]), expect, "{path}: {text}");
        };
        check("agent/src/flow/mod.rs", "use crate::event::Pid;", &[]);
        check("agent/src/flow/mod.rs", "use crate::flow::x;", &[]);
        check("agent/src/flow/mod.rs", "\nuse crate::red::Red;", &["agent/src/flow/mod.rs:2"]);
        check("agent/src/flow/mod.rs", "let x = crate::export::y();", &["agent/src/flow/mod.rs:1"]);
        check("agent/src/flow/mod.rs", "use super::red::Red;", &["agent/src/flow/mod.rs:1"]);
        check("agent/src/flow/a.rs", "use super::red::Red;", &[]);
        check("agent/src/flow/a.rs", "use super::super::red::Red;", &["agent/src/flow/a.rs:1"]);
        check(
            "agent/src/flow/mod.rs",
            "use crate::{event::Pid, config};",
            &["agent/src/flow/mod.rs:1"],
        );
        check(
            "agent/src/flow/mod.rs",
            "use crate::{\n    event::{config, Pid},\n    kernel::Y,\n};\nlet kernel = 1;",
            &["agent/src/flow/mod.rs:3"],
        );
        check("agent/src/flow/mod.rs", "// crate::red\nlet a = \"crate::red\";", &[]);
        check("agent/src/flow/mod.rs", "#[cfg(test)]\nmod tests {\n use crate::red;\n}", &[]);
        check("agent/src/strange/mod.rs", "//! x", &["agent/src/strange/mod.rs:1"]);
        check("agent/src/main.rs", "use steth::runtime;", &[]);
        check("agent/src/lib.rs", "pub mod runtime;", &[]);
        check("xtask/src/flow/mod.rs", "use crate::red;", &[]);
    }

    #[test]
    fn no_two_modules_of_a_floor_use_each_other() {
        let red = ("agent/src/red/mod.rs", "use crate::protocol::Exchange;");
        assert!(found(super::check, &[red]).is_empty());
        let protocol = ("agent/src/protocol/mod.rs", "use crate::red::Red;");
        assert_eq!(found(super::check, &[red, protocol]), ["agent/src/protocol/mod.rs:1"]);
    }
}
