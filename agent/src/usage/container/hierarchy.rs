//! Where the control groups of a host are: one hierarchy (version 2), one for each controller
//! (version 1), or both (hybrid).

use crate::host::HostRoot;
use crate::host::mounts::Mount;

/// What groups are read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Controller {
    /// Quotas of processor time.
    Cpu,
    /// Its account.
    CpuAccount,
    /// Memory.
    Memory,
    /// Block devices.
    Io,
    /// Processes and threads.
    Pids,
}

impl Controller {
    /// Its name in version 1.
    fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::CpuAccount => "cpuacct",
            Self::Memory => "memory",
            Self::Io => "blkio",
            Self::Pids => "pids",
        }
    }
}

/// Where to read a controller's files, which have other names and other meanings by version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// Version 1, below this mount.
    One(&'a str),
    /// Version 2, below this mount.
    Two(&'a str),
}

impl Place<'_> {
    /// A group's file.
    pub(super) fn file(self, path: &str, name: &str) -> String {
        let (Self::One(mount) | Self::Two(mount)) = self;
        format!("{mount}{path}/{name}")
    }
}

/// The mounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hierarchies {
    /// Version 2.
    pub(super) unified: Option<String>,
    /// Version 1: controllers, or the name, and where.
    one: Vec<(String, String)>,
}

impl Hierarchies {
    /// Those among the mounts that show a hierarchy from its root.
    pub(super) fn of(mounts: &[Mount]) -> Self {
        let mut found = Self::default();
        for mount in mounts.iter().filter(|mount| is_whole(&mount.root)) {
            let point = mount.point.trim_end_matches('/').to_owned();
            match mount.kind.as_str() {
                "cgroup2" if found.unified.is_none() => found.unified = Some(point),
                "cgroup" if found.one.iter().all(|(_, p)| *p != point) && found.one.len() < 32 => {
                    found.one.push((mount.options.clone(), point));
                }
                _ => {}
            }
        }
        found
    }

    /// Whether there are any.
    pub(super) fn is_empty(&self) -> bool {
        self.unified.is_none() && self.one.is_empty()
    }

    /// Where a controller's files are: where version 1 has it, else in the one hierarchy.
    pub(super) fn place(&self, controller: Controller) -> Option<Place<'_>> {
        let has = |options: &str| options.split(',').any(|o| o == controller.name());
        let one = self.one.iter().find(|(options, _)| has(options));
        one.map(|(_, mount)| Place::One(mount)).or_else(|| self.unified.as_deref().map(Place::Two))
    }

    /// The mounts whose groups are looked for: not every controller of version 1 has a hierarchy that
    /// says more than these.
    pub(super) fn walked(&self) -> impl Iterator<Item = &str> {
        let wanted = ["memory", "cpu", "pids", "name=systemd"];
        let one = self
            .one
            .iter()
            .filter(move |(options, _)| options.split(',').any(|option| wanted.contains(&option)));
        self.unified.as_deref().into_iter().chain(one.map(|(_, mount)| mount.as_str()))
    }

    /// A process of a group, by whichever hierarchy has the group.
    pub(super) fn member(&self, host: &HostRoot, path: &str) -> Option<u32> {
        self.walked().find_map(|mount| {
            let content = host.read(format!("{mount}{path}/cgroup.procs"), 32).ok()?;
            let first = content.bytes.split(|b| *b == b'\n').next()?;
            std::str::from_utf8(first).ok()?.parse().ok().filter(|pid| *pid != 0)
        })
    }
}

/// Whether a mount shows all that there is. The kernel tells the root of a mount as it is seen from the control group
/// namespace of who asks: from within a pod, which has one of its own on version 2, that of the host lies above.
fn is_whole(root: &str) -> bool {
    root.starts_with('/') && root.split('/').all(|name| name.is_empty() || name == "..")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::mounts;

    #[test]
    fn each_controller_is_where_its_version_has_it() {
        let check = |mountinfo: &str, expect: [Option<Place<'_>>; 2]| {
            let mounts: Vec<Mount> = mounts::parse(mountinfo.as_bytes()).collect();
            let found = Hierarchies::of(&mounts);
            let got = [Controller::CpuAccount, Controller::Memory].map(|c| found.place(c));
            assert_eq!(got, expect);
        };
        let two = "1 1 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        check(two, [Some(Place::Two("/sys/fs/cgroup")); 2]);
        let one = "1 1 0:1 / /c/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n";
        check(one, [Some(Place::One("/c/cpu,cpuacct")), None]);
        let hybrid = format!("{one}1 1 0:2 / /c/unified rw - cgroup2 cgroup2 rw\n");
        check(&hybrid, [Some(Place::One("/c/cpu,cpuacct")), Some(Place::Two("/c/unified"))]);
        // The same, seen from a pod.
        check(&two.replace(" / ", " /../../../.. "), [Some(Place::Two("/sys/fs/cgroup")); 2]);
        // A part of a hierarchy that is mounted into a container.
        check("1 1 0:1 /docker/x /c rw - cgroup2 cgroup2 rw\n", [None; 2]);
        check("1 1 0:1 /../x /c rw - cgroup2 cgroup2 rw\n", [None; 2]);
        check("", [None; 2]);
    }
}
