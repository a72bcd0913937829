//! Control groups: what containers, units and whatever has a limit use, wait for and are refused.
//!
//! Both versions give the same series: `one` and `two` say from which files. A group that goes while it
//! is read is a sample less.

#[cfg(test)]
mod bench;
mod discover;
#[cfg(test)]
mod forms;
mod hierarchy;
mod one;
mod space;
#[cfg(test)]
mod tests;
mod two;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use self::discover::{Found, Rank, discover};
use self::hierarchy::{Controller, Hierarchies, Place};
use self::space::{Spaces, Traffic};
use super::sheet::{self, Sheet, Told, fixed, labels, text};
use super::{Amount, Family, Labels, Owner, Probe, ProcKey, Reason, Sink, Tables, disk, pressure};
use crate::event::Timestamp;
use crate::host::{Anchor, Cgroup, HostRoot, keyed, mounts};
use crate::metric::instrument::container as of;
use crate::metric::key;
use crate::metric::snapshot::{Number, Value};

/// Bytes of one file of a group.
const LIMIT: usize = 64 * 1024;
/// Groups that are told.
const GROUPS: usize = 256;
/// Processes whose groups are told with them.
const OBSERVED: usize = 256;
/// Devices of a group.
const DEVICES: usize = 32;
/// A host with more directories than these is looked through only every few rounds.
const FEW: usize = 1024;
const SELDOM: u64 = 4;

/// Memory, as both versions tell it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Common {
    usage: Option<u64>,
    /// Of files that were not used of late: had back without harm.
    inactive: Option<u64>,
    limit: Option<u64>,
    /// Times the limit was met, where it stands in a file of its own.
    hits: Option<u64>,
}

/// Quota over period.
fn share(quota: u64, period: u64) -> Option<f64> {
    (period > 0).then(|| quota as f64 / period as f64)
}

/// `8:0`.
fn device(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// What is remembered of a group.
#[derive(Debug, Default)]
struct Known {
    /// Of faults, which are a difference.
    memory: Told,
    /// User and system, and when.
    cpu: Option<([u64; 2], Timestamp)>,
    traffic: Traffic,
}

/// The series of both versions.
#[derive(Debug)]
struct Sheets {
    cpu: [Sheet; 2],
    memory: [Sheet; 2],
    oom: Sheet,
    events: Sheet,
}

/// Attributes that are the same for every group.
#[derive(Debug)]
struct Fixed {
    none: Labels,
    modes: [Labels; 2],
    max: Labels,
}

/// Reads control groups.
#[derive(Debug)]
pub struct Container {
    round: u64,
    hierarchies: Hierarchies,
    observed: Vec<ProcKey>,
    found: Found,
    known: HashMap<Arc<str>, Known>,
    sheets: Sheets,
    fixed: Fixed,
    pressure: pressure::Series,
    /// By device and direction.
    devices: HashMap<Box<str>, [Labels; 2]>,
    spaces: Spaces,
}

impl Default for Container {
    fn default() -> Self {
        let both = |one, two| [Sheet::new(one), Sheet::new(two)];
        Self {
            round: 0,
            hierarchies: Hierarchies::default(),
            observed: Vec::new(),
            found: Found::default(),
            known: HashMap::new(),
            sheets: Sheets {
                cpu: both(one::CPU, two::CPU),
                memory: both(one::MEMORY, two::MEMORY),
                oom: Sheet::new(one::OOM),
                events: Sheet::new(two::EVENTS),
            },
            fixed: Fixed {
                none: fixed(&[]),
                modes: ["user", "system"].map(|mode| fixed(&[(key::CPU_MODE, mode)])),
                max: fixed(&[(key::STETH_LIMIT_KIND, "max")]),
            },
            pressure: pressure::Series::default(),
            devices: HashMap::new(),
            spaces: Spaces::default(),
        }
    }
}

impl Probe for Container {
    fn family(&self) -> Family {
        Family::Container
    }

    fn want(&mut self, processes: &[ProcKey]) {
        self.observed = processes.iter().take(OBSERVED).copied().collect();
    }

    fn collect(
        &mut self,
        host: &HostRoot,
        _: &mut dyn Tables,
        now: &Anchor,
        into: &mut Sink,
    ) -> Result<(), Reason> {
        if self.found.visited <= FEW || self.round.is_multiple_of(SELDOM) {
            self.look(host)?;
        }
        self.round += 1;
        for (id, path) in &self.found.ids {
            into.name_cgroup(*id, path);
        }
        let beyond = self.found.told.len().saturating_sub(GROUPS);
        if beyond > 0 {
            let why = format!("{beyond} of them beyond the {GROUPS} that are told");
            into.lacks("control groups", Reason::Failed(why.into()));
        }
        let names = names(host);
        let told: Vec<_> = self.found.told.iter().take(GROUPS).cloned().collect();
        // What is left in it at the end is gone.
        let mut before = std::mem::take(&mut self.known);
        self.devices.retain(|name, _| names.values().any(|other| other == name));
        for (_, path) in &told {
            let mut known = before.remove(path).unwrap_or_default();
            let owner = Owner::Cgroup(Arc::clone(path));
            let group = Group { host, path, owner: &owner };
            self.cpu(&group, &mut known, now, into);
            self.memory(&group, &mut known, into);
            self.io(&group, &names, into);
            self.tasks(&group, into);
            self.pressure(&group, into);
            self.known.insert(Arc::clone(path), known);
        }
        let containers =
            told.iter().filter(|(rank, _)| *rank == Rank::Container).map(|(_, path)| path);
        let members: Vec<(Arc<str>, u32)> = containers
            .filter_map(|path| {
                let within = self.found.all.range::<Arc<str>, _>(Arc::clone(path)..);
                let within = within.take(8).take_while(|inner| inner.starts_with(path.as_ref()));
                let pid = within.into_iter().find_map(|g| self.hierarchies.member(host, g))?;
                Some((Arc::clone(path), pid))
            })
            .collect();
        for (path, pid) in Spaces::owners(host, members) {
            let Some(known) = self.known.get_mut(&path) else { continue };
            self.spaces.put(host, pid, &Owner::Cgroup(path), &mut known.traffic, into);
        }
        Ok(())
    }
}

/// One that is read.
struct Group<'a> {
    host: &'a HostRoot,
    path: &'a str,
    owner: &'a Owner,
}

impl Group<'_> {
    fn read(&self, place: Place<'_>, name: &str) -> Option<Vec<u8>> {
        keyed::lines_of(self.host, &place.file(self.path, name), LIMIT).ok()
    }

    fn number(&self, place: Place<'_>, name: &str) -> Option<u64> {
        keyed::number(&self.host.read(place.file(self.path, name), 64).ok()?.bytes)
    }
}

impl Container {
    fn look(&mut self, host: &HostRoot) -> Result<(), Reason> {
        let mounts = mounts::mounts(host).map_err(|why| sheet::reason("/proc/1/mountinfo", why))?;
        self.hierarchies = Hierarchies::of(&mounts);
        if self.hierarchies.is_empty() {
            return Err(Reason::Disabled("no control groups are mounted".into()));
        }
        let group = |key: &ProcKey| {
            let content = host.read(format!("/proc/{}/cgroup", key.pid.0), LIMIT).ok()?;
            Some(Cgroup::parse(&content.bytes).path)
        };
        let observed: HashSet<String> = self.observed.iter().filter_map(group).collect();
        self.found = discover(host, &self.hierarchies, &observed);
        Ok(())
    }

    fn cpu(&self, group: &Group<'_>, known: &mut Known, now: &Anchor, into: &mut Sink) {
        let [one, two] = &self.sheets.cpu;
        let place = self.hierarchies.place(Controller::Cpu);
        let stat = place.and_then(|place| group.read(place, "cpu.stat"));
        if let (Some(place), Some(stat)) = (place, &stat) {
            let sheet = if matches!(place, Place::One(_)) { one } else { two };
            sheet.put(group.owner, keyed::flat(stat), &mut Told::default(), into);
            let quota = match place {
                Place::One(_) => one::quota(group.host, place, group.path),
                Place::Two(_) => group.read(place, "cpu.max").and_then(|text| two::quota(&text)),
            };
            if let Some(quota) = quota {
                let amount = Amount::Now(Number::Double(quota));
                into.put(group.owner, &of::STETH_CONTAINER_CPU_LIMIT, &self.fixed.none, amount);
            }
        }
        let account = self.hierarchies.place(Controller::CpuAccount);
        let time = account.and_then(|account| match account {
            Place::One(_) => one::cpu_time(group.host, account, group.path),
            Place::Two(_) if place == Some(account) => two::cpu_time(stat.as_deref()?),
            Place::Two(_) => two::cpu_time(&group.read(account, "cpu.stat")?),
        });
        let Some(time) = time else { return };
        let before = known.cpu.replace((time, now.monotonic));
        for (at, (labels, nanos)) in self.fixed.modes.iter().zip(time).enumerate() {
            into.put(group.owner, &of::CONTAINER_CPU_TIME, labels, Amount::total(nanos));
            let Some((before, then)) = before else { continue };
            let elapsed = now.monotonic.since(then).0;
            let spent = before.get(at).and_then(|before| nanos.checked_sub(*before));
            if let (Some(spent), 1..) = (spent, elapsed) {
                let usage = Amount::Now(Number::Double(spent as f64 / elapsed as f64));
                into.put(group.owner, &of::CONTAINER_CPU_USAGE, labels, usage);
            }
        }
    }

    fn memory(&self, group: &Group<'_>, known: &mut Known, into: &mut Sink) {
        let Some(place) = self.hierarchies.place(Controller::Memory) else { return };
        let Some(stat) = group.read(place, "memory.stat") else { return };
        let [one, two] = &self.sheets.memory;
        let none = &self.fixed.none;
        let common = match place {
            Place::One(_) => {
                one.put(group.owner, keyed::flat(&stat), &mut known.memory, into);
                if let Some(oom) = group.read(place, "memory.oom_control") {
                    let pairs = keyed::flat(&oom);
                    self.sheets.oom.put(group.owner, pairs, &mut Told::default(), into);
                }
                one::memory(group.host, place, group.path, &stat)
            }
            Place::Two(_) => {
                two.put(group.owner, keyed::flat(&stat), &mut known.memory, into);
                if let Some(events) = group.read(place, "memory.events") {
                    let pairs = keyed::flat(&events);
                    self.sheets.events.put(group.owner, pairs, &mut Told::default(), into);
                }
                if let Some(swap) = group.number(place, "memory.swap.current") {
                    let instrument = &of::STETH_CONTAINER_PAGING_USAGE;
                    into.put(group.owner, instrument, none, Amount::now(swap));
                }
                two::memory(group.host, place, group.path, &stat)
            }
        };
        let Common { usage, inactive, limit, hits } = common;
        let needed = usage.map(|usage| usage.saturating_sub(inactive.unwrap_or(0)));
        let free = limit.zip(needed).map(|(limit, needed)| limit.saturating_sub(needed));
        let states = [
            (&of::CONTAINER_MEMORY_USAGE, usage),
            (&of::CONTAINER_MEMORY_WORKING_SET, needed),
            (&of::CONTAINER_MEMORY_AVAILABLE, free),
            (&of::STETH_CONTAINER_MEMORY_LIMIT, limit),
        ];
        for (instrument, bytes) in states {
            if let Some(bytes) = bytes {
                into.put(group.owner, instrument, none, Amount::now(bytes));
            }
        }
        if let Some(hits) = hits {
            let instrument = &of::STETH_CONTAINER_MEMORY_LIMIT_HITS;
            into.put(group.owner, instrument, &self.fixed.max, Amount::total(hits));
        }
    }

    fn io(&mut self, group: &Group<'_>, names: &HashMap<(u32, u32), Box<str>>, into: &mut Sink) {
        let Some(place) = self.hierarchies.place(Controller::Io) else { return };
        let mut counts: HashMap<(u32, u32), [[u64; 2]; 2]> = HashMap::new();
        match place {
            Place::One(_) => {
                let files = ["io_service_bytes", "io_serviced"];
                for (at, file) in files.iter().enumerate() {
                    let name = format!("blkio.throttle.{file}_recursive");
                    for (device, direction, count) in
                        one::devices(&group.read(place, &name).unwrap_or_default())
                    {
                        let device = counts.entry(device).or_default().get_mut(at);
                        if let Some(to) = device.and_then(|device| device.get_mut(direction)) {
                            *to = count;
                        }
                    }
                }
            }
            Place::Two(_) => {
                counts.extend(two::devices(&group.read(place, "io.stat").unwrap_or_default()));
            }
        }
        for (device, [bytes, operations]) in counts.into_iter().take(DEVICES) {
            let Some(name) = names.get(&device) else { continue };
            let labels = self.devices.entry(name.clone()).or_insert_with(|| {
                ["read", "write"].map(|direction| {
                    let direction = (key::DISK_IO_DIRECTION, Value::Static(direction));
                    labels([direction, (key::SYSTEM_DEVICE, text(name))])
                })
            });
            for (at, labels) in labels.iter().enumerate() {
                let of_direction = |counts: &[u64; 2]| counts.get(at).copied().unwrap_or(0);
                let amount = Amount::total(of_direction(&bytes));
                into.put(group.owner, &of::CONTAINER_DISK_IO, labels, amount);
                let amount = Amount::total(of_direction(&operations));
                into.put(group.owner, &of::STETH_CONTAINER_DISK_OPERATIONS, labels, amount);
            }
        }
    }

    fn tasks(&self, group: &Group<'_>, into: &mut Sink) {
        let Some(place) = self.hierarchies.place(Controller::Pids) else { return };
        let mut put = |instrument, amount| {
            into.put(group.owner, instrument, &self.fixed.none, amount);
        };
        if let Some(tasks) = group.number(place, "pids.current") {
            put(&of::STETH_CONTAINER_TASK_USAGE, Amount::now(tasks));
        }
        if let Some(limit) = group.number(place, "pids.max") {
            put(&of::STETH_CONTAINER_TASK_LIMIT, Amount::now(limit));
        }
        let events = group.read(place, "pids.events").unwrap_or_default();
        if let Some((_, hits)) = keyed::flat(&events).find(|(key, _)| *key == "max") {
            put(&of::STETH_CONTAINER_TASK_LIMIT_HITS, Amount::total(hits));
        }
    }

    /// Only the one hierarchy has it, whichever version the controllers are of.
    fn pressure(&self, group: &Group<'_>, into: &mut Sink) {
        let Some(unified) = self.hierarchies.unified.as_deref() else { return };
        for (at, resource) in pressure::RESOURCES.iter().enumerate() {
            let file = format!("{resource}.pressure");
            let Some(content) = group.read(Place::Two(unified), &file) else { continue };
            for (labels, nanos) in self.pressure.read(at, &content) {
                let instrument = &of::STETH_CONTAINER_PRESSURE_STALL_TIME;
                into.put(group.owner, instrument, labels, Amount::total(nanos));
            }
        }
    }
}

/// The names of block devices.
fn names(host: &HostRoot) -> HashMap<(u32, u32), Box<str>> {
    let content = keyed::lines_of(host, "/proc/diskstats", 1 << 20).unwrap_or_default();
    disk::lines(&content).map(|(name, number, _)| (number, name.into())).collect()
}
