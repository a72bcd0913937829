//! Whole nodes, written down: how runtimes and their drivers name the groups of a pod.
//!
//! A node is what `tail -n +1 FILE..` prints of its files, cut to what says something. The same pods run on all of them:
//! whatever their groups are called, and wherever they are looked at from, what is told of them is the same.

use super::Container;
use crate::cluster::Whose;
use crate::event::Pid;
use crate::host::{Facts, Processes};
use crate::usage::sheet::fake::{Host, has, told};

macro_rules! nodes {
    ($($name:literal)*) => { &[$(($name, include_str!(concat!("forms/", $name, ".txt")))),*] };
}

const NODES: &[(&str, &str)] = nodes![
    "containerd-systemd-v1"
    "containerd-systemd-v2"
    "containerd-systemd-hybrid"
    "containerd-cgroupfs-hybrid"
    "containerd-cgroupfs-pod-v2"
    "crio-v2"
    "docker-cgroupfs-v1"
    "docker-systemd-v2"
    "kind-inside-v2"
    "kind-outside-v2"
];

/// A container of a pod.
struct Running {
    class: &'static str,
    pid: u32,
    id: &'static str,
    uid: &'static str,
    used: &'static [&'static str],
    /// Of what it would have if it had a limit.
    unlimited: &'static [&'static str],
}

const PODS: &[Running] = &[
    Running {
        class: "guaranteed",
        pid: 2101,
        id: "99401a294931bb4fb58bc21f4079b18bdf37a1894e311ec1069be547d861adb9",
        uid: "6f1d2c3b-4a59-4e8f-9b07-1c2d3e4f5a61",
        used: &[
            "container.cpu.time{user} 12500000000",
            "container.cpu.time{system} 2500000000",
            "steth.container.cpu.limit{} =1",
            "steth.container.cpu.periods{} 812",
            "container.memory.usage{} =67108864",
            "container.memory.working_set{} =62914560",
            "container.memory.available{} =205520896",
            "container.memory.rss{} =60817408",
            "steth.container.memory.limit{} =268435456",
        ],
        unlimited: &[],
    },
    Running {
        class: "burstable",
        pid: 2202,
        id: "56fb830db6270fbd7588896e24bc56941e414c21387e74ca20fb0bdadeb247f1",
        uid: "0b8e7d6c-5f4a-4392-8170-6f5e4d3c2b1a",
        used: &[
            "container.cpu.time{user} 730000000",
            "container.cpu.time{system} 270000000",
            "container.memory.usage{} =33554432",
            "container.memory.working_set{} =32505856",
            "container.memory.available{} =101711872",
            "steth.container.memory.limit{} =134217728",
        ],
        unlimited: &["steth.container.cpu.limit"],
    },
    Running {
        class: "best effort",
        pid: 2303,
        id: "fbd537f80973c4d3a69422424b9a0122600946910557c835e36530d6e012c263",
        uid: "c4a3b2d1-e0f9-48a7-b6c5-d4e3f2a1b0c9",
        used: &[
            "container.cpu.time{user} 90000000",
            "container.cpu.time{system} 10000000",
            "container.memory.usage{} =8388608",
            "container.memory.working_set{} =8388608",
        ],
        unlimited: &["steth.container.cpu.limit", "steth.container.memory.limit{", "available"],
    },
    // Its uid is the hash of its file.
    Running {
        class: "static",
        pid: 2404,
        id: "2053dbbf6ec7135c4e994d3464c478db6f48d3ca21052c8f44915edc96e02c39",
        uid: "a3c1f0e2d4b596877869504132fedcba",
        used: &[
            "container.cpu.time{user} 5000000000",
            "container.cpu.time{system} 1000000000",
            "container.memory.usage{} =50331648",
            "container.memory.working_set{} =48234496",
        ],
        unlimited: &["steth.container.cpu.limit", "steth.container.memory.limit{", "available"],
    },
];

/// What holds a pod's namespaces open; CRI-O has none.
const SANDBOX: Running = Running {
    class: "sandbox",
    pid: 2100,
    id: "b7ad567477c83756aab9a542b2be04f77dbae25115d85f22070d74d8cc4779dc",
    uid: "6f1d2c3b-4a59-4e8f-9b07-1c2d3e4f5a61",
    used: &["container.cpu.time{user} 20000000", "container.memory.usage{} =1048576"],
    unlimited: &["steth.container.cpu.limit"],
};

/// What keeps the output of CRI-O's containers, beside them and in none.
const CONMON: Pid = Pid(2201);

/// A node's files.
fn host(text: &str) -> Host {
    let host = Host::new(&[]);
    for file in text.split("==> ").skip(1) {
        let (path, content) = file.split_once(" <==\n").unwrap();
        host.write(path, content);
    }
    host
}

#[test]
fn a_pod_is_told_alike_however_its_groups_are_called() {
    for (node, text) in NODES {
        let host = host(text);
        let (lines, outcome, _) = told(&mut Container::default(), &host.root());
        assert_eq!(outcome, Ok(()), "{node}");
        let mut processes = Processes::new(host.root());
        let has_sandbox = host.root().path("/proc/2100").exists();
        assert_eq!(has_sandbox, !node.starts_with("crio"), "{node}");
        for running in PODS.iter().chain(has_sandbox.then_some(&SANDBOX)) {
            let Running { class, pid, id, uid, used, unlimited } = running;
            let group = processes.process(Pid(*pid)).unwrap().cgroup;
            let found = (group.container.as_deref(), group.pod.as_deref(), group.unit.as_deref());
            assert_eq!(found, (Some(*id), Some(*uid), None), "{node}: {class}");

            let of_it = lines.iter().filter_map(|line| line.split_once(' '));
            let of_it: Vec<_> = of_it.filter(|(path, _)| path.contains(id)).collect();
            let (path, _) = of_it.first().unwrap_or_else(|| panic!("{node}: no {class}"));
            assert!(of_it.iter().all(|(other, _)| other == path), "{node}: {class}: {of_it:?}");
            assert_eq!(Whose::of_path(path), Whose::of_cgroup(&group), "{node}: {class}");
            let said: Vec<String> = of_it.iter().map(|(_, said)| (*said).to_owned()).collect();
            has(&said, used);
            for name in *unlimited {
                assert!(!said.iter().any(|said| said.contains(name)), "{node}: {class}: {name}");
            }
        }
        // Whatever else has a group on a node has none of theirs.
        let containers = lines.iter().filter_map(|line| line.split_once(' '));
        let mut containers: Vec<_> =
            containers.filter_map(|(path, _)| Whose::of_path(path)).collect();
        containers.sort_by_key(|whose| format!("{whose:?}"));
        containers.dedup();
        let is_container = |whose: &&Whose| matches!(whose, Whose::Container(..));
        let expect = PODS.len() + usize::from(has_sandbox);
        assert_eq!(
            containers.iter().filter(is_container).count(),
            expect,
            "{node}: {containers:?}"
        );
    }
}

#[test]
fn what_keeps_a_containers_output_is_of_its_pod_and_of_no_container() {
    let (_, text) = NODES.iter().find(|(node, _)| node.starts_with("crio")).unwrap();
    let host = host(text);
    let group = Processes::new(host.root()).process(CONMON).unwrap().cgroup;
    let found = (group.container.as_deref(), group.pod.as_deref(), group.unit.as_deref());
    assert_eq!(found, (None, Some("0b8e7d6c-5f4a-4392-8170-6f5e4d3c2b1a"), None));
}
