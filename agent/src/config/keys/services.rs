//! Names for services.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::unit::Glob;

/// A name for the processes that match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceRule {
    /// What a process has to have; all that is given has to match.
    #[serde(rename = "match")]
    pub matches: Match,
    /// `service.name` of the processes that match.
    pub name: String,
    /// `service.namespace` of the processes that match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// Properties of a process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Match {
    /// File name or path of its executable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executable: Option<Glob>,
    /// Its command line, arguments separated by spaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Glob>,
    /// Its control group path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<Glob>,
}

impl Match {
    /// Nothing is asked for.
    pub fn is_empty(&self) -> bool {
        let Self { executable, command, cgroup } = self;
        executable.is_none() && command.is_none() && cgroup.is_none()
    }
}
