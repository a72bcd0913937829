//! The family `cpu`: what the host's processors do, from `/proc/stat` and beside it.

mod stat;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Amount, Family, Labels, Owner, Probe, Reason, Sink, Tables};
use crate::host::{Anchor, HostRoot};
use crate::metric::instrument::cpu as instrument;
use crate::metric::key;
use crate::metric::snapshot::{Number, Value};
use stat::{Mode, Stat};

/// Bytes of `/proc/stat` that are read: the line of interrupts is long on large hosts.
const STAT: usize = 4 << 20;
/// Rounds between two looks at which core a processor belongs to.
const TOPOLOGY: u32 = 60;

/// Reads the processors.
#[derive(Debug, Default)]
pub struct Cpu {
    rounds: u32,
    labels: BTreeMap<(u32, Mode), Labels>,
    cores: Option<usize>,
    throttled: BTreeMap<u32, Labels>,
    fixed: Fixed,
}

/// Labels that never change.
#[derive(Debug)]
struct Fixed {
    none: Labels,
    interrupts: [Labels; 2],
    softirqs: [Labels; stat::SOFTIRQS.len()],
    load: [Labels; 3],
}

impl Default for Fixed {
    fn default() -> Self {
        let one = |key, text| Labels::from([(key, Value::Static(text))]);
        Self {
            none: Arc::from([]),
            interrupts: ["hard", "soft"].map(|kind| one(key::STETH_INTERRUPT_KIND, kind)),
            softirqs: stat::SOFTIRQS.map(|name| one(key::STETH_SOFTIRQ_NAME, name)),
            load: ["1m", "5m", "15m"].map(|period| one(key::STETH_LOAD_PERIOD, period)),
        }
    }
}

impl Probe for Cpu {
    fn family(&self) -> Family {
        Family::Cpu
    }

    fn collect(
        &mut self,
        host: &HostRoot,
        _: &mut dyn Tables,
        now: &Anchor,
        into: &mut Sink,
    ) -> Result<(), Reason> {
        let content = host
            .read("/proc/stat", STAT)
            .map_err(|why| Reason::Failed(format!("/proc/stat: {why:?}").into()))?;
        let stat = Stat::parse(&content.bytes);
        if stat.cpus.is_empty() {
            return Err(Reason::Failed("/proc/stat names no processor".into()));
        }
        self.put_stat(&stat, into);
        let Fixed { none, load, .. } = &self.fixed;
        into.put(&Owner::Host, &instrument::SYSTEM_UPTIME, none, Amount::now(now.boot.0));
        let averages = host.read("/proc/loadavg", 256).ok();
        if let Some(averages) = averages.and_then(|content| stat::loads(&content.bytes)) {
            for (labels, average) in load.iter().zip(averages) {
                let amount = Amount::Now(Number::Double(average));
                into.put(&Owner::Host, &instrument::STETH_SYSTEM_CPU_LOAD, labels, amount);
            }
        }
        self.put_cores(&stat, host, into);
        self.put_throttles(&stat, host, into);
        self.rounds = self.rounds.wrapping_add(1);
        Ok(())
    }
}

impl Cpu {
    fn put_stat(&mut self, stat: &Stat, into: &mut Sink) {
        let Self { labels, fixed, .. } = self;
        for (cpu, times) in &stat.cpus {
            for (mode, nanos) in times.by_mode() {
                let labels = labels.entry((*cpu, mode)).or_insert_with(|| {
                    Arc::from([
                        (key::CPU_LOGICAL_NUMBER, Value::Int(i64::from(*cpu))),
                        (key::CPU_MODE, Value::Static(mode.named())),
                    ])
                });
                let amount = Amount::total(nanos);
                into.put(&Owner::Host, &instrument::SYSTEM_CPU_TIME, labels, amount);
            }
        }
        for (labels, nanos) in fixed.interrupts.iter().zip(stat.interrupts()) {
            let amount = Amount::total(nanos);
            into.put(&Owner::Host, &instrument::STETH_SYSTEM_CPU_INTERRUPT_TIME, labels, amount);
        }
        for (labels, count) in fixed.softirqs.iter().zip(&stat.softirqs) {
            let amount = Amount::total(*count);
            into.put(&Owner::Host, &instrument::STETH_SYSTEM_SOFTIRQS, labels, amount);
        }
        let count = Some(stat.cpus.len() as u64);
        for (instrument, amount) in [
            (&instrument::SYSTEM_CPU_LOGICAL_COUNT, count.map(Amount::now)),
            (&instrument::STETH_SYSTEM_CPU_RUN_QUEUE_LENGTH, stat.running.map(Amount::now)),
            (&instrument::STETH_SYSTEM_THREAD_BLOCKED, stat.blocked.map(Amount::now)),
            (&instrument::STETH_SYSTEM_CONTEXT_SWITCHES, stat.switches.map(Amount::total)),
            (&instrument::STETH_SYSTEM_INTERRUPTS, stat.irqs.map(Amount::total)),
            (&instrument::SYSTEM_PROCESS_CREATED, stat.forks.map(Amount::total)),
        ] {
            if let Some(amount) = amount {
                into.put(&Owner::Host, instrument, &fixed.none, amount);
            }
        }
    }

    /// Which core a processor is of changes with hotplug alone.
    fn put_cores(&mut self, stat: &Stat, host: &HostRoot, into: &mut Sink) {
        if self.rounds.is_multiple_of(TOPOLOGY) {
            let cores: BTreeSet<(String, String)> = stat
                .cpus
                .iter()
                .filter_map(|(cpu, _)| {
                    let of = |name: &str| {
                        let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/{name}");
                        let content = host.read(path, 64).ok()?;
                        Some(String::from_utf8_lossy(content.bytes.trim_ascii()).into_owned())
                    };
                    Some((of("physical_package_id")?, of("core_id")?))
                })
                .collect();
            self.cores = Some(cores.len()).filter(|cores| *cores > 0);
        }
        match self.cores {
            Some(cores) => {
                let amount = Amount::now(cores as u64);
                let none = &self.fixed.none;
                into.put(&Owner::Host, &instrument::SYSTEM_CPU_PHYSICAL_COUNT, none, amount);
            }
            None => {
                into.lacks("cores", Reason::Disabled("sysfs tells no topology".into()));
            }
        }
    }

    fn put_throttles(&mut self, stat: &Stat, host: &HostRoot, into: &mut Sink) {
        let mut found = false;
        for (cpu, _) in &stat.cpus {
            let path =
                format!("/sys/devices/system/cpu/cpu{cpu}/thermal_throttle/core_throttle_count");
            let Ok(content) = host.read(path, 64) else {
                // What one processor does not have the others have not either.
                break;
            };
            let Some(count) = stat::number(content.bytes.trim_ascii()) else { continue };
            found = true;
            let labels = self.throttled.entry(*cpu).or_insert_with(|| {
                Arc::from([(key::CPU_LOGICAL_NUMBER, Value::Int(i64::from(*cpu)))])
            });
            let amount = Amount::total(count);
            into.put(&Owner::Host, &instrument::STETH_SYSTEM_CPU_THERMAL_THROTTLES, labels, amount);
        }
        if !found {
            let why = "this processor or its virtual machine counts none";
            into.lacks("thermal throttling", Reason::Disabled(why.into()));
        }
    }
}
