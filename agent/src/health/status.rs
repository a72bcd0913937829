//! What `/status` says, as types.

use serde::Serialize;

use super::probe::Probe;

/// The agent at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Status {
    /// Version of the agent.
    pub version: &'static str,
    /// Seconds since it started.
    pub uptime_seconds: f64,
    /// How traffic is seen.
    pub capture: Capture,
    /// `seen = reported + lost`, of exchanges.
    pub exchanges: Totals,
    /// Everything lost, by stage and reason; only what is not zero.
    pub losses: Vec<Loss>,
    /// What the kernel side counted that is no loss.
    pub kernel_counters: Vec<KernelCounter>,
    /// Everything that waits.
    pub queues: Vec<Queue>,
    /// Everything that has a limit.
    pub budgets: Vec<Budget>,
    /// The agent's own cost.
    pub agent: Agent,
    /// What passed without notice of anyone at start-up: keys ignored, variables passed over.
    pub warnings: Vec<String>,
}

/// How traffic is seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Capture {
    /// The tier in use; `None` if none works.
    pub tier: Option<u8>,
    /// Every probe.
    pub probes: Vec<Probe>,
}

/// What came in and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Exchanges that ended.
    pub seen: u64,
    /// Exchanges that are in the metrics.
    pub reported: u64,
    /// Exchanges that are not, for the reasons among the losses.
    pub lost: u64,
    /// Exchanges that have begun and not ended.
    pub in_flight: u64,
}

/// Something lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The stage that lost it.
    pub stage: &'static str,
    /// Why.
    pub reason: &'static str,
    /// How often.
    pub count: u64,
}

/// Something the kernel side counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KernelCounter {
    /// What.
    pub name: &'static str,
    /// How often, or how many bytes.
    pub count: u64,
}

/// Something that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Queue {
    /// What it holds.
    pub name: &'static str,
    /// How full it is, in `unit`.
    pub size: u64,
    /// When it drops.
    pub limit: u64,
    /// `bytes` or what it counts.
    pub unit: &'static str,
}

/// Something that has a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// What is bounded: series, entities, connections.
    pub name: &'static str,
    /// How much is used.
    pub used: u64,
    /// How much there is.
    pub limit: u64,
}

/// The agent's own cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Agent {
    /// CPU time since it started.
    pub cpu_seconds: f64,
    /// Memory it holds.
    pub rss_bytes: u64,
    /// Memory of its kernel maps.
    pub map_bytes: u64,
}
