//! How traffic is seen.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How traffic is seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Capture {
    /// Where in the kernel bytes are seen. `auto` takes the cheapest that this kernel offers.
    pub tier: Tier,
    /// Also watch Unix stream sockets.
    pub unix: bool,
    /// Turn the kernel's BPF run-time statistics on while the agent runs, to see what each program
    /// costs. They cost about 40 ns for each call of a program themselves.
    pub statistics: bool,
}

impl Default for Capture {
    fn default() -> Self {
        Self { tier: Tier::Auto, unix: true, statistics: false }
    }
}

/// Where in the kernel bytes are seen.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[schemars(transform = or_number)]
pub enum Tier {
    /// The cheapest that works.
    #[default]
    #[serde(rename = "auto")]
    #[value(name = "auto")]
    Auto,
    /// Socket tracepoints (Linux 6.3 and newer).
    #[serde(rename = "1")]
    #[value(name = "1")]
    Sockets,
    /// Exits of the protocols' receive and send functions (5.15 and newer, with trampolines).
    #[serde(rename = "2")]
    #[value(name = "2")]
    Functions,
    /// Exits of the read and write system calls: slows every call on the host a little.
    #[serde(rename = "3")]
    #[value(name = "3")]
    Syscalls,
}

/// In YAML, `1` without quotes is a number: the reader takes it, so the schema has to.
fn or_number(schema: &mut schemars::Schema) {
    let words = std::mem::take(schema).to_value();
    *schema = schemars::json_schema!({
        "anyOf": [words, { "type": "integer", "minimum": 1, "maximum": 3 }]
    });
}
