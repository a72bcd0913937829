//! The book: what was read, round by round, as series with owners.
//!
//! Pure: time and owners are given. Host and control groups have an account each. A process has one
//! too, of which `process.*` is told by itself if the process belongs to an observed service or is
//! heavy, and else as part of `{other}`; everything else that is read of processes is summed to their
//! service instance. A process that is told by itself from some point on keeps its counts from its
//! start; what `{other}` had of it until then stays there, and readers of deltas see it once.

mod process;
mod series;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use process::{Process, Weight};
use series::{Account, Gain, Origin, Which};

use super::owners::Owners;
use super::{
    Amount, CgroupId, Collected, Family, Lack, Outcome, Owner, ProcKey, Reading, Sample, Sink,
};
use crate::entity::EntityId;
use crate::event::{Nanos, Pid};
use crate::host::{Anchor, cgroup};
use crate::metric::instrument::{Instrument, Kind, events, process as instrument};
use crate::metric::snapshot::{Number, Resource, ResourceMetrics, Scope, WallTime};

/// Series of the host at most.
const HOST_SERIES: usize = 16_384;
/// Series of any other owner at most.
const OWNER_SERIES: usize = 1024;
/// Processes that are kept at most.
const PROCESSES: usize = 32_768;
/// Processes of no known instance that are looked up in a round.
const LOOKUPS: u32 = 64;
/// Rounds after which a process that nobody tells of has ended, if nobody lists the living.
const SILENT: u32 = 30;

/// What is told by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Processes with series of their own at most.
    pub processes: usize,
    /// Control groups at most.
    pub cgroups: usize,
    /// A process that uses at least so much of one processor between two rounds is told by itself.
    pub heavy_cpu: f64,
    /// The same for one that holds at least so many bytes of memory.
    pub heavy_memory: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { processes: 256, cgroups: 256, heavy_cpu: 0.1, heavy_memory: 256 << 20 }
    }
}

/// What the book counted of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Samples taken.
    pub samples: u64,
    /// Samples of control groups that nobody named.
    pub unbound: u64,
    /// Samples left out because a limit of series or owners was reached.
    pub refused: u64,
    /// Times that a process had to stay in `{other}` because there were too many.
    pub crowded: u64,
}

/// What is held of what is limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Processes with series of their own.
    pub processes: usize,
    /// Control groups.
    pub cgroups: usize,
    /// Series in all.
    pub series: usize,
}

/// What came of a family, of all rounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Of the last round.
    pub outcome: Outcome,
    /// What was missing in the last round.
    pub lacks: Vec<Lack>,
    /// Processor time spent on it.
    pub cost: Nanos,
    /// Rounds.
    pub rounds: u64,
}

/// A control group.
#[derive(Debug)]
struct Group {
    account: Account,
    /// None as long as it waits for its name.
    resource: Option<Arc<Resource>>,
    /// It was there at the first round already.
    old: bool,
    since: WallTime,
}

/// Everything that is kept.
#[derive(Debug)]
pub struct Book {
    config: Config,
    round: u32,
    /// When the host began, as it was told first: a clock that is set does not move it.
    booted: WallTime,
    last: Option<Anchor>,
    now: Anchor,
    host: Account,
    groups: BTreeMap<Arc<str>, Group>,
    ids: HashMap<CgroupId, Arc<str>>,
    processes: BTreeMap<ProcKey, Process>,
    own: usize,
    instances: BTreeMap<EntityId, Account>,
    /// Instances of which nothing may be told yet.
    waiting: HashSet<EntityId>,
    lookups: u32,
    standing: BTreeMap<Family, Standing>,
    counters: Counters,
    /// None as long as it waits for its name.
    host_resource: Option<Arc<Resource>>,
}

/// Who is killed for want of memory is told by name, whoever it is: it is rare, and it is all there is.
fn is_named(instrument: &Instrument) -> bool {
    std::ptr::eq(instrument, &raw const events::STETH_OOM_KILLS)
}

/// Containers that were read, each by the outermost of its groups: it may have made others within.
fn outermost(sink: &Sink) -> Vec<Arc<str>> {
    let mut read: BTreeMap<String, Arc<str>> = BTreeMap::new();
    for sample in &sink.samples {
        if let Owner::Cgroup(path) = &sample.owner
            && let Some(id) = cgroup::container_of(path)
        {
            let known = read.entry(id).or_insert_with(|| Arc::clone(path));
            if path.len() < known.len() {
                *known = Arc::clone(path);
            }
        }
    }
    read.into_values().collect()
}

impl Book {
    /// An empty one.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            round: 0,
            booted: WallTime::default(),
            last: None,
            now: Anchor::default(),
            host: Account::default(),
            groups: BTreeMap::new(),
            ids: HashMap::new(),
            processes: BTreeMap::new(),
            own: 0,
            instances: BTreeMap::new(),
            waiting: HashSet::new(),
            lookups: 0,
            standing: BTreeMap::new(),
            counters: Counters::default(),
            host_resource: None,
        }
    }

    /// Takes a round in.
    pub fn take(&mut self, reading: Reading, owners: &mut dyn Owners) {
        let Reading { at, families } = reading;
        self.round = self.round.wrapping_add(1);
        self.now = at;
        self.lookups = LOOKUPS;
        if self.last.is_none() {
            self.booted = at.wall_of_boot(Nanos(0));
        }
        self.rewind();
        let mut living: Option<HashSet<ProcKey>> = None;
        for collected in families {
            let Collected { family, outcome, mut sink, cost } = collected;
            self.ids.extend(sink.cgroups.drain());
            if let Some(processes) = sink.living.take() {
                living.get_or_insert_default().extend(processes);
            }
            let containers =
                if family == Family::Container { outermost(&sink) } else { Vec::new() };
            for sample in sink.samples {
                self.counters.samples += 1;
                self.sample(family, sample, owners);
            }
            for path in containers {
                self.facts(family, &path, owners);
            }
            if outcome.is_ok() {
                self.end_unread(family);
            }
            let standing = self.standing.entry(family).or_insert_with(|| Standing {
                outcome: Ok(()),
                lacks: Vec::new(),
                cost: Nanos(0),
                rounds: 0,
            });
            standing.cost.0 += cost.0;
            standing.rounds += 1;
            (standing.outcome, standing.lacks) = (outcome, sink.lacks);
        }
        self.weigh(owners);
        self.bury(living.as_ref());
        self.name(owners);
        self.last = Some(at);
    }

    fn sample(&mut self, family: Family, sample: Sample, owners: &mut dyn Owners) {
        let Sample { owner, instrument, labels, amount } = sample;
        let which = Which { family, instrument, labels: &labels };
        let now = self.now.wall;
        let before = self.last.map_or(now, |last| last.wall);
        match owner {
            Owner::Host => {
                let origin = Origin { start: self.booted, before, now, whole: false };
                let taken = self.host.take(which, amount, self.round, origin, HOST_SERIES);
                self.counters.refused += u64::from(taken.is_none());
            }
            Owner::Cgroup(path) => self.group(&path, which, amount, owners),
            Owner::CgroupId(id) => match self.ids.get(&id).cloned() {
                Some(path) => match self.nearest(&path) {
                    Some(path) => self.group(&path, which, amount, owners),
                    None => self.counters.unbound += 1,
                },
                None => self.counters.unbound += 1,
            },
            Owner::Process(key) => self.process(key, which, amount, owners),
        }
    }

    /// What is known of a container that was read stands beside what it uses.
    fn facts(&mut self, family: Family, path: &Arc<str>, owners: &mut dyn Owners) {
        // One that there was no room for is counted already.
        if !self.groups.contains_key(path) {
            return;
        }
        let labels = Arc::from([]);
        for (instrument, amount) in owners.facts(path) {
            self.group(path, Which { family, instrument, labels: &labels }, amount, owners);
        }
    }

    /// The group that is told at `path` or above it.
    fn nearest(&self, path: &Arc<str>) -> Option<Arc<str>> {
        if self.groups.contains_key(path) {
            return Some(Arc::clone(path));
        }
        let mut above: &str = path;
        while let Some((parent, _)) = above.rsplit_once('/') {
            above = parent;
            if let Some((path, _)) = self.groups.get_key_value(parent) {
                return Some(Arc::clone(path));
            }
        }
        let is_place = cgroup::container_of(path).is_some() || cgroup::unit_of(path).is_some();
        is_place.then(|| Arc::clone(path))
    }

    fn group(
        &mut self,
        path: &Arc<str>,
        which: Which<'_>,
        amount: Amount,
        owners: &mut dyn Owners,
    ) {
        let now = self.now.wall;
        let before = self.last.map_or(now, |last| last.wall);
        if !self.groups.contains_key(path) {
            if self.groups.len() >= self.config.cgroups {
                self.counters.refused += 1;
                return;
            }
            let group = Group {
                account: Account::default(),
                resource: owners.cgroup(path),
                old: self.last.is_none(),
                since: if self.last.is_none() { self.booted } else { before },
            };
            self.groups.insert(Arc::clone(path), group);
        }
        let Some(group) = self.groups.get_mut(path) else { return };
        let origin = Origin { start: group.since, before, now, whole: !group.old };
        let taken = group.account.take(which, amount, self.round, origin, OWNER_SERIES);
        self.counters.refused += u64::from(taken.is_none());
    }

    fn process(&mut self, key: ProcKey, which: Which<'_>, amount: Amount, owners: &mut dyn Owners) {
        let Self { processes, last, now, round, counters, lookups, own, config, .. } = self;
        if !processes.contains_key(&key) {
            if processes.len() >= PROCESSES {
                counters.refused += 1;
                return;
            }
            processes.insert(key, Process::new(key, *last, now));
        }
        let Some(process) = processes.get_mut(&key) else { return };
        process.account_of(which.instrument, &amount);
        if process.entity.is_none() || process.round != *round {
            process.bind(key, now, lookups, owners);
        }
        if process.entity.is_none() && is_named(which.instrument) {
            process.entity = Some(owners.find(key, now));
        }
        process.round = *round;
        if !process.own && process.entity.is_some_and(|entity| owners.is_observed(entity)) {
            process.become_own(own, config.processes, now.wall, counters);
        }
        let origin = Origin {
            start: process.began,
            before: last.map_or(now.wall, |last| last.wall),
            now: now.wall,
            whole: process.whole,
        };
        // What is told of the instance alone, and came as a difference, needs no account of the process.
        let gain = match amount {
            Amount::Add(more) if !which.instrument.is_of_process() => Gain::More(more),
            Amount::AddHistogram(values) if !which.instrument.is_of_process() => {
                Gain::Values(values)
            }
            amount => {
                let account = &mut process.account;
                let Some(gain) = account.take(which, amount, *round, origin, OWNER_SERIES) else {
                    counters.refused += 1;
                    return;
                };
                gain
            }
        };
        if let Gain::More(Number::Int(more)) = gain
            && std::ptr::eq(which.instrument, &raw const instrument::PROCESS_CPU_TIME)
        {
            process.weight.cpu += u64::try_from(more).unwrap_or(0);
        }
        if which.instrument.is_of_process() && process.own {
            return;
        }
        let told = if which.instrument.is_of_process() {
            owners.other()
        } else {
            process
                .entity
                .filter(|e| process.own || owners.is_observed(*e) || is_named(which.instrument))
                .unwrap_or(owners.other())
        };
        self.sum(told, which, gain);
    }

    /// Adds what a process gained to a service instance.
    fn sum(&mut self, entity: EntityId, which: Which<'_>, gain: Gain) {
        let now = self.now.wall;
        let before = self.last.map_or(now, |last| last.wall);
        let origin = Origin { start: before, before, now, whole: true };
        let amount = match gain {
            Gain::More(more) => Amount::Add(more),
            Gain::Is(now) if which.instrument.kind == Kind::UpDownCounter => Amount::Now(now),
            // A reading of one process says nothing of several.
            Gain::Is(_) => return,
            Gain::Values(values) => Amount::AddHistogram(values),
        };
        let account = self.instances.entry(entity).or_default();
        let taken = account.take(which, amount, self.round, origin, OWNER_SERIES);
        self.counters.refused += u64::from(taken.is_none());
    }

    fn rewind(&mut self) {
        self.host.rewind();
        self.groups.values_mut().for_each(|group| group.account.rewind());
        self.instances.values_mut().for_each(Account::rewind);
        for process in self.processes.values_mut() {
            process.account.rewind();
            process.weight = Weight::default();
        }
    }

    fn end_unread(&mut self, family: Family) {
        let round = self.round;
        self.host.end_unread(family, round);
        self.groups.values_mut().for_each(|group| group.account.end_unread(family, round));
        self.processes.values_mut().for_each(|process| process.account.end_unread(family, round));
        self.instances.values_mut().for_each(|account| account.end_unread(family, round));
    }

    /// Who is heavy is told by itself from here on.
    fn weigh(&mut self, owners: &mut dyn Owners) {
        let Self { processes, last, now, own, config, counters, .. } = self;
        let elapsed = last.map_or(0, |last| now.monotonic.since(last.monotonic).0);
        let others =
            processes.iter_mut().filter(|(_, process)| !process.own && process.is_program());
        for (key, process) in others {
            let Weight { cpu, memory } = process.weight;
            let is_busy = elapsed > 0 && cpu as f64 >= config.heavy_cpu * elapsed as f64;
            if (is_busy && cpu > 0) || memory >= config.heavy_memory {
                if process.entity.is_none() {
                    process.entity = Some(owners.find(*key, now));
                }
                process.become_own(own, config.processes, now.wall, counters);
            }
        }
    }

    /// Ends what has ended.
    fn bury(&mut self, living: Option<&HashSet<ProcKey>>) {
        let Self { processes, own, round, .. } = self;
        processes.retain(|key, process| {
            let lives = match living {
                Some(living) => living.contains(key),
                None => !process.exited && round.wrapping_sub(process.round) < SILENT,
            };
            if lives {
                return true;
            }
            process.account.end();
            if !process.own {
                return false;
            }
            // Its place is free for another one, though its end has to be told yet.
            if !std::mem::replace(&mut process.ended, true) {
                *own = own.saturating_sub(1);
            }
            true
        });
    }

    /// Labels of those that are told by themselves, where what is known has changed; and who has none yet.
    fn name(&mut self, owners: &mut dyn Owners) {
        self.host_resource = owners.host();
        for (path, group) in &mut self.groups {
            match group.resource {
                Some(_) => owners.keep(path),
                None => group.resource = owners.cgroup(path),
            }
        }
        let owned = self.processes.values().filter_map(|process| process.entity);
        let all = owned.chain(self.instances.keys().copied());
        self.waiting = all.filter(|entity| owners.waits(*entity)).collect();
        for (key, process) in self.processes.iter_mut().filter(|(_, process)| process.own) {
            let Some(entity) = process.entity else { continue };
            let instance = owners.instance(entity);
            let is_known = process.named.as_ref().is_some_and(|n| Arc::ptr_eq(n, &instance));
            if !is_known {
                process.resource = owners.process(entity, *key, &self.now);
                process.named = Some(instance);
            }
        }
    }

    /// A process has ended, says the kernel.
    pub fn exited(&mut self, pid: Pid) {
        let least = ProcKey { pid, started: crate::host::Ticks(0) };
        let most = ProcKey { pid, started: crate::host::Ticks(u64::MAX) };
        self.processes.range_mut(least..=most).for_each(|(_, process)| process.exited = true);
    }

    /// A service instance has ended.
    pub fn retire(&mut self, entity: EntityId) {
        if let Some(account) = self.instances.get_mut(&entity) {
            account.end();
        }
    }

    /// Everything of the host, of control groups and of single processes.
    pub fn snapshot(&self) -> Vec<ResourceMetrics> {
        let one = |resource: &Arc<Resource>, scopes| ResourceMetrics {
            resource: Arc::clone(resource),
            scopes,
        };
        let host = self.host_resource.as_ref().map(|of| one(of, self.host.scopes(|_| true)));
        let groups = self.groups.values().filter_map(|group| {
            Some(one(group.resource.as_ref()?, group.account.scopes(|_| true)))
        });
        let told = self.processes.values().filter(|process| process.own && !self.holds(process));
        let processes = told.map(|process| {
            let scopes = process.account.scopes(|series| series.instrument.is_of_process());
            one(&process.resource, scopes)
        });
        host.into_iter()
            .chain(groups)
            .chain(processes)
            .filter(|resource| !resource.scopes.is_empty())
            .collect()
    }

    /// What is told of service instances, in their order.
    pub fn instances(&self) -> impl Iterator<Item = (EntityId, Vec<Scope>)> {
        self.instances
            .iter()
            .filter(|(entity, _)| !self.waiting.contains(entity))
            .map(|(entity, account)| (*entity, account.scopes(|_| true)))
            .filter(|(_, scopes)| !scopes.is_empty())
    }

    /// Whether a process waits for its instance's name.
    fn holds(&self, process: &Process) -> bool {
        process.entity.is_some_and(|entity| self.waiting.contains(&entity))
    }

    /// A snapshot was exported: ends that stood in it are forgotten. Who waits did not stand in it.
    pub fn exported(&mut self) {
        if self.host_resource.is_some() {
            self.host.exported();
        }
        self.groups.retain(|_, group| {
            if group.resource.is_none() {
                return true;
            }
            group.account.exported();
            !group.account.is_empty()
        });
        let waiting = &self.waiting;
        self.processes.retain(|_, process| {
            if process.entity.is_some_and(|entity| waiting.contains(&entity)) {
                return true;
            }
            process.account.exported();
            !(process.ended && process.account.is_empty())
        });
        self.instances.retain(|entity, account| {
            if waiting.contains(entity) {
                return true;
            }
            account.exported();
            !account.is_empty()
        });
    }

    /// Processes that are told by themselves: worth a closer look.
    pub fn wanted(&self) -> Vec<ProcKey> {
        let told = self.processes.iter().filter(|(_, process)| process.own && !process.ended);
        told.map(|(key, _)| *key).collect()
    }

    /// When the last round was read.
    pub fn read(&self) -> Option<Anchor> {
        self.last
    }

    /// What came of the families, in their order.
    pub fn standing(&self) -> impl Iterator<Item = (Family, &Standing)> {
        self.standing.iter().map(|(family, standing)| (*family, standing))
    }

    /// What the book counted of itself.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// How much is held.
    pub fn held(&self) -> Held {
        let of = |account: &Account| account.len();
        Held {
            processes: self.own,
            cgroups: self.groups.len(),
            series: of(&self.host)
                + self.groups.values().map(|group| of(&group.account)).sum::<usize>()
                + self.instances.values().map(of).sum::<usize>()
                + self.processes.values().filter(|p| p.own).map(|p| of(&p.account)).sum::<usize>(),
        }
    }
}
