//! The capability report: what the kernel side says of its probes, in the words of `steth check`.

use crate::health::probe::{Probe, Report, State};
use crate::kernel::probe;

use super::privilege::Privileges;
use super::usage::{Collector, rows};
use crate::config::Config;
use crate::host::HostRoot;
use crate::usage::{Families, NoTables};

/// One probe as the kernel side reports it, for the report and for `/status`.
///
/// A probe is disabled when it is not wanted or another does its work: nothing is lost then.
pub fn probe(report: &probe::Report) -> Probe {
    let probe::Report { name, hook, loss, state } = report;
    let (state, lost, grant) = match state {
        probe::State::Active => (State::Active, None, None),
        probe::State::Disabled { why } => (State::Disabled { why: why.clone() }, None, None),
        probe::State::Failed { why } => {
            (State::Failed { why: why.clone() }, Some(*loss), grant(why).map(str::to_owned))
        }
    };
    Probe { name, hook, state, lost, grant }
}

/// What helps against the errors that are met most.
fn grant(why: &str) -> Option<&'static str> {
    let why = why.to_ascii_lowercase();
    let says = |texts: &[&str]| texts.iter().any(|text| why.contains(text));
    if says(&["operation not permitted", "permission denied", "eperm", "eacces"]) {
        Some("grant the privileges named below, or run with sudo")
    } else if says(&["out of memory", "cannot allocate", "enomem"]) {
        Some("raise the memory limit: LimitMEMLOCK=infinity, ulimit -l unlimited")
    } else if says(&["no such file", "not found", "enoent"]) {
        Some("a newer kernel has it")
    } else {
        None
    }
}

/// What one round of USE finds on this host, family by family.
pub fn usage(config: &Config) -> Vec<Probe> {
    let families = Families::from(config);
    let root = HostRoot::find(&config.host.root);
    let reading = Collector::new(root, Box::new(NoTables), families).round();
    let found = reading.families.iter();
    rows(found.map(|found| (found.family, &found.outcome, found.sink.missing())))
}

/// The whole report: `more` is what the kernel side does not know of.
pub fn report(
    kernel: String,
    tier: Option<String>,
    probes: &[probe::Report],
    more: impl IntoIterator<Item = Probe>,
    privileges: Privileges,
) -> Report {
    let probes = probes.iter().map(probe).chain(more).collect();
    Report { kernel, tier, privileges: privileges.advice(), probes }
}
