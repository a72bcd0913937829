//! What may be named where: aya under `kernel/`, clocks in `runtime/` and `export/`, the names of
//! metrics and labels under `metric/`.

use std::collections::BTreeSet;

use super::source::has_word;
use super::{Finding, Tree};

/// Ways to ask what time it is.
const CLOCKS: &[&str] = &["Instant::now", "SystemTime::now", "clock_gettime"];

/// Namespaces of the semantic conventions, and our own, that nothing else begins with.
const NAMESPACES: &[&str] = &[
    "container.",
    "http.",
    "k8s.",
    "network.",
    "process.",
    "service.",
    "steth.",
    "telemetry.",
    "url.",
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let vocabulary: BTreeSet<&str> = tree
        .under("agent/src/metric")
        .flat_map(|(_, source)| source.product_texts())
        .map(|(_, text)| text)
        .filter(|text| is_name(text))
        .collect();
    let mut found = Vec::new();
    for (path, source) in tree.under("agent/src") {
        let within = |folder: &str| path.starts_with(&format!("agent/src/{folder}"));
        for (line, code) in source.product() {
            if !within("kernel/") && names_aya(code) {
                found.push(Finding::new(
                    path,
                    line,
                    "names aya: only kernel/ may, so that everything else runs without it",
                ));
            }
            let clock = CLOCKS.iter().find(|clock| has_word(code, clock));
            if let Some(clock) = clock.filter(|_| !within("runtime") && !within("export")) {
                let what = format!(
                    "`{clock}`: take the time as an argument, so that a replay gives the same"
                );
                found.push(Finding::new(path, line, what));
            }
        }
        if within("metric/") {
            continue;
        }
        for (line, text) in source.product_texts() {
            let ours = NAMESPACES.iter().any(|space| text.starts_with(space)) && is_name(text);
            if ours || vocabulary.contains(text) {
                let what = format!(
                    "\"{text}\" is a metric's or label's name: use its constant in agent/src/metric/"
                );
                found.push(Finding::new(path, line, what));
            }
        }
    }
    found
}

/// Whether a path begins with the crate or one of its family.
fn names_aya(code: &str) -> bool {
    code.match_indices("aya").any(|(at, _)| {
        let before = code.get(..at).and_then(|text| text.chars().next_back());
        let after = code.get(at..).unwrap_or_default();
        let part = |c: char| c.is_alphanumeric() || c == '_';
        let path = after.trim_start_matches(part);
        !before.is_some_and(part)
            && (path.starts_with("::") || code.trim() == format!("use {after}"))
    })
}

/// Lower-case words joined by dots.
fn is_name(text: &str) -> bool {
    let word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    text.contains('.') && text.split('.').all(word)
}

#[cfg(test)]
mod tests {
    use super::super::found;

    #[test]
    fn files_of_tests_are_left_alone() {
        let module = ("agent/src/red/mod.rs", "#[cfg(test)]\nmod bench;\nmod series;");
        let now = "let now = Instant::now();";
        let files = [module, ("agent/src/red/bench.rs", now), ("agent/src/red/bench/a.rs", now)];
        assert!(found(super::check, &files).is_empty());
        let series = [module, ("agent/src/red/series.rs", now)];
        assert_eq!(found(super::check, &series), ["agent/src/red/series.rs:1"]);
    }

    const KEYS: (&str, &str) = (
        "agent/src/metric/key.rs",
        "const A: Key = Key(\"error.type\"); const B: Key = Key(\"http.route\");",
    );

    #[test]
    fn names_stand_where_they_belong() {
        let check = |path: &str, text: &str, expect: &[&str]| {
            assert_eq!(found(super::check, &[KEYS, (path, text)]), expect, "{path}: {text}");
        };
        let red = "agent/src/red/mod.rs";
        let red_1 = &["agent/src/red/mod.rs:1"][..];
        check(red, "use aya::Ebpf;", red_1);
        check(red, "fn f(x: &mut aya::Ebpf) {}", red_1);
        check(red, "use aya_log::EbpfLogger;", red_1);
        check(red, "use aya;", red_1);
        check(red, "let playa = playa::x; // aya::Ebpf", &[]);
        check("agent/src/kernel/ring.rs", "use aya::Ebpf;", &[]);
        check(red, "let now = Instant::now();", red_1);
        check(red, "let now = std::time::SystemTime::now();", red_1);
        check("agent/src/runtime/mod.rs", "let now = Instant::now();", &[]);
        check("agent/src/export/otlp.rs", "let now = SystemTime::now();", &[]);
        check(red, "let a = \"error.type\";", red_1);
        check(red, "let a = \"http.request.method\";", red_1);
        check(red, "let a = \"http.example/x\"; let b = \"config.yaml\";", &[]);
        check(red, "// \"error.type\"", &[]);
        check(red, "#[cfg(test)]\nmod tests {\n const A: &str = \"error.type\";\n}", &[]);
        check(
            red,
            "#[cfg(test)]\nmod bench;\n\nlet a = \"error.type\";",
            &["agent/src/red/mod.rs:4"],
        );
        check("agent/src/metric/instrument.rs", "let a = \"http.server.x\";", &[]);
    }
}
