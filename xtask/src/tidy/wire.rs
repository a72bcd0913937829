//! Twins across the kernel line: what `agent-common` defines for both sides is used on both.

use super::source::{Source, has_word};
use super::{Finding, Tree};

/// The two sides, and what they are called.
const SIDES: [(&str, &str); 2] =
    [("agent/src", "userspace side"), ("agent-ebpf/src", "kernel side")];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in ["record", "counter", "settings"] {
        let path = format!("agent-common/src/{file}.rs");
        let Some(source) = tree.rust.get(&path) else { continue };
        for Item { line, name, field } in items(source, file == "settings") {
            // That userspace fills every field is the compiler's to see.
            for (folder, side) in SIDES.into_iter().skip(usize::from(field)) {
                if !tree.under(folder).any(|(_, source)| source.mentions(&name)) {
                    let what = format!(
                        "`{name}` is not used by the {side} ({folder}): use it or take it out"
                    );
                    found.push(Finding::new(&path, line, what));
                }
            }
        }
    }
    found
}

struct Item {
    line: usize,
    name: String,
    field: bool,
}

/// Structs, the variants of `Kind` and `Counter` as they are written in use, and where `fields` is
/// asked for, the fields of structs.
fn items(source: &Source, fields: bool) -> Vec<Item> {
    let mut items = Vec::new();
    let mut block: Option<(&str, String)> = None;
    for (line, code) in source.product() {
        let text = code.trim();
        if code.starts_with('}') {
            block = None;
        }
        for keyword in ["struct", "enum"] {
            let rest = text.strip_prefix("pub ").and_then(|text| text.strip_prefix(keyword));
            if let Some(rest) = rest.filter(|_| code.starts_with("pub")) {
                let name = first_word(rest.trim_start());
                items.push(Item { line, name: name.clone(), field: false });
                block = Some((keyword, name));
            }
        }
        match &block {
            Some(("enum", name))
                if ["Kind", "Counter"].contains(&name.as_str())
                    && text.starts_with(char::is_uppercase) =>
            {
                let name = format!("{name}::{}", first_word(text));
                items.push(Item { line, name, field: false });
            }
            Some(("struct", _)) if fields && code.starts_with("    pub ") => {
                let name = first_word(text.strip_prefix("pub ").unwrap_or(text));
                if !has_word("reserved", &name) {
                    items.push(Item { line, name, field: true });
                }
            }
            _ => {}
        }
    }
    items
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[cfg(test)]
mod tests {
    use super::super::found;

    #[test]
    fn what_crosses_is_used_on_both_sides() {
        let record = (
            "agent-common/src/record.rs",
            "pub enum Kind {\n    /// x\n    Pair = 1,\n    Exit = 2,\n}\npub struct Pair {\n    pub a: u8,\n}\n",
        );
        let settings = (
            "agent-common/src/settings.rs",
            "pub struct Watch {\n    pub own: u32,\n    pub reserved: u32,\n}\n",
        );
        let agent = (
            "agent/src/event/mod.rs",
            "match k { Kind::Pair => Pair, Kind::Exit => () }\nWatch { own: 1 }",
        );
        let kernel = (
            "agent-ebpf/src/main.rs",
            "let p = Pair { kind: Kind::Pair };\nWatch.own // Kind::Exit",
        );
        assert_eq!(
            found(super::check, &[record, settings, agent, kernel]),
            ["agent-common/src/record.rs:4"]
        );
        assert_eq!(
            found(super::check, &[settings, agent]),
            ["agent-common/src/settings.rs:1", "agent-common/src/settings.rs:2"]
        );
        assert_eq!(found(super::check, &[settings, kernel]), ["agent-common/src/settings.rs:1"]);
    }
}
