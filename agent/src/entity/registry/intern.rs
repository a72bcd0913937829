//! From what is known of a program to the service instance it belongs to.

use super::Registry;
use crate::cluster::Whose;
use crate::entity::EntityId;
use crate::entity::attributes::Declared;
use crate::entity::instance::{Identity, Instance, Place};
use crate::entity::lives::Program;
use crate::host::{Cgroup, cgroup};
use crate::metric::key;

impl Registry {
    /// The instance of `program` in `cgroup`, made if it is the first of it.
    pub(super) fn intern(&mut self, program: &Program, cgroup: &Cgroup) -> EntityId {
        let mut declared = Declared::of_env(&program.env);
        self.counts.attributes_malformed += u64::from(declared.malformed);
        let Program { named, path, command, env: _, goroutines: _ } = program;
        let mut rules = self.config.rules.iter();
        let rule =
            rules.find(|rule| rule.fits(&named.executable, path.as_deref(), command, &cgroup.path));
        let by_rule = || rule.map(|rule| rule.name.clone());
        let by_unit = || cgroup.unit.as_deref().map(cgroup::name_of_unit);
        let own_name = by_unit().or_else(|| named.name.clone()).filter(|name| !name.is_empty());
        let said = declared.service.clone().or_else(by_rule).filter(|name| !name.is_empty());
        self.counts.unknown += u64::from(said.is_none() && own_name.is_none());
        let version = declared.take(key::SERVICE_VERSION);
        let whose = self.cluster.as_ref().and_then(|_| Whose::of_cgroup(cgroup));
        let place = match (whose, &cgroup.container, &cgroup.unit) {
            (Some(whose), ..) => Place::Pod(whose),
            (None, Some(id), _) => Place::Container(id.clone()),
            (None, None, Some(unit)) => Place::Unit(unit.clone()),
            (None, None, None) => Place::Host,
        };
        let name = match place {
            // The first program of a container gives it its own name only if nobody else gives it one.
            Place::Pod(_) => said,
            _ => said.or_else(|| own_name.clone()),
        };
        let identity = Identity {
            name,
            namespace: declared
                .take(key::SERVICE_NAMESPACE)
                .or_else(|| rule.and_then(|rule| rule.namespace.clone())),
            instance: declared.take(key::SERVICE_INSTANCE_ID),
            place,
            attributes: declared.attributes,
        };
        let is_ruled = rule.is_some();
        let entity = match self.by_identity.get(&identity) {
            Some(known) => *known,
            None if self.instances.len() > self.config.entities => {
                self.counts.entities_refused += 1;
                return Self::OTHER;
            }
            None => self.insert(identity),
        };
        if let Some(instance) = self.instances.get_mut(&entity) {
            instance.ruled |= is_ruled;
            instance.own_name = instance.own_name.take().or(own_name);
            if !named.executable.is_empty() {
                instance.executable.learn(&named.executable);
            }
            if let Some(path) = path {
                instance.path.learn(path);
            }
            instance.language = instance.language.or(named.language);
            if version.is_some() && instance.version != version {
                instance.version = version;
                instance.renewed();
            }
        }
        self.claim();
        entity
    }

    pub(super) fn insert(&mut self, identity: Identity) -> EntityId {
        let entity = EntityId(self.next);
        self.next = self.next.saturating_add(1);
        if let Place::Pod(whose) = &identity.place {
            self.await_name(whose, entity);
        }
        self.instances.insert(entity, Instance::new(identity.clone(), &mut self.keys));
        self.by_identity.insert(identity, entity);
        entity
    }
}
