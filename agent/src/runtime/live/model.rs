//! What the live view shows, as plain values.

use std::sync::Arc;
use std::time::Duration;

use crate::protocol::Role;

/// Everything at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// The agent and what it sees.
    pub header: Header,
    /// one row a service, role and route, in no order.
    pub rows: Vec<Row>,
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
}
