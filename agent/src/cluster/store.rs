//! What each source said of each container and pod. Pure and bounded.
//!
//! Sources do not overwrite each other: what one of them said stands beside what the others did, and what is asked
//! for is put together then, field by field, from the one that is believed most. So it makes no difference who was
//! first. A uid or an id is never used again, so a pod that replaces another under its name is another entry; a
//! source that says one id of two things is believed in what it said last.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use super::fact::{Container, ContainerId, News, Pod, PodUid, Source};
use crate::event::{Nanos, Timestamp};

const SOURCES: usize = Source::ALL.len();

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Containers at most.
    pub containers: usize,
    /// Pods at most.
    pub pods: usize,
    /// How long what is gone is kept: its last points still need a name.
    pub grace: Nanos,
}

impl Default for Limits {
    fn default() -> Self {
        Self { containers: 4096, pods: 2048, grace: Nanos(600_000_000_000) }
    }
}

/// What is known of something, by source.
#[derive(Clone, Debug)]
struct Known<T> {
    said: [Option<T>; SOURCES],
    /// Sources that have it no more.
    gone: [bool; SOURCES],
    /// Since when none of those who spoke of it has it.
    since: Option<Timestamp>,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self { said: [const { None }; SOURCES], gone: [false; SOURCES], since: None }
    }
}

impl<T> Known<T> {
    fn says(&mut self, source: Source, what: T) {
        if let (Some(said), Some(gone)) =
            (self.said.get_mut(source as usize), self.gone.get_mut(source as usize))
        {
            (*said, *gone, self.since) = (Some(what), false, None);
        }
    }

    fn by(&self, source: Source) -> Option<&T> {
        self.said.get(source as usize)?.as_ref()
    }

    fn has(&self, source: Source) -> bool {
        self.by(source).is_some() && !self.gone.get(source as usize).is_some_and(|gone| *gone)
    }

    fn lose(&mut self, source: Source, now: Timestamp) {
        if let Some(gone) = self.gone.get_mut(source as usize) {
            *gone = true;
        }
        if !Source::ALL.into_iter().any(|source| self.has(source)) {
            self.since.get_or_insert(now);
        }
    }

    /// What was said, the most believed first.
    fn best(&self) -> impl Iterator<Item = &T> {
        self.said.iter().rev().flatten()
    }
}

/// All of one kind, bounded.
#[derive(Debug)]
struct Table<K, T> {
    known: HashMap<K, Known<T>>,
    limit: usize,
    refused: u64,
}

impl<K: Clone + Eq + Hash + Ord, T> Table<K, T> {
    fn new(limit: usize) -> Self {
        Self { known: HashMap::new(), limit, refused: 0 }
    }

    fn says(&mut self, source: Source, key: K, what: T) {
        if !self.known.contains_key(&key) && self.known.len() >= self.limit && !self.make_room() {
            self.refused += 1;
            return;
        }
        self.known.entry(key).or_default().says(source, what);
    }

    /// What has been gone for longest goes.
    fn make_room(&mut self) -> bool {
        let gone = self.known.iter().filter_map(|(key, known)| Some((known.since?, key)));
        let Some(oldest) = gone.min().map(|(_, key)| key.clone()) else { return false };
        self.known.remove(&oldest);
        true
    }

    /// A source has only these.
    fn only(&mut self, source: Source, keys: &BTreeSet<K>, now: Timestamp) {
        let others = self.known.iter_mut().filter(|(key, _)| !keys.contains(key));
        others
            .filter(|(_, known)| known.has(source))
            .for_each(|(_, known)| known.lose(source, now));
    }

    fn expire(&mut self, now: Timestamp, grace: Nanos) {
        self.known.retain(|_, known| known.since.is_none_or(|since| now.since(since) < grace));
    }
}

/// Everything that is known.
#[derive(Debug)]
pub struct Store {
    limits: Limits,
    containers: Table<ContainerId, Container>,
    pods: Table<PodUid, Pod>,
}

impl Store {
    /// One that knows nothing.
    pub fn new(limits: Limits) -> Self {
        let (containers, pods) = (Table::new(limits.containers), Table::new(limits.pods));
        Self { limits, containers, pods }
    }

    /// Takes in what a source says.
    pub fn learn(&mut self, news: News, now: Timestamp) {
        match news {
            News::All(source, pods, containers) => {
                // What is gone makes room first.
                let uids = pods.iter().map(|pod| pod.uid.clone()).collect();
                let ids = containers.iter().map(|container| container.id.clone()).collect();
                self.pods.only(source, &uids, now);
                self.containers.only(source, &ids, now);
                for pod in pods {
                    self.pods.says(source, pod.uid.clone(), pod);
                }
                for container in containers {
                    self.containers.says(source, container.id.clone(), container);
                }
            }
            News::Pod(source, pod, containers) => {
                let ids: BTreeSet<_> = containers.iter().map(|c| c.id.clone()).collect();
                self.lose_containers(source, &pod.uid, &ids, now);
                self.pods.says(source, pod.uid.clone(), *pod);
                for container in containers {
                    self.containers.says(source, container.id.clone(), container);
                }
            }
            News::Gone(source, uid) => {
                self.lose_containers(source, &uid, &BTreeSet::new(), now);
                if let Some(known) = self.pods.known.get_mut(&uid) {
                    known.lose(source, now);
                }
            }
            News::Above(uid, above) => {
                let pods = self.pods.known.values_mut().flat_map(|known| &mut known.said);
                let owners = pods.flatten().filter_map(|pod| pod.owner.as_mut());
                owners
                    .filter(|owner| owner.uid.as_ref() == Some(&uid))
                    .for_each(|owner| owner.above = above.clone());
            }
            // What it said stands; and what is no pod is not kept here.
            News::Away(..)
            | News::Place(_)
            | News::Part(..)
            | News::Services(..)
            | News::Service(_)
            | News::NoService(_) => {}
        }
    }

    fn lose_containers(
        &mut self,
        source: Source,
        pod: &PodUid,
        but: &BTreeSet<ContainerId>,
        now: Timestamp,
    ) {
        let of_pod = |known: &Known<Container>| {
            known.by(source).is_some_and(|container| container.pod.as_ref() == Some(pod))
        };
        let all = self.containers.known.iter_mut();
        all.filter(|(id, known)| of_pod(known) && !but.contains(id))
            .for_each(|(_, known)| known.lose(source, now));
    }

    /// Time has come to `now`: what has been gone for long is forgotten.
    pub fn expire(&mut self, now: Timestamp) {
        self.pods.expire(now, self.limits.grace);
        self.containers.expire(now, self.limits.grace);
    }

    /// What is known of a container, from all that spoke of it.
    pub fn container(&self, id: &ContainerId) -> Option<Container> {
        let known = self.containers.known.get(id)?;
        let mut best = known.best();
        let mut all = best.next()?.clone();
        let Container { id: _, pod, name, restarts, image, runtime, desired, current } = &mut all;
        for less in best {
            *pod = pod.take().or_else(|| less.pod.clone());
            *name = name.take().or_else(|| less.name.clone());
            *restarts = restarts.or(less.restarts);
            *image = image.take().or_else(|| less.image.clone());
            *runtime = runtime.take().or_else(|| less.runtime.clone());
            *desired = desired.or(less.desired);
            *current = current.or(less.current);
        }
        Some(all)
    }

    /// What is known of a pod, from all that spoke of it.
    pub fn pod(&self, uid: &PodUid) -> Option<Pod> {
        let known = self.pods.known.get(uid)?;
        let mut best = known.best();
        let mut all = best.next()?.clone();
        // Labels, annotations and addresses are whole with each source: who left one out has it no more.
        let Pod {
            uid: _, name: _, namespace: _, labels: _, annotations: _, started, owner, ..
        } = &mut all;
        for less in best {
            *started = started.take().or_else(|| less.started.clone());
            *owner = owner.take().or_else(|| less.owner.clone());
        }
        Some(all)
    }

    /// Whether a source has spoken of a pod.
    pub fn is_told_by(&self, uid: &PodUid, source: Source) -> bool {
        self.pods.known.get(uid).is_some_and(|known| known.by(source).is_some())
    }

    /// Whether a source has a pod at this moment.
    pub fn is_told_now(&self, uid: &PodUid, source: Source) -> bool {
        self.pods.known.get(uid).is_some_and(|known| known.has(source))
    }

    /// All pods.
    pub fn pods(&self) -> Vec<PodUid> {
        self.pods.known.keys().cloned().collect()
    }

    /// Those with an owner of this uid.
    pub fn owned(&self, owner: &str) -> Vec<PodUid> {
        let is = |pod: &Pod| {
            let by = pod.owner.as_ref().and_then(|owner| owner.uid.as_deref());
            by == Some(owner)
        };
        let pods = self.pods.known.iter().filter(|(_, known)| known.said.iter().flatten().any(is));
        pods.map(|(uid, _)| uid.clone()).collect()
    }

    /// How many containers and pods are kept.
    pub fn held(&self) -> [usize; 2] {
        [self.containers.known.len(), self.pods.known.len()]
    }

    /// What was not taken in because there was too much.
    pub fn refused(&self) -> u64 {
        self.containers.refused + self.pods.refused
    }
}
