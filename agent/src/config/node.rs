//! The configuration as it was typed: a tree of texts, each knowing where it came from.
//!
//! File, environment and flags all become this tree before anything is interpreted, so that one
//! reader types them and one kind of error tells of them.

use std::fmt;

/// Where a piece of configuration was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the file, counted from 1.
    File {
        /// Its line.
        line: u32,
        /// Its column, in characters.
        column: u32,
    },
    /// In this environment variable.
    Env(String),
    /// In this command-line flag.
    Flag(&'static str),
}

impl Origin {
    /// Environment and flags hold one line of text: lists and maps in it are separated by commas.
    pub(crate) fn is_one_line(&self) -> bool {
        !matches!(self, Self::File { .. })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { line, column } => write!(f, "{line}:{column}"),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// Its place.
    pub(crate) origin: Origin,
    /// What stands there.
    pub(crate) value: Value,
}

/// What stands at a place. Scalars stay text: what they mean is decided by the type asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// Nothing.
    Null,
    /// One scalar, as it was typed.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Keys in the order they were typed, each once.
    Map(Vec<(Key, Node)>),
}

/// A key and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Key {
    /// Its place.
    pub(crate) origin: Origin,
    /// Its text.
    pub(crate) text: String,
}

impl Node {
    /// A tree in which nothing is set.
    pub(crate) fn empty() -> Self {
        Self { origin: Origin::File { line: 1, column: 1 }, value: Value::Map(Vec::new()) }
    }

    /// Puts `node` at `path`, over what a weaker source has put there.
    pub(crate) fn set(&mut self, path: &[&str], node: Node) {
        let Some((first, rest)) = path.split_first() else {
            *self = node;
            return;
        };
        if !matches!(self.value, Value::Map(_)) {
            self.value = Value::Map(Vec::new());
        }
        let Value::Map(entries) = &mut self.value else { return };
        if let Some((_, child)) = entries.iter_mut().find(|(key, _)| key.text == *first) {
            child.set(rest, node);
            return;
        }
        let origin = node.origin.clone();
        let mut child = Self { origin: origin.clone(), value: Value::Map(Vec::new()) };
        child.set(rest, node);
        entries.push((Key { origin, text: (*first).to_owned() }, child));
    }

    /// The place of `path`, or of what of it is there.
    pub(crate) fn origin_of(&self, path: &[&str]) -> &Origin {
        let (Some((first, rest)), Value::Map(entries)) = (path.split_first(), &self.value) else {
            return &self.origin;
        };
        match entries.iter().find(|(key, _)| key.text == *first) {
            Some((_, child)) => child.origin_of(rest),
            None => &self.origin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Node, Origin, Value};

    fn text(origin: Origin, text: &str) -> Node {
        Node { origin, value: Value::Text(text.to_owned()) }
    }

    #[test]
    fn a_later_source_replaces_one_key_and_leaves_its_neighbours() {
        let mut tree = Node::empty();
        tree.set(&["log", "level"], text(Origin::File { line: 2, column: 3 }, "info"));
        tree.set(&["log", "format"], text(Origin::File { line: 3, column: 3 }, "json"));
        tree.set(&["log", "level"], text(Origin::Flag("--log"), "debug"));
        assert_eq!(tree.origin_of(&["log", "level"]), &Origin::Flag("--log"));
        assert_eq!(tree.origin_of(&["log", "format"]), &Origin::File { line: 3, column: 3 });
        assert_eq!(tree.origin_of(&["nothing"]), &Origin::File { line: 1, column: 1 });
    }
}
