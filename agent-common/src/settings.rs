//! What userspace tells the kernel programs before they are loaded: read-only from then on, so that
//! the verifier sees constants and drops what is absent.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// An offset that this kernel does not have.
pub const ABSENT: u32 = u32::MAX;

/// Where the fields of sockets stand, from the running kernel's BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SockOffsets {
    /// `sock.__sk_common.skc_family`
    pub family: u32,
    /// `sock.__sk_common.skc_state`
    pub state: u32,
    /// `sock.__sk_common.skc_num`
    pub num: u32,
    /// `sock.__sk_common.skc_dport`
    pub dport: u32,
    /// `sock.__sk_common.skc_daddr`
    pub daddr: u32,
    /// `sock.__sk_common.skc_v6_daddr`
    pub v6_daddr: u32,
    /// `sock.sk_protocol`
    pub protocol: u32,
    /// `sock.sk_type`
    pub kind: u32,
    /// `sock.sk_err`
    pub err: u32,
    /// `tcp_sock.write_seq`
    pub write_seq: u32,
    /// `tcp_sock.copied_seq`
    pub copied_seq: u32,
    /// `tcp_sock.rcv_nxt`
    pub rcv_nxt: u32,
    /// `sock.sk_receive_queue.qlen`
    pub queued: u32,
    /// `inet_connection_sock.icsk_ack.lrcvtime`
    pub lrcvtime: u32,
    /// `unix_sock.peer`
    pub unix_peer: u32,
    /// `socket.sk`
    pub socket_sk: u32,
    /// `file.private_data`
    pub file_private: u32,
    /// `file.f_inode`
    pub file_inode: u32,
    /// `inode.i_mode`
    pub inode_mode: u32,
}

/// Where the fields of tasks stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct TaskOffsets {
    /// `task_struct.tgid`
    pub tgid: u32,
    /// `task_struct.pid`
    pub pid: u32,
    /// `task_struct.real_parent`
    pub parent: u32,
    /// `task_struct.start_boottime`
    pub started: u32,
    /// `task_struct.mm`
    pub mm: u32,
    /// `mm_struct.arg_start`
    pub arg_start: u32,
    /// `mm_struct.arg_end`
    pub arg_end: u32,
    /// `mm_struct.env_start`
    pub env_start: u32,
    /// `mm_struct.env_end`
    pub env_end: u32,
    /// `task_struct.files`
    pub files: u32,
    /// `files_struct.fdt`
    pub fdt: u32,
    /// `fdtable.fd`
    pub fd: u32,
    /// `fdtable.max_fds`
    pub max_fds: u32,
    /// `signal_struct.live`, a counter of the group's threads.
    pub live: u32,
    /// `task_struct.signal`
    pub signal: u32,
    /// `task_struct.nvcsw`
    pub voluntary: u32,
    /// `task_struct.cgroups`
    pub groups: u32,
    /// `css_set.dfl_cgrp`
    pub groups_unified: u32,
    /// `css_set.subsys`, at the controller of processes.
    pub groups_pids: u32,
    /// `cgroup_subsys_state.cgroup`
    pub css_group: u32,
    /// `cgroup.kn`
    pub group_node: u32,
    /// `kernfs_node.__parent`, `parent` before 6.15.
    pub node_parent: u32,
    /// `kernfs_node.name`
    pub node_name: u32,
    /// Keeps the size a multiple of eight.
    pub reserved: u32,
}

/// Where a system call's number and arguments stand in `pt_regs`: the one place that knows the
/// processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Arch {
    /// The number's offset.
    pub number: u32,
    /// The first four arguments' offsets.
    pub args: [u32; 4],
    /// Calls that take a plain buffer second: `read`, `write`, `recvfrom`, `sendto`, `pread64`, `pwrite64`.
    pub plain: [u32; 6],
    /// Calls that take an iovec array second: `readv`, `writev`, `preadv`, `pwritev`.
    pub vector: [u32; 4],
    /// Calls that take a `msghdr` second: `recvmsg`, `sendmsg`.
    pub message: [u32; 2],
    /// Calls that take an array of `mmsghdr` second: `recvmmsg`, `sendmmsg`.
    pub messages: [u32; 2],
    /// `sendfile`, `splice`, `io_uring_enter`: the bytes are not the caller's.
    pub elsewhere: [u32; 3],
    /// The register in which programs of Go keep their goroutine, a pointer that is another's only after it has
    /// ended. Nobody else keeps anything of use there.
    pub routine: u32,
}

impl Arch {
    /// x86-64: `struct pt_regs` keeps r15 and r14 first and `orig_ax` at 120.
    pub const X86_64: Self = Self {
        number: 120,
        args: [112, 104, 96, 56],
        plain: [0, 1, 45, 44, 17, 18],
        vector: [19, 20, 295, 296],
        message: [47, 46],
        messages: [299, 307],
        elsewhere: [40, 275, 426],
        routine: 8,
    };

    /// arm64: `struct user_pt_regs` keeps x0 first; `orig_x0` at 272, `syscallno` at 280.
    pub const AARCH64: Self = Self {
        number: 280,
        args: [272, 8, 16, 24],
        plain: [63, 64, 207, 206, 67, 68],
        vector: [65, 66, 69, 70],
        message: [212, 211],
        messages: [243, 269],
        elsewhere: [71, 76, 426],
        routine: 28 * 8,
    };

    /// The row of the processor this is compiled for.
    pub const HOST: Option<Self> = if cfg!(target_arch = "x86_64") {
        Some(Self::X86_64)
    } else if cfg!(target_arch = "aarch64") {
        Some(Self::AARCH64)
    } else {
        None
    };
}

/// What to watch and what not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Watch {
    /// The agent itself: never observed. 0 if it is to be.
    pub own: u32,
    /// Non-zero: ports in the port table are the only ones watched; else they are left out.
    pub ports_only: u32,
    /// Non-zero: the port table has something in it.
    pub ports: u32,
    /// Non-zero: the process table has something in it.
    pub processes: u32,
    /// Non-zero: Unix sockets are watched.
    pub unix: u32,
    /// Userspace is woken before its time when so many bytes wait in the ring.
    pub high_water: u32,
    /// Non-zero: traces are carried to other hosts.
    pub carry: u32,
    /// Non-zero: programs only count their calls and leave; the bench's "empty programs".
    pub empty: u32,
    /// Non-zero: every hook of tier 1 has a second program, for the runs of the first that the kernel
    /// leaves out.
    pub spares: u32,
    /// Non-zero: the first ones leave out one run in so many, at random, as the kernel would. For tests.
    pub miss_every: u32,
}
