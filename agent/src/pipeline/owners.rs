//! Whom samples of USE belong to: answered from the registry and from what has requests.

use std::sync::Arc;

use crate::entity::{Entities, EntityId, Registry};
use crate::host::Anchor;
use crate::metric::instrument::Instrument;
use crate::metric::snapshot::Resource;
use crate::red::Red;
use crate::usage::owners::Owners;
use crate::usage::{Amount, ProcKey};

/// What is known of processes and services.
pub(super) struct Known<'a> {
    pub(super) entities: &'a mut Registry,
    pub(super) red: &'a Red,
}

impl Owners for Known<'_> {
    fn known(&mut self, process: ProcKey, now: &Anchor) -> Option<EntityId> {
        self.entities.known(process.pid, now.monotonic)
    }

    fn find(&mut self, process: ProcKey, now: &Anchor) -> EntityId {
        self.entities.of(process.pid, now.monotonic)
    }

    fn is_observed(&self, entity: EntityId) -> bool {
        entity != Registry::OTHER && (self.red.has(entity) || self.entities.is_ruled(entity))
    }

    fn other(&self) -> EntityId {
        Registry::OTHER
    }

    fn instance(&self, entity: EntityId) -> Arc<Resource> {
        self.entities.resource(entity)
    }

    fn process(&self, entity: EntityId, process: ProcKey, now: &Anchor) -> Arc<Resource> {
        let made = now.wall_of_boot(process.started.since_boot());
        let ProcKey { pid, started } = process;
        self.entities
            .resource_of_process(entity, pid, started, made)
            .map(Arc::new)
            .unwrap_or_default()
    }

    fn host(&self) -> Option<Arc<Resource>> {
        let may_be_told = !self.entities.is_placeless();
        may_be_told.then(|| Arc::new(self.entities.place_resource(&[])))
    }

    fn waits(&self, entity: EntityId) -> bool {
        self.entities.waits(entity)
    }

    fn cgroup(&mut self, path: &str) -> Option<Arc<Resource>> {
        self.entities.resource_of_cgroup(path).map(Arc::new)
    }

    fn facts(&self, path: &str) -> Vec<(&'static Instrument, Amount)> {
        let container = self.entities.container_of_cgroup(path);
        container.as_ref().map(super::container::facts).unwrap_or_default()
    }

    fn keep(&mut self, path: &str) {
        self.entities.keep_cgroup(path);
    }
}
