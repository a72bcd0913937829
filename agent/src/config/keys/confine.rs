//! What the agent gives up once it has started.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the agent gives up once it has started. `steth check` and `/status` say what it kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Confine {
    /// Give up every capability that is not needed any more. Off: for who must see what the agent does with all of them.
    pub capabilities: bool,
    /// Have the kernel refuse every system call that the agent does not need. Off: for credentials that
    /// come from a program that `KUBECONFIG` names, which could not be run, and to see whether the filter is in the way.
    pub seccomp: bool,
}

impl Default for Confine {
    fn default() -> Self {
        Self { capabilities: true, seccomp: true }
    }
}
