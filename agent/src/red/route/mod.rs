//! From a raw path to a route of low cardinality, the same one on every node and after a restart.
//!
//! 1. Configured [`Pattern`]s, in their order: a pure function of the path.
//! 2. Else each segment by its `shape`: known words stand as they are, values become `{id}`,
//!    `{uuid}`, ... and so does what follows the name of a collection: pure too.
//! 3. What only looks like a word goes through a `tree` for each service, which merges a position to
//!    `{*}` once it has proved variable: many words, or a word beside several names or tokens.
//!
//! **What is guaranteed.** Two agents that saw the same set of paths have the same routes, in whatever
//! order they came and however often, as long as neither used up a budget. One that saw fewer paths
//! can only differ in words that it has not yet merged. When a position merges, what its routes counted
//! goes on in the merged one to the last exchange (`Change`), so that the totals agree as well.
//!
//! **When the budget of a service is used up** the number of words allowed in a position is halved until
//! the routes fit; at none, every unknown word is a value, and routes are a pure function of the path
//! again. Only then, or when the budget for all services is used up, does a path that needs another
//! route count as [`RouteId::OTHER`]. These two steps depend on what came first.
//!
//! **What makes no routes**: paths that are over-long, climb or have control characters, and requests
//! that were refused (400, 401, 403, 404, 405, 410, 414, 501) or never answered. They count under a
//! route that is known, else under [`RouteId::OTHER`]; scanners find nothing to multiply.

mod lexicon;
mod path;
mod pattern;
mod shape;
mod tree;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use pattern::{Pattern, PatternError};

use shape::{Expected, Kind, Shape, shape};
use tree::{Node, Piece};

/// A route of one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId(pub(super) u16);

impl RouteId {
    /// None: the request has no path, or routes are not kept for its role.
    pub const NONE: Self = Self(0);
    /// Every path that has no route of its own.
    pub const OTHER: Self = Self(1);
    /// The first that is a route.
    const FIRST: u16 = 2;

    /// It as a number, unlike that of any other of the same service and role.
    pub fn number(self) -> u16 {
        self.0
    }
}

/// The text of [`RouteId::OTHER`].
pub const OTHER: &str = "{other}";

/// The most routes that one service can be given.
const MAX_ROUTES: usize = 16_384;
/// The most words in one position while there is room.
pub(super) const BREADTH: usize = 32;
/// Paths remembered for each service: at first, and at most.
const MEMO: (usize, usize) = (64, 1024);

/// How routes are made, for all services.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) patterns: Arc<[Pattern]>,
    /// Routes a service may have.
    pub(super) per_service: usize,
    /// Routes all services may have.
    pub(super) total: usize,
}

/// Whether a path that has no route yet may be given one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Minting {
    /// It may.
    Allowed,
    /// Only a configured one.
    Refused,
}

/// What one route counted goes on in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) from: RouteId,
    pub(super) to: RouteId,
}

/// A route's text.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) text: Arc<str>,
    /// Made from paths, not configured.
    pub(super) guessed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Memo {
    hash: u64,
    route: RouteId,
}

/// The routes of one service.
#[derive(Debug)]
pub(super) struct Routes {
    tree: Node,
    breadth: usize,
    /// By id, from [`RouteId::FIRST`].
    names: Vec<Option<Name>>,
    free: Vec<RouteId>,
    /// By the pattern's place.
    configured: Vec<Option<RouteId>>,
    /// By the low bits of the hash; a power of two long, or empty.
    memo: Vec<Memo>,
    remembered: usize,
}

impl Default for Routes {
    fn default() -> Self {
        Self {
            tree: Node::default(),
            breadth: BREADTH,
            names: Vec::new(),
            free: Vec::new(),
            configured: Vec::new(),
            memo: Vec::new(),
            remembered: 0,
        }
    }
}

impl Routes {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.names.len() - self.free.len()
    }

    /// The name of `route`, unless it is none or other.
    pub(super) fn name(&self, route: RouteId) -> Option<&Name> {
        self.names.get(usize::from(route.0.checked_sub(RouteId::FIRST)?))?.as_ref()
    }

    /// The route of a path of this hash, if it came by lately.
    #[inline]
    pub(super) fn recall(&self, hash: u64) -> Option<RouteId> {
        let memo = self.memo.get(place(hash, self.memo.len()))?;
        (memo.hash == hash && memo.route != RouteId::NONE).then_some(memo.route)
    }

    /// The route of `path`. Fills `changes` with what has to be counted elsewhere from now on; the
    /// caller gives them back to [`Self::release`]. `used` counts the routes of all services.
    pub(super) fn resolve(
        &mut self,
        rules: &Rules,
        used: &mut usize,
        (path, hash): (&str, u64),
        minting: Minting,
        changes: &mut Vec<Change>,
    ) -> RouteId {
        if path.is_empty() || path == "*" {
            return RouteId::NONE;
        }
        let route = match path::segments(path) {
            None => RouteId::OTHER,
            Some(segments) => {
                let matched =
                    rules.patterns.iter().position(|p| p.is(&segments.kept, segments.deeper));
                match matched {
                    Some(place) => self.configured(rules, used, place),
                    None => self.guess(rules, used, &segments, minting, changes),
                }
            }
        };
        if !changes.is_empty() {
            self.memo.clear();
            self.remembered = 0;
        }
        // A refused request tells the tree nothing; an answered one of the same path still has to.
        if route != RouteId::OTHER && minting == Minting::Allowed {
            self.remember(hash, route);
        }
        route
    }

    /// The route that `path` has by now, if it has one.
    pub(super) fn find(&self, rules: &Rules, path: &str) -> Option<RouteId> {
        if path.is_empty() || path == "*" {
            return None;
        }
        let segments = path::segments(path)?;
        match rules.patterns.iter().position(|p| p.is(&segments.kept, segments.deeper)) {
            Some(place) => *self.configured.get(place)?,
            None => self.tree.find(&pieces(&segments))?.route,
        }
    }

    /// The changes are done: what they lead from is no more.
    pub(super) fn release(&mut self, used: &mut usize, changes: &[Change]) {
        for change in changes {
            let place = usize::from(change.from.0.saturating_sub(RouteId::FIRST));
            if let Some(name) = self.names.get_mut(place)
                && name.take().is_some()
            {
                self.free.push(change.from);
                *used = used.saturating_sub(1);
            }
        }
    }

    fn configured(&mut self, rules: &Rules, used: &mut usize, place: usize) -> RouteId {
        if self.configured.len() < rules.patterns.len() {
            self.configured.resize(rules.patterns.len(), None);
        }
        if let Some(Some(route)) = self.configured.get(place) {
            return *route;
        }
        let Some(pattern) = rules.patterns.get(place) else { return RouteId::OTHER };
        // Somebody asked for this one by name: it is no matter of the budget for guesses.
        let route = self.mint(used, Name { text: pattern.text().clone(), guessed: false });
        if let Some(held) = self.configured.get_mut(place) {
            *held = Some(route);
        }
        route
    }

    fn guess(
        &mut self,
        rules: &Rules,
        used: &mut usize,
        segments: &path::Segments<'_>,
        minting: Minting,
        changes: &mut Vec<Change>,
    ) -> RouteId {
        let pieces = pieces(segments);
        if let Some(route) = self.tree.find(&pieces).and_then(|node| node.route) {
            if minting == Minting::Refused {
                return route;
            }
            let (_, merged) = self.tree.make(&pieces, self.breadth);
            if !merged {
                return route;
            }
            self.rename(used, changes);
            return self.tree.find(&pieces).and_then(|node| node.route).unwrap_or(RouteId::OTHER);
        }
        if minting == Minting::Refused {
            return RouteId::OTHER;
        }
        // What was merged is given up after this call; it does not count any more.
        while self.len() - changes.len() >= rules.per_service.min(MAX_ROUTES) {
            if self.breadth == 0 {
                return RouteId::OTHER;
            }
            self.breadth /= 2;
            self.tree.narrow(self.breadth);
            self.rename(used, changes);
        }
        if let Some(route) = self.tree.find(&pieces).and_then(|node| node.route) {
            return route;
        }
        if used.saturating_sub(changes.len()) >= rules.total {
            return RouteId::OTHER;
        }
        let (node, merged) = self.tree.make(&pieces, self.breadth);
        if node.route.is_none() {
            // Its name is that of its place, which is known once all is merged.
            node.route = Some(RouteId::NONE);
        }
        if merged {
            self.rename(used, changes);
        } else {
            let text = text(&pieces, &self.tree);
            let route = self.mint(used, Name { text, guessed: true });
            let (node, _) = self.tree.make(&pieces, self.breadth);
            node.route = Some(route);
        }
        self.tree.find(&pieces).and_then(|node| node.route).unwrap_or(RouteId::OTHER)
    }

    /// Gives every route whose place has another text now, or that took others in, a new id: an id
    /// and its text belong together for as long as either is.
    fn rename(&mut self, used: &mut usize, changes: &mut Vec<Change>) {
        let mut tree = std::mem::take(&mut self.tree);
        tree.name(&mut String::new(), &mut |text, route, merged| {
            let same = self.name(route).is_some_and(|name| *name.text == *text);
            if same && merged.is_empty() {
                return route;
            }
            let to = self.mint(used, Name { text: text.into(), guessed: true });
            let from = std::iter::once(route).chain(merged).filter(|r| *r != RouteId::NONE);
            changes.extend(from.map(|from| Change { from, to }));
            to
        });
        self.tree = tree;
    }

    fn mint(&mut self, used: &mut usize, name: Name) -> RouteId {
        *used += 1;
        if let Some(route) = self.free.pop() {
            let place = usize::from(route.0.saturating_sub(RouteId::FIRST));
            if let Some(held) = self.names.get_mut(place) {
                *held = Some(name);
            }
            return route;
        }
        self.names.push(Some(name));
        let place = self.names.len() - 1 + usize::from(RouteId::FIRST);
        u16::try_from(place).map_or(RouteId::OTHER, RouteId)
    }

    fn remember(&mut self, hash: u64, route: RouteId) {
        self.remembered += 1;
        if self.memo.is_empty() || (self.remembered > self.memo.len() && self.memo.len() < MEMO.1) {
            let wanted = (2 * self.memo.len()).clamp(MEMO.0, MEMO.1);
            self.memo.clear();
            self.memo.resize(wanted, Memo { hash: 0, route: RouteId::NONE });
            self.remembered = 1;
        }
        let place = place(hash, self.memo.len());
        if let Some(memo) = self.memo.get_mut(place) {
            *memo = Memo { hash, route };
        }
    }
}

#[inline]
fn place(hash: u64, length: usize) -> usize {
    usize::try_from(hash).unwrap_or(usize::MAX) & length.wrapping_sub(1)
}

/// A path taken apart.
fn pieces<'a>(segments: &'a path::Segments<'_>) -> Vec<Piece<'a>> {
    let mut pieces = Vec::with_capacity(segments.kept.len() + 1);
    let mut expected = Expected::Nothing;
    for text in &segments.kept {
        let shape = shape(text, expected);
        expected = expected.behind(text, shape);
        pieces.push(Piece { text, shape });
    }
    if segments.deeper {
        pieces.push(Piece { text: "", shape: Shape::Value(Kind::Rest) });
    }
    pieces
}

/// The text of the route through `pieces`.
fn text(pieces: &[Piece<'_>], tree: &Node) -> Arc<str> {
    let text = tree.text(pieces);
    if text.is_empty() { "/".into() } else { text.into() }
}
