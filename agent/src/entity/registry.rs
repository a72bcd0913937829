//! The registry: processes by id and time, and the service instances they belong to.
//!
//! A program that was seen to start needs no `/proc` for its name: its exec record has arguments and
//! environment. What the record cannot have (the control group) is read when somebody asks, or taken
//! from the parent if the process has gone by then.

mod config;
mod intern;
mod pods;

use std::collections::HashMap;
use std::sync::Arc;

use agent_common::{limit, record};

use super::attributes::Declared;
use super::filter::Subject;
use super::instance::{Claim, Ground, Identity, Instance};
use super::lives::{Life, Lives, Program};
use super::name::{self, Command};
use super::{Entities, EntityId};
use crate::cluster::Cluster;
use crate::event::{Exec, Nanos, Pid, Timestamp};
use crate::host::process::{compact, otel_only};
use crate::host::{Anchor, Cgroup, Facts, Machine, Process, Ticks, Toolchain, clock, text};
use crate::metric::key;
use crate::metric::keys::Keys;
use crate::metric::snapshot::{Attribute, Resource, Value, WallTime};

pub use config::{Config, Counts};

/// How far a question for a process that has gone is passed on to its ancestors.
const ANCESTORS: u8 = 8;
/// How long after its end a process may still be asked for without a doubt.
const LATE: Nanos = Nanos(1_000_000_000);
/// Exec records between two ticks for which `/proc` is read at once.
const EAGER: u32 = 256;
/// Processes whose end may have been missed that are looked after with each tick.
const PATROL: usize = 4;
/// Changes of the filter's verdicts that wait for the runtime.
const CHANGES: usize = 65_536;
/// The instance that stands for all beyond the limit.
const OTHER: &str = "{other}";

/// What the kernel side must be told of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Leave it out from now on.
    Exclude(Pid),
    /// Do not leave it out any more: another program, or another process of that id.
    Include(Pid),
}

/// All processes and service instances that are known.
pub struct Registry {
    config: Config,
    facts: Box<dyn Facts + Send>,
    ground: Ground,
    keys: Keys,
    lives: Lives,
    instances: HashMap<EntityId, Instance>,
    by_identity: HashMap<Identity, EntityId>,
    /// What is known of pods; none if nobody asked for it.
    cluster: Option<Cluster>,
    /// What it says of the place is told of everything.
    placed: bool,
    /// Instances in pods that wait for their names.
    unclaimed: Vec<EntityId>,
    /// Who is called so: namespace, name and id.
    claims: HashMap<[String; 3], EntityId>,
    next: u32,
    now: Timestamp,
    anchor: Anchor,
    eager: u32,
    changes: Vec<Change>,
    counts: Counts,
}

impl Registry {
    /// A registry that knows nobody yet and asks `facts`.
    pub fn new(config: Config, machine: Machine, facts: Box<dyn Facts + Send>) -> Self {
        let mut keys = Keys::default();
        let declared = Declared::new(None, config.attributes.as_bytes());
        // What the agent says of its own service is not true of others.
        let own = [key::SERVICE_NAME, key::SERVICE_INSTANCE_ID, key::SERVICE_VERSION];
        let given: Vec<Attribute> = declared
            .attributes
            .iter()
            .filter(|(name, _)| own.iter().all(|own| own.0 != name))
            .filter_map(|(name, value)| Some((keys.of(name)?, Value::Text(value.as_str().into()))))
            .collect();
        let mut registry = Self {
            ground: Ground { machine, version: config.version, given },
            lives: Lives::new(config.processes),
            config,
            facts,
            keys,
            instances: HashMap::new(),
            by_identity: HashMap::new(),
            cluster: None,
            placed: false,
            unclaimed: Vec::new(),
            claims: HashMap::new(),
            next: 0,
            now: Timestamp::default(),
            anchor: Anchor::default(),
            eager: EAGER,
            changes: Vec::new(),
            counts: Counts::default(),
        };
        // The first instance is the one beyond the limit: there is always a place for it.
        let other = Identity { name: Some(OTHER.to_owned()), ..Identity::default() };
        registry.insert(other);
        registry
    }

    /// The instance that stands for all beyond the limit.
    pub const OTHER: EntityId = EntityId(0);

    /// Time has come to `now`. Frees processes, and names the instances that ended: their series are
    /// to end too. What they stand for can still be asked for until they would have ended once more.
    pub fn tick(&mut self, now: Timestamp, anchor: Anchor) -> Vec<EntityId> {
        self.now = self.now.max(now);
        self.anchor = anchor;
        self.eager = EAGER;
        self.patrol();
        self.tick_cluster();
        for life in self.lives.expire(self.now, self.config.process_grace) {
            self.leave(&life);
        }
        let grace = self.config.entity_grace;
        let mut retired = Vec::new();
        let now = self.now;
        self.instances.retain(|id, instance| {
            if let Some(since) = instance.retired {
                return now.since(since) < grace;
            }
            let is_over = |since| instance.claim == Claim::Superseded || now.since(since) >= grace;
            if instance.idle.is_some_and(is_over) {
                instance.retired = Some(now);
                retired.push(*id);
            }
            true
        });
        for id in &retired {
            if let Some(instance) = self.instances.get(id) {
                self.by_identity.remove(&instance.identity);
            }
        }
        self.claims.retain(|_, entity| self.instances.contains_key(entity));
        retired.sort_unstable();
        self.counts.entities_retired += retired.len() as u64;
        retired
    }

    /// Learns of the processes there are; only needed where a filter must be known before they are asked for.
    pub fn scan(&mut self) {
        for pid in self.facts.pids(self.config.processes / 2) {
            self.of(pid, self.now);
        }
    }

    /// Processes whose verdict has changed since this was asked; none without a filter.
    pub fn changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// What is held and what was left out.
    pub fn counts(&self) -> Counts {
        Counts {
            processes: self.lives.len() as u64,
            entities: self.instances.len() as u64,
            processes_evicted: self.lives.evicted,
            ..self.counts
        }
    }

    /// A process for itself: its instance's resource with pid, time of creation and its own instance id.
    pub fn process_resource(&mut self, pid: Pid, when: Timestamp) -> Option<Resource> {
        let entity = self.of(pid, when);
        let life = self.lives.at(pid, when)?;
        let made = match life.started {
            Some(started) => self.anchor.wall_of_boot(started.since_boot()),
            None => self.anchor.wall(life.from),
        };
        let started = life.started.unwrap_or(Ticks::of_boot(self.anchor.boot(life.from)));
        let instance = self.instances.get(&entity)?;
        let (sheet, made) = (self.sheet(instance), clock::iso8601(made));
        Some(instance.of_process(&self.ground, sheet, pid, started.0, &made))
    }

    /// The service instance that `pid` belongs to, as far as that is known: nothing is read.
    pub fn known(&mut self, pid: Pid, when: Timestamp) -> Option<EntityId> {
        self.lives.at(pid, when).and_then(|life| life.entity)
    }

    /// Whether the program of a process keeps the goroutine that runs in a register. Asks `/proc`, unless that
    /// was asked before.
    pub fn has_goroutines(&mut self, pid: Pid, when: Timestamp) -> bool {
        let program = self.lives.at(pid, when).and_then(|life| life.program.clone());
        match program.filter(|program| program.path.is_some()) {
            Some(program) => program.goroutines,
            None => self.facts.process(pid).is_ok_and(|of| of.toolchain == Toolchain::Go),
        }
    }

    /// Whether a rule of the configuration named an instance.
    pub fn is_ruled(&self, entity: EntityId) -> bool {
        self.instances.get(&entity).is_some_and(|instance| instance.ruled)
    }

    /// One process of an instance: its resource with pid, time of creation and its own instance id.
    pub fn resource_of_process(
        &self,
        entity: EntityId,
        pid: Pid,
        started: Ticks,
        made: WallTime,
    ) -> Option<Resource> {
        let instance = self.instances.get(&entity)?;
        let (sheet, made) = (self.sheet(instance), clock::iso8601(made));
        Some(instance.of_process(&self.ground, sheet, pid, started.0, &made))
    }

    /// What is no service: the host, with these attributes beside.
    pub fn place_resource(&self, own: &[Attribute]) -> Resource {
        self.ground.resource(own)
    }

    /// Ends of processes may be lost with a full ring; without this their instances would never end.
    fn patrol(&mut self) {
        for (pid, serial, started) in self.lives.sample(PATROL) {
            if !self.facts.is_alive(pid, started) {
                let (now, at) = (self.now, self.now);
                let is_last = self.lives.last(pid).is_some_and(|life| life.serial == serial);
                if is_last {
                    self.lives.end(pid, at, now);
                    self.counts.ends_missed += 1;
                }
            }
        }
    }

    fn begin(&mut self, life: Life) -> u64 {
        if let Some(entity) = life.entity
            && let Some(instance) = self.instances.get_mut(&entity)
        {
            instance.members += 1;
            instance.idle = None;
        }
        let (serial, freed) = self.lives.begin(life, self.now);
        for life in freed {
            self.leave(&life);
        }
        serial
    }

    fn leave(&mut self, life: &Life) {
        if let Some(instance) = life.entity.and_then(|entity| self.instances.get_mut(&entity)) {
            instance.members = instance.members.saturating_sub(1);
            // The one beyond the limit never ends.
            if instance.members == 0 && life.entity != Some(Self::OTHER) {
                instance.idle = Some(self.now);
            }
        }
    }

    fn program(&self, process: &Process) -> Program {
        let Process { comm, exe, cwd, args, env, toolchain, .. } = process;
        let command = Command::new(comm, exe.as_deref(), cwd.as_deref(), args);
        let mut named = name::name(&command);
        named.language = named.language.or(toolchain.language());
        Program {
            named,
            path: exe.clone(),
            command: if self.config.rules.is_empty() {
                String::new()
            } else {
                command.args.join(" ")
            },
            env: env.clone(),
            goroutines: *toolchain == Toolchain::Go,
        }
    }

    /// Asks for a process of which there is no record, and remembers the answer.
    fn meet(&mut self, pid: Pid, from: Timestamp, when: Timestamp) -> u64 {
        let Ok(process) = self.facts.process(pid) else {
            let serial = self.begin(Life { pid, from, ..Life::default() });
            // Nobody will tell its end.
            self.lives.end(pid, when, self.now);
            return serial;
        };
        let program = self.program(&process);
        self.begin(Life {
            pid,
            from,
            started: Some(process.started),
            parent: process.parent,
            program: Some(Arc::new(program)),
            cgroup: Some(Arc::new(process.cgroup)),
            own_cgroup: true,
            ..Life::default()
        })
    }

    /// The life that `pid` led at `when`, met if need be.
    fn life(&mut self, pid: Pid, when: Timestamp) -> u64 {
        let Some(life) = self.lives.at(pid, when) else {
            return self.meet(pid, Timestamp::default(), when);
        };
        let (serial, started) = (life.serial, life.started);
        let Some(ended) = life.ended.filter(|ended| when.since(*ended) > LATE) else {
            return serial;
        };
        if std::mem::replace(&mut life.checked, true) {
            return serial;
        }
        // Long after its end: another process of that id, whose records were lost?
        match self.facts.process(pid) {
            Ok(process) if started.is_none_or(|started| started != process.started) => {
                let program = Arc::new(self.program(&process));
                self.begin(Life {
                    pid,
                    from: ended,
                    started: Some(process.started),
                    parent: process.parent,
                    program: Some(program),
                    cgroup: Some(Arc::new(process.cgroup)),
                    own_cgroup: true,
                    ..Life::default()
                })
            }
            _ => serial,
        }
    }

    /// The instance of a life, found out when it is asked for the first time.
    fn resolve(&mut self, pid: Pid, serial: u64, depth: u8) -> EntityId {
        let Some(life) = self.lives.get(pid, serial) else { return Self::OTHER };
        if let Some(entity) = life.entity {
            return entity;
        }
        let (parent, from, lives) = (life.parent, life.from, life.ended.is_none());
        let (own_cgroup, started) = (life.own_cgroup, life.started);
        let mut cgroup = life.cgroup.clone();
        let mut program = life.program.clone();
        if program.is_none()
            && lives
            && let Ok(process) = self.facts.process(pid)
        {
            program = Some(Arc::new(self.program(&process)));
            cgroup = Some(Arc::new(process.cgroup));
        } else if !own_cgroup
            && lives
            && let Ok(read) = self.facts.cgroup(pid)
        {
            cgroup = Some(Arc::new(read));
        }
        if (program.is_none() || cgroup.is_none()) && parent != Pid(0) && parent != pid && depth > 0
        {
            let ancestor = self.life(parent, from);
            if program.is_none() {
                // It has gone and nobody knows what it was: what its parent is.
                let entity = self.resolve(parent, ancestor, depth - 1);
                self.counts.inherited += 1;
                return self.join(pid, serial, entity, false);
            }
            if cgroup.is_none() {
                cgroup = self.lives.get(parent, ancestor).and_then(|life| life.cgroup.clone());
                self.counts.inherited += u64::from(cgroup.is_some());
            }
        }
        let cgroup = cgroup.unwrap_or_default();
        let program = program.unwrap_or_default();
        let entity = self.intern(&program, &cgroup);
        if lives && program.path.is_none() {
            self.complete(pid, started, entity);
        }
        let excluded = self.excludes(entity, &program, &cgroup);
        if let Some(life) = self.lives.get(pid, serial) {
            life.cgroup = Some(cgroup);
            life.program = Some(program);
        }
        self.join(pid, serial, entity, excluded)
    }

    /// Whether the filter leaves out what runs `program` in `cgroup`.
    fn excludes(&self, entity: EntityId, program: &Program, cgroup: &Cgroup) -> bool {
        if self.config.filter.is_empty() {
            return false;
        }
        let instance = self.instances.get(&entity);
        let subject = Subject {
            executable: &program.named.executable,
            path: program.path.as_deref(),
            service: instance.map_or("", |instance| instance.name(self.sheet(instance))),
            cgroup: &cgroup.path,
        };
        !self.config.filter.watches(&subject)
    }

    /// Learns the executable's path and its toolchain, which no record tells: once an instance.
    fn complete(&mut self, pid: Pid, started: Option<Ticks>, entity: EntityId) {
        let Some(instance) = self.instances.get_mut(&entity) else { return };
        if entity == Self::OTHER || std::mem::replace(&mut instance.asked, true) {
            return;
        }
        let Ok(process) = self.facts.process(pid) else { return };
        if started.is_some_and(|started| started != process.started) {
            return;
        }
        if let Some(path) = &process.exe {
            instance.path.learn(path);
        }
        instance.language = instance.language.or(process.toolchain.language());
    }

    fn join(&mut self, pid: Pid, serial: u64, entity: EntityId, excluded: bool) -> EntityId {
        let Some(life) = self.lives.get(pid, serial) else {
            return entity;
        };
        life.entity = Some(entity);
        life.excluded = excluded;
        let lives = life.ended.is_none();
        if let Some(instance) = self.instances.get_mut(&entity) {
            instance.members += 1;
            instance.idle = None;
        }
        if excluded && lives {
            self.change(Change::Exclude(pid));
        }
        entity
    }

    fn change(&mut self, change: Change) {
        if self.changes.len() < CHANGES {
            self.changes.push(change);
        } else {
            self.counts.changes_lost += 1;
        }
    }

    /// The program of an exec record; `/proc` is asked if the record was cut and the process lives.
    fn started(&mut self, exec: &Exec<'_>, life: &mut Life) {
        let record::Exec { comm, started, .. } = exec.header;
        let comm = comm.split(|b| *b == 0).next().unwrap_or_default();
        let mut process = Process {
            pid: life.pid,
            parent: life.parent,
            started: Ticks::of_boot(Nanos(*started)),
            comm: text::text(comm),
            args: compact(exec.args),
            env: otel_only(exec.env),
            ..Process::default()
        };
        let mut program = self.program(&process);
        let is_cut = is_cut(exec.args, limit::EXEC_ARGS) || is_cut(exec.env, limit::EXEC_ENV);
        if is_cut || program.named.wants_cwd {
            if self.eager == 0 {
                self.counts.cut_unread += 1;
            } else {
                self.eager -= 1;
                if let Ok(read) = self.facts.process(life.pid)
                    && read.started == process.started
                {
                    process = Process { comm: process.comm, ..read };
                    program = self.program(&process);
                    life.cgroup = Some(Arc::new(process.cgroup));
                    life.own_cgroup = true;
                }
            }
        }
        life.started = Some(process.started);
        life.program = Some(Arc::new(program));
    }
}

/// Whether a block of NUL-ended texts was cut: it ends without, or fills what the kernel side allows.
fn is_cut(block: &[u8], limit: usize) -> bool {
    block.last().is_some_and(|last| *last != 0) || block.len() + 1 >= limit
}

impl Entities for Registry {
    fn exec(&mut self, exec: &Exec<'_>) {
        let pid = Pid(exec.header.tgid);
        let mut life = Life {
            pid,
            from: Timestamp(exec.header.time),
            parent: Pid(exec.header.parent),
            ..Life::default()
        };
        let mut was_excluded = false;
        if let Some(before) = self.lives.last(pid).filter(|life| life.ended.is_none()) {
            life.cgroup.clone_from(&before.cgroup);
            was_excluded = before.excluded;
        } else if let Some(parent) = self.lives.last(life.parent) {
            life.cgroup.clone_from(&parent.cgroup);
        }
        // As long as it lives /proc says more: all hierarchies, and as the agent sees them. This is for who is gone.
        if let Some(cgroup) = Cgroup::of_names(exec.groups).filter(Cgroup::is_in_container) {
            life.cgroup = Some(Arc::new(cgroup));
        }
        self.started(exec, &mut life);
        let serial = self.begin(life);
        if !self.config.filter.is_empty() {
            self.resolve(pid, serial, ANCESTORS);
            let excluded = self.lives.get(pid, serial).is_some_and(|life| life.excluded);
            if was_excluded && !excluded {
                self.change(Change::Include(pid));
            }
        }
    }

    fn fork(&mut self, fork: &record::Fork) {
        let (pid, parent) = (Pid(fork.child), Pid(fork.parent));
        let from = Timestamp(fork.time);
        let mut life = Life { pid, from, parent, ..Life::default() };
        if let Some(parent) = self.lives.last(parent).filter(|life| life.ended.is_none()) {
            life.program.clone_from(&parent.program);
            life.cgroup.clone_from(&parent.cgroup);
            life.entity = parent.entity;
            life.excluded = parent.excluded;
        }
        let excluded = life.excluded;
        self.begin(life);
        if excluded {
            self.change(Change::Exclude(pid));
        }
    }

    fn exit(&mut self, exit: &record::Exit) {
        let pid = Pid(exit.tgid);
        let ending = self.lives.last(pid).filter(|life| life.ended.is_none());
        if ending.is_some_and(|life| life.excluded) {
            self.change(Change::Include(pid));
        }
        self.lives.end(pid, Timestamp(exit.time), self.now);
    }

    fn of(&mut self, pid: Pid, when: Timestamp) -> EntityId {
        // Nearly every question: known already, and alive or only just not.
        if let Some(life) = self.lives.at(pid, when)
            && let Some(entity) = life.entity
            && life.ended.is_none_or(|ended| when.since(ended) <= LATE)
        {
            return entity;
        }
        let serial = self.life(pid, when);
        self.resolve(pid, serial, ANCESTORS)
    }

    fn watched(&mut self, pid: Pid, when: Timestamp) -> bool {
        if self.config.filter.is_empty() {
            return true;
        }
        let serial = self.life(pid, when);
        self.resolve(pid, serial, ANCESTORS);
        self.lives.get(pid, serial).is_none_or(|life| !life.excluded)
    }

    fn resource(&self, entity: EntityId) -> Arc<Resource> {
        let instance = self.instances.get(&entity).or_else(|| self.instances.get(&Self::OTHER));
        instance
            .map(|instance| {
                if self.waits(entity) {
                    instance.for_now(&self.ground)
                } else {
                    instance.resource(&self.ground, self.sheet(instance))
                }
            })
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
