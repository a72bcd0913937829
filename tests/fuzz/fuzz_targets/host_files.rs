//! Any bytes as what a host's files say: every family of USE reads them twice, and no answer of the kernel's
//! over netlink is too strange.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use steth::host::netlink::{self, Queue, Socket};
use steth::host::{Anchor, HostRoot};
use steth::usage::{Families, Family, NoTables, Sink, probes};

/// The files; where control groups are is always said well, so that their files are read at all.
const FILES: &[&str] = &[
    "proc/meminfo",
    "proc/vmstat",
    "proc/swaps",
    "proc/stat",
    "proc/diskstats",
    "proc/pressure/io",
    "proc/net/softnet_stat",
    "proc/1/net/dev",
    "proc/1/net/snmp",
    "proc/1/net/netstat",
    "proc/1/net/snmp6",
    "proc/1/net/sockstat",
    "proc/1/net/stat/nf_conntrack",
    "proc/1/stat",
    "proc/sys/fs/file-nr",
    "proc/sys/net/netfilter/nf_conntrack_count",
    "proc/sys/net/ipv4/ip_local_port_range",
    "sys/class/net/lo/speed",
    "c/a.service/cpu.stat",
    "c/a.service/cpu.max",
    "c/a.service/memory.stat",
    "c/a.service/memory.events",
    "c/a.service/io.stat",
    "c/a.service/cpu.pressure",
    "c/a.service/pids.events",
];

static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
    let root = std::env::temp_dir().join(format!("steth-fuzz-{}", std::process::id()));
    for file in FILES {
        let path = root.join(file);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
    }
    root
});

fuzz_target!(|bytes: &[u8]| {
    let _ = netlink::messages(bytes, |_, body| {
        let _ = (Queue::parse(body), Socket::parse(body));
    });
    let Some((&at, bytes)) = bytes.split_first() else { return };
    let mounts = "1 1 0:1 / /c rw - cgroup2 cgroup2 rw\n";
    let mut hostile = mounts.as_bytes().to_vec();
    hostile.extend_from_slice(bytes);
    std::fs::write(ROOT.join("proc/1/mountinfo"), hostile).expect("written");
    let host = HostRoot::new(ROOT.as_path());
    let mut families = probes(Families::from_iter(Family::ALL));
    // The second half is what the files say later.
    let (first, second) = bytes.split_at(usize::from(at) * bytes.len() / 256);
    for content in [first, second] {
        for file in FILES {
            std::fs::write(ROOT.join(file), content).expect("written");
        }
        for family in &mut families {
            let _ = family.collect(&host, &mut NoTables, &Anchor::default(), &mut Sink::default());
        }
    }
});
