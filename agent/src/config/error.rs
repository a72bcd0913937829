//! What can be wrong with a configuration: what, where, and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

use super::node::Origin;

/// Why the configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read the configuration file {}: {source}; {}", path.display(), advice(source))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is larger than any configuration.
    #[error("{} is larger than {limit} bytes, which no configuration is", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: usize,
    },
    /// Something in it is wrong.
    #[error("{0}")]
    Wrong(Box<Complaint>),
}

fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            "name one that exists with --config, or leave it out: every key has a default"
        }
        std::io::ErrorKind::PermissionDenied => "run as a user that may read it",
        std::io::ErrorKind::InvalidData => "it has to be UTF-8 text",
        _ => "name another one with --config",
    }
}

/// One thing that is wrong, with its place and the line it stands in.
#[derive(Debug)]
pub struct Complaint {
    file: Option<PathBuf>,
    line: Option<String>,
    fault: Fault,
}

impl Complaint {
    pub(crate) fn new(fault: Fault, file: Option<&Path>, text: &str) -> Self {
        let line = match fault.origin {
            Some(Origin::File { line, .. }) if file.is_some() => {
                text.lines().nth((line as usize).saturating_sub(1)).map(str::to_owned)
            }
            _ => None,
        };
        Self { file: file.map(Path::to_path_buf), line, fault }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { origin, path, problem } = &self.fault;
        match (origin, &self.file) {
            (Some(place @ Origin::File { .. }), Some(file)) => {
                write!(f, "{}:{place}: ", file.display())?;
            }
            (Some(Origin::File { .. }) | None, file) => {
                if let Some(file) = file {
                    write!(f, "{}: ", file.display())?;
                }
            }
            (Some(place), _) => write!(f, "{place}: ")?,
        }
        problem.tell(path, f)?;
        if let (Some(Origin::File { line, column }), Some(text)) = (origin, &self.line) {
            let number = line.to_string();
            let margin = " ".repeat(number.len());
            let indent = " ".repeat((*column as usize).saturating_sub(1));
            write!(f, "\n {margin} |\n {number} | {}\n {margin} | {indent}^", text.trim_end())?;
        }
        if let Some(advice) = problem.advice(path) {
            write!(f, "\n  {advice}")?;
        }
        Ok(())
    }
}

/// One thing that is wrong and where, before the file's name and text are known.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    /// The innermost place known.
    pub(crate) origin: Option<Origin>,
    /// The key it is about, dotted.
    pub(crate) path: String,
    /// What is wrong.
    pub(crate) problem: Problem,
}

impl Fault {
    /// Fills in the place unless a more exact one is known.
    pub(crate) fn at(mut self, origin: &Origin) -> Self {
        self.origin.get_or_insert_with(|| origin.clone());
        self
    }

    /// Told from the outside in, one step further out.
    pub(crate) fn within(mut self, step: &str) -> Self {
        self.path = match self.path.as_str() {
            "" => step.to_owned(),
            inner if inner.starts_with('[') => format!("{step}{inner}"),
            inner => format!("{step}.{inner}"),
        };
        self
    }
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Problem {
    /// The text is no YAML.
    Syntax(String),
    /// A key that nothing reads.
    UnknownKey {
        /// As typed.
        found: String,
        /// What could stand there.
        allowed: Vec<String>,
    },
    /// A word outside a closed set.
    UnknownWord {
        /// As typed.
        found: String,
        /// The set.
        allowed: Vec<String>,
    },
    /// Anything else, in a sentence that says what is allowed.
    Wrong(String),
}

impl Problem {
    fn tell(&self, path: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(message) => write!(f, "not valid YAML: {message}"),
            Self::UnknownKey { found, .. } if path.is_empty() => write!(f, "unknown key `{found}`"),
            Self::UnknownKey { found, .. } => write!(f, "unknown key `{found}` in `{path}`"),
            Self::UnknownWord { found, .. } if path.is_empty() => {
                write!(f, "`{found}` is not known here")
            }
            Self::UnknownWord { found, .. } => write!(f, "`{path}` cannot be `{found}`"),
            Self::Wrong(message) if path.is_empty() => f.write_str(message),
            Self::Wrong(message) => write!(f, "`{path}`: {message}"),
        }
    }

    fn advice(&self, path: &str) -> Option<String> {
        let (found, allowed, what) = match self {
            Self::UnknownKey { found, allowed } => (found, allowed, "keys"),
            Self::UnknownWord { found, allowed } => (found, allowed, "values"),
            Self::Syntax(_) | Self::Wrong(_) => return None,
        };
        let place = if path.is_empty() { String::new() } else { format!(" in `{path}`") };
        let place = if what == "keys" { place } else { String::new() };
        let list = allowed.join(", ");
        Some(match nearest(found, allowed) {
            Some(near) => format!("did you mean `{near}`? The {what} allowed{place}: {list}"),
            None => format!("the {what} allowed{place}: {list}"),
        })
    }
}

/// The word of `allowed` that `found` was most likely meant to be.
pub(crate) fn nearest<'a>(found: &str, allowed: &'a [String]) -> Option<&'a str> {
    let found = found.to_lowercase();
    // One letter is as near to any other as to the one meant.
    let length = found.chars().count();
    let limit = (length / 3).max(usize::from(length > 1));
    allowed
        .iter()
        .map(|word| (distance(&found, &word.to_lowercase()), word.as_str()))
        .filter(|(distance, word)| *distance <= limit || begins(word, &found))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

fn begins(word: &str, found: &str) -> bool {
    found.len() >= 3 && (word.starts_with(found) || found.starts_with(word))
}

/// Edits (insert, delete, replace, swap neighbours) from one word to the other. Words longer than
/// any key are far from everything.
fn distance(a: &str, b: &str) -> usize {
    const LONGEST: usize = 64;
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len() > LONGEST || b.len() > LONGEST {
        return usize::MAX;
    }
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX / 2);
            let replaced = at(&last, j) + usize::from(from != to);
            let mut best = replaced.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(to) && b.get(j - 1) == Some(from);
            if swapped {
                best = best.min(at(&before_last, j - 1) + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn counts_edits_and_swaps() {
        let check = |a, b, expect| assert_eq!(distance(a, b), expect, "{a} {b}");
        check("tier", "tier", 0);
        check("teir", "tier", 1);
        check("", "abc", 3);
        check("intervall", "interval", 1);
        check("kitten", "sitting", 3);
    }

    #[test]
    fn names_the_nearest_and_nothing_when_all_are_far() {
        let words: Vec<String> =
            ["tier", "unix", "endpoint", "compression"].map(str::to_owned).to_vec();
        let check = |found, expect| assert_eq!(nearest(found, &words), expect, "{found}");
        check("teir", Some("tier"));
        check("Endpoint", Some("endpoint"));
        check("compress", Some("compression"));
        check("zzzz", None);
        check("t", None);
        check(&"x".repeat(10_000), None);
    }
}
