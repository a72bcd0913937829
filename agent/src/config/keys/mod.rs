//! Every key of the configuration, with its default, its range and its meaning.
//!
//! The comments on the fields are what users read: the reference page and the schema are made of
//! them. Each section is one file; what the stage it belongs to is given is made there as well.

mod agent;
mod capture;
mod confine;
mod filter;
mod kubernetes;
mod metrics;
mod otlp;
mod routes;
mod services;
mod traces;
mod usage;

pub use agent::{Agent, Host, Limits, Log, LogFormat, LogLevel, Observe, Prometheus};
pub use capture::{Capture, Tier};
pub use confine::Confine;
pub use filter::{Filter, Selection};
pub use kubernetes::Kubernetes;
pub use metrics::Metrics;
pub use otlp::{Compression, HistogramForm, Otlp, Protocol, Temporality};
pub use routes::{Guessed, Routes};
pub use services::{Match, ServiceRule};
pub use traces::{Sampler, Traces, Why};
pub use usage::Usage;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The configuration of steth. Every key has a default; an empty file is a valid one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How traffic is seen.
    pub capture: Capture,
    /// What is watched and what is left alone. Where `include` says nothing, everything is watched;
    /// `exclude` is stronger than `include`.
    pub filter: Filter,
    /// Names for services, first match wins. They are stronger than every name the agent finds,
    /// but for what a process says of itself with `OTEL_SERVICE_NAME`. In the environment:
    /// `STETH_SERVICES='[{name: shop, match: {executable: java}}]'`.
    pub services: Vec<ServiceRule>,
    /// How request paths become routes.
    pub routes: Routes,
    /// What of the host, of containers and of processes is measured (USE). A family that is turned
    /// off loads no program into the kernel and reads no file.
    pub usage: Usage,
    /// How often metrics are reported and how many series they may have.
    pub metrics: Metrics,
    /// Which requests become spans, and what spans say. Every request is counted before any of this
    /// decides anything.
    pub traces: Traces,
    /// Where metrics and spans are pushed to.
    pub otlp: Otlp,
    /// Which pod, container and workload everything belongs to, on the node of a cluster. What node and cluster are
    /// called is said by `agent.attributes`: `k8s.node.name`, `k8s.cluster.name`.
    pub kubernetes: Kubernetes,
    /// The HTTP server for `/metrics`, `/healthz` and `/status`.
    pub prometheus: Prometheus,
    /// What of the agent's own traffic is watched.
    pub observe: Observe,
    /// What the agent says of itself.
    pub agent: Agent,
    /// The host that is watched.
    pub host: Host,
    /// What the agent gives up once it has started. `steth check` and `/status` say what it kept.
    pub confine: Confine,
    /// The agent's own log.
    pub log: Log,
    /// Bounds of memory. What is beyond is dropped and counted.
    pub limits: Limits,
}

impl Config {
    /// What no single key can say: a path and what is wrong with it.
    pub(crate) fn contradiction(&self) -> Option<(&'static [&'static str], &'static str)> {
        let Otlp { client_key, client_certificate, .. } = &self.otlp;
        if client_key.is_some() && client_certificate.is_none() {
            return Some((
                &["otlp", "client_key"],
                "set otlp.client_certificate as well: a key without its certificate is of no use",
            ));
        }
        if client_certificate.is_some() && client_key.is_none() {
            return Some((
                &["otlp", "client_certificate"],
                "set otlp.client_key as well: a certificate without its key is of no use",
            ));
        }
        if self.services.iter().any(|rule| rule.matches.is_empty()) {
            return Some((
                &["services"],
                "each rule needs something under `match`: executable, command or cgroup",
            ));
        }
        if self.services.iter().any(|rule| rule.name.trim().is_empty()) {
            return Some((&["services"], "a `name` cannot be empty"));
        }
        if self.agent.service_name.trim().is_empty() {
            return Some((&["agent", "service_name"], "a service name cannot be empty"));
        }
        None
    }
}
