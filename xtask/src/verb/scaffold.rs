//! What `new-protocol` and `new-probe` share: a good name, a file that is not there yet, a line in a
//! list that stays sorted.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::step::say;

/// Words that say nothing, and words Rust keeps for itself.
const REFUSED: &[&str] = &[
    "as", "async", "await", "box", "break", "common", "const", "continue", "crate", "data", "do",
    "dyn", "else", "enum", "extern", "false", "fn", "for", "gen", "handler", "helpers", "if",
    "impl", "in", "let", "loop", "macro", "manager", "match", "mod", "move", "mut", "pub", "ref",
    "return", "self", "static", "struct", "super", "tests", "trait", "true", "try", "type",
    "unsafe", "use", "util", "utils", "virtual", "where", "while", "yield",
];

/// A module's name, or what is wrong with it.
pub(super) fn name(given: &str) -> Result<&str> {
    let letters = given.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let starts = given.starts_with(|c: char| c.is_ascii_lowercase());
    if !letters || !starts || given.ends_with('_') || given.contains("__") {
        bail!(
            "`{given}` cannot be a module's name. What to do: lower-case words joined by `_`, as in `http1`"
        );
    }
    if given.len() > 24 {
        bail!("`{given}` is too long. What to do: at most 24 letters");
    }
    if REFUSED.contains(&given) {
        bail!("`{given}` says nothing, or is Rust's own. What to do: name the thing itself");
    }
    Ok(given)
}

/// Writes a file that is not there yet.
pub(super) fn write(top: &Path, path: &str, text: &str) -> Result<()> {
    let file = top.join(path);
    if file.exists() {
        bail!("{path} is there already. What to do: choose another name, or go on in that file");
    }
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("the folder of {path} cannot be made"))?;
    }
    fs::write(&file, text).with_context(|| format!("{path} cannot be written"))?;
    say(format!("    wrote {path}"));
    Ok(())
}

/// Adds `line` to the lines of `path` that begin as it does up to its second space, sorted.
pub(super) fn register(top: &Path, path: &str, line: &str) -> Result<()> {
    let file = top.join(path);
    let text = fs::read_to_string(&file).with_context(|| format!("{path} cannot be read"))?;
    let Some(text) = with_line(&text, line) else { return Ok(()) };
    fs::write(&file, text).with_context(|| format!("{path} cannot be written"))?;
    say(format!("    added `{line}` to {path}"));
    Ok(())
}

/// `text` with `line`, none if it has it already.
fn with_line(text: &str, line: &str) -> Option<String> {
    let mut lines: Vec<&str> = text.lines().collect();
    if lines.contains(&line) {
        return None;
    }
    let kind = line.rsplit_once(' ').map_or(line, |(kind, _)| kind);
    let alike = |(_, have): &(usize, &&str)| have.starts_with(kind) && have.ends_with(';');
    let after = lines.iter().enumerate().filter(alike).rfind(|(_, have)| **have < line);
    let first = lines.iter().enumerate().find(alike);
    let at = match (after, first) {
        (Some((at, _)), _) => at + 1,
        (None, Some((at, _))) => at,
        // Behind the file's own description.
        (None, None) => {
            let at = lines.iter().position(|have| !have.starts_with("//!")).unwrap_or(lines.len());
            lines.insert(at, "");
            at + 1
        }
    };
    lines.insert(at, line);
    let mut text = lines.join("\n");
    text.push('\n');
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::{name, with_line};

    #[test]
    fn refuses_names_that_are_no_modules() {
        let check = |input: &str, good: bool| assert_eq!(name(input).is_ok(), good, "{input}");
        check("redis", true);
        check("http2", true);
        check("disk_wait", true);
        for bad in ["", "2http", "Redis", "a-b", "../x", "a__b", "a_", "_a", "utils", "match", "é"]
        {
            check(bad, false);
        }
        check(&"a".repeat(25), false);
    }

    #[test]
    fn registers_a_line_once_and_in_order() {
        let check = |input: &str, line: &str, expect: Option<&str>| {
            assert_eq!(with_line(input, line).as_deref(), expect, "{input}");
        };
        let list = "//! x\n\npub mod a;\npub mod c;\n\nuse y;\n";
        check(list, "pub mod b;", Some("//! x\n\npub mod a;\npub mod b;\npub mod c;\n\nuse y;\n"));
        check(list, "pub mod d;", Some("//! x\n\npub mod a;\npub mod c;\npub mod d;\n\nuse y;\n"));
        check(list, "pub mod A;", Some("//! x\n\npub mod A;\npub mod a;\npub mod c;\n\nuse y;\n"));
        check(list, "pub mod a;", None);
        check("//! x\n", "pub mod a;", Some("//! x\n\npub mod a;\n"));
    }
}
