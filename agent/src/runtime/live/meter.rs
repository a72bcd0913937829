//! What was read of USE to what is shown: the difference from one round to the next, of the host and
//! of each service. Reads snapshots, so that what is shown is what is exported.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::model::{Host, Usage};
use crate::event::{Nanos, Timestamp};
use crate::metric::instrument::{
    Instrument, Kind, container, cpu, disk, events, memory, network, offcpu, pressure, process,
    scheduler, tcp,
};
use crate::metric::key::{self, Key};
use crate::metric::snapshot::{Attribute, Data, Number, Resource, Snapshot, Value};

/// How long what happens at an instant stays marked, so that a person sees it.
const HOLD: Nanos = Nanos(30_000_000_000);

/// What was found at a look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// Of the host.
    pub host: Host,
    /// Of each service, by its name; all its instances together.
    pub services: BTreeMap<Arc<str>, Usage>,
}

/// Whom something is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Host,
    Service(Arc<str>),
}

type Counted = (Arc<Resource>, &'static str, Arc<[Attribute]>);

/// Remembers what was counted at the last round.
#[derive(Debug, Default)]
pub struct Meter {
    before: HashMap<Counted, f64>,
    /// How long each process had run.
    ran: HashMap<Arc<Resource>, f64>,
    read: Option<Timestamp>,
    accepts: BTreeMap<Subject, Timestamp>,
    kills: BTreeMap<Subject, Timestamp>,
    look: Look,
}

/// A series, as it is at this round.
struct Reading<'a> {
    instrument: &'static Instrument,
    attributes: &'a [Attribute],
    /// Of a counter: by how much it grew, each second. Else what it is.
    value: f64,
}

impl Reading<'_> {
    fn is(&self, instrument: &'static Instrument) -> bool {
        std::ptr::eq(self.instrument, instrument)
    }

    fn has(&self, key: Key, text: &str) -> bool {
        text_of(self.attributes, key).as_deref() == Some(text)
    }
}

/// What is added up before it can be shown.
#[derive(Default)]
struct Sums {
    /// Accept queues by service and port: how long they are and how long they may get.
    queues: BTreeMap<(Arc<str>, Option<Value>), [f64; 2]>,
    /// Working set and limit of a container.
    groups: BTreeMap<Arc<str>, [f64; 2]>,
    busy: f64,
    idle: f64,
    wait: Option<f64>,
    disks: BTreeMap<Arc<str>, f64>,
    available: Option<f64>,
    limit: Option<f64>,
}

impl Meter {
    /// What came between the last round of USE and the one that was read at `read`, as far as it
    /// stands in `snapshot`. The same as before if there was no round since.
    pub fn look(&mut self, snapshot: &Snapshot, read: Option<Timestamp>) -> &Look {
        let Some(now) = read.filter(|_| read != self.read) else { return &self.look };
        let elapsed = self.read.map(|before| now.since(before));
        let readings = self.readings(snapshot, elapsed);
        let groups = services_by_group(snapshot);
        let ended = self.ended(&readings);
        let mut sums = Sums::default();
        let mut look = Look::default();
        for (resource, reading) in &readings {
            if let Some(service) = text_of(&resource.attributes, key::SERVICE_NAME) {
                let usage = look.services.entry(Arc::clone(&service)).or_default();
                sums.queue(&service, reading);
                if reading.is(&process::PROCESS_MEMORY_USAGE) && ended.contains(*resource) {
                    continue;
                }
                self.service(usage, service, reading, now);
            } else if let Some(id) = text_of(&resource.attributes, key::CONTAINER_ID) {
                for service in groups.get(&id).into_iter().flatten() {
                    group(look.services.entry(Arc::clone(service)).or_default(), reading);
                }
                sums.group(id, reading);
            } else if text_of(&resource.attributes, key::STETH_CGROUP_PATH).is_none() {
                self.host(&mut look.host, &mut sums, reading, now);
            }
        }
        sums.settle(&mut look, &groups);
        let is_recent = |at: &BTreeMap<Subject, Timestamp>, subject: &Subject| {
            at.get(subject).is_some_and(|at| now.since(*at) < HOLD)
        };
        look.host.accept = is_recent(&self.accepts, &Subject::Host);
        look.host.oom = is_recent(&self.kills, &Subject::Host);
        for (service, usage) in &mut look.services {
            let subject = Subject::Service(Arc::clone(service));
            usage.accept |= is_recent(&self.accepts, &subject);
            usage.oom = is_recent(&self.kills, &subject);
        }
        for held in [&mut self.accepts, &mut self.kills] {
            held.retain(|_, at| now.since(*at) < HOLD);
        }
        (self.read, self.look) = (Some(now), look);
        &self.look
    }

    /// The series that are shown; counters only from the second round on, as rates.
    fn readings<'a>(
        &mut self,
        snapshot: &'a Snapshot,
        elapsed: Option<Nanos>,
    ) -> Vec<(&'a Arc<Resource>, Reading<'a>)> {
        let before = std::mem::take(&mut self.before);
        let seconds = elapsed.map(|elapsed| elapsed.0 as f64 / 1e9).filter(|s| *s > 0.0);
        let mut readings = Vec::new();
        for resource in &snapshot.resources {
            let metrics = resource.scopes.iter().flat_map(|scope| &scope.metrics);
            for metric in metrics.filter(|metric| is_shown(metric.instrument)) {
                let instrument = metric.instrument;
                for point in &metric.points {
                    let Some(number) = point.data.number() else { continue };
                    let value = in_unit(instrument, number);
                    let mut reading = Reading { instrument, attributes: &point.attributes, value };
                    if instrument.kind == Kind::Counter {
                        let counted = (
                            Arc::clone(&resource.resource),
                            instrument.name,
                            Arc::clone(&point.attributes),
                        );
                        let older = match (before.get(&counted), &point.data) {
                            (Some(before), _) => *before,
                            (None, Data::Older { before, .. }) => in_unit(instrument, *before),
                            (None, _) => 0.0,
                        };
                        self.before.insert(counted, value);
                        let Some(seconds) = seconds else { continue };
                        reading.value = (value - older).max(0.0) / seconds;
                    }
                    readings.push((&resource.resource, reading));
                }
            }
        }
        readings
    }

    /// Processes that do not run on: their last values stand in snapshots until they are exported.
    fn ended<'a>(
        &mut self,
        readings: &[(&'a Arc<Resource>, Reading<'a>)],
    ) -> HashSet<&'a Arc<Resource>> {
        let uptimes = readings.iter().filter(|(_, reading)| reading.is(&process::PROCESS_UPTIME));
        let uptimes = uptimes.map(|(resource, reading)| (*resource, reading.value));
        let before = std::mem::take(&mut self.ran);
        let mut ended = HashSet::new();
        for (resource, uptime) in uptimes {
            if before.get(resource) == Some(&uptime) {
                ended.insert(resource);
            }
            self.ran.insert(Arc::clone(resource), uptime);
        }
        ended
    }

    fn host(&mut self, host: &mut Host, sums: &mut Sums, reading: &Reading<'_>, now: Timestamp) {
        let value = reading.value;
        if reading.is(&cpu::SYSTEM_CPU_TIME) {
            let is_idle =
                reading.has(key::CPU_MODE, "idle") || reading.has(key::CPU_MODE, "iowait");
            *(if is_idle { &mut sums.idle } else { &mut sums.busy }) += value;
        } else if reading.is(&scheduler::STETH_CPU_RUN_QUEUE_TIME) {
            if !reading.has(key::STETH_RUN_QUEUE_CAUSE, "quota") {
                add(&mut sums.wait, value);
            }
        } else if reading.is(&memory::SYSTEM_MEMORY_LINUX_AVAILABLE) {
            sums.available = Some(value);
        } else if reading.is(&memory::SYSTEM_MEMORY_LIMIT) {
            sums.limit = Some(value);
        } else if reading.is(&disk::SYSTEM_DISK_IO_TIME) {
            let device = text_of(reading.attributes, key::SYSTEM_DEVICE).unwrap_or_default();
            *sums.disks.entry(device).or_default() += value;
        } else if reading.is(&pressure::STETH_SYSTEM_PRESSURE_STALL_TIME) {
            let of_some = reading.has(key::STETH_PRESSURE_SCOPE, "some");
            for (part, resource) in host.pressure.iter_mut().zip(["cpu", "memory", "io"]) {
                if of_some && reading.has(key::STETH_RESOURCE, resource) {
                    *part = Some(value);
                }
            }
        } else if reading.is(&network::SYSTEM_NETWORK_PACKET_DROPPED)
            || reading.is(&network::STETH_SYSTEM_NETWORK_QUEUE_DROPS)
            || reading.is(&network::STETH_SYSTEM_NETWORK_SOFTNET_DROPS)
        {
            add(&mut host.drops, value);
        } else if reading.is(&tcp::STETH_SYSTEM_TCP_RETRANSMITS) {
            add(&mut host.retransmits, value);
        } else if reading.is(&tcp::STETH_SYSTEM_TCP_LISTEN_OVERFLOWS) && value > 0.0 {
            self.accepts.insert(Subject::Host, now);
        } else if reading.is(&memory::STETH_SYSTEM_MEMORY_OOM_KILLS) && value > 0.0 {
            self.kills.insert(Subject::Host, now);
        }
    }

    fn service(
        &mut self,
        usage: &mut Usage,
        service: Arc<str>,
        reading: &Reading<'_>,
        now: Timestamp,
    ) {
        let value = reading.value;
        if reading.is(&process::PROCESS_CPU_TIME) {
            add(&mut usage.cpu, value);
        } else if reading.is(&process::PROCESS_MEMORY_USAGE) {
            let more = bytes(value);
            usage.memory = Some(usage.memory.unwrap_or(0).saturating_add(more));
        } else if reading.is(&scheduler::STETH_CPU_RUN_QUEUE_TIME) {
            let by_quota = reading.has(key::STETH_RUN_QUEUE_CAUSE, "quota");
            add(if by_quota { &mut usage.throttled } else { &mut usage.wait }, value);
        } else if reading.is(&offcpu::STETH_OFF_CPU_TIME) {
            if reading.has(key::STETH_OFF_CPU_CAUSE, "disk") {
                add(&mut usage.disk_wait, value);
            }
        } else if reading.is(&events::STETH_TCP_RETRANSMITS) {
            add(&mut usage.retransmits, value);
        } else if reading.is(&events::STETH_TCP_ACCEPT_QUEUE_DROPS) && value > 0.0 {
            self.accepts.insert(Subject::Service(service), now);
        } else if reading.is(&events::STETH_OOM_KILLS) && value > 0.0 {
            self.kills.insert(Subject::Service(service), now);
        }
    }
}

/// What a control group adds to what is known of a service in it.
fn group(usage: &mut Usage, reading: &Reading<'_>) {
    let value = reading.value;
    if reading.is(&container::STETH_CONTAINER_CPU_THROTTLED_TIME) {
        usage.throttled = Some(usage.throttled.unwrap_or(0.0).max(value));
    } else if reading.is(&container::STETH_CONTAINER_MEMORY_LIMIT_HITS) && value > 0.0 {
        usage.memory_full = Some(1.0);
    }
}

impl Sums {
    fn queue(&mut self, service: &Arc<str>, reading: &Reading<'_>) {
        let both: [&'static Instrument; 2] =
            [&events::STETH_TCP_ACCEPT_QUEUE_USAGE, &events::STETH_TCP_ACCEPT_QUEUE_LIMIT];
        let Some(place) = both.iter().position(|instrument| reading.is(instrument)) else { return };
        let port = reading.attributes.iter().find(|(key, _)| *key == key::SERVER_PORT);
        let queue = (Arc::clone(service), port.map(|(_, port)| port.clone()));
        if let Some(part) = self.queues.entry(queue).or_default().get_mut(place) {
            *part += reading.value;
        }
    }

    fn group(&mut self, id: Arc<str>, reading: &Reading<'_>) {
        let both: [&'static Instrument; 2] =
            [&container::CONTAINER_MEMORY_WORKING_SET, &container::STETH_CONTAINER_MEMORY_LIMIT];
        let Some(place) = both.iter().position(|instrument| reading.is(instrument)) else { return };
        if let Some(part) = self.groups.entry(id).or_default().get_mut(place) {
            *part += reading.value;
        }
    }

    fn settle(self, look: &mut Look, of: &HashMap<Arc<str>, BTreeSet<Arc<str>>>) {
        let Self { queues, groups, busy, idle, wait, disks, available, limit } = self;
        let Look { host, services } = look;
        // The kernel takes one more than the limit says: full is above it.
        for ((service, _), [_, _]) in queues.into_iter().filter(|(_, [usage, most])| usage > most) {
            services.entry(service).or_default().accept = true;
        }
        for (id, [needed, most]) in groups.into_iter().filter(|(_, [_, most])| *most > 0.0) {
            for service in of.get(&id).into_iter().flatten() {
                let full = &mut services.entry(Arc::clone(service)).or_default().memory_full;
                *full = Some(full.unwrap_or(0.0).max(needed / most));
            }
        }
        // Together they are the number of processors.
        let processors = busy + idle;
        if processors > 0.0 {
            host.cpu = Some(busy / processors);
            host.wait = wait.map(|wait| wait / processors);
        }
        host.disk = disks.into_values().reduce(f64::max);
        if let (Some(available), Some(limit)) = (available, limit.filter(|limit| *limit > 0.0)) {
            host.memory = Some((1.0 - available / limit).max(0.0));
        }
    }
}

fn is_shown(instrument: &'static Instrument) -> bool {
    let shown: [&'static Instrument; 25] = [
        &cpu::SYSTEM_CPU_TIME,
        &memory::SYSTEM_MEMORY_LINUX_AVAILABLE,
        &memory::SYSTEM_MEMORY_LIMIT,
        &memory::STETH_SYSTEM_MEMORY_OOM_KILLS,
        &disk::SYSTEM_DISK_IO_TIME,
        &pressure::STETH_SYSTEM_PRESSURE_STALL_TIME,
        &network::SYSTEM_NETWORK_PACKET_DROPPED,
        &network::STETH_SYSTEM_NETWORK_QUEUE_DROPS,
        &network::STETH_SYSTEM_NETWORK_SOFTNET_DROPS,
        &tcp::STETH_SYSTEM_TCP_RETRANSMITS,
        &tcp::STETH_SYSTEM_TCP_LISTEN_OVERFLOWS,
        &process::PROCESS_CPU_TIME,
        &process::PROCESS_MEMORY_USAGE,
        &process::PROCESS_UPTIME,
        &scheduler::STETH_CPU_RUN_QUEUE_TIME,
        &offcpu::STETH_OFF_CPU_TIME,
        &events::STETH_TCP_RETRANSMITS,
        &events::STETH_TCP_ACCEPT_QUEUE_DROPS,
        &events::STETH_OOM_KILLS,
        &events::STETH_TCP_ACCEPT_QUEUE_USAGE,
        &events::STETH_TCP_ACCEPT_QUEUE_LIMIT,
        &container::CONTAINER_MEMORY_WORKING_SET,
        &container::STETH_CONTAINER_MEMORY_LIMIT,
        &container::STETH_CONTAINER_CPU_THROTTLED_TIME,
        &container::STETH_CONTAINER_MEMORY_LIMIT_HITS,
    ];
    shown.iter().any(|shown| std::ptr::eq(*shown, instrument))
}

/// The services that run in each container.
fn services_by_group(snapshot: &Snapshot) -> HashMap<Arc<str>, BTreeSet<Arc<str>>> {
    let mut groups: HashMap<Arc<str>, BTreeSet<Arc<str>>> = HashMap::new();
    for resource in &snapshot.resources {
        let of = |key| text_of(&resource.resource.attributes, key);
        if let (Some(id), Some(service)) = (of(key::CONTAINER_ID), of(key::SERVICE_NAME)) {
            groups.entry(id).or_default().insert(service);
        }
    }
    groups
}

fn text_of(attributes: &[Attribute], wanted: Key) -> Option<Arc<str>> {
    let (_, value) = attributes.iter().find(|(key, _)| *key == wanted)?;
    match value {
        Value::Text(text) => Some(Arc::clone(text)),
        Value::Static(text) => Some(Arc::from(*text)),
        Value::Int(_) | Value::Bool(_) | Value::Seconds(_) | Value::List(_) => None,
    }
}

/// Fractions are in the exported unit already.
fn in_unit(instrument: &Instrument, number: Number) -> f64 {
    match number {
        Number::Int(value) => instrument.scale.apply(u64::try_from(value).unwrap_or(0)),
        Number::Double(value) => value.max(0.0),
    }
}

fn add(sum: &mut Option<f64>, more: f64) {
    *sum = Some(sum.unwrap_or(0.0) + more);
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "is not negative, and memory of more than 2^64 bytes is none"
)]
fn bytes(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests;
