//! The texts of the licences of all that is linked in, which most of them ask to be handed on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use super::bom::Parts;

/// How the names of such files begin.
const NAMES: [&str; 6] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];

/// Each text once, below the crates that it goes with.
pub(crate) fn of(parts: &Parts) -> String {
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for ((name, version), part) in &parts.0 {
        let told = format!("{name} {version} ({})", part.license);
        for entry in fs::read_dir(&part.sources).into_iter().flatten().flatten() {
            let file = entry.file_name().to_string_lossy().to_uppercase();
            if !NAMES.iter().any(|name| file.starts_with(name)) {
                continue;
            }
            if let Ok(text) = fs::read_to_string(entry.path()) {
                let lines: Vec<&str> = text.trim().lines().map(str::trim_end).collect();
                texts.entry(lines.join("\n")).or_default().insert(told.clone());
            }
        }
    }
    // By the first of the crates, as the texts themselves have no order that means anything.
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_by(|(text, crates), (other, others)| (crates, text).cmp(&(others, other)));
    let mut all = String::from("What is linked into steth, and the licences it came with.\n");
    for (text, crates) in texts {
        let line = "-".repeat(80);
        let _ = write!(all, "\n{line}\n");
        for told in crates {
            let _ = writeln!(all, "{told}");
        }
        let _ = write!(all, "\n{text}\n");
    }
    all
}
