//! What the live view shows, as plain values.

use std::sync::Arc;
use std::time::Duration;

use crate::protocol::Role;
use crate::runtime::traces::Trace;

/// Everything at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// The agent and what it sees.
    pub header: Header,
    /// What the host uses and waits for.
    pub host: Host,
    /// One row a service, role and route, in no order.
    pub rows: Vec<Row>,
    /// One row a service, all its routes together, in no order.
    pub services: Vec<Row>,
    /// The newest traces that failed, the very newest first.
    pub errors: Vec<Arc<Trace>>,
    /// The slowest of the others, the very slowest first.
    pub slowest: Vec<Arc<Trace>>,
}

impl View {
    /// All traces, in the order they are shown.
    pub fn traces(&self) -> impl Iterator<Item = &Arc<Trace>> {
        self.errors.iter().chain(&self.slowest)
    }
}

/// The agent and what it sees.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Header {
    /// The host's name.
    pub host: String,
    /// Since the agent started.
    pub uptime: Duration,
    /// How traffic is seen: `tier 1`, `replay`, or why it is not.
    pub capture: String,
    /// Exchanges that ended.
    pub seen: u64,
    /// Exchanges that are in the metrics.
    pub reported: u64,
    /// Exchanges that are not, for a counted reason.
    pub lost: u64,
    /// How full the kernel's ring is, 0 to 1.
    pub ring: f64,
    /// The agent's use of one core, 0 to 1.
    pub cpu: f64,
    /// Bytes of memory the agent holds.
    pub rss: u64,
}

/// What the host uses and waits for; `None` is what nobody reads.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Host {
    /// Of the time of all processors, the part in which they worked, 0 to 1.
    pub cpu: Option<f64>,
    /// Threads that waited for a processor, on average, for each processor.
    pub wait: Option<f64>,
    /// The part of the memory that is not available, 0 to 1.
    pub memory: Option<f64>,
    /// Of the busiest device, the part of the time in which it worked, 0 to 1.
    pub disk: Option<f64>,
    /// PSI `some` of processor, memory and IO, each 0 to 1.
    pub pressure: [Option<f64>; 3],
    /// Packets dropped a second, by interfaces and their queues.
    pub drops: Option<f64>,
    /// TCP segments sent again a second.
    pub retransmits: Option<f64>,
    /// A listening socket turned clients away a moment ago.
    pub accept: bool,
    /// Somebody was killed for want of memory a moment ago.
    pub oom: bool,
}

/// What a service uses and waits for; `None` is what nobody reads.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Processors that it used, on average.
    pub cpu: Option<f64>,
    /// Threads of it that waited for a processor, on average.
    pub wait: Option<f64>,
    /// Threads of it that waited for its own quota, on average; or, by its control group, processors.
    pub throttled: Option<f64>,
    /// Bytes of memory it holds.
    pub memory: Option<u64>,
    /// Of the limit of its control group, the part that it needs; 1 if the limit was met.
    pub memory_full: Option<f64>,
    /// Threads of it that waited for a disk, on average.
    pub disk_wait: Option<f64>,
    /// TCP segments sent again a second.
    pub retransmits: Option<f64>,
    /// One of its accept queues is full, or turned clients away a moment ago.
    pub accept: bool,
    /// One of its processes was killed for want of memory a moment ago.
    pub oom: bool,
}

/// One line of the table: the last few seconds of one route.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Whose.
    pub service: Arc<str>,
    /// Its side.
    pub role: Role,
    /// Its route.
    pub route: Arc<str>,
    /// Requests a second.
    pub rate: f64,
    /// The part of them that failed, 0 to 1.
    pub errors: f64,
    /// Seconds within which half of them, 95 % and 99 % were done; `None` if there were none.
    pub p50: Option<f64>,
    /// See `p50`.
    pub p95: Option<f64>,
    /// See `p50`.
    pub p99: Option<f64>,
    /// Requests the whole service has begun and not ended; `None` for clients.
    pub in_flight: Option<u64>,
    /// What the whole service uses and waits for.
    pub usage: Usage,
}
