//! What a probe is to its users, and the report that `steth check` prints.

use std::fmt::Write;

use serde::Serialize;

/// Whether a probe works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum State {
    /// It is attached and gives.
    Active,
    /// It was not tried: not wanted, or this kernel does not have what it needs.
    Disabled {
        /// Why.
        why: String,
    },
    /// It was tried and the kernel refused.
    Failed {
        /// Why, in the kernel's words.
        why: String,
    },
}

/// One probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// Its name.
    pub name: &'static str,
    /// The place in the kernel it stands on.
    pub hook: &'static str,
    /// Whether it works.
    #[serde(flatten)]
    pub state: State,
    /// What is lost while it is not active. `None` when nothing is: another probe does the same, or
    /// it was turned off.
    pub lost: Option<&'static str>,
    /// How to get it.
    pub grant: Option<String>,
}

impl Probe {
    fn is_missed(&self) -> bool {
        self.state != State::Active && self.lost.is_some()
    }
}

/// What works on this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// `uname -r` and the architecture.
    pub kernel: String,
    /// The capture tier in use, in words; `None`: no request can be seen, for the reasons below.
    pub tier: Option<String>,
    /// What is missing of the process's privileges and how to grant it; empty if nothing is.
    pub privileges: String,
    /// Every probe.
    pub probes: Vec<Probe>,
}

/// How much of the agent works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything.
    Whole,
    /// Something is lost.
    Partial,
    /// No request can be seen.
    Nothing,
}

impl Verdict {
    /// For scripts.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Whole => 0,
            Self::Partial => 1,
            Self::Nothing => 2,
        }
    }
}

impl Report {
    /// How much works.
    pub fn verdict(&self) -> Verdict {
        if self.tier.is_none() {
            Verdict::Nothing
        } else if self.probes.iter().any(Probe::is_missed) {
            Verdict::Partial
        } else {
            Verdict::Whole
        }
    }

    /// The report for people: a table, then what to do.
    pub fn text(&self) -> String {
        let Self { kernel, tier, privileges, probes } = self;
        let tier = tier.as_deref().unwrap_or("none works");
        let mut out = format!("kernel   {kernel}\ncapture  {tier}\n\n");
        let width = probes.iter().map(|probe| probe.name.len()).max().unwrap_or(0).max(5);
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{:width$}  {:8}  WITHOUT IT", "PROBE", "STATE");
        for probe in probes {
            let (state, why) = match &probe.state {
                State::Active => ("active", None),
                State::Disabled { why } => ("disabled", Some(why)),
                State::Failed { why } => ("FAILED", Some(why)),
            };
            let lost = match (why, probe.lost) {
                (None, _) => "-",
                (Some(_), Some(lost)) => lost,
                (Some(_), None) => "nothing is lost",
            };
            let _ = writeln!(out, "{:width$}  {state:8}  {lost}", probe.name);
            if let Some(why) = why {
                let _ = writeln!(out, "{:width$}  why       {}", "", one_line(why));
            }
            if let (Some(grant), true) = (&probe.grant, probe.is_missed()) {
                let _ = writeln!(out, "{:width$}  to get it {}", "", one_line(grant));
            }
        }
        if !privileges.is_empty() {
            let _ = write!(out, "\n{}\n", privileges.trim_end());
        }
        let conclusion = match self.verdict() {
            Verdict::Whole => "Everything works.",
            Verdict::Partial => "Requests are seen; what is marked above is lost.",
            Verdict::Nothing => "No request can be seen.",
        };
        let _ = writeln!(out, "\n{conclusion}");
        out
    }
}

/// Verifier logs are long; the table shows the first line that says something.
fn one_line(text: &str) -> String {
    const LONGEST: usize = 160;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let printable = line.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = printable.clone().take(LONGEST).collect();
    if printable.count() > LONGEST {
        short.push_str("...");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::{Probe, Report, State, Verdict};

    fn probe(name: &'static str, state: State) -> Probe {
        Probe {
            name,
            hook: "sock_recv_length",
            lost: Some("durations of what it sees"),
            grant: Some("run with sudo".to_owned()),
            state,
        }
    }

    fn report(probes: Vec<Probe>) -> Report {
        let first = probes.first().filter(|probe| probe.state == State::Active);
        Report {
            kernel: "6.18.0 x86_64".to_owned(),
            tier: first.map(|_| "1: socket tracepoints".to_owned()),
            privileges: String::new(),
            probes,
        }
    }

    fn failed() -> State {
        State::Failed { why: "\n  permission denied (EPERM)\nlong log".to_owned() }
    }

    #[test]
    fn scripts_are_told_how_much_works() {
        let check = |probes: Vec<Probe>, expect: Verdict, code: u8| {
            let verdict = report(probes.clone()).verdict();
            assert_eq!((verdict, verdict.exit_code()), (expect, code), "{probes:?}");
        };
        let disabled = || State::Disabled { why: "tier 1 is active".to_owned() };
        let spare = || Probe { lost: None, ..probe("tier 3", disabled()) };
        let active = || probe("tier 1", State::Active);
        check(vec![active(), spare()], Verdict::Whole, 0);
        check(vec![active(), probe("exec", failed())], Verdict::Partial, 1);
        check(vec![probe("tier 1", failed()), probe("exec", State::Active)], Verdict::Nothing, 2);
        check(vec![], Verdict::Nothing, 2);
    }

    #[test]
    fn people_are_told_what_is_lost_and_how_to_get_it() {
        let spare = State::Disabled { why: "tier 1 is active".to_owned() };
        let probes = vec![
            probe("tier 1", State::Active),
            Probe { lost: None, ..probe("tier 3", spare) },
            probe("process exec", failed()),
        ];
        insta::assert_snapshot!(report(probes).text());
    }
}
