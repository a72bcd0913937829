//! A YAML text to the tree of [`Node`]s, with the place of every key and value.
//!
//! The reader resolves scalars (`1.10` becomes a float) before it hands them on; the type asked for
//! decides here, so a scalar that was resolved is taken back from the source text by its span.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::error::{Fault, Problem};
use super::node::{Key, Node, Origin, Value};

/// A configuration file is never longer than this.
pub(crate) const FILE_LIMIT: usize = 1 << 20;

/// Mappings and lists in each other: three times what any key needs. Each level costs stack.
const DEPTH: usize = 16;
/// Keys and values, those an alias stands for counted each time.
const NODES: usize = 50_000;

/// The tree of one document. An empty text is an empty tree.
pub(crate) fn tree(text: &str) -> Result<Node, Fault> {
    let only_comments = text
        .lines()
        .map(str::trim)
        .all(|line| line.is_empty() || line.starts_with('#') || line == "---" || line == "...");
    if only_comments {
        return Ok(Node::empty());
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH, max_nodes: NODES, max_events: 4 * NODES, max_documents: 1
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: NODES },
        with_snippet: false,
    };
    let read = serde_saphyr::from_str_with_options(text, options);
    let raw: Spanned<Raw> = read.map_err(|error| {
        let origin = error.location().map(|location| origin(&location));
        let problem = Problem::Syntax(one_line(&error));
        Fault { origin, path: String::new(), problem }
    })?;
    Ok(node(raw, text))
}

/// The reader's message without its rendering of the source and without the place, which both are
/// told in this module's own way.
fn one_line(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let first = text.lines().next().unwrap_or_default();
    let end = first.rfind(" at line ").unwrap_or(first.len());
    first.get(..end).unwrap_or(first).trim_end_matches([',', ':']).to_owned()
}

fn origin(location: &Location) -> Origin {
    let whole = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    Origin::File { line: whole(location.line()), column: whole(location.column()) }
}

fn node(raw: Spanned<Raw>, source: &str) -> Node {
    let Spanned { value, referenced, defined, .. } = raw;
    let value = match value {
        Raw::Null => Value::Null,
        Raw::Text(text) => Value::Text(text),
        Raw::Resolved(text) => Value::Text(as_typed(&defined, source).unwrap_or(text)),
        Raw::List(items) => Value::List(items.into_iter().map(|item| node(item, source)).collect()),
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| {
                    let key = Key { origin: origin(&key.referenced), text: key.value };
                    (key, node(value, source))
                })
                .collect(),
        ),
    };
    Node { origin: origin(&referenced), value }
}

/// The characters of a plain scalar as they stand in the source.
fn as_typed(location: &Location, source: &str) -> Option<String> {
    let span = location.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let length = usize::try_from(span.byte_len()?).ok()?;
    let text = source.get(start..start.checked_add(length)?)?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// One node as the reader hands it on.
enum Raw {
    Null,
    Text(String),
    /// A plain scalar that was resolved, in the reader's writing.
    Resolved(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Resolved(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Resolved(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Resolved(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Resolved(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Raw, E> {
        Ok(Raw::Resolved(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Resolved(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::{Node, Origin, Value, tree};

    fn outline(node: &Node, depth: usize) -> String {
        let indent = "  ".repeat(depth);
        let place = &node.origin;
        match &node.value {
            Value::Null => format!("~ @{place}\n"),
            Value::Text(text) => format!("{text:?} @{place}\n"),
            Value::List(items) => items.iter().fold(format!("list @{place}\n"), |out, item| {
                out + &indent + "- " + &outline(item, depth + 1)
            }),
            Value::Map(entries) => {
                entries.iter().fold(format!("map @{place}\n"), |out, (key, value)| {
                    let key = format!("{} @{}: ", key.text, key.origin);
                    out + &indent + &key + &outline(value, depth + 1)
                })
            }
        }
    }

    #[test]
    fn every_key_and_value_knows_its_place_and_scalars_stay_as_typed() {
        let text = "a: 1.10\nb:\n  - 0x1F\n  - yes\n  - \"10\"\nc: {d: ~, e: }\nf: &x 007\ng: *x\nh: |\n  two\n  lines\n";
        insta::assert_snapshot!(outline(&tree(text).unwrap(), 0));
    }

    #[test]
    fn what_is_not_yaml_is_refused_with_its_place() {
        let check = |text: &str, line: u32| {
            let fault = tree(text).unwrap_err();
            let Some(Origin::File { line: at, .. }) = fault.origin else { panic!("{fault:?}") };
            assert_eq!(at, line, "{text:?}: {fault:?}");
        };
        check("a: [1, 2\nb: 3\n", 2);
        check("a: 1\na: 2\n", 2);
        check("a: 1\n\tb: 2\n", 1);
        check("a: *nowhere\n", 1);
    }

    #[test]
    fn a_text_of_comments_alone_is_empty() {
        for text in ["", "\n\n", "# nothing\n", "---\n"] {
            assert_eq!(tree(text).unwrap(), Node::empty(), "{text:?}");
        }
    }
}
