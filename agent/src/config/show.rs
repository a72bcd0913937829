//! The configuration in force as YAML, each value with where it came from. Secrets stay hidden.

use std::fmt::Write;

use serde_json::Value;

use super::{Loaded, Origin};

/// One line a key, in the order of the reference page.
pub fn show(loaded: &Loaded) -> String {
    let mut out = String::new();
    match &loaded.file {
        // Writing to a string cannot fail.
        Some(file) => _ = writeln!(out, "# file: {}", file.display()),
        None => out.push_str("# no file\n"),
    }
    let value = serde_json::to_value(&loaded.config).unwrap_or_default();
    lines(&value, "", 0, loaded, &mut out);
    out
}

fn lines(value: &Value, path: &str, depth: usize, loaded: &Loaded, out: &mut String) {
    let Value::Object(entries) = value else { return };
    let indent = "  ".repeat(depth);
    for (key, value) in entries {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        if value.as_object().is_some_and(|inner| !inner.is_empty()) {
            let _ = writeln!(out, "{indent}{}:", scalar(key));
            lines(value, &path, depth + 1, loaded, out);
            continue;
        }
        let text = match value {
            Value::String(text) => scalar(text),
            other => other.to_string(),
        };
        let _ = write!(out, "{indent}{}: {text}", scalar(key));
        match loaded.origin(&path) {
            None => {}
            Some(Origin::File { line, .. }) => _ = write!(out, "  # line {line}"),
            Some(origin) => _ = write!(out, "  # {origin}"),
        }
        out.push('\n');
    }
}

/// Plain where YAML reads it back as the same text, else quoted.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let words = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let word = words.contains(&text.to_ascii_lowercase().as_str());
    // Durations and sizes begin with a digit and are no numbers.
    let unit = text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric())
        && !text.contains(['e', 'E', 'x', 'o']);
    if (starts && text.chars().all(plain) && !word) || unit {
        return text.to_owned();
    }
    Value::from(text).to_string()
}
