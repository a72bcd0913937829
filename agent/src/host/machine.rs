//! What is true of the whole host.

use std::path::Path;

use super::root::HostRoot;
use super::text;

/// The kernel's first UTS namespace, whose number is fixed since Linux 3.8 (`PROC_UTS_INIT_INO`). Where a process is in
/// it, what the kernel calls the host is the host's name; it asks for no privilege, unlike `/proc/1/ns/uts`.
const FIRST_UTS: &str = "uts:[4026531838]";

/// Facts of the host. Empty text stands for what the host does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// `/etc/machine-id`, 32 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its processor by the conventions: `amd64`, `arm64`.
    pub arch: String,
    /// The running kernel's release.
    pub kernel: String,
    /// Changes with every boot.
    pub boot: String,
}

impl Machine {
    /// Reads the facts below `root`. `node` is what the agent was told that the node it is on is called.
    pub fn read(root: &HostRoot, node: Option<&str>) -> Self {
        // A kernel that knows no such namespaces has but one name.
        let own = std::fs::read_link("/proc/self/ns/uts");
        let is_first = own.map_or(true, |own| own == Path::new(FIRST_UTS));
        Self::seen_from(if is_first { Uts::First } else { Uts::Other }, root, node)
    }

    fn seen_from(uts: Uts, root: &HostRoot, node: Option<&str>) -> Self {
        // Those of the first process are the host's, wherever the agent is.
        const ID: &[&str] =
            &["/etc/machine-id", "/var/lib/dbus/machine-id", "/proc/1/root/etc/machine-id"];
        const FILE: &str = "/etc/hostname";
        const FIRST: &str = "/proc/1/root/etc/hostname";
        const OWN: &str = "/proc/sys/kernel/hostname";

        let line = |paths: &[&str]| {
            paths
                .iter()
                .filter_map(|path| root.read(path, 4096).ok())
                .map(|content| text::text(content.bytes.trim_ascii()))
                .find(|line| !line.is_empty())
                .unwrap_or_default()
        };
        let id = line(ID);
        // In a pod the agent's own files and the kernel tell the pod's name. A node is called as its host is, or as
        // its cloud calls it: either is better than a name that changes with every pod.
        let is_mounted = root.path(FILE) != Path::new(FILE);
        let name = match uts {
            Uts::First => line(&[FILE, FIRST, OWN]),
            Uts::Other => Some(line(if is_mounted { &[FILE, FIRST] } else { &[FIRST] }))
                .filter(|name| !name.is_empty())
                .or_else(|| node.map(str::to_owned))
                .unwrap_or_else(|| line(&[FILE, OWN])),
        };
        Self {
            // A fresh image says "uninitialized".
            id: if id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) {
                id.to_ascii_lowercase()
            } else {
                String::new()
            },
            name,
            arch: arch(std::env::consts::ARCH).to_owned(),
            kernel: line(&["/proc/sys/kernel/osrelease"]),
            boot: line(&["/proc/sys/kernel/random/boot_id"]),
        }
    }
}

/// Which UTS namespace the agent is in: whose name the kernel tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Uts {
    /// The first, which is the host's.
    First,
    /// One of a container, or of a host that is one.
    Other,
}

fn arch(rust: &str) -> &str {
    match rust {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        "x86" => "x86",
        "powerpc64" => "ppc64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_come_from_the_root_and_missing_ones_are_empty() {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let root = HostRoot::new(dir.path());
        assert_eq!(Machine::read(&root, None).id, "");
        put("etc/machine-id", "uninitialized\n");
        assert_eq!(Machine::read(&root, None).id, "");
        put("etc/machine-id", "3D1219c7c4c5404aaa1f6d2a48adfda4\n");
        put("proc/sys/kernel/osrelease", "6.12.1\n");
        let machine = Machine::read(&root, None);
        assert_eq!(machine.id, "3d1219c7c4c5404aaa1f6d2a48adfda4");
        assert_eq!(machine.kernel, "6.12.1");
        assert_eq!(machine.boot, "");
        put("pod/proc/1/root/etc/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n");
        assert_eq!(Machine::read(&HostRoot::new(dir.path().join("pod")), None).id.len(), 32);
        assert_eq!(arch("x86_64"), "amd64");
        assert_eq!(arch("aarch64"), "arm64");
    }

    #[test]
    fn a_hosts_name_is_not_that_of_the_pod_it_is_seen_from() {
        const FILE: (&str, &str) = ("etc/hostname", "host-7\n");
        const FIRST: (&str, &str) = ("proc/1/root/etc/hostname", "host-7\n");
        const OWN: (&str, &str) = ("proc/sys/kernel/hostname", "steth-x7k2p\n");
        let check = |uts, files: &[(&str, &str)], node, expect: &str| {
            let dir = tempfile::tempdir().unwrap();
            for (path, text) in files {
                let path = dir.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            let root = HostRoot::new(dir.path());
            let machine = Machine::seen_from(uts, &root, node);
            assert_eq!(machine.name, expect, "{uts:?} {files:?} {node:?}");
        };
        let node = Some("node-7");
        check(Uts::First, &[], node, "");
        check(Uts::First, &[OWN], node, "steth-x7k2p");
        check(Uts::First, &[OWN, FIRST], node, "host-7");
        check(Uts::First, &[OWN, FILE], node, "host-7");
        check(Uts::Other, &[], None, "");
        check(Uts::Other, &[OWN], None, "steth-x7k2p");
        check(Uts::Other, &[OWN], node, "node-7");
        check(Uts::Other, &[OWN, ("etc/hostname", "\n")], node, "node-7");
        check(Uts::Other, &[OWN, FIRST], node, "host-7");
        check(Uts::Other, &[OWN, FILE], node, "host-7");
    }
}
