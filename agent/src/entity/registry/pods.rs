//! Instances in pods: what the cluster says of them, and whom nothing may be told of until it has.

use super::Registry;
use crate::cluster::{self, Cluster, Fars, News, Sheet, Whose};
use crate::entity::EntityId;
use crate::entity::instance::{Claim, Instance, Place};
use crate::host::cgroup;
use crate::metric::key;
use crate::metric::snapshot::{Resource, Value};

impl Registry {
    /// From here on, what runs in pods is told as what the cluster says it is. To be said before any process is met.
    pub fn join_cluster(&mut self, config: cluster::Config) {
        self.cluster = Some(Cluster::new(config, self.now));
    }

    /// What is known of pods; none if nobody asked for it.
    pub fn cluster(&self) -> Option<&Cluster> {
        self.cluster.as_ref()
    }

    /// Who is at which address; none where nobody's is known.
    pub fn fars(&self) -> Option<&Fars> {
        self.cluster.as_ref().map(Cluster::fars).filter(|fars| !fars.is_empty())
    }

    /// Takes in what a source of facts says.
    pub fn learn(&mut self, news: News) {
        if let Some(cluster) = &mut self.cluster {
            cluster.learn(news);
        }
        self.settle();
    }

    /// Who may be told by now is.
    fn settle(&mut self) {
        if let Some(cluster) = &self.cluster
            && !self.placed
            && !cluster.is_placeless()
        {
            self.placed = true;
            // What the user says counts more.
            self.ground.given.splice(..0, cluster.place());
        }
        self.claim();
    }

    /// Whether nothing at all may be told yet: it is still to be said which node of which cluster this is, and what
    /// was told without would be taken for another's.
    pub fn is_placeless(&self) -> bool {
        self.cluster.as_ref().is_some_and(Cluster::is_placeless)
    }

    /// Whether nothing may be told of an instance yet: its name is still to come.
    pub fn waits(&self, entity: EntityId) -> bool {
        let Some(cluster) = &self.cluster else { return false };
        if cluster.is_placeless() {
            return true;
        }
        let place = self.instances.get(&entity).map(|instance| &instance.identity.place);
        matches!(place, Some(Place::Pod(whose)) if cluster.waits(whose))
    }

    /// Nothing more will be learned: who waits is told by what is known.
    pub fn name_all(&mut self) {
        if let Some(cluster) = &mut self.cluster {
            cluster.settle_now();
        }
        self.settle();
    }

    /// What a control group stands for; none as long as it waits for its name.
    pub fn resource_of_cgroup(&mut self, path: &str) -> Option<Resource> {
        let mut own = Vec::new();
        if let (Some(cluster), Some(whose)) = (&mut self.cluster, Whose::of_path(path)) {
            cluster.meet(&whose);
            if cluster.waits(&whose) {
                return None;
            }
            let sheet = cluster.sheet(&whose);
            own.extend(sheet.into_iter().flat_map(|sheet| sheet.attributes.iter().cloned()));
        }
        if self.is_placeless() {
            return None;
        }
        own.push((key::STETH_CGROUP_PATH, Value::Text(path.into())));
        if let Some(id) = cgroup::container_of(path) {
            own.push((key::CONTAINER_ID, Value::Text(id.as_str().into())));
        }
        Some(self.ground.resource(&own))
    }

    /// What is known of the container that a control group is; none of a group within one.
    pub fn container_of_cgroup(&self, path: &str) -> Option<cluster::Container> {
        let whose = Whose::of_path(path)?;
        self.cluster.as_ref()?.container(&whose)
    }

    /// A control group goes on having series: whose it is is not to be forgotten.
    pub fn keep_cgroup(&mut self, path: &str) {
        if let Some(cluster) = &mut self.cluster
            && let Some(whose) = Whose::of_path(path)
        {
            cluster.keep(&whose);
        }
    }

    /// An instance in a pod was made.
    pub(super) fn await_name(&mut self, whose: &Whose, entity: EntityId) {
        if let Some(cluster) = &mut self.cluster {
            cluster.meet(whose);
            self.unclaimed.push(entity);
        }
    }

    /// What is told of an instance's pod.
    pub(super) fn sheet(&self, instance: &Instance) -> Option<&Sheet> {
        let Place::Pod(whose) = &instance.identity.place else { return None };
        self.cluster.as_ref()?.sheet(whose).map(|sheet| &**sheet)
    }

    /// Time passes for the pods as well: instances ask on for as long as they are kept.
    pub(super) fn tick_cluster(&mut self) {
        let Some(cluster) = &mut self.cluster else { return };
        for instance in self.instances.values() {
            if let Place::Pod(whose) = &instance.identity.place {
                cluster.keep(whose);
            }
        }
        cluster.tick(self.now);
        self.settle();
    }

    /// Names that came are held against those of others, for Prometheus knows instances by name and id alone. A
    /// container that was begun anew has the name and the id of the one before it, which ends as soon as its last
    /// process has been forgotten; until then the older one is what a scrape shows. Instances in one container that
    /// are called alike, since they declare other attributes, get ids of their own.
    pub(super) fn claim(&mut self) {
        let unclaimed = std::mem::take(&mut self.unclaimed);
        for entity in unclaimed {
            if self.waits(entity) {
                self.unclaimed.push(entity);
                continue;
            }
            let Some(instance) = self.instances.get(&entity) else { continue };
            let names = instance.names(&self.ground.machine, self.sheet(instance));
            let place = instance.identity.place.clone();
            let older = self.claims.get(&names).copied().filter(|older| *older != entity);
            match older.and_then(|older| self.instances.get_mut(&older)) {
                Some(older) if older.identity.place == place && older.retired.is_none() => {
                    if let Some(instance) = self.instances.get_mut(&entity) {
                        instance.claim = Claim::Crowded;
                    }
                    continue;
                }
                Some(older) => older.claim = Claim::Superseded,
                None => {}
            }
            self.claims.insert(names, entity);
            self.reconsider(entity);
        }
    }

    /// A filter may know the name that came.
    fn reconsider(&mut self, entity: EntityId) {
        if self.config.filter.is_empty() {
            return;
        }
        for (pid, serial) in self.lives.of(entity) {
            let Some(life) = self.lives.get(pid, serial) else { continue };
            let (program, cgroup) = (life.program.clone(), life.cgroup.clone());
            let (Some(program), Some(cgroup)) = (program, cgroup) else { continue };
            let excluded = self.excludes(entity, &program, &cgroup);
            let Some(life) = self.lives.get(pid, serial) else { continue };
            let was = std::mem::replace(&mut life.excluded, excluded);
            if was != excluded && life.ended.is_none() {
                self.change(if excluded {
                    super::Change::Exclude(pid)
                } else {
                    super::Change::Include(pid)
                });
            }
        }
    }
}
