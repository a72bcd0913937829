//! What the registry may be told, and what it tells of itself.

use crate::entity::{Filter, Rule};
use crate::event::Nanos;

/// The registry's part of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Lives of processes that are kept.
    pub processes: usize,
    /// Service instances that are kept.
    pub entities: usize,
    /// How long a process that has ended is remembered.
    pub process_grace: Nanos,
    /// How long an instance without processes goes on.
    pub entity_grace: Nanos,
    /// Names by configuration; the first that fits counts.
    pub rules: Vec<Rule>,
    /// What is observed.
    pub filter: Filter,
    /// The agent's own `OTEL_RESOURCE_ATTRIBUTES`: defaults for every resource.
    pub attributes: String,
    /// The agent's version.
    pub version: &'static str,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            processes: 32_768,
            entities: 4096,
            process_grace: Nanos(10_000_000_000),
            entity_grace: Nanos(300_000_000_000),
            rules: Vec::new(),
            filter: Filter::default(),
            attributes: String::new(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

/// What the registry holds and what it had to leave out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lives of processes held now.
    pub processes: u64,
    /// Service instances held now.
    pub entities: u64,
    /// Lives freed early because there were too many.
    pub processes_evicted: u64,
    /// Programs counted to `{other}` because there were too many instances.
    pub entities_refused: u64,
    /// Instances that ended.
    pub entities_retired: u64,
    /// Programs named without anything to go by.
    pub unknown: u64,
    /// Programs that had gone before they were asked for and were taken for their ancestors'.
    pub inherited: u64,
    /// Programs whose `OTEL_RESOURCE_ATTRIBUTES` made no sense.
    pub attributes_malformed: u64,
    /// Exec records cut short for which `/proc` was not read because there were too many.
    pub cut_unread: u64,
    /// Ends of processes that were not told and were found out.
    pub ends_missed: u64,
    /// Changes of verdicts that were not told because nobody took them.
    pub changes_lost: u64,
}
