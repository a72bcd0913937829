//! Whole hosts as directories: version 1, version 2 and both, with the drivers of container engines.

use super::*;
use crate::event::Pid;
use crate::host::Ticks;
use crate::usage::sheet::fake::{HOSTILE, Host, has, told, told_at};

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A host of version 2 with a container as the systemd driver has it.
fn two() -> (Host, String) {
    let group = format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope");
    let host = Host::new(&[
        ("/proc/1/mountinfo", "1 1 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"),
        ("/proc/diskstats", "254 0 vda 1 0 8 1 0 0 0 0 0 1 1\n"),
    ]);
    let files = [
        (
            "cpu.stat",
            "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 7\nnr_throttled 3\nthrottled_usec 5\n",
        ),
        ("cpu.max", "50000 100000\n"),
        ("memory.current", "1000\n"),
        ("memory.max", "max\n"),
        (
            "memory.stat",
            "anon 600\nfile 300\ninactive_file 100\npgfault 50\npgmajfault 5\nworkingset_refault_file 4\n",
        ),
        ("memory.events", "low 0\nhigh 1\nmax 2\noom 3\noom_kill 4\noom_group_kill 0\n"),
        ("memory.swap.current", "11\n"),
        ("io.stat", "254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n9:9 rbytes=1\n"),
        ("pids.current", "12\n"),
        ("pids.max", "max\n"),
        ("pids.events", "max 2\n"),
        (
            "cpu.pressure",
            "some avg10=0.00 avg60=0.00 avg300=0.00 total=9\nfull avg10=0.00 total=8\n",
        ),
        ("cgroup.procs", "40\n41\n"),
    ];
    for (name, text) in files {
        host.write(&format!("/sys/fs/cgroup{group}/{name}"), text);
    }
    host.write("/sys/fs/cgroup/kubepods.slice/memory.max", "4000\n");
    host.write("/sys/fs/cgroup/kubepods.slice/kubepods-pod1.slice/memory.max", "2000\n");
    (host, group)
}

fn lines(expect: &[&str], group: &str) -> Vec<String> {
    expect.iter().map(|line| format!("{group} {line}")).collect()
}

fn check(host: &Host, group: &str, expect: &[&str]) {
    let (got, outcome, _) = told(&mut Container::default(), &host.root());
    assert_eq!(outcome, Ok(()));
    let expect = lines(expect, group);
    has(&got, &expect.iter().map(String::as_str).collect::<Vec<_>>());
}

/// What both versions say of the same container.
const SAME: &[&str] = &[
    "container.cpu.time{user} 20000",
    "container.cpu.time{system} 10000",
    "steth.container.cpu.limit{} =0.5",
    "steth.container.cpu.periods{} 7",
    "steth.container.cpu.throttled.periods{} 3",
    "steth.container.cpu.throttled.time{} 5000",
    "container.memory.usage{} =1000",
    "container.memory.working_set{} =900",
    "container.memory.available{} =1100",
    "container.memory.rss{} =600",
    "steth.container.memory.limit{} =2000",
    "steth.container.memory.limit.hits{max} 2",
    "steth.container.memory.oom.kills{} 4",
    "steth.container.paging.usage{} =11",
    "container.paging.faults{minor} 45",
    "container.paging.faults{major} 5",
    "steth.container.paging.refaults{file} 4",
    "container.disk.io{read,vda} 1",
    "container.disk.io{write,vda} 2",
    "steth.container.disk.operations{read,vda} 3",
    "steth.container.disk.operations{write,vda} 4",
    "steth.container.task.usage{} =12",
    "steth.container.task.limit.hits{} 2",
];

#[test]
fn version_two_tells_a_container() {
    let (host, group) = two();
    check(&host, &group, SAME);
    check(&host, &group, &["steth.container.pressure.stall.time{full,cpu} 8000"]);
    check(&host, &group, &["steth.container.memory.limit.hits{high} 1"]);
}

/// The same container as the cgroupfs driver and version 1 have it.
fn one() -> (Host, String) {
    let group = format!("/docker/{ID}");
    let host = Host::new(&[
        (
            "/proc/1/mountinfo",
            "1 1 0:1 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
             2 1 0:2 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
             3 1 0:3 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio\n\
             4 1 0:4 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
             5 1 0:5 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n",
        ),
        ("/proc/diskstats", "254 0 vda 1 0 8 1 0 0 0 0 0 1 1\n"),
    ]);
    let files = [
        ("cpu,cpuacct", "cpu.stat", "nr_periods 7\nnr_throttled 3\nthrottled_time 5000\n"),
        ("cpu,cpuacct", "cpu.cfs_quota_us", "50000\n"),
        ("cpu,cpuacct", "cpu.cfs_period_us", "100000\n"),
        ("cpu,cpuacct", "cpuacct.usage_user", "20000\n"),
        ("cpu,cpuacct", "cpuacct.usage_sys", "10000\n"),
        ("memory", "memory.usage_in_bytes", "1000\n"),
        ("memory", "memory.limit_in_bytes", "9223372036854771712\n"),
        ("memory", "memory.failcnt", "2\n"),
        (
            "memory",
            "memory.stat",
            "rss 1\nhierarchical_memory_limit 2000\ntotal_rss 600\ntotal_swap 11\ntotal_inactive_file 100\n\
             total_pgfault 50\ntotal_pgmajfault 5\ntotal_workingset_refault_file 4\n",
        ),
        ("memory", "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n"),
        (
            "blkio",
            "blkio.throttle.io_service_bytes_recursive",
            "254:0 Read 1\n254:0 Write 2\n254:0 Total 3\nTotal 3\n",
        ),
        ("blkio", "blkio.throttle.io_serviced_recursive", "254:0 Read 3\n254:0 Write 4\n"),
        ("pids", "pids.current", "12\n"),
        ("pids", "pids.max", "max\n"),
        ("pids", "pids.events", "max 2\n"),
        ("pids", "cgroup.procs", "40\n"),
    ];
    for (controller, name, text) in files {
        host.write(&format!("/sys/fs/cgroup/{controller}{group}/{name}"), text);
    }
    (host, group)
}

#[test]
fn version_one_tells_the_same_container_as_the_same() {
    let (host, group) = one();
    check(&host, &group, SAME);
}

#[test]
fn a_hybrid_host_has_pressure_from_the_one_hierarchy() {
    let (host, group) = one();
    let mounts = host.root().read("/proc/1/mountinfo", LIMIT).unwrap().bytes;
    let mounts = String::from_utf8(mounts).unwrap();
    let unified = "6 1 0:6 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
    host.write("/proc/1/mountinfo", &format!("{mounts}{unified}"));
    host.write(&format!("/sys/fs/cgroup/unified{group}/io.pressure"), "some avg10=0 total=3\n");
    check(&host, &group, SAME);
    check(&host, &group, &["steth.container.pressure.stall.time{some,io} 3000"]);
}

#[test]
fn units_limits_and_observed_processes_are_told_and_nothing_else() {
    let (host, group) = two();
    for path in [
        "/system.slice/a.service",
        "/system.slice/a.service/inner",
        "/user.slice/session-1.scope",
        "/batch",
        "/idle",
        &format!("{group}/inner"),
    ] {
        host.write(&format!("/sys/fs/cgroup{path}/cpu.stat"), "user_usec 1\nsystem_usec 1\n");
    }
    host.write("/sys/fs/cgroup/batch/cpu.max", "1000 100000\n");
    host.write("/sys/fs/cgroup/idle/cpu.max", "max 100000\n");
    host.write(&format!("/sys/fs/cgroup{group}/inner/memory.max"), "1\n");
    host.write("/proc/77/cgroup", "0::/user.slice/session-1.scope\n");
    let mut probe = Container::default();
    probe.want(&[ProcKey { pid: Pid(77), started: Ticks(1) }]);
    let (lines, _, _) = told(&mut probe, &host.root());
    let mut owners: Vec<&str> = lines.iter().filter_map(|line| line.split(' ').next()).collect();
    owners.dedup();
    assert_eq!(
        owners,
        [
            "/batch",
            "/kubepods.slice",
            "/kubepods.slice/kubepods-pod1.slice",
            &group,
            "/system.slice/a.service",
            "/user.slice/session-1.scope"
        ]
        .into_iter()
        .filter(|path| !path.ends_with("slice"))
        .collect::<Vec<_>>()
    );
    // Those above are found for their limit, and have no file that says anything.
    assert!(
        probe
            .found
            .told
            .iter()
            .any(|(rank, path)| *rank == Rank::Limited && **path == *"/kubepods.slice")
    );
    assert_eq!(probe.found.ids.len(), probe.found.all.len());
}

#[test]
fn usage_is_time_over_time() {
    let (host, group) = two();
    let mut probe = Container::default();
    let at = |nanos| Anchor { monotonic: Timestamp(nanos), ..Anchor::default() };
    assert_eq!(told_at(&mut probe, &host.root(), &at(1000)).1, Ok(()));
    let stat = "user_usec 21\nsystem_usec 10\n";
    host.write(&format!("/sys/fs/cgroup{group}/cpu.stat"), stat);
    let (got, _, _) = told_at(&mut probe, &host.root(), &at(3000));
    let expect =
        lines(&["container.cpu.usage{user} =0.5", "container.cpu.usage{system} =0"], &group);
    has(&got, &[&expect[0], &expect[1]]);
}

#[test]
fn a_namespace_is_told_once_with_the_oldest_container() {
    let (host, group) = two();
    let other = group.replace("cri-containerd-0", "cri-containerd-f");
    host.write(&format!("/sys/fs/cgroup{other}/cgroup.procs"), "50\n");
    // This one's processes are in a group within.
    host.write(&format!("/sys/fs/cgroup{group}/cgroup.procs"), "");
    host.write(&format!("/sys/fs/cgroup{group}/init.scope/cgroup.procs"), "40\n");
    host.write("/proc/1/net/dev", "");
    let dev =
        "h\nh\nlo: 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\neth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n";
    host.write("/space", dev);
    let stat = |pid: u32, started: u32| {
        let fields = "0 ".repeat(18);
        host.write(&format!("/proc/{pid}/stat"), &format!("{pid} (a) b) S {fields}{started} 0"));
        host.write(&format!("/proc/{pid}/net/snmp"), "Tcp: RetransSegs\nTcp: 5\n");
        host.write(&format!("/proc/{pid}/net/netstat"), "TcpExt: ListenOverflows\nTcpExt: 6\n");
        // One namespace has one file, under however many processes.
        let dev = host.root().path(format!("/proc/{pid}/net/dev"));
        std::fs::hard_link(host.root().path("/space"), dev).unwrap();
    };
    stat(40, 100);
    stat(50, 99);
    let mut probe = Container::default();
    let (got, _, _) = told(&mut probe, &host.root());
    let expect = lines(
        &[
            "container.network.io{eth0,receive} 1",
            "steth.container.network.packets{eth0,transmit} 10",
            "steth.container.tcp.retransmits{} 5",
            "steth.container.tcp.listen.overflows{} 6",
        ],
        &other,
    );
    has(&got, &expect.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(!got.iter().any(|line| line.starts_with(&group) && line.contains("network")));
    host.remove("/proc/50");
    let (got, _, _) = told(&mut probe, &host.root());
    assert!(got.iter().any(|line| line.starts_with(&group) && line.contains("network.io")));
    assert!(!got.iter().any(|line| line.contains("{lo")));
}

#[test]
fn a_group_that_goes_is_a_sample_less_and_hostile_text_is_nothing() {
    let (host, group) = two();
    let mut probe = Container::default();
    let files = [
        "cpu.stat",
        "cpu.max",
        "memory.stat",
        "memory.events",
        "io.stat",
        "pids.events",
        "cgroup.procs",
    ];
    for text in HOSTILE {
        for file in files {
            host.write(&format!("/sys/fs/cgroup{group}/{file}"), text);
        }
        assert_eq!(told(&mut probe, &host.root()).1, Ok(()), "{text}");
    }
    host.remove("/sys/fs/cgroup/kubepods.slice");
    let (got, outcome, _) = told(&mut probe, &host.root());
    assert_eq!((got.len(), outcome, probe.known.len()), (0, Ok(()), 0));
    host.write("/proc/1/mountinfo", "");
    let (_, outcome, _) = told(&mut probe, &host.root());
    assert_eq!(outcome, Err(Reason::Disabled("no control groups are mounted".into())));
}
