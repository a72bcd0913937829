//! The families: closed, each with its switch and its scope.

/// A family of USE: one switch in the configuration, one scope, one line in `/status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// Processors of the host.
    Cpu,
    /// Memory of the host.
    Memory,
    /// Block devices.
    Disk,
    /// Mounted file systems.
    Filesystem,
    /// Network interfaces.
    Network,
    /// TCP.
    Tcp,
    /// Sockets and file descriptors of the host.
    Sockets,
    /// Processes.
    Process,
    /// Control groups: containers and units.
    Container,
    /// Waiting for a processor.
    Scheduler,
    /// Waiting for anything else.
    OffCpu,
    /// Waiting for locks.
    Locks,
    /// Pressure stall information.
    Pressure,
    /// Connection tracking.
    Conntrack,
}

impl Family {
    /// All of them, in the order they are read.
    pub const ALL: [Self; 14] = [
        Self::Cpu,
        Self::Memory,
        Self::Disk,
        Self::Filesystem,
        Self::Network,
        Self::Tcp,
        Self::Sockets,
        Self::Process,
        Self::Container,
        Self::Scheduler,
        Self::OffCpu,
        Self::Locks,
        Self::Pressure,
        Self::Conntrack,
    ];

    /// Its switch in the configuration.
    pub fn name(self) -> &'static str {
        self.scope().strip_prefix("steth/").unwrap_or_default()
    }

    /// The name of its scope.
    pub fn scope(self) -> &'static str {
        match self {
            Self::Cpu => "steth/cpu",
            Self::Memory => "steth/memory",
            Self::Disk => "steth/disk",
            Self::Filesystem => "steth/filesystem",
            Self::Network => "steth/network",
            Self::Tcp => "steth/tcp",
            Self::Sockets => "steth/sockets",
            Self::Process => "steth/process",
            Self::Container => "steth/container",
            Self::Scheduler => "steth/scheduler",
            Self::OffCpu => "steth/offcpu",
            Self::Locks => "steth/locks",
            Self::Pressure => "steth/pressure",
            Self::Conntrack => "steth/conntrack",
        }
    }

    /// What nobody is told while it does not work.
    pub fn loss(self) -> &'static str {
        match self {
            Self::Cpu => "what the host's processors do",
            Self::Memory => "the host's memory, paging and out-of-memory kills",
            Self::Disk => "operations, bytes and latency of block devices",
            Self::Filesystem => "space and inodes of file systems",
            Self::Network => "bytes, drops and errors of interfaces",
            Self::Tcp => "retransmits, round trips and accept queues",
            Self::Sockets => "sockets and descriptors in use",
            Self::Process => "what single processes use",
            Self::Container => "what containers and units use against their limits",
            Self::Scheduler => "time spent waiting for a processor",
            Self::OffCpu => "time spent blocked, by cause",
            Self::Locks => "time spent waiting for locks",
            Self::Pressure => "pressure stall information",
            Self::Conntrack => "how full connection tracking is",
        }
    }
}

/// A set of families.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Families(u16);

impl Families {
    /// None.
    pub const NONE: Self = Self(0);

    /// Whether a family is in it.
    pub fn has(self, family: Family) -> bool {
        self.0 & bit(family) != 0
    }
}

impl FromIterator<Family> for Families {
    fn from_iter<T: IntoIterator<Item = Family>>(families: T) -> Self {
        Self(families.into_iter().fold(0, |set, family| set | bit(family)))
    }
}

fn bit(family: Family) -> u16 {
    1 << family as u16
}

#[cfg(test)]
mod tests {
    use super::Family;
    use crate::metric::instrument::FAMILIES;

    #[test]
    fn every_family_stands_in_the_reference() {
        for family in Family::ALL {
            let name = family.name();
            let sheet = FAMILIES.iter().find(|sheet| sheet.family == name);
            assert!(sheet.is_some_and(|sheet| !sheet.instruments.is_empty()), "{name}");
        }
    }
}
