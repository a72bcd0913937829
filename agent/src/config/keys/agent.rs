//! The agent itself: what it serves, says, logs and may use.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::unit::{Count, Listen, Size};

/// The HTTP server for `/metrics`, `/healthz` and `/status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Prometheus {
    /// Run the server.
    pub enabled: bool,
    /// Where it listens. Anyone who can reach it can read routes and service names.
    pub listen: Listen,
}

impl Default for Prometheus {
    fn default() -> Self {
        let listen = Listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 9464)));
        Self { enabled: true, listen }
    }
}

/// What of the agent's own traffic is watched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Observe {
    /// Watch the agent's own process like any other.
    #[serde(rename = "self")]
    pub itself: bool,
    /// Watch the agent's requests where the collector receives them.
    pub receivers: bool,
}

/// What the agent says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Agent {
    /// `service.name` of the agent's own metrics.
    pub service_name: String,
    /// Attributes added to every resource the agent reports, unless the process says otherwise:
    /// `deployment.environment.name: production`.
    pub attributes: BTreeMap<String, String>,
}

impl Default for Agent {
    fn default() -> Self {
        Self { service_name: "steth".to_owned(), attributes: BTreeMap::new() }
    }
}

/// The host that is watched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Host {
    /// Directory under which the host's `/proc` and `/sys` are found: `/host` in a container that
    /// mounts them there. `/sys` alone does where the container has the host's process ids.
    pub root: PathBuf,
}

impl Default for Host {
    fn default() -> Self {
        Self { root: PathBuf::from("/") }
    }
}

/// The agent's own log, on standard error.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// The least severe level that is written.
    pub level: LogLevel,
    /// How a line looks.
    pub format: LogFormat,
}

/// The least severe level that is written.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What keeps the agent from its work.
    Error,
    /// What costs data or needs someone's attention.
    Warn,
    /// What the agent does, a few lines an hour.
    #[default]
    Info,
    /// What it decides.
    Debug,
    /// Everything.
    Trace,
}

/// How a line of the log looks.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// `text` on a terminal, else `json`.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Bounds of memory. What is beyond is dropped and counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections followed at the same time; the longest idle ones give way.
    pub connections: Count<16, 1_000_000>,
    /// Bytes of messages waiting to be whole, of all connections together.
    pub stream_bytes: Size<0x10_0000, 0x4000_0000>,
    /// Bytes of the ring between the kernel and the agent, rounded up to a power of two. A larger one
    /// survives longer bursts; the agent's resident size shows it twice.
    pub ring: Size<0x1_0000, 0x4000_0000>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: Count::of(16_384),
            stream_bytes: Size::from_bytes(8 << 20),
            ring: Size::from_bytes(4 << 20),
        }
    }
}
