//! What one service's paths have in common: a tree of segments that merges a position once it has
//! proved variable.
//!
//! A position merges for good, and by conditions that more paths can only make truer: too many
//! words, or values of too many kinds. What it becomes is therefore a function of the *set* of paths
//! inserted, whatever their order: the tests hold it to that.
//!
//! | State | when | its words | its values |
//! | --- | --- | --- | --- |
//! | `Open` | | as they are | by their kinds |
//! | `Values` | values of more than [`KINDS`] kinds | as they are | `{*}` |
//! | `Merged` | more words than the breadth (half of it where there are values), or any beside [`OPAQUE`] different names, tokens or hashes | `{*}` | `{*}` |

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::RouteId;
use super::shape::{Kind, Shape};

/// So many kinds of values are kept apart in one place.
const KINDS: usize = 2;

/// So many different values that could be words by chance make values of the words beside them.
const OPAQUE: usize = 8;

/// How far a position has proved variable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    #[default]
    Open,
    Values,
    Merged,
}

/// One segment on the way in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    pub(super) text: &'a str,
    pub(super) shape: Shape,
}

/// One position.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// By the text that stands in a route.
    children: BTreeMap<Box<str>, Child>,
    state: State,
    /// Hashes of the different opaque values seen here, the first few of them.
    opaque: Vec<u64>,
    /// The route that ends here.
    pub(super) route: Option<RouteId>,
    /// Routes that were merged into this one and are still to be told so.
    merged: Vec<RouteId>,
}

#[derive(Debug)]
struct Child {
    shape: Shape,
    node: Node,
}

impl Node {
    /// The node where `pieces` end, if there is one.
    pub(super) fn find(&self, pieces: &[Piece<'_>]) -> Option<&Self> {
        let mut node = self;
        for piece in pieces {
            let child = node.children.get(&*node.label(*piece))?;
            node = &child.node;
        }
        Some(node)
    }

    /// The node where `pieces` end, made if need be; `true` if positions were merged on the way.
    pub(super) fn make(&mut self, pieces: &[Piece<'_>], breadth: usize) -> (&mut Self, bool) {
        let mut changed = false;
        let mut node = self;
        for piece in pieces {
            changed |= node.note(*piece) && node.settle(breadth);
            let mut text = node.label(*piece);
            if !node.children.contains_key(&*text) {
                let child = Child { shape: node.kept(piece.shape), node: Self::default() };
                node.children.insert(text.into(), child);
                changed |= node.settle(breadth);
                text = node.label(*piece);
            }
            node = &mut node
                .children
                .entry(text.into())
                .or_insert_with(|| Child { shape: piece.shape, node: Self::default() })
                .node;
        }
        (node, changed)
    }

    /// Remembers an opaque value; `true` if it is the one that proves the position variable.
    fn note(&mut self, piece: Piece<'_>) -> bool {
        let opaque = matches!(piece.shape, Shape::Value(kind) if kind.is_opaque());
        if !opaque || self.opaque.len() >= OPAQUE {
            return false;
        }
        // The same everywhere, and no key: it decides what is exported.
        let hash = piece.text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        if !self.opaque.contains(&hash) {
            self.opaque.push(hash);
        }
        self.opaque.len() >= OPAQUE
    }

    /// The text of the route through `pieces`, as far as there is one.
    pub(super) fn text(&self, pieces: &[Piece<'_>]) -> String {
        let mut text = String::new();
        let mut node = self;
        for piece in pieces {
            let label = node.label(*piece);
            let Some(child) = node.children.get(&*label) else { break };
            text.push('/');
            text.push_str(&label);
            node = &child.node;
        }
        text
    }

    /// The text that `piece` has in routes through here.
    fn label<'a>(&self, piece: Piece<'a>) -> Cow<'a, str> {
        match (piece.shape, self.state) {
            (Shape::Static, _) | (Shape::Word, State::Open | State::Values) => piece.text.into(),
            (Shape::File(end), _) => format!("{{file}}.{end}").into(),
            (Shape::Value(Kind::Rest), _) => Kind::Rest.placeholder().into(),
            (Shape::Value(kind), State::Open) => kind.placeholder().into(),
            (Shape::Value(_) | Shape::Word, _) => Kind::Any.placeholder().into(),
        }
    }

    /// What a child made of `shape` counts as.
    fn kept(&self, shape: Shape) -> Shape {
        match (shape, self.state) {
            (Shape::Value(Kind::Rest), _) => shape,
            (Shape::Value(_), State::Values | State::Merged) | (Shape::Word, State::Merged) => {
                Shape::Value(Kind::Any)
            }
            _ => shape,
        }
    }

    /// Merges children as far as this position has proved variable; `true` if any were.
    fn settle(&mut self, breadth: usize) -> bool {
        let words = self.children.values().filter(|c| c.shape == Shape::Word).count();
        let kinds = self.children.values().filter(|c| is_value(c.shape)).count();
        let limit = if kinds > 0 { breadth / 2 } else { breadth };
        if words > limit || (words > 0 && self.opaque.len() >= OPAQUE) {
            self.state = State::Merged;
        } else if kinds > KINDS {
            self.state = self.state.max(State::Values);
        }
        let state = self.state;
        let goes = move |child: &Child| match child.shape {
            Shape::Value(Kind::Any) => false,
            Shape::Word => state == State::Merged,
            shape => state != State::Open && is_value(shape),
        };
        if !self.children.values().any(goes) {
            return false;
        }
        let mut any = self
            .children
            .remove(Kind::Any.placeholder())
            .map_or_else(Self::default, |child| child.node);
        for (text, child) in std::mem::take(&mut self.children) {
            if goes(&child) {
                any.absorb(child.node, breadth);
            } else {
                self.children.insert(text, child);
            }
        }
        let shape = Shape::Value(Kind::Any);
        self.children.insert(Kind::Any.placeholder().into(), Child { shape, node: any });
        true
    }

    /// Takes everything that `other` has.
    fn absorb(&mut self, other: Self, breadth: usize) {
        let Self { children, state, opaque, route, merged } = other;
        self.state = self.state.max(state);
        for hash in opaque {
            if self.opaque.len() < OPAQUE && !self.opaque.contains(&hash) {
                self.opaque.push(hash);
            }
        }
        match self.route {
            None => self.route = route,
            Some(_) => self.merged.extend(route),
        }
        self.merged.extend(merged);
        for (text, child) in children {
            match self.children.get_mut(&text) {
                Some(held) => held.node.absorb(child.node, breadth),
                None => {
                    self.children.insert(text, child);
                }
            }
        }
        self.settle(breadth);
    }

    /// Merges what a smaller breadth asks for, everywhere.
    pub(super) fn narrow(&mut self, breadth: usize) {
        self.settle(breadth);
        for child in self.children.values_mut() {
            child.node.narrow(breadth);
        }
    }

    /// Calls `with` for each route: its text, the route and those merged into it; it says which one
    /// it is from now on.
    pub(super) fn name(
        &mut self,
        prefix: &mut String,
        with: &mut impl FnMut(&str, RouteId, Vec<RouteId>) -> RouteId,
    ) {
        if let Some(route) = self.route {
            let text = if prefix.is_empty() { "/" } else { prefix.as_str() };
            self.route = Some(with(text, route, std::mem::take(&mut self.merged)));
        }
        for (text, child) in &mut self.children {
            let end = prefix.len();
            prefix.push('/');
            prefix.push_str(text);
            child.node.name(prefix, with);
            prefix.truncate(end);
        }
    }
}

fn is_value(shape: Shape) -> bool {
    matches!(shape, Shape::Value(kind) if kind != Kind::Rest)
}
