//! What is true of the whole host.

use super::root::HostRoot;
use super::text;

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
    /// Reads the facts below `root`.
    pub fn read(root: &HostRoot) -> Self {
        // Those of the first process are the host's, wherever the agent is.
        const ID: &[&str] =
            &["/etc/machine-id", "/var/lib/dbus/machine-id", "/proc/1/root/etc/machine-id"];
        // In a pod /proc/sys tells the pod's own name, the host's files do not.
        const NAME: &[&str] =
            &["/etc/hostname", "/proc/1/root/etc/hostname", "/proc/sys/kernel/hostname"];

        let line = |paths: &[&str]| {
            paths
                .iter()
                .filter_map(|path| root.read(path, 4096).ok())
                .map(|content| text::text(content.bytes.trim_ascii()))
                .find(|line| !line.is_empty())
                .unwrap_or_default()
        };
        let id = line(ID);
        Self {
            // A fresh image says "uninitialized".
            id: if id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) {
                id.to_ascii_lowercase()
            } else {
                String::new()
            },
            name: line(NAME),
            arch: arch(std::env::consts::ARCH).to_owned(),
            kernel: line(&["/proc/sys/kernel/osrelease"]),
            boot: line(&["/proc/sys/kernel/random/boot_id"]),
        }
    }
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
        assert_eq!(Machine::read(&root).id, "");
        put("etc/machine-id", "uninitialized\n");
        assert_eq!(Machine::read(&root).id, "");
        put("etc/machine-id", "3D1219c7c4c5404aaa1f6d2a48adfda4\n");
        put("etc/hostname", "node-7\n");
        put("proc/sys/kernel/osrelease", "6.12.1\n");
        let machine = Machine::read(&root);
        assert_eq!(machine.id, "3d1219c7c4c5404aaa1f6d2a48adfda4");
        assert_eq!(machine.name, "node-7");
        assert_eq!(machine.kernel, "6.12.1");
        assert_eq!(machine.boot, "");
        let pod = HostRoot::new(dir.path().join("pod"));
        put("pod/proc/sys/kernel/hostname", "steth-x7k2p\n");
        assert_eq!(Machine::read(&pod).name, "steth-x7k2p");
        put("pod/proc/1/root/etc/hostname", "node-7\n");
        put("pod/proc/1/root/etc/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n");
        let machine = Machine::read(&pod);
        assert_eq!((machine.name.as_str(), machine.id.len()), ("node-7", 32));
        assert_eq!(arch("x86_64"), "amd64");
        assert_eq!(arch("aarch64"), "arm64");
    }
}
