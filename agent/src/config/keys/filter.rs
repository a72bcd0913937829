//! What is watched and what is left alone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::unit::Glob;

/// What is watched and what is left alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Watch only what matches one of these.
    pub include: Selection,
    /// Never watch what matches one of these.
    pub exclude: Selection,
}

/// Processes and requests by their properties.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Selection {
    /// File names or paths of executables: `nginx`, `/opt/*/bin/java`.
    pub executables: Vec<Glob>,
    /// Service names, as they are exported.
    pub services: Vec<Glob>,
    /// TCP ports, of either end.
    pub ports: Vec<u16>,
    /// Control group paths: `/system.slice/*`.
    pub cgroups: Vec<Glob>,
    /// Request paths: `/healthz`, `/internal/*`.
    pub paths: Vec<Glob>,
}

impl Selection {
    /// Nothing is selected.
    pub fn is_empty(&self) -> bool {
        let Self { executables, services, ports, cgroups, paths } = self;
        executables.is_empty()
            && services.is_empty()
            && ports.is_empty()
            && cgroups.is_empty()
            && paths.is_empty()
    }
}
