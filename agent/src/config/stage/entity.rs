//! What [`crate::entity`] is given, and the filter of paths, which is told by the same patterns.

use std::fmt::Write;
use std::time::Duration;

use crate::config::Config;
use crate::config::keys::{Match, Selection, ServiceRule};
use crate::config::unit;
use crate::entity;
use crate::entity::filter::Patterns;
use crate::entity::glob::Glob;
use crate::event::Nanos;

impl From<&Config> for entity::Config {
    fn from(config: &Config) -> Self {
        let Config { services, filter, agent, .. } = config;
        Self {
            rules: services.iter().map(rule).collect(),
            filter: entity::Filter {
                include: patterns(&filter.include),
                exclude: patterns(&filter.exclude),
            },
            attributes: attributes(agent.attributes.iter()),
            process_grace: grace(config.metrics.interval.duration()),
            ..Self::default()
        }
    }
}

/// What a process used until its end is told at the next round: it is remembered until then.
fn grace(interval: Duration) -> Nanos {
    let round = interval + Duration::from_secs(2);
    let least = entity::Config::default().process_grace;
    least.max(Nanos(u64::try_from(round.as_nanos()).unwrap_or(u64::MAX)))
}

/// Which request paths are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// If there are any, only these.
    pub include: Vec<Glob>,
    /// Never these.
    pub exclude: Vec<Glob>,
}

impl From<&Config> for Paths {
    fn from(config: &Config) -> Self {
        let globs = |selection: &Selection| selection.paths.iter().map(glob).collect();
        Self { include: globs(&config.filter.include), exclude: globs(&config.filter.exclude) }
    }
}

fn glob(typed: &unit::Glob) -> Glob {
    Glob::new(typed.as_str())
}

fn patterns(selection: &Selection) -> Patterns {
    // Ports are the kernel side's to filter, paths the pipeline's.
    let Selection { executables, services, ports: _, cgroups, paths: _ } = selection;
    let globs = |typed: &[unit::Glob]| typed.iter().map(glob).collect();
    Patterns { executables: globs(executables), services: globs(services), cgroups: globs(cgroups) }
}

fn rule(typed: &ServiceRule) -> entity::Rule {
    let ServiceRule { matches, name, namespace } = typed;
    let Match { executable, command, cgroup } = matches;
    entity::Rule {
        executable: executable.as_ref().map(glob),
        command: command.as_ref().map(glob),
        cgroup: cgroup.as_ref().map(glob),
        name: name.clone(),
        namespace: namespace.clone(),
    }
}

/// As `OTEL_RESOURCE_ATTRIBUTES` has them: percent-encoded where a character means something.
fn attributes<'a>(pairs: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    let mut out = String::new();
    for (key, value) in pairs {
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(key);
        out.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~:/".contains(&byte) {
                out.push(char::from(byte));
            } else {
                // Writing to a string cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::attributes;

    #[test]
    fn attributes_are_written_so_that_they_read_back() {
        let pairs =
            [("team".to_owned(), "a b,c=d%".to_owned()), ("env".to_owned(), "é".to_owned())];
        let text = attributes(pairs.iter().map(|(key, value)| (key, value)));
        assert_eq!(text, "team=a%20b%2Cc%3Dd%25,env=%C3%A9");
    }
}
