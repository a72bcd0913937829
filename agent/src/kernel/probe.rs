//! The probes: which program on which hook, and how each fares on this kernel.

/// How a probe fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Attached.
    Active,
    /// Not wanted, or not needed here.
    Disabled {
        /// Why.
        why: String,
    },
    /// Wanted, and could not be had.
    Failed {
        /// Why.
        why: String,
    },
}

/// One probe and its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The probe's name.
    pub name: &'static str,
    /// The hook it stands on.
    pub hook: &'static str,
    /// What is lost without it.
    pub loss: &'static str,
    /// How it fares.
    pub state: State,
}

/// How a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    /// A typed tracepoint.
    Tracepoint(&'static str),
    /// A kernel function's exit.
    Exit(&'static str),
    /// An iterator over a map's elements.
    Iterator(&'static str, &'static str),
}

impl Hook {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tracepoint(name) | Self::Exit(name) | Self::Iterator(name, _) => name,
        }
    }
}

/// What the names of second programs end with: they stand behind the first on the same hook, where
/// the kernel leaves out runs of programs that it may preempt.
pub(crate) const SPARE: &str = "_spare";

/// The program that notes when bytes come.
pub(crate) const ARRIVALS: &str = "sock_ready";

/// One program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe {
    pub(crate) program: &'static str,
    pub(crate) hook: Hook,
    /// Tiers of capture it belongs to, a bit each: 1, 2, 4.
    pub(crate) tiers: u8,
    /// Its tier does not work without it.
    pub(crate) required: bool,
    pub(crate) loss: &'static str,
}

const fn probe(
    program: &'static str,
    hook: Hook,
    tiers: u8,
    required: bool,
    loss: &'static str,
) -> Probe {
    Probe { program, hook, tiers, required, loss }
}

/// Every program there is.
pub(crate) const ALL: &[Probe] = &[
    probe("sock_recv", Hook::Tracepoint("sock_recv_length"), 1, true, "bytes read from sockets"),
    probe("sock_send", Hook::Tracepoint("sock_send_length"), 1, true, "bytes written to sockets"),
    probe("tcp_recv", Hook::Exit("tcp_recvmsg"), 2, true, "bytes read from TCP sockets"),
    probe("tcp_send", Hook::Exit("tcp_sendmsg"), 2, true, "bytes written to TCP sockets"),
    probe(
        "tcp_page",
        Hook::Exit("tcp_sendpage"),
        2,
        false,
        "times of bytes sent by sendfile and splice (their count is still known)",
    ),
    probe("unix_recv", Hook::Exit("unix_stream_recvmsg"), 2, false, "requests over Unix sockets"),
    probe("unix_send", Hook::Exit("unix_stream_sendmsg"), 2, false, "requests over Unix sockets"),
    probe(
        "sys_exit",
        Hook::Tracepoint("sys_exit"),
        4,
        true,
        "bytes read from and written to sockets",
    ),
    probe(
        "sock_state",
        Hook::Tracepoint("inet_sock_set_state"),
        1 | 2,
        true,
        "the last exchange of a connection, failed connects, resets",
    ),
    probe(
        "sock_state_by_sock",
        Hook::Tracepoint("inet_sock_set_state"),
        4,
        true,
        "the last exchange of a connection, failed connects, resets",
    ),
    probe(
        "sock_recv_spare",
        Hook::Tracepoint("sock_recv_length"),
        1,
        false,
        "bytes read while another program on the same processor is preempted",
    ),
    probe(
        "sock_send_spare",
        Hook::Tracepoint("sock_send_length"),
        1,
        false,
        "bytes written while another program on the same processor is preempted",
    ),
    probe(
        "sock_state_spare",
        Hook::Tracepoint("inet_sock_set_state"),
        1,
        false,
        "connections that end while another program on the same processor is preempted",
    ),
    probe(
        "sock_gone",
        Hook::Tracepoint("tcp_destroy_sock"),
        1 | 2,
        false,
        "exchanges whose answer is read after the connection has ended",
    ),
    probe(
        "sock_gone_by_sock",
        Hook::Tracepoint("tcp_destroy_sock"),
        4,
        false,
        "exchanges whose answer is read after the connection has ended",
    ),
    probe(
        ARRIVALS,
        Hook::Tracepoint("sk_data_ready"),
        1 | 2,
        false,
        "how long requests lay there before they were read",
    ),
    probe(
        "process_exec",
        Hook::Tracepoint("sched_process_exec"),
        7,
        false,
        "names of processes that live shorter than it takes to read /proc",
    ),
    probe(
        "process_fork",
        Hook::Tracepoint("sched_process_fork"),
        7,
        false,
        "names of short-lived child processes",
    ),
    probe(
        "process_exit",
        Hook::Tracepoint("sched_process_exit"),
        7,
        false,
        "the moment a process ends (found out later from /proc)",
    ),
    probe(
        "sweep",
        Hook::Iterator("bpf_sk_storage_map", "CONNS"),
        1 | 2,
        false,
        "requests in flight, and the last exchange of an idle connection until it closes",
    ),
    probe(
        "sweep_by_sock",
        Hook::Iterator("bpf_map_elem", "CONNS_BY_SOCK"),
        4,
        false,
        "requests in flight, and the last exchange of an idle connection until it closes",
    ),
];
