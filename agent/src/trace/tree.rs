//! What belongs together.
//!
//! An exchange belongs to the tree of the topmost exchange above it that came into the window within
//! [`Config::hold`](super::Config::hold) of it. That does not depend on where one begins to look, so that every exchange has
//! one chance to be kept and no more; only who was above one that is kept or denied already, in a window that is
//! full or a trace of more than [`TREE`] spans, is lost to the tree, which begins below.

use std::collections::BTreeMap;

use super::Trace;
use super::link::{Mate, Missing};
use super::pending::Pending;
use super::window::{At, Window};
use crate::event::Timestamp;
use crate::protocol::Role;

/// Spans of one tree at most; a trace that has more in the window is decided on in parts.
const TREE: usize = 256;
/// Calls inside calls at most, above one that is looked at.
const DEPTH: usize = 64;

/// What belongs together, and which of it is one with what at the other end of its connection.
pub(super) type Tree = BTreeMap<At, Mate>;

impl Trace {
    /// The topmost of the tree that an exchange belongs to.
    pub(super) fn root(&mut self, at: At) -> At {
        let Some(since) = self.window.brief(at).map(|one| one.since) else { return at };
        let mut root = at;
        for _ in 0..DEPTH {
            let Some(above) = self.above(root).filter(|above| self.joins(*above, since)) else {
                break;
            };
            root = above;
        }
        root
    }

    /// What an exchange was made by or for.
    fn above(&mut self, at: At) -> Option<At> {
        let one = self.window.get(at)?;
        match one.role {
            Role::Server => match self.mate(at) {
                Mate::Is(other) => Some(other),
                Mate::None(_) => None,
            },
            // What a call says of its trace itself goes before what is found out about it.
            Role::Client if one.context().is_some() => None,
            Role::Client => self.causes.parent(at, one.pid).ok().map(|(parent, _)| parent),
        }
    }

    /// Whether one is there to be decided on with what came at `since`.
    fn joins(&self, at: At, since: Timestamp) -> bool {
        self.window.brief(at).is_some_and(|one| {
            let apart = one.since.since(since).max(since.since(one.since));
            one.is_free() && apart <= self.config.hold
        })
    }

    /// The tree below `root`.
    pub(super) fn tree(&mut self, root: At) -> Tree {
        let mut tree = Tree::new();
        let Some(since) = self.window.brief(root).map(|one| one.since) else { return tree };
        // Where something stands above, not all that is below need be of this tree.
        let beyond = self.above(root).is_some();
        let mut open = vec![root];
        // Both ends of a connection carry the same context: there is one trace at most.
        let mut traced = false;
        while let Some(at) = open.pop() {
            if tree.len() >= TREE {
                break;
            }
            let other = at != root && (!self.joins(at, since) || (beyond && self.root(at) != root));
            if other || tree.contains_key(&at) {
                continue;
            }
            let Some(one) = self.window.get(at) else { continue };
            let (role, trace) = (one.role, one.context().map(|context| context.trace));
            if let Some(trace) = trace.filter(|_| !std::mem::replace(&mut traced, true)) {
                open.extend(self.window.of_trace(trace, TREE));
            }
            let mate = if one.is_exchange() { self.mate(at) } else { Mate::None(Missing::Cause) };
            tree.insert(at, mate);
            match (role, mate) {
                (Role::Client, Mate::Is(other)) => open.push(other),
                (Role::Client, Mate::None(_)) => {}
                (Role::Server, _) => {
                    let silent =
                        |at: &&At| self.window.get(**at).is_some_and(|one| one.context().is_none());
                    open.extend(self.causes.children(at).iter().filter(silent));
                }
            }
        }
        tree
    }

    /// The same exchange at the other end, if that is on this host and in the window.
    fn mate(&mut self, at: At) -> Mate {
        let carried = |window: &Window, at| window.get(at).and_then(Pending::carried);
        if let Some(other) = self.window.get(at).and_then(|one| self.carried.mate(one)) {
            return Mate::Is(other);
        }
        let own = carried(&self.window, at);
        match self.links.mate(&mut self.window, at) {
            // What was carried says whose each is.
            Mate::Is(other)
                if own.zip(carried(&self.window, other)).is_some_and(|(a, b)| a != b) =>
            {
                Mate::None(Missing::Peer)
            }
            mate => mate,
        }
    }
}
