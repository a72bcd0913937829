//! Records and facts in, service instances out.

mod identity;
mod pods;

use std::sync::Mutex;

use super::*;
use crate::entity::filter::Patterns;
use crate::entity::glob::Glob;
use crate::entity::{Filter, Rule};
use crate::host::Cgroup;
use crate::host::Unread;
use crate::metric::key::Key;

const SECOND: u64 = 1_000_000_000;

/// A `/proc` that is a map; counts how often it was asked.
#[derive(Clone, Default)]
struct Fake {
    inner: Arc<Mutex<(HashMap<Pid, Process>, u64)>>,
}

impl Fake {
    fn put(&self, pid: u32, process: Process) {
        self.inner.lock().unwrap().0.insert(Pid(pid), Process { pid: Pid(pid), ..process });
    }

    fn remove(&self, pid: u32) {
        self.inner.lock().unwrap().0.remove(&Pid(pid));
    }

    fn asked(&self) -> u64 {
        self.inner.lock().unwrap().1
    }
}

impl Facts for Fake {
    fn process(&mut self, pid: Pid) -> Result<Process, Unread> {
        let (processes, asked) = &mut *self.inner.lock().unwrap();
        *asked += 1;
        processes.get(&pid).cloned().ok_or(Unread::Vanished)
    }

    fn pids(&mut self, limit: usize) -> Vec<Pid> {
        self.inner.lock().unwrap().0.keys().copied().take(limit).collect()
    }

    fn is_alive(&mut self, pid: Pid, _started: Option<Ticks>) -> bool {
        self.inner.lock().unwrap().0.contains_key(&pid)
    }
}

fn process(comm: &str, args: &[u8], cgroup: &str, started: u64) -> Process {
    Process {
        comm: comm.to_owned(),
        exe: Some(format!("/usr/bin/{comm}")),
        args: args.to_vec(),
        cgroup: Cgroup::parse(format!("0::{cgroup}\n").as_bytes()),
        started: Ticks(started),
        parent: Pid(1),
        ..Process::default()
    }
}

fn registry(config: Config) -> (Registry, Fake) {
    let fake = Fake::default();
    let machine = Machine {
        id: "3d1219c7c4c5404aaa1f6d2a48adfda4".to_owned(),
        name: "node-7".to_owned(),
        arch: "amd64".to_owned(),
        ..Machine::default()
    };
    (Registry::new(config, machine, Box::new(fake.clone())), fake)
}

fn at(seconds: u64) -> Timestamp {
    Timestamp(seconds * SECOND)
}

fn exec(registry: &mut Registry, pid: u32, parent: u32, time: Timestamp, args: &str, env: &str) {
    exec_in(registry, [pid, parent], time, [args, env, ""]);
}

fn exec_in(
    registry: &mut Registry,
    [pid, parent]: [u32; 2],
    time: Timestamp,
    [args, env, groups]: [&str; 3],
) {
    let first = args.split('\0').next().unwrap_or_default().rsplit('/').next().unwrap();
    let mut comm = [0; 16];
    for (to, from) in comm.iter_mut().take(15).zip(first.bytes()) {
        *to = from;
    }
    let header = record::Exec {
        tgid: pid,
        parent,
        time: time.0,
        started: time.0,
        comm,
        args: u16::try_from(args.len()).unwrap(),
        env: u16::try_from(env.len()).unwrap(),
        groups: u16::try_from(groups.len()).unwrap(),
        ..record::Exec::default()
    };
    let [args, env, groups] = [args, env, groups].map(str::as_bytes);
    registry.exec(&Exec { header: &header, args, env, groups });
}

fn fork(registry: &mut Registry, parent: u32, child: u32, time: Timestamp) {
    registry.fork(&record::Fork { parent, child, time: time.0, ..record::Fork::default() });
}

fn exit(registry: &mut Registry, tgid: u32, time: Timestamp) {
    registry.exit(&record::Exit { tgid, time: time.0, ..record::Exit::default() });
}

fn value(resource: &Resource, key: Key) -> String {
    match resource.attributes.iter().find(|(k, _)| *k == key) {
        Some((_, Value::Text(text))) => text.to_string(),
        Some((_, Value::Static(text))) => (*text).to_owned(),
        Some((_, Value::Int(number))) => number.to_string(),
        Some((_, Value::List(_) | Value::Bool(_) | Value::Seconds(_))) | None => String::new(),
    }
}

fn service(registry: &mut Registry, pid: u32, when: Timestamp) -> String {
    let entity = registry.of(Pid(pid), when);
    value(&registry.resource(entity), key::SERVICE_NAME)
}

#[test]
fn a_program_is_known_from_its_record_alone() {
    let (mut registry, _) = registry(Config::default());
    exec(&mut registry, 10, 1, at(1), "python3\0-m\0pkg.mod\0", "A=1\0");
    exec(&mut registry, 11, 1, at(1), "python3\0-m\0pkg.mod\0", "OTEL_SERVICE_NAME=shop\0");
    let list = "OTEL_RESOURCE_ATTRIBUTES=service.name=bill%20ing,team=a,service.version=2\0";
    exec(&mut registry, 12, 1, at(1), "./x\0", list);
    assert_eq!(service(&mut registry, 10, at(2)), "pkg.mod");
    assert_eq!(service(&mut registry, 11, at(2)), "shop");
    assert_eq!(service(&mut registry, 12, at(2)), "bill ing");
    let entity = registry.of(Pid(12), at(2));
    let resource = registry.resource(entity);
    assert_eq!(value(&resource, Key("team")), "a");
    assert_eq!(value(&resource, key::SERVICE_VERSION), "2");
    // Each key once, in order.
    assert!(resource.attributes.windows(2).all(|pair| pair[0].0 < pair[1].0));
}

#[test]
fn the_resource_tells_host_agent_and_language() {
    let attributes = "team=core,host.name=mine,service.name=agent,service.version=9".to_owned();
    let (mut registry, fake) = registry(Config { attributes, ..Config::default() });
    let id = "3f4e9c1d2b5a68790c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7";
    fake.put(5, process("node", b"node\0worker.js\0", &format!("/docker/{id}"), 100));
    let entity = registry.of(Pid(5), at(1));
    let resource = registry.resource(entity);
    let check = |key: Key, expect: &str| assert_eq!(value(&resource, key), expect, "{key:?}");
    check(key::SERVICE_NAME, "worker");
    check(key::SERVICE_VERSION, "");
    check(key::CONTAINER_ID, id);
    check(key::HOST_NAME, "mine");
    check(key::HOST_ID, "3d1219c7c4c5404aaa1f6d2a48adfda4");
    check(key::HOST_ARCH, "amd64");
    check(key::OS_TYPE, "linux");
    check(key::TELEMETRY_SDK_NAME, "steth");
    check(key::TELEMETRY_SDK_LANGUAGE, "nodejs");
    check(key::TELEMETRY_DISTRO_NAME, "steth");
    check(key::PROCESS_EXECUTABLE_NAME, "node");
    check(key::PROCESS_EXECUTABLE_PATH, "/usr/bin/node");
    check(key::PROCESS_PID, "");
    check(Key("team"), "core");
    registry.tick(
        at(2),
        Anchor {
            monotonic: at(2),
            boot: Nanos(2 * SECOND),
            wall: crate::metric::snapshot::WallTime(1_000 * SECOND),
        },
    );
    let own = registry.process_resource(Pid(5), at(2)).unwrap();
    assert_eq!(value(&own, key::PROCESS_PID), "5");
    assert_eq!(value(&own, key::PROCESS_CREATION_TIME), "1970-01-01T00:16:39.000Z");
    let (own, all) =
        (value(&own, key::SERVICE_INSTANCE_ID), value(&resource, key::SERVICE_INSTANCE_ID));
    assert_eq!(own, format!("{all}-5-100"));
}

#[test]
fn names_come_from_the_best_source() {
    let rules = vec![Rule {
        executable: None,
        command: Some(Glob::new("*--role=api*")),
        cgroup: None,
        name: "api".to_owned(),
        namespace: Some("core".to_owned()),
    }];
    let (mut registry, fake) = registry(Config { rules, ..Config::default() });
    let unit = "/system.slice/web@1.service";
    let said = |process: Process| Process { env: b"OTEL_SERVICE_NAME=said\0".to_vec(), ..process };
    fake.put(1, said(process("x", b"x\0--role=api\0", unit, 1)));
    fake.put(2, process("x", b"x\0--role=api\0", unit, 1));
    fake.put(3, process("x", b"x\0", unit, 1));
    fake.put(4, process("x", b"x\0", "/", 1));
    fake.put(5, process("", b"", "/", 1));
    fake.put(6, Process { exe: None, ..process("", b"", "/", 1) });
    let mut check = |pid: u32, expect: &str| {
        assert_eq!(service(&mut registry, pid, at(1)), expect, "{pid}");
    };
    check(1, "said");
    check(2, "api");
    check(3, "web");
    check(4, "x");
    check(6, "unknown_service");
    check(7, "unknown_service");
    let entity = registry.of(Pid(2), at(1));
    assert_eq!(value(&registry.resource(entity), key::SERVICE_NAMESPACE), "core");
}

#[test]
fn a_program_that_is_gone_at_once_has_the_container_of_its_record() {
    let (mut registry, fake) = registry(Config::default());
    let id = "3f4e9c1d2b5a68790c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7";
    fake.put(1, process("containerd-shim", b"shim\0", "/system.slice/containerd.service", 1));
    let groups = format!("{id}\0pod0a1b2c3d-1111-2222-3333-444455556666\0kubepods\0\0");
    exec_in(&mut registry, [10, 1], at(1), ["job\0", "", &groups]);
    exit(&mut registry, 10, at(1));
    let entity = registry.of(Pid(10), at(1));
    assert_eq!(value(&registry.resource(entity), key::CONTAINER_ID), id);
    assert_eq!(fake.asked(), 0);
    // Whose names were cut is what its parent is, or what /proc says.
    exec_in(&mut registry, [11, 1], at(2), ["job\0", "", groups.trim_end_matches('\0')]);
    exit(&mut registry, 11, at(2));
    let entity = registry.of(Pid(11), at(2));
    assert_eq!(value(&registry.resource(entity), key::CONTAINER_ID), "");
}

#[test]
fn a_fork_is_its_parent_until_it_executes() {
    let (mut registry, fake) = registry(Config::default());
    exec(&mut registry, 10, 1, at(1), "nginx\0", "");
    fork(&mut registry, 10, 11, at(2));
    assert_eq!(registry.of(Pid(11), at(3)), registry.of(Pid(10), at(3)));
    fork(&mut registry, 11, 12, at(3));
    exec(&mut registry, 12, 11, at(4), "./cgi\0", "");
    assert_eq!(service(&mut registry, 12, at(5)), "cgi");
    // What is told late of the time before the exec is still the parent's.
    assert_eq!(service(&mut registry, 12, at(3)), "nginx");
    // A parent that was there before the agent.
    fake.put(20, process("apache2", b"apache2\0", "/system.slice/apache2.service", 1));
    fork(&mut registry, 20, 21, at(5));
    exit(&mut registry, 21, at(5));
    assert_eq!(service(&mut registry, 21, at(5)), "apache2");
    assert_eq!(registry.of(Pid(21), at(5)), registry.of(Pid(20), at(5)));
}

#[test]
fn a_pid_used_again_never_mixes() {
    let (mut registry, fake) = registry(Config::default());
    exec(&mut registry, 10, 1, at(1), "./a\0", "");
    exit(&mut registry, 10, at(2));
    fork(&mut registry, 1, 10, at(3));
    exec(&mut registry, 10, 1, at(3), "./b\0", "");
    assert_eq!(service(&mut registry, 10, at(1)), "a");
    assert_eq!(service(&mut registry, 10, at(2)), "a");
    assert_eq!(service(&mut registry, 10, at(4)), "b");
    // The records of the next one are lost: /proc knows that it is another.
    exit(&mut registry, 10, at(5));
    assert_eq!(service(&mut registry, 10, Timestamp(5 * SECOND + 5)), "b");
    fake.put(10, process("c", b"./c\0", "/", 999));
    assert_eq!(service(&mut registry, 10, at(8)), "c");
    assert_eq!(service(&mut registry, 10, at(4)), "b");
}

#[test]
fn proc_is_asked_once_and_a_cut_record_at_once() {
    let (mut registry, fake) = registry(Config::default());
    fake.put(5, process("x", b"./x\0", "/", 1));
    for _ in 0..100 {
        registry.of(Pid(5), at(1));
        registry.of(Pid(6), at(1));
    }
    assert_eq!(fake.asked(), 2);
    let args = format!("java\0-cp\0{}", "x".repeat(limit::EXEC_ARGS - 9));
    assert!(args.len() >= limit::EXEC_ARGS);
    fake.put(7, process("java", b"java\0-cp\0x\0com.foo.Main\0", "/", 3 * 100));
    exec(&mut registry, 7, 1, at(3), &args, "");
    fake.remove(7);
    assert_eq!(service(&mut registry, 7, at(3)), "com.foo.Main");
    // Another process by then: the record is all there is.
    fake.put(8, process("other", b"./other\0", "/", 77));
    exec(&mut registry, 8, 1, at(3), &args, "");
    assert_eq!(service(&mut registry, 8, at(3)), "java");
}

#[test]
fn five_thousand_short_lived_processes_are_one_instance() {
    let (mut registry, fake) = registry(Config::default());
    fake.put(1000, process("bash", b"bash\0run.sh\0", "/system.slice/load.slice", 1));
    let mut entities = std::collections::HashSet::new();
    for i in 0..5000 {
        let (pid, now) = (2000 + i, Timestamp(u64::from(i) * SECOND / 100));
        fork(&mut registry, 1000, pid, now);
        exec(&mut registry, pid, 1000, now, "/usr/bin/python3\0client.py\0", "");
        // Every third is still there when it is asked for.
        if i % 3 == 0 {
            fake.put(
                pid,
                process(
                    "python3",
                    b"python3\0client.py\0",
                    "/system.slice/load.slice",
                    now.0 / 10_000_000,
                ),
            );
        }
        if i % 3 == 1 {
            exit(&mut registry, pid, now);
        }
        entities.insert(registry.of(Pid(pid), now));
        exit(&mut registry, pid, now);
        fake.remove(pid);
    }
    assert_eq!(entities.len(), 1);
    let resource = registry.resource(*entities.iter().next().unwrap());
    assert_eq!(value(&resource, key::SERVICE_NAME), "client");
}

#[test]
fn a_hundred_thousand_processes_leave_nothing_behind() {
    let config = Config { processes: 2048, entities: 64, ..Config::default() };
    let (mut registry, fake) = registry(config);
    exec(&mut registry, 1, 0, at(0), "init\0", "");
    fake.put(1, process("init", b"init\0", "/init.scope", 0));
    let (mut most, mut retired) = (0, 0);
    for i in 0..100_000_u32 {
        let now = Timestamp(u64::from(i) * SECOND / 200);
        let pid = 2 + i % 30_000;
        fork(&mut registry, 1, pid, now);
        exec(&mut registry, pid, 1, now, &format!("./job{}\0", i / 200), "");
        registry.of(Pid(pid), now);
        // A few whose end was lost.
        if i % 50 != 0 {
            exit(&mut registry, pid, now);
        }
        if i % 200 == 0 {
            retired += registry.tick(now, Anchor::default()).len();
        }
        most = most.max(registry.lives.places());
        assert!(registry.lives.len() <= 2048 && registry.instances.len() <= 65);
    }
    assert!(most <= 3 * 2048 + 2 * (2 * 2048 + 1024), "{most}");
    for second in 0..2000 {
        retired += registry.tick(at(501 + second), Anchor::default()).len();
    }
    let counts = registry.counts();
    assert_eq!(counts.processes, 1);
    assert_eq!(
        counts.entities,
        1 + u64::from(registry.lives.last(Pid(1)).unwrap().entity.is_some())
    );
    assert_eq!(counts.entities_retired, retired as u64);
    assert!(counts.ends_missed > 0 && counts.entities_refused > 0);
}

#[test]
fn an_instance_ends_after_its_grace_and_comes_back_as_another() {
    let (mut registry, _) = registry(Config::default());
    exec(&mut registry, 10, 1, at(1), "./a\0", "");
    let first = registry.of(Pid(10), at(1));
    exit(&mut registry, 10, at(2));
    assert_eq!(registry.tick(at(2), Anchor::default()), []);
    assert_eq!(registry.tick(at(13), Anchor::default()), []);
    assert_eq!(registry.tick(at(312), Anchor::default()), []);
    assert_eq!(registry.tick(at(313), Anchor::default()), [first]);
    assert_eq!(registry.tick(at(314), Anchor::default()), []);
    assert_eq!(value(&registry.resource(first), key::SERVICE_NAME), "a");
    exec(&mut registry, 10, 1, at(320), "./a\0", "");
    let second = registry.of(Pid(10), at(320));
    assert_ne!(first, second);
    assert_eq!(registry.resource(first), registry.resource(second));
    registry.tick(at(700), Anchor::default());
    assert_eq!(value(&registry.resource(first), key::SERVICE_NAME), OTHER);
}

#[test]
fn too_many_services_are_counted_together() {
    let (mut registry, _) = registry(Config { entities: 10, ..Config::default() });
    for i in 0..100 {
        exec(&mut registry, i + 1, 0, at(1), &format!("./s{i}x\0"), "");
        registry.of(Pid(i + 1), at(1));
    }
    assert_eq!(registry.counts().entities_refused, 90);
    assert_eq!(service(&mut registry, 100, at(1)), OTHER);
}

#[test]
fn the_filter_follows_programs_not_pids() {
    let exclude = Patterns { executables: vec![Glob::new("curl")], ..Patterns::default() };
    let filter = Filter { exclude, ..Filter::default() };
    let (mut registry, _) = registry(Config { filter, ..Config::default() });
    exec(&mut registry, 10, 1, at(1), "/usr/bin/curl\0", "");
    exec(&mut registry, 11, 1, at(1), "./a\0", "");
    assert_eq!(registry.changes(), [Change::Exclude(Pid(10))]);
    assert!(!registry.watched(Pid(10), at(1)) && registry.watched(Pid(11), at(1)));
    fork(&mut registry, 10, 12, at(2));
    exec(&mut registry, 12, 10, at(3), "./b\0", "");
    exit(&mut registry, 10, at(4));
    let (include, exclude) = (Change::Include, Change::Exclude);
    assert_eq!(registry.changes(), [exclude(Pid(12)), include(Pid(12)), include(Pid(10))]);
}

#[test]
fn hostile_records_do_not_panic() {
    let (mut registry, _) = registry(Config::default());
    for pid in [0, 1, u32::MAX] {
        exec(
            &mut registry,
            pid,
            pid,
            Timestamp(u64::MAX),
            "\0\0\0",
            "OTEL_RESOURCE_ATTRIBUTES\0=\0",
        );
        fork(&mut registry, pid, pid, Timestamp(0));
        registry.of(Pid(pid), Timestamp(u64::MAX));
        exit(&mut registry, pid, Timestamp(u64::MAX));
        registry.process_resource(Pid(pid), Timestamp(0));
    }
    registry.tick(Timestamp(u64::MAX), Anchor::default());
    registry.tick(Timestamp(0), Anchor::default());
}

#[test]
fn every_process_of_this_machine_has_a_name() {
    let root = crate::host::HostRoot::new("/");
    let machine = Machine::read(&root, None);
    let mut processes = crate::host::Processes::new(root);
    let pids = processes.pids(10_000);
    let mut registry = Registry::new(Config::default(), machine, Box::new(processes));
    for pid in pids {
        let name = service(&mut registry, pid.0, at(1));
        assert!(!name.is_empty());
        println!("{pid:?} {name}");
        let own = registry.process_resource(pid, at(1)).unwrap();
        assert_eq!(value(&own, key::PROCESS_PID), pid.0.to_string());
    }
    assert!(!service(&mut registry, std::process::id(), at(1)).is_empty());
}

#[test]
fn what_no_record_tells_is_asked_once_an_instance() {
    let (mut registry, fake) = registry(Config::default());
    for pid in 10..20 {
        exec(&mut registry, pid, 1, at(1), "./shopd\0", "");
        let toolchain = crate::host::Toolchain::Go;
        fake.put(pid, Process { toolchain, ..process("shopd", b"./shopd\0", "/", 100) });
        registry.of(Pid(pid), at(1));
    }
    let entity = registry.of(Pid(10), at(1));
    let resource = registry.resource(entity);
    assert_eq!(value(&resource, key::TELEMETRY_SDK_LANGUAGE), "go");
    assert_eq!(value(&resource, key::PROCESS_EXECUTABLE_PATH), "/usr/bin/shopd");
    // A control group for each, and the rest once.
    assert_eq!(fake.asked(), 11);
}
