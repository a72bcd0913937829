//! What the book asks of those who know whom a sample is of.

use std::sync::Arc;

use super::{Amount, ProcKey};
use crate::entity::EntityId;
use crate::host::Anchor;
use crate::metric::instrument::Instrument;
use crate::metric::snapshot::Resource;

/// Whom samples belong to. The pipeline answers from its registry.
pub trait Owners {
    /// The service instance of a process, if it is known.
    fn known(&mut self, process: ProcKey, now: &Anchor) -> Option<EntityId>;

    /// The same, found out if need be: that may read files of the process.
    fn find(&mut self, process: ProcKey, now: &Anchor) -> EntityId;

    /// Whether a service instance is observed: it has requests, or a rule names it.
    fn is_observed(&self, entity: EntityId) -> bool;

    /// The service instance that stands for all that have no series of their own.
    fn other(&self) -> EntityId;

    /// Whether nothing may be told of an instance yet.
    fn waits(&self, entity: EntityId) -> bool;

    /// What an instance stands for. The same allocation as long as nothing has changed.
    fn instance(&self, entity: EntityId) -> Arc<Resource>;

    /// What a process of an instance stands for.
    fn process(&self, entity: EntityId, process: ProcKey, now: &Anchor) -> Arc<Resource>;

    /// What the host stands for; none if nothing may be told of it yet.
    fn host(&self) -> Option<Arc<Resource>>;

    /// What a control group stands for; none if nothing may be told of it yet.
    fn cgroup(&mut self, path: &str) -> Option<Arc<Resource>>;

    /// What is known of the container that a control group is, beside what is read of it.
    fn facts(&self, _path: &str) -> Vec<(&'static Instrument, Amount)> {
        Vec::new()
    }

    /// A control group goes on having series.
    fn keep(&mut self, path: &str);
}
