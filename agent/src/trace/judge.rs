//! Deciding: which exchanges are looked at at all, and what becomes of their trees.
//!
//! Whoever is worth it has its whole tree kept. Of the rest, chance decides once for each tree: by the id
//! of the trace that a head or a TCP option names, else by a number that the tree's root has had from the
//! beginning. That number is all that most exchanges are ever asked for: who is neither worth it nor chosen
//! is never looked at, and costs next to nothing.

use std::collections::BTreeMap;

use super::admission::Halves;
use super::ids::{SpanId, TraceId};
use super::link::{Mate, Missing};
use super::pending::{Pending, Subject};
use super::sampling::{self, Judged, Left, Parent, Threshold, Traits};
use super::span::{self, By, Standing};
use super::tree::Tree;
use super::window::{At, Brief, State};
use super::{Counts, Trace, carried, count_at};
use crate::protocol::Role;

/// Kept spans that may wait to become exemplars; what is beyond is none.
const SAMPLES: usize = 4096;

type Places = BTreeMap<At, (TraceId, SpanId)>;

impl Trace {
    /// Decides on the next exchange.
    pub(super) fn decide(&mut self, counts: &dyn Counts) {
        let Some((at, brief)) = self.window.undecided() else { return };
        let chosen = brief.is_free() && self.may_be_kept(at, brief);
        let speaks = brief.is_worth() || brief.is_named();
        self.window.pass();
        if !chosen {
            return;
        }
        if !self.causes.has_seen(at) {
            self.causes.gather(&self.window);
        }
        let root = self.root(at);
        if root == at || speaks {
            self.look_at(at, root, counts);
        }
        // Else its root is asked for itself.
    }

    /// Whether there is any chance that an exchange is kept for its own sake.
    fn may_be_kept(&self, at: At, brief: &Brief) -> bool {
        let sampler = &self.config.sampler;
        if sampler.tail && brief.is_worth() {
            return true;
        }
        let Some(pending) = self.window.get(at).filter(|_| brief.is_named()) else {
            return sampler.threshold.keeps(self.ids.number(at.0));
        };
        let marked = pending.context().and_then(|context| context.sampled);
        match (sampler.parent, marked) {
            (Parent::Keeps | Parent::Decides, Some(true)) => true,
            (Parent::Decides, Some(false)) => false,
            _ => {
                let carried = pending.carried().map(|ids| ids.trace.randomness());
                carried.is_some_and(|number| sampler.threshold.keeps(number))
                    || sampler.threshold.keeps(self.number(at, pending))
            }
        }
    }

    /// What decides on a tree by chance, if its root names no other trace.
    fn number(&self, at: At, root: &Pending) -> u64 {
        match root.context() {
            Some(context) => context.state.randomness.unwrap_or_else(|| context.trace.randomness()),
            None => self.ids.number(at.0),
        }
    }

    /// Looks at an exchange's tree, unless it is known before that a budget does not allow it.
    fn look_at(&mut self, at: At, root: At, counts: &dyn Counts) {
        let Some(brief) = self.window.brief(at) else { return };
        let (since, worth) = (brief.since, brief.is_worth());
        let Some(pending) = self.window.get(at) else { return };
        let entity = pending.entity;
        // What is marked is not chosen by chance, and a trace that is named is not the root's to choose: where
        // traces are carried any of the tree may name one.
        let context = pending.context();
        let marked = !worth && context.is_some_and(|context| context.sampled == Some(true));
        let number = self.window.get(root).filter(|root| {
            let own = context.is_none() || root.context().is_some();
            own && !marked && !self.config.hosts
        });
        let number = number.map(|one| self.number(root, one));
        let base = Some(self.config.sampler.threshold).filter(|_| !worth);
        let chance = number.map(|number| self.budget.chance(since, entity, base, number));
        let chance = match chance.unwrap_or(Ok(1.0)) {
            Ok(chance) => chance,
            // The rest of its tree may be others' to keep, and must not look smaller for that.
            Err(left) => return self.window.decide(at, State::Passed(left)),
        };
        let tree = self.tree(root);
        let (trace, randomness) = self.trace_of(&tree, root);
        let judged = self.traits_of(&tree, randomness).and_then(|judged| {
            let judged = Judged { randomness: number.unwrap_or(judged.randomness), ..judged };
            if self.kept.len() + tree.len() > self.config.untaken {
                return Err(Left::Untaken);
            }
            let services: Vec<_> = tree.keys().filter_map(|at| self.window.get(*at)).collect();
            let services = services.iter().map(|pending| pending.entity);
            let threshold = self.budget.take(since, &judged, services, chance)?;
            Ok((judged.why, threshold))
        });
        match judged {
            Ok((why, threshold)) => {
                let count = tree.len() as u64;
                if let Some(total) = self.counters.kept.get_mut(why as usize) {
                    *total += count;
                }
                self.keep(&tree, trace, why, threshold, counts);
            }
            Err(Left::Ratio | Left::Unsampled) => {}
            Err(left) => {
                for at in tree.keys() {
                    self.window.decide(*at, State::Denied(left));
                }
            }
        }
    }

    /// The trace of a tree, and what decides on it by chance.
    fn trace_of(&mut self, tree: &Tree, root: At) -> (TraceId, u64) {
        let members = || tree.keys().filter_map(|at| self.window.get(*at));
        let context = members().find_map(Pending::context).map(|context| context.trace);
        let named = context.or_else(|| carried::trace(members()));
        let named = named.or_else(|| members().find_map(Pending::report).map(|(trace, _)| trace));
        if let Some(trace) = named {
            return (trace, trace.randomness());
        }
        let number = self.ids.number(root.0);
        let Halves(halves) = self.window.get(root).map_or(Halves::WHOLE, |root| root.share);
        // As if it had been chosen of all by its id.
        let chosen = Threshold::of_randomness(number).of_halves(halves);
        (self.ids.trace(chosen.randomness()), number)
    }

    /// What a tree is worth.
    fn traits_of(&self, tree: &Tree, randomness: u64) -> Result<Judged, Left> {
        let members = || tree.keys().filter_map(|at| self.window.get(*at));
        let traits = Traits {
            error: members().any(|one| one.error),
            slow: members().any(|one| one.slow),
            open: members().any(|one| one.subject == Subject::Unfinished),
        };
        let contexts = members().filter_map(Pending::context);
        sampling::judge(&self.config.sampler, randomness, traits, contexts)
    }

    /// Makes spans of a tree.
    fn keep(
        &mut self,
        tree: &Tree,
        trace: TraceId,
        why: sampling::Why,
        threshold: Option<Threshold>,
        counts: &dyn Counts,
    ) {
        let mut places = Places::new();
        for at in tree.keys() {
            let Some(pending) = self.window.get(*at) else { continue };
            let sent = pending.carried().filter(|_| pending.role == Role::Client);
            let id = sent.map_or_else(|| self.ids.span(), |sent| sent.span);
            places.insert(*at, (carried::apart(pending).unwrap_or(trace), id));
        }
        for (at, mate) in tree {
            let Some((trace, id)) = places.get(at).copied() else { continue };
            let Some(pending) = self.window.get(*at) else { continue };
            let parent = match parent(pending, *mate, trace, &places) {
                Err(Missing::Cause) if pending.is_exchange() => {
                    let caused = self.causes.parent(*at, pending.pid);
                    caused.and_then(|(parent, by)| {
                        let within = places.get(&parent).filter(|(of, _)| *of == trace);
                        within.map(|(_, id)| (*id, by)).ok_or(Missing::Unsettled)
                    })
                }
                parent => parent,
            };
            match parent {
                Ok((_, by)) => count_at(&mut self.counters.linked, by as usize),
                Err(missing) => count_at(&mut self.counters.roots, missing as usize),
            }
            let threshold = threshold.map(|of| of.of_halves(pending.share.0));
            let standing = Standing { trace, id, parent, why, threshold };
            let head = self.window.read(pending);
            let counted = pending.is_exchange();
            let route = counted.then(|| counts.route(pending.entity, pending.role, head.path));
            let route = route.flatten();
            if pending.subject == Subject::Request && self.samples.len() < SAMPLES {
                self.samples.push((pending.entity, pending.sample(route.as_ref(), trace, id)));
            }
            let told = &self.config.told;
            self.kept.push(span::span(pending, &head, route.as_ref(), &standing, told));
        }
        for at in tree.keys() {
            self.window.decide(*at, State::Kept);
        }
    }
}

/// The parent of an exchange's span: at the other end of its connection, else in its head.
fn parent(
    pending: &Pending,
    mate: Mate,
    trace: TraceId,
    places: &Places,
) -> Result<(SpanId, By), Missing> {
    let is_server = pending.role == Role::Server;
    let joined = match mate {
        Mate::Is(other) if is_server => places.get(&other).filter(|(of, _)| *of == trace),
        _ => None,
    };
    let came = pending.carried().filter(|_| is_server);
    if let Some((_, parent)) = joined {
        let by = if came.is_some() { By::Option } else { By::Connection };
        return Ok((*parent, by));
    }
    if let Some(came) = came {
        return if carried::hides(pending) {
            Err(Missing::Cut)
        } else {
            Ok((came.span, By::Option))
        };
    }
    match (pending.context(), mate) {
        (Some(context), _) => Ok((context.parent, By::Context)),
        (None, Mate::None(missing)) if is_server => Err(missing),
        (None, _) if is_server => Err(Missing::Unsettled),
        (None, _) => Err(Missing::Cause),
    }
}
