//! Which privileges the agent has, what each is for, and how to grant one that is missing.

use std::fmt::Write;

use crate::health::probe::{Probe as Row, State};

/// A capability the agent uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Loads programs and makes maps.
    Bpf,
    /// Attaches programs to tracepoints and functions.
    Perfmon,
    /// Looks at other users' processes.
    SysPtrace,
    /// Reads what only its owner may read.
    DacReadSearch,
}

/// All of them, the indispensable first.
pub const CAPABILITIES: [Capability; 4] =
    [Capability::Bpf, Capability::Perfmon, Capability::SysPtrace, Capability::DacReadSearch];

/// Stands for [`Capability::Bpf`] and [`Capability::Perfmon`], and is all there is before Linux 5.8.
const SYS_ADMIN: u32 = 21;

impl Capability {
    /// Its bit in the sets of `/proc/PID/status`.
    const fn bit(self) -> u32 {
        match self {
            Self::DacReadSearch => 2,
            Self::SysPtrace => 19,
            Self::Perfmon => 38,
            Self::Bpf => 39,
        }
    }

    /// Its name. Kubernetes leaves out `CAP_`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bpf => "CAP_BPF",
            Self::Perfmon => "CAP_PERFMON",
            Self::SysPtrace => "CAP_SYS_PTRACE",
            Self::DacReadSearch => "CAP_DAC_READ_SEARCH",
        }
    }

    /// What is lost without it.
    pub const fn lost(self) -> &'static str {
        match self {
            Self::Bpf => "everything: the kernel loads no program",
            Self::Perfmon => "everything: no program can be attached",
            Self::SysPtrace => {
                "names of other users' services that ran before: their executable and root directory"
            }
            Self::DacReadSearch => {
                "what other users' services that ran before say of themselves: their environment"
            }
        }
    }

    fn is_indispensable(self) -> bool {
        matches!(self, Self::Bpf | Self::Perfmon)
    }
}

/// What this process may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Privileges {
    effective: u64,
    /// The process lives in a user namespace of its own: its capabilities mean nothing outside.
    confined: bool,
}

impl Privileges {
    /// Those of this thread, which are its own; a thread begins with those of the one that starts it.
    pub fn of_this_thread() -> std::io::Result<Self> {
        let status = std::fs::read_to_string("/proc/thread-self/status")?;
        let uid_map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        Self::parse(&status, &uid_map).ok_or_else(|| {
            std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                "no CapEff in /proc/thread-self/status",
            )
        })
    }

    /// From the texts of `/proc/PID/status` and `/proc/PID/uid_map`.
    pub fn parse(status: &str, uid_map: &str) -> Option<Self> {
        let set = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
        let effective = u64::from_str_radix(set.trim(), 16).ok()?;
        let mut ids = uid_map.split_whitespace();
        let whole = ids.next() == Some("0")
            && ids.next() == Some("0")
            && ids.next() == Some("4294967295")
            && ids.next().is_none();
        Some(Self { effective, confined: !whole && !uid_map.is_empty() })
    }

    /// Whether it has one.
    pub fn has(self, capability: Capability) -> bool {
        let bit = |bit: u32| self.effective >> bit & 1 == 1;
        bit(capability.bit()) || (capability.is_indispensable() && bit(SYS_ADMIN))
    }

    /// Those it lacks.
    pub fn missing(self) -> Vec<Capability> {
        CAPABILITIES.into_iter().filter(|capability| !self.has(*capability)).collect()
    }

    /// Whether nothing can work.
    pub fn are_too_few(self) -> bool {
        self.missing().into_iter().any(Capability::is_indispensable)
    }

    /// A row for each capability: that it is missing, that it was `kept`, or that it was given up.
    pub fn rows(self, kept: Self) -> impl Iterator<Item = Row> {
        CAPABILITIES.into_iter().map(move |capability| {
            let (state, lost) = if !self.has(capability) {
                let why = "the agent was started without it".to_owned();
                (State::Failed { why }, Some(capability.lost()))
            } else if kept.has(capability) {
                (State::Active, None)
            } else {
                (State::Disabled { why: "given up: starting alone needs it".to_owned() }, None)
            };
            Row { name: capability.name(), hook: "capability", state, lost, grant: None }
        })
    }

    /// What is missing, what is lost and how to grant it; empty if nothing is missing.
    pub fn advice(self) -> String {
        let missing = self.missing();
        let mut out = String::new();
        if self.confined {
            out.push_str(
                "This process is in a user namespace of its own (rootless container?): the kernel \
                 does not let it load programs, whatever capabilities it has there.\n",
            );
        }
        if missing.is_empty() {
            return out;
        }
        out.push_str("Missing privileges:\n");
        for capability in missing {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "  {:<20} without it: {}", capability.name(), capability.lost());
        }
        out.push_str(GRANT);
        out
    }
}

const GRANT: &str = "\
How to grant them, one of:
  by hand      sudo steth
  to the file  sudo setcap cap_bpf,cap_perfmon,cap_sys_ptrace,cap_dac_read_search=ep \"$(command -v steth)\"
  systemd      AmbientCapabilities=CAP_BPF CAP_PERFMON CAP_SYS_PTRACE CAP_DAC_READ_SEARCH
  Kubernetes   securityContext: {capabilities: {add: [BPF, PERFMON, SYS_PTRACE, DAC_READ_SEARCH]}}, hostPID: true
Before Linux 5.8 there is neither CAP_BPF nor CAP_PERFMON: CAP_SYS_ADMIN stands for both.
";

#[cfg(test)]
mod tests {
    use super::{Capability, Privileges};

    const INITIAL: &str = "         0          0 4294967295\n";

    fn of(set: &str) -> Privileges {
        Privileges::parse(&format!("Name:\tx\nCapPrm:\t0\nCapEff:\t{set}\nCapBnd:\t0\n"), INITIAL)
            .unwrap()
    }

    #[test]
    fn missing_capabilities_are_named() {
        use Capability::{Bpf, DacReadSearch, Perfmon, SysPtrace};
        let check = |set: &str, missing: &[Capability], too_few: bool| {
            let privileges = of(set);
            assert_eq!(privileges.missing(), missing, "{set}");
            assert_eq!(privileges.are_too_few(), too_few, "{set}");
        };
        check("000001ffffffffff", &[], false);
        check("0000000000000000", &[Bpf, Perfmon, SysPtrace, DacReadSearch], true);
        // CAP_BPF and CAP_PERFMON alone.
        check("000000c000000000", &[SysPtrace, DacReadSearch], false);
        // CAP_BPF alone.
        check("0000008000000000", &[Perfmon, SysPtrace, DacReadSearch], true);
        // CAP_SYS_ADMIN and CAP_SYS_PTRACE.
        check("0000000000280000", &[DacReadSearch], false);
    }

    #[test]
    fn what_is_no_status_is_no_privilege() {
        for text in ["", "CapEff:\n", "CapEff:\tzz\n", "Name: x\n"] {
            assert_eq!(Privileges::parse(text, INITIAL), None, "{text:?}");
        }
    }

    #[test]
    fn advice_says_what_is_lost_and_how_to_grant_it() {
        assert_eq!(of("000001ffffffffff").advice(), "");
        insta::assert_snapshot!(of("0000000000080000").advice());
        let confined = Privileges::parse("CapEff:\t1ffffffffff\n", "0 1000 1\n").unwrap();
        assert!(confined.advice().contains("user namespace"));
    }
}
