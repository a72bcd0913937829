//! The filter as the kernel runs it, on threads of the test's own: a thread's filter and capabilities end with it.

use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Command;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, socket};
use rustix::thread::{CapabilitySet, UnshareFlags, capabilities};

use super::calls::{Call, RUNNING, RUNTIMES, STARTING, UNKNOWN};
use super::{Confine, Terminal, filter, give_up};
use crate::health::probe::State;

/// Does `work` where the filter is, if the kernel has any.
fn filtered(work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| match filter::install(Terminal::Inherited) {
            Ok(()) => work(),
            Err(error) => eprintln!("not tried: {error}"),
        });
    });
}

#[test]
fn what_is_not_on_the_list_fails_and_nobody_ends() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path();
    filtered(|| {
        let refused = |outcome: std::io::Result<()>, what: &str| {
            let error = outcome.expect_err(what);
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{what}: {error}");
        };
        refused(Command::new("true").status().map(drop), "a program is run");
        let namespaces = UnshareFlags::NEWUSER | UnshareFlags::NEWNS;
        #[expect(deprecated, reason = "the safe form asks for one more argument and the same call")]
        let unshared = rustix::thread::unshare(namespaces);
        refused(unshared.map_err(Into::into), "namespaces are made");
        refused(rustix::process::chroot("/").map_err(Into::into), "the root is another");
        let own = rustix::process::getpid();
        refused(rustix::process::test_kill_process(own).map_err(Into::into), "a signal is sent");
        let raw = socket(AddressFamily::PACKET, SocketType::RAW, None).map(drop);
        refused(raw.map_err(Into::into), "packets are listened to");
        refused(TcpListener::bind(("127.0.0.1", 0)).map(drop), "a port is opened");
        refused(rustix::thread::set_no_new_privs(true).map_err(Into::into), "prctl");
        refused(rustix::process::setpriority_process(Some(own), 19).map_err(Into::into), "nice");
        refused(std::fs::create_dir(directory.join("one")), "a directory is made");
        refused(std::fs::write(directory.join("file"), "x"), "a file is made");
        let memory = std::fs::OpenOptions::new().write(true).open("/proc/self/mem");
        refused(memory.map(drop), "memory is written");
        let more = filter::install(Terminal::Inherited).map_err(|error| error.to_string());
        assert!(more.is_err_and(|why| why.contains("not permitted")), "another filter");
    });
}

#[test]
fn what_the_agent_does_goes_on() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    filtered(|| {
        // A thread of its own, which names itself and steps back.
        let thread = std::thread::Builder::new().name("steth-later".to_owned());
        let stepped = thread.spawn(|| rustix::process::setpriority_process(None, 5)).unwrap();
        stepped.join().unwrap().unwrap();
        assert!(std::fs::read_to_string("/proc/self/status").unwrap().contains("Seccomp"));
        assert!(std::fs::read_dir("/proc").unwrap().count() > 1);
        let client = std::thread::spawn(move || {
            let mut text = String::new();
            TcpStream::connect(address).unwrap().read_to_string(&mut text).map(|_| text)
        });
        let (mut server, _) = listener.accept().unwrap();
        std::io::Write::write_all(&mut server, b"here").unwrap();
        drop(server);
        assert_eq!(client.join().unwrap().unwrap(), "here");
        UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        assert!(std::net::ToSocketAddrs::to_socket_addrs("localhost:80").is_ok());
        crate::host::netlink::queues(|_| ()).unwrap();
        // A panic tells where it was.
        assert!(std::panic::catch_unwind(|| panic!("on purpose")).is_err());
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let blocking = runtime.block_on(async { tokio::task::spawn_blocking(|| 7).await });
        assert_eq!(blocking.unwrap(), 7);
    });
}

/// The sets of this thread, as `/proc` tells them.
fn sets() -> Vec<String> {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    status.lines().filter(|line| line.starts_with("Cap")).map(str::to_owned).collect()
}

fn told(rows: &[crate::health::probe::Probe], name: &str) -> State {
    rows.iter().find(|row| row.name == name).map(|row| row.state.clone()).unwrap()
}

#[test]
fn what_is_kept_is_the_least_that_works() {
    const PTRACE_AND_READ: &str = "0000000000080004";
    let had = capabilities(None).unwrap().permitted;
    let root = CapabilitySet::SETPCAP
        | CapabilitySet::BPF
        | CapabilitySet::PERFMON
        | CapabilitySet::SYS_ADMIN
        | CapabilitySet::SYS_PTRACE
        | CapabilitySet::DAC_READ_SEARCH;
    if !had.contains(root) {
        eprintln!("not tried: this needs root");
        return;
    }
    let wanted = Confine { capabilities: true, seccomp: false };
    let check = |needed: CapabilitySet, expect: &str| {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let mut works = || {
                    let effective = capabilities(None)?.effective;
                    if effective.contains(needed) { Ok(()) } else { Err(Errno::PERM.into()) }
                };
                let rows = give_up(&wanted, Terminal::Inherited, &mut works);
                assert_eq!(told(&rows, "capabilities"), State::Active, "{rows:?}");
                assert_eq!(told(&rows, "no_new_privs"), State::Active, "{rows:?}");
                sets()
            });
            let none = "0000000000000000";
            let sets = thread.join().unwrap();
            let expect = [
                format!("CapInh:\t{none}"),
                format!("CapPrm:\t{expect}"),
                format!("CapEff:\t{expect}"),
                format!("CapBnd:\t{expect}"),
                format!("CapAmb:\t{none}"),
            ];
            assert_eq!(sets, expect);
        });
    };
    check(CapabilitySet::empty(), PTRACE_AND_READ);
    check(CapabilitySet::BPF, "0000008000080004");
    check(CapabilitySet::SYS_ADMIN, "0000000000280004");
    check(CapabilitySet::BPF | CapabilitySet::PERFMON, "000000c000280004");
}

#[test]
fn what_is_switched_off_stays_and_is_told() {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let before = sets();
            let off = Confine { capabilities: false, seccomp: false };
            let rows = give_up(&off, Terminal::Inherited, &mut || Ok(()));
            assert_eq!(sets(), before);
            for name in ["capabilities", "seccomp"] {
                assert!(matches!(told(&rows, name), State::Disabled { .. }), "{rows:?}");
            }
            assert!(!rows.iter().any(|row| row.name == "no_new_privs"), "{rows:?}");
        });
    });
}

#[test]
fn the_list_has_no_call_twice_and_none_that_it_must_not_have() {
    const NEVER: [&str; 22] = [
        "execve",
        "execveat",
        "fork",
        "vfork",
        "ptrace",
        "process_vm_readv",
        "process_vm_writev",
        "mount",
        "umount2",
        "pivot_root",
        "chroot",
        "kexec_load",
        "kexec_file_load",
        "init_module",
        "finit_module",
        "setns",
        "unshare",
        "kill",
        "tkill",
        "pidfd_send_signal",
        "perf_event_open",
        "seccomp",
    ];
    let running: Vec<&str> = RUNNING.iter().copied().flatten().map(Call::plain).collect();
    for (at, name) in running.iter().enumerate() {
        assert!(!NEVER.contains(name), "{name}");
        assert!(!running[..at].contains(name), "{name} is there twice");
    }
    // What a runtime or starting needs once is not needed by what runs.
    let all = [STARTING, RUNTIMES].into_iter().flatten().copied().flatten();
    let whole = all.filter(|call| running.contains(&call.plain()));
    let wider: Vec<&str> = whole.map(Call::plain).collect();
    assert_eq!(wider, ["bpf", "prctl", "prlimit64", "ioctl", "openat", "tgkill", "open"]);
    assert!(UNKNOWN.iter().all(|call| !running.contains(&call.plain())));
}
