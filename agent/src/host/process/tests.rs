//! Processes in a fixture and on the machine that runs the tests.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::*;

struct Fixture {
    dir: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn pid(&self, pid: u32) -> PathBuf {
        let path = self.dir.path().join(format!("proc/{pid}"));
        fs::create_dir_all(&path).unwrap();
        path
    }

    fn put(&self, pid: u32, name: &str, content: &[u8]) {
        fs::write(self.pid(pid).join(name), content).unwrap();
    }

    fn stat(&self, pid: u32, comm: &[u8], started: u64) {
        let mut line = format!("{pid} (").into_bytes();
        line.extend_from_slice(comm);
        line.extend_from_slice(
            format!(") S 7 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 {started} 1 2\n").as_bytes(),
        );
        self.put(pid, "stat", &line);
    }

    fn processes(&self) -> Processes {
        Processes::new(HostRoot::new(self.dir.path()))
    }
}

#[test]
fn a_process_is_read_whole() {
    let fixture = Fixture::new();
    fixture.stat(42, b"node", 1234);
    fixture.put(42, "cmdline", b"node\0server.js\0");
    fixture.put(42, "environ", b"HOME=/root\0OTEL_SERVICE_NAME=shop\0SECRET=x\0");
    fixture.put(42, "cgroup", b"0::/system.slice/shop.service\n");
    symlink("/usr/bin/node (deleted)", fixture.pid(42).join("exe")).unwrap();
    symlink("/srv/shop", fixture.pid(42).join("cwd")).unwrap();
    let mut processes = fixture.processes();
    let expect = Process {
        pid: Pid(42),
        parent: Pid(7),
        started: Ticks(1234),
        comm: "node".to_owned(),
        exe: Some("/usr/bin/node".to_owned()),
        cwd: Some("/srv/shop".to_owned()),
        args: b"node\0server.js\0".to_vec(),
        env: b"OTEL_SERVICE_NAME=shop\0".to_vec(),
        cgroup: Cgroup {
            path: "/system.slice/shop.service".to_owned(),
            container: None,
            pod: None,
            unit: Some("shop.service".to_owned()),
        },
        toolchain: Toolchain::Unknown,
    };
    assert_eq!(processes.process(Pid(42)), Ok(expect));
    assert_eq!(processes.counts(), Counts { read: 1, ..Counts::default() });
}

#[test]
fn hostile_names_do_not_move_the_fields() {
    let check = |comm: &[u8], expect: &str| {
        let fixture = Fixture::new();
        fixture.stat(1, comm, 99);
        let process = fixture.processes().process(Pid(1)).unwrap();
        assert_eq!((process.comm.as_str(), process.started), (expect, Ticks(99)));
    };
    check(b"(sd-pam)", "(sd-pam)");
    check(b"a) S 1 1 (b", "a) S 1 1 (b");
    check(b"x\ny", "x\u{fffd}y");
    check(b")))(((", ")))(((");
    check(b"", "");
    check(b"\xff\x00", "\u{fffd}\u{fffd}");
}

#[test]
fn what_is_missing_is_counted_and_what_is_torn_is_refused() {
    let fixture = Fixture::new();
    let mut processes = fixture.processes();
    assert_eq!(processes.process(Pid(5)), Err(Unread::Vanished));
    fixture.put(5, "stat", b"5 (x) S 1");
    assert_eq!(processes.process(Pid(5)), Err(Unread::Malformed));
    fixture.put(5, "stat", b"");
    assert_eq!(processes.process(Pid(5)), Err(Unread::Malformed));
    fixture.stat(6, b"kworker/0:1", 3);
    let thread = processes.process(Pid(6)).unwrap();
    assert_eq!((thread.exe, thread.args.len()), (None, 0));
    assert_eq!(
        processes.counts(),
        Counts { read: 1, vanished: 1, malformed: 2, ..Counts::default() }
    );
}

#[test]
fn megabytes_of_environment_and_arguments_are_bounded() {
    let fixture = Fixture::new();
    fixture.stat(9, b"big", 1);
    let mut env = b"OTEL_SERVICE_NAME=big\0".to_vec();
    for i in 0..200_000 {
        env.extend_from_slice(format!("OTEL_X{i}={i}\0").as_bytes());
    }
    fixture.put(9, "environ", &env);
    let mut args = b"java\0-cp\0".to_vec();
    args.extend_from_slice(&vec![b'c'; 30_000]);
    args.extend_from_slice(b"\0com.foo.Main\0");
    fixture.put(9, "cmdline", &args);
    let mut processes = fixture.processes();
    let process = processes.process(Pid(9)).unwrap();
    assert!(process.env.starts_with(b"OTEL_SERVICE_NAME=big\0") && process.env.len() <= KEPT);
    assert!(process.args.ends_with(b"\0com.foo.Main\0") && process.args.len() <= KEPT);
    assert_eq!(processes.counts().cut, 1);
}

#[test]
fn nothing_of_an_environment_is_kept_but_what_names_the_service() {
    let check = |env: &str, expect: &str| {
        assert_eq!(otel_only(env.as_bytes()), expect.as_bytes(), "{env:?}");
    };
    check("A=1\0OTEL_SERVICE_NAME=x\0B=2\0", "OTEL_SERVICE_NAME=x\0");
    check("OTEL_EXPORTER_OTLP_HEADERS=authorization=x\0OTEL_A=1\0", "OTEL_A=1\0");
    check("OTEL_A=1\0OTEL_SERVICE_NAME=sho", "OTEL_A=1\0");
    check("XOTEL_A=1\0otel_a=1\0", "");
    check("\0\0\0", "");
    check("", "");
}

#[test]
fn a_hidden_container_shows_in_its_mounts() {
    let id = "3f4e9c1d2b5a68790c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7";
    let fixture = Fixture::new();
    fixture.stat(3, b"x", 1);
    fixture.put(3, "cgroup", b"0::/\n");
    let line = format!(
        "1 2 254:1 /var/lib/docker/containers/{id}/hostname /etc/hostname rw - ext4 /dev/vda rw\n"
    );
    fixture.put(3, "mountinfo", line.as_bytes());
    let process = fixture.processes().process(Pid(3)).unwrap();
    assert_eq!(process.cgroup.container.as_deref(), Some(id));
}

#[test]
fn this_machines_processes_can_be_read() {
    let mut processes = Processes::new(HostRoot::new("/"));
    let own = processes.process(Pid(std::process::id())).unwrap();
    assert_eq!(own.pid.0, std::process::id());
    assert!(own.exe.is_some() && !own.args.is_empty() && own.started.0 > 0);
    for pid in processes.pids(100_000) {
        // Parts of process 1 may be forbidden even to root; any answer will do.
        let _ = processes.process(pid);
    }
    assert!(processes.counts().read > 1);
}
