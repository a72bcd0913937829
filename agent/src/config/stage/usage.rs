//! What [`crate::usage`] is given.

use crate::config::Config;
use crate::config::keys::Usage;
use crate::usage::{Families, Family, book};

impl From<&Config> for book::Config {
    fn from(config: &Config) -> Self {
        let Usage { processes, cgroups, heavy_cpu_percent, heavy_memory, .. } = &config.usage;
        Self {
            processes: processes.number() as usize,
            cgroups: cgroups.number() as usize,
            heavy_cpu: f64::from(heavy_cpu_percent.number()) / 100.0,
            heavy_memory: heavy_memory.bytes(),
        }
    }
}

impl From<&Config> for Families {
    fn from(config: &Config) -> Self {
        let usage = &config.usage;
        let is_on = |family: &Family| match family {
            Family::Cpu => usage.cpu,
            Family::Memory => usage.memory,
            Family::Disk => usage.disk,
            Family::Filesystem => usage.filesystem,
            Family::Network => usage.network,
            Family::Tcp => usage.tcp,
            Family::Sockets => usage.sockets,
            Family::Process => usage.process,
            Family::Container => usage.container,
            Family::Scheduler => usage.scheduler,
            Family::OffCpu => usage.offcpu,
            Family::Locks => usage.locks,
            Family::Pressure => usage.pressure,
            Family::Conntrack => usage.conntrack,
        };
        Family::ALL.into_iter().filter(|family| usage.enabled && is_on(family)).collect()
    }
}
