//! Every system call that may be made, with what makes it: the one list that the agent's own filter
//! ([`super::filter`]) and the profile for container runtimes ([`super::profile`]) are made of.
//!
//! Missing for good, and what the tests try: running a program (`execve`, `fork`), looking into or writing to
//! another process (`ptrace`, `process_vm_*`), mounting, loading modules, entering or making namespaces,
//! telling others to end (`kill`), loading programs into the kernel (`bpf` has the commands that read), and opening a
//! file to write it: `/proc/PID/mem` is a file, and `CAP_SYS_PTRACE` would open it.

use libc::c_long;

/// One system call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    /// Its number on this processor; none where the processor does not have it.
    pub(crate) number: Option<c_long>,
    pub(crate) only: Only,
}

/// With which arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Only {
    Any,
    /// All conditions of one of these hold.
    Where(&'static [&'static [Is]]),
    /// The first argument is this process.
    Here,
    /// This argument has the flags of `open`, and says neither write nor create nor empty.
    Reading(u8),
}

/// The bits of an argument under the mask are these.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Is {
    pub(crate) argument: u8,
    pub(crate) mask: u64,
    pub(crate) value: u64,
}

/// What the kernel takes for an `int`: half a register, the other half may be anything.
const fn int(argument: u8, value: u64) -> Is {
    Is { argument, mask: 0xffff_ffff, value }
}

/// Names and numbers, with the same conditions for all.
macro_rules! calls {
    ($($name:ident)*) => { calls!(Only::Any; $($name)*) };
    ($only:expr; $($name:ident)*) => {
        &[$(Call { name: stringify!($name), number: Some(libc::$name), only: $only }),*]
    };
}

/// Calls that newer processors do not have: a C library makes others there.
macro_rules! old {
    ($($name:ident)*) => { old!(Only::Any; $($name)*) };
    ($only:expr; $($name:ident)*) => {
        &[$(Call {
            name: stringify!($name),
            #[cfg(target_arch = "x86_64")]
            number: Some(libc::$name),
            #[cfg(not(target_arch = "x86_64"))]
            number: None,
            only: $only,
        }),*]
    };
}

/// What an agent makes that has started: the pipeline, the collector, the exporters, the server, the live view.
/// glibc and musl reach the same end by different calls, so both are here.
pub(crate) const RUNNING: &[&[Call]] = &[
    // The heap, stacks of threads, rings of the kernel side, libraries that glibc loads to look names up.
    calls! { SYS_brk SYS_madvise SYS_mmap SYS_mprotect SYS_mremap SYS_munmap },
    // Threads: they come and go with what has to wait. A thread, not a process: no child ever has another memory.
    calls! { Only::Where(&[&[THREAD]]); SYS_clone },
    calls! {
        SYS_exit SYS_exit_group SYS_futex SYS_getcpu SYS_getpid SYS_getppid SYS_gettid SYS_membarrier SYS_rseq
        SYS_sched_getaffinity SYS_sched_yield SYS_set_robust_list SYS_set_tid_address
    },
    // A thread names itself, says which memory is the heap's, and asks what the kernel told the process at its begin.
    calls! {
        Only::Where(&[&[int(0, SET_NAME)], &[int(0, SET_VMA)], &[int(0, AUXILIARY)]]);
        SYS_prctl
    },
    // A thread that can wait steps back. Its own nice value alone.
    calls! { Only::Where(&[&[int(0, 0), int(1, 0)]]); SYS_setpriority },
    // Limits are looked at, not set.
    calls! { Only::Where(&[&[Is { argument: 2, mask: u64::MAX, value: 0 }]]); SYS_prlimit64 },
    calls! { SYS_getrlimit },
    // Signals to itself: the end of a panic. To others: none.
    calls! { SYS_restart_syscall SYS_rt_sigaction SYS_rt_sigprocmask SYS_rt_sigreturn SYS_sigaltstack },
    calls! { Only::Here; SYS_tgkill },
    // /proc, /sys, certificates, tokens, time zones, resolv.conf; the log and recordings.
    calls! {
        SYS_close SYS_dup SYS_faccessat SYS_faccessat2 SYS_fcntl SYS_fstat SYS_fstatfs SYS_getcwd SYS_getdents64
        SYS_lseek SYS_newfstatat SYS_pread64 SYS_pwrite64 SYS_read SYS_readlinkat SYS_readv SYS_statfs
        SYS_statx SYS_write SYS_writev
    },
    old! { SYS_access SYS_lstat SYS_readlink SYS_stat },
    calls! { Only::Reading(2); SYS_openat },
    old! { Only::Reading(1); SYS_open },
    // TCGETS and TCSETS in three forms, TIOCGWINSZ, FIONBIO, FIONREAD, FIOCLEX: the terminal's mode and size,
    // descriptors that do not block or are not inherited. Nothing is typed into a terminal by this (TIOCSTI).
    calls! {
        Only::Where(&[
            &[int(1, 0x5401)], &[int(1, 0x5402)], &[int(1, 0x5403)],
            &[int(1, 0x5404)], &[int(1, 0x5413)], &[int(1, 0x5421)],
            &[int(1, 0x541b)], &[int(1, 0x5451)],
            // The same with speeds of any number, as glibc asks since 2.42.
            &[int(1, 0x802c_542a)], &[int(1, 0x402c_542b)], &[int(1, 0x402c_542c)], &[int(1, 0x402c_542d)],
            // The number of an interface by its name, in addresses like fe80::1%eth0.
            &[int(1, 0x8933)],
        ]);
        SYS_ioctl
    },
    // Waiting for any of these.
    calls! {
        SYS_epoll_create1 SYS_epoll_ctl SYS_epoll_pwait SYS_epoll_pwait2 SYS_eventfd2 SYS_pipe2 SYS_ppoll
        SYS_pselect6
    },
    old! { SYS_epoll_wait SYS_pipe SYS_poll SYS_select },
    // Clocks, where the kernel does not tell them without a call.
    calls! {
        SYS_clock_getres SYS_clock_gettime SYS_clock_nanosleep SYS_getrusage SYS_gettimeofday SYS_nanosleep
        SYS_times
    },
    old! { SYS_time },
    // Who and where it is; keys of TLS.
    calls! {
        SYS_capget SYS_getegid SYS_geteuid SYS_getgid SYS_getrandom SYS_getuid SYS_sysinfo SYS_uname
    },
    // Exports, the server, the container runtime's socket, names, questions to the kernel about sockets and queues.
    calls! {
        Only::Where(&[
            &[int(0, UNIX)], &[int(0, INET)], &[int(0, INET6)],
            &[int(0, NETLINK)],
        ]);
        SYS_socket
    },
    calls! { Only::Where(&[&[int(0, UNIX)]]); SYS_socketpair },
    calls! {
        SYS_accept SYS_accept4 SYS_bind SYS_connect SYS_getpeername SYS_getsockname SYS_getsockopt SYS_recvfrom
        SYS_recvmmsg SYS_recvmsg SYS_sendmmsg SYS_sendmsg SYS_sendto SYS_setsockopt SYS_shutdown
    },
    // The maps, runs of iterators, what programs have cost.
    calls! {
        Only::Where(&[
            &[int(0, MAP_LOOKUP)], &[int(0, MAP_UPDATE)], &[int(0, MAP_DELETE)], &[int(0, MAP_NEXT)],
            &[int(0, INFO)], &[int(0, RUN_ITERATOR)],
        ]);
        SYS_bpf
    },
];

/// What the kernel answers as if it did not know it, so that the C library makes the older call: the flags of this
/// one stand in memory, where no filter sees them.
pub(crate) const UNKNOWN: &[Call] = calls! { SYS_clone3 };

/// What starting needs beside that: libraries are linked, programs loaded and attached, and what is not
/// needed any more is given up.
pub(crate) const STARTING: &[&[Call]] = &[
    calls! { SYS_execve SYS_listen SYS_getpriority },
    old! { SYS_arch_prctl },
    calls! { SYS_bpf SYS_perf_event_open },
    calls! { SYS_capset SYS_prctl SYS_seccomp },
    // A limit on memory that maps count against, before 5.11.
    calls! { SYS_prlimit64 SYS_setrlimit },
];

/// What runc and crun do between the installation of a profile and the agent's first instruction: with
/// `allowPrivilegeEscalation: false` little, else they still become the user, hand out capabilities and look the
/// program up. runc is a Go program, whose runtime has threads and signals of its own.
pub(crate) const RUNTIMES: &[&[Call]] = &[
    calls! {
        SYS_chdir SYS_close_range SYS_dup3 SYS_execveat SYS_fchdir SYS_fchown SYS_getgroups SYS_ioctl SYS_keyctl
        SYS_openat SYS_personality SYS_setgid SYS_setgroups SYS_setresgid SYS_setresuid SYS_setsid SYS_setuid SYS_tgkill
        SYS_umask SYS_wait4
    },
    old! { SYS_dup2 SYS_open },
];

/// `CLONE_THREAD` and `CLONE_VM`, and none of the flags that make namespaces.
const THREAD: Is = {
    let (wanted, namespaces) = (0x0001_0000 | 0x0000_0100, 0x7e02_0000 | 0x0000_0080);
    Is { argument: 0, mask: wanted | namespaces, value: wanted }
};
const UNIX: u64 = 1;
const INET: u64 = 2;
const INET6: u64 = 10;
const NETLINK: u64 = 16;
/// `O_ACCMODE`, `O_CREAT` and `O_TRUNC`: none of them is set where a file is only read.
pub(crate) const WRITES: u64 = 0o3 | 0o100 | 0o1000;
const SET_NAME: u64 = 15;
const SET_VMA: u64 = 0x5356_4d41;
const AUXILIARY: u64 = 0x4155_5856;
const MAP_LOOKUP: u64 = 1;
const MAP_UPDATE: u64 = 2;
const MAP_DELETE: u64 = 3;
const MAP_NEXT: u64 = 4;
const INFO: u64 = 15;
const RUN_ITERATOR: u64 = 33;

impl Call {
    /// As the kernel's manual calls it.
    pub(crate) fn plain(&self) -> &'static str {
        self.name.strip_prefix("SYS_").unwrap_or(self.name)
    }
}
