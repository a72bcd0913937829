//! What the guest tells the host: one line of JSON for each [`Report`], and the [`Task`] the host packed for the guest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a guest is to do, a file of its initramfs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    /// The agent's program and its arguments; none when only the harness is tried.
    pub agent: Option<Vec<String>>,
}

/// Requests by method and status, the two every row of the load differs in.
pub type Tally = BTreeMap<String, u64>;

/// What happened in the guest, in the order it is said.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// PID 1 runs.
    Booted(Kernel),
    /// The end of it.
    Done(Box<Outcome>),
}

/// What the kernel has of the things the agent's tiers stand on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Kernel {
    /// `uname -r`.
    pub release: String,
    /// Seconds since the kernel began, when PID 1 ran.
    pub uptime: f64,
    /// Bytes of `/sys/kernel/btf/vmlinux`, 0 when it is absent.
    pub btf_bytes: u64,
    /// Which of the tracepoints and symbols asked for exist.
    pub has: BTreeMap<String, bool>,
}

/// What was asked, what the server and the client say, and what the agent says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// What went wrong in the guest itself.
    pub errors: Vec<String>,
    /// The client's own log.
    pub client: Tally,
    /// The server's own log.
    pub server: Tally,
    /// What the agent says, when there is one.
    pub agent: Option<Agent>,
}

/// What the agent says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Agent {
    /// Seconds from its start to the first answer of its endpoint.
    pub ready: f64,
    /// Requests served by the server, as counted by the agent.
    pub server: Tally,
    /// Requests made by the client, as counted by the agent.
    pub client: Tally,
    /// Counters of losses that are not 0, by their series.
    pub lost: BTreeMap<String, f64>,
    /// Runs of its programs that the kernel left out, by program tag: a program that was preempted is not run by
    /// another task on the same CPU. Whatever the agent's own counters say, these calls were not seen.
    pub missed_runs: BTreeMap<String, u64>,
    /// Its `/status`.
    pub status: serde_json::Value,
    /// Lines of its log at WARN and ERROR.
    pub complaints: Vec<String>,
    /// How it ended after being asked to.
    pub ended: String,
}

impl Agent {
    /// The capture tier it says is in use.
    pub fn tier(&self) -> Option<u64> {
        self.status.pointer("/capture/tier")?.as_u64()
    }
}

/// Begins each line of the second serial port.
pub const PREFIX: &str = "STETH-RESULT ";

/// The reports in what came out of the second serial port.
pub fn parse(text: &str) -> Vec<Report> {
    text.lines()
        .filter_map(|line| serde_json::from_str(line.trim().strip_prefix(PREFIX)?).ok())
        .collect()
}
