//! Every dependency on others stands below a comment that says what it is for.

use super::{Finding, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let manifests = tree.text.iter().filter(|(path, _)| path.ends_with("Cargo.toml"));
    manifests.flat_map(|(path, text)| one(path, text)).collect()
}

fn one(path: &str, text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut within = false;
    let mut reason = false;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(section) = line.strip_prefix('[') {
            within = section.trim_end_matches(']').ends_with("dependencies");
        } else if within
            && !reason
            && let Some((name, rest)) = line.split_once('=')
            && !line.starts_with('#')
            && !name.trim_end().ends_with(".workspace")
            && !["workspace = true", "path = "].iter().any(|ours| rest.contains(ours))
        {
            let what = format!(
                "dependency `{}` has no reason: say in a comment above it what for",
                name.trim()
            );
            found.push(Finding::new(path, at + 1, what));
        }
        // A heading of a group is no reason.
        reason = line.starts_with('#') && !line.starts_with("# ---");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::found;

    #[test]
    fn every_dependency_has_a_reason() {
        let check = |text: &str, expect: &[&str]| {
            assert_eq!(found(super::check, &[("Cargo.toml", text)]), expect, "{text}");
        };
        check("[package]\nname = \"x\"", &[]);
        check("[workspace.dependencies]\n# For y.\nx = \"1\"", &[]);
        check("[workspace.dependencies]\n# --- group\nx = \"1\"", &["Cargo.toml:3"]);
        check("[dependencies]\n# For y.\nx = \"1\"\nz = \"1\"", &["Cargo.toml:4"]);
        check(
            "[dev-dependencies]\nx.workspace = true\ny = { workspace = true }\nz = { path = \"z\" }",
            &[],
        );
        check("[dependencies]\n[features]\na = []", &[]);
    }
}
