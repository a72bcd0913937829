//! What of the host, of containers and of processes is measured.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::unit::{Count, Size};

/// What of the host, of containers and of processes is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch that users turn by its name")]
pub struct Usage {
    /// Measure any of this.
    pub enabled: bool,
    /// Processors of the host: time by mode, run queue, switches, interrupts.
    pub cpu: bool,
    /// Memory of the host: use by kind, paging, reclaim, kills.
    pub memory: bool,
    /// Block devices: operations, bytes, queue and device time.
    pub disk: bool,
    /// Mounted file systems: bytes and inodes.
    pub filesystem: bool,
    /// Network interfaces: bytes, packets, drops, errors.
    pub network: bool,
    /// TCP: connections, retransmits, round trips, accept queues.
    pub tcp: bool,
    /// Sockets and descriptors of the host.
    pub sockets: bool,
    /// Processes: processor time, memory, faults, switches, threads, descriptors.
    pub process: bool,
    /// Containers and units: use against limits, throttling, kills.
    pub container: bool,
    /// Time spent waiting for a processor.
    pub scheduler: bool,
    /// Time spent blocked, by cause.
    pub offcpu: bool,
    /// Time spent waiting for locks. Costs something with each contended lock.
    pub locks: bool,
    /// Pressure stall information.
    pub pressure: bool,
    /// Connection tracking.
    pub conntrack: bool,
    /// Processes with series of their own at most: those of observed services and heavy ones. All
    /// others are one series, `{other}`.
    pub processes: Count<0, 10_000>,
    /// Control groups at most.
    pub cgroups: Count<0, 10_000>,
    /// A process that uses at least so many percent of one processor between two rounds is heavy.
    pub heavy_cpu_percent: Count<1, 100_000>,
    /// A process that holds at least so many bytes of memory is heavy.
    pub heavy_memory: Size<0x1000, 0x1_0000_0000_0000>,
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            enabled: true,
            cpu: true,
            memory: true,
            disk: true,
            filesystem: true,
            network: true,
            tcp: true,
            sockets: true,
            process: true,
            container: true,
            scheduler: true,
            offcpu: true,
            locks: false,
            pressure: true,
            conntrack: true,
            processes: Count::of(256),
            cgroups: Count::of(256),
            heavy_cpu_percent: Count::of(10),
            heavy_memory: Size::from_bytes(256 << 20),
        }
    }
}
