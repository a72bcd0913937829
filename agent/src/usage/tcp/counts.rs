//! The counters of a network namespace: TCP and UDP, of the host or of a container.

use crate::host::keyed;
use crate::metric::instrument::{container, tcp};
use crate::metric::key;
use crate::usage::sheet::{Row, Sheet, Told, row};
use crate::usage::{Owner, Sink};

const HOST_TCP: &[Row] = &[
    row(&["InSegs"], &tcp::STETH_SYSTEM_TCP_SEGMENTS, &[(key::NETWORK_IO_DIRECTION, "receive")]),
    row(&["OutSegs"], &tcp::STETH_SYSTEM_TCP_SEGMENTS, &[(key::NETWORK_IO_DIRECTION, "transmit")]),
    row(&["RetransSegs"], &tcp::STETH_SYSTEM_TCP_RETRANSMITS, &[]),
    row(&["InErrs"], &tcp::STETH_SYSTEM_TCP_ERRORS, &[]),
    row(&["OutRsts"], &tcp::STETH_SYSTEM_TCP_RESETS, &[]),
    row(&["EstabResets"], &tcp::STETH_SYSTEM_TCP_CONNECTION_RESETS, &[]),
    row(
        &["ActiveOpens"],
        &tcp::STETH_SYSTEM_TCP_CONNECTIONS,
        &[(key::STETH_CONNECTION_ROLE, "client")],
    ),
    row(
        &["PassiveOpens"],
        &tcp::STETH_SYSTEM_TCP_CONNECTIONS,
        &[(key::STETH_CONNECTION_ROLE, "server")],
    ),
    row(&["AttemptFails"], &tcp::STETH_SYSTEM_TCP_CONNECTION_FAILURES, &[]),
];

const HOST_TCP_EXT: &[Row] = &[
    row(&["TCPTimeouts"], &tcp::STETH_SYSTEM_TCP_TIMEOUTS, &[]),
    row(&["ListenOverflows"], &tcp::STETH_SYSTEM_TCP_LISTEN_OVERFLOWS, &[]),
    row(&["ListenDrops"], &tcp::STETH_SYSTEM_TCP_LISTEN_DROPS, &[]),
    row(&["TCPReqQFullDrop"], &tcp::STETH_SYSTEM_TCP_SYN_DROPS, &[]),
    row(&["SyncookiesSent"], &tcp::STETH_SYSTEM_TCP_SYN_COOKIES, &[]),
    row(&["PruneCalled"], &tcp::STETH_SYSTEM_TCP_RECEIVE_PRUNES, &[]),
    row(&["RcvPruned"], &tcp::STETH_SYSTEM_TCP_RECEIVE_DROPS, &[(key::STETH_REASON, "pruned")]),
    row(
        &["OfoPruned"],
        &tcp::STETH_SYSTEM_TCP_RECEIVE_DROPS,
        &[(key::STETH_REASON, "out_of_order")],
    ),
    row(
        &["TCPBacklogDrop"],
        &tcp::STETH_SYSTEM_TCP_RECEIVE_DROPS,
        &[(key::STETH_REASON, "backlog")],
    ),
    row(
        &["TCPRcvQDrop"],
        &tcp::STETH_SYSTEM_TCP_RECEIVE_DROPS,
        &[(key::STETH_REASON, "queue_full")],
    ),
    row(
        &["TCPZeroWindowDrop"],
        &tcp::STETH_SYSTEM_TCP_RECEIVE_DROPS,
        &[(key::STETH_REASON, "zero_window")],
    ),
    row(&["TCPToZeroWindowAdv"], &tcp::STETH_SYSTEM_TCP_ZERO_WINDOWS, &[]),
    row(&["TCPMemoryPressures"], &tcp::STETH_SYSTEM_TCP_MEMORY_PRESSURES, &[]),
    row(&["TCPAbortOnMemory"], &tcp::STETH_SYSTEM_TCP_MEMORY_ABORTS, &[]),
];

const HOST_UDP: &[Row] = &[
    row(
        &["InDatagrams"],
        &tcp::STETH_SYSTEM_UDP_DATAGRAMS,
        &[(key::NETWORK_IO_DIRECTION, "receive"), (key::NETWORK_TYPE, "ipv4")],
    ),
    row(
        &["OutDatagrams"],
        &tcp::STETH_SYSTEM_UDP_DATAGRAMS,
        &[(key::NETWORK_IO_DIRECTION, "transmit"), (key::NETWORK_TYPE, "ipv4")],
    ),
    row(
        &["NoPorts"],
        &tcp::STETH_SYSTEM_UDP_ERRORS,
        &[(key::NETWORK_TYPE, "ipv4"), (key::STETH_REASON, "no_port")],
    ),
    row(
        &["RcvbufErrors"],
        &tcp::STETH_SYSTEM_UDP_ERRORS,
        &[(key::NETWORK_TYPE, "ipv4"), (key::STETH_REASON, "receive_buffer")],
    ),
    row(
        &["SndbufErrors"],
        &tcp::STETH_SYSTEM_UDP_ERRORS,
        &[(key::NETWORK_TYPE, "ipv4"), (key::STETH_REASON, "send_buffer")],
    ),
    row(
        &["InCsumErrors"],
        &tcp::STETH_SYSTEM_UDP_ERRORS,
        &[(key::NETWORK_TYPE, "ipv4"), (key::STETH_REASON, "checksum")],
    ),
    row(
        &["MemErrors"],
        &tcp::STETH_SYSTEM_UDP_ERRORS,
        &[(key::NETWORK_TYPE, "ipv4"), (key::STETH_REASON, "memory")],
    ),
    Row {
        keys: &["InErrors"],
        less: &["RcvbufErrors", "InCsumErrors", "MemErrors"],
        times: 1,
        instrument: &tcp::STETH_SYSTEM_UDP_ERRORS,
        attributes: &[(key::NETWORK_TYPE, "ipv4"), (key::STETH_REASON, "other")],
    },
];

const HOST_UDP6: &[Row] = &[
    row(
        &["Udp6InDatagrams"],
        &tcp::STETH_SYSTEM_UDP_DATAGRAMS,
        &[(key::NETWORK_IO_DIRECTION, "receive"), (key::NETWORK_TYPE, "ipv6")],
    ),
    row(
        &["Udp6OutDatagrams"],
        &tcp::STETH_SYSTEM_UDP_DATAGRAMS,
        &[(key::NETWORK_IO_DIRECTION, "transmit"), (key::NETWORK_TYPE, "ipv6")],
    ),
    row(
        &["Udp6NoPorts"],
        &tcp::STETH_SYSTEM_UDP_ERRORS,
        &[(key::NETWORK_TYPE, "ipv6"), (key::STETH_REASON, "no_port")],
    ),
    row(
        &["Udp6RcvbufErrors"],
        &tcp::STETH_SYSTEM_UDP_ERRORS,
        &[(key::NETWORK_TYPE, "ipv6"), (key::STETH_REASON, "receive_buffer")],
    ),
    row(
        &["Udp6SndbufErrors"],
        &tcp::STETH_SYSTEM_UDP_ERRORS,
        &[(key::NETWORK_TYPE, "ipv6"), (key::STETH_REASON, "send_buffer")],
    ),
    row(
        &["Udp6InCsumErrors"],
        &tcp::STETH_SYSTEM_UDP_ERRORS,
        &[(key::NETWORK_TYPE, "ipv6"), (key::STETH_REASON, "checksum")],
    ),
    row(
        &["Udp6MemErrors"],
        &tcp::STETH_SYSTEM_UDP_ERRORS,
        &[(key::NETWORK_TYPE, "ipv6"), (key::STETH_REASON, "memory")],
    ),
    Row {
        keys: &["Udp6InErrors"],
        less: &["Udp6RcvbufErrors", "Udp6InCsumErrors", "Udp6MemErrors"],
        times: 1,
        instrument: &tcp::STETH_SYSTEM_UDP_ERRORS,
        attributes: &[(key::NETWORK_TYPE, "ipv6"), (key::STETH_REASON, "other")],
    },
];

const GROUP_TCP: &[Row] = &[
    row(
        &["InSegs"],
        &container::STETH_CONTAINER_TCP_SEGMENTS,
        &[(key::NETWORK_IO_DIRECTION, "receive")],
    ),
    row(
        &["OutSegs"],
        &container::STETH_CONTAINER_TCP_SEGMENTS,
        &[(key::NETWORK_IO_DIRECTION, "transmit")],
    ),
    row(&["RetransSegs"], &container::STETH_CONTAINER_TCP_RETRANSMITS, &[]),
    row(&["InErrs"], &container::STETH_CONTAINER_TCP_ERRORS, &[]),
    row(&["OutRsts"], &container::STETH_CONTAINER_TCP_RESETS, &[]),
    row(&["EstabResets"], &container::STETH_CONTAINER_TCP_CONNECTION_RESETS, &[]),
    row(
        &["ActiveOpens"],
        &container::STETH_CONTAINER_TCP_CONNECTIONS,
        &[(key::STETH_CONNECTION_ROLE, "client")],
    ),
    row(
        &["PassiveOpens"],
        &container::STETH_CONTAINER_TCP_CONNECTIONS,
        &[(key::STETH_CONNECTION_ROLE, "server")],
    ),
    row(&["AttemptFails"], &container::STETH_CONTAINER_TCP_CONNECTION_FAILURES, &[]),
];

const GROUP_TCP_EXT: &[Row] = &[
    row(&["TCPTimeouts"], &container::STETH_CONTAINER_TCP_TIMEOUTS, &[]),
    row(&["ListenOverflows"], &container::STETH_CONTAINER_TCP_LISTEN_OVERFLOWS, &[]),
    row(&["ListenDrops"], &container::STETH_CONTAINER_TCP_LISTEN_DROPS, &[]),
    row(&["TCPReqQFullDrop"], &container::STETH_CONTAINER_TCP_SYN_DROPS, &[]),
    row(&["SyncookiesSent"], &container::STETH_CONTAINER_TCP_SYN_COOKIES, &[]),
    row(&["PruneCalled"], &container::STETH_CONTAINER_TCP_RECEIVE_PRUNES, &[]),
    row(
        &["RcvPruned"],
        &container::STETH_CONTAINER_TCP_RECEIVE_DROPS,
        &[(key::STETH_REASON, "pruned")],
    ),
    row(
        &["OfoPruned"],
        &container::STETH_CONTAINER_TCP_RECEIVE_DROPS,
        &[(key::STETH_REASON, "out_of_order")],
    ),
    row(
        &["TCPBacklogDrop"],
        &container::STETH_CONTAINER_TCP_RECEIVE_DROPS,
        &[(key::STETH_REASON, "backlog")],
    ),
    row(
        &["TCPRcvQDrop"],
        &container::STETH_CONTAINER_TCP_RECEIVE_DROPS,
        &[(key::STETH_REASON, "queue_full")],
    ),
    row(
        &["TCPZeroWindowDrop"],
        &container::STETH_CONTAINER_TCP_RECEIVE_DROPS,
        &[(key::STETH_REASON, "zero_window")],
    ),
    row(&["TCPToZeroWindowAdv"], &container::STETH_CONTAINER_TCP_ZERO_WINDOWS, &[]),
];

const GROUP_UDP: &[Row] = &[
    row(
        &["InDatagrams"],
        &container::STETH_CONTAINER_UDP_DATAGRAMS,
        &[(key::NETWORK_IO_DIRECTION, "receive"), (key::NETWORK_TYPE, "ipv4")],
    ),
    row(
        &["OutDatagrams"],
        &container::STETH_CONTAINER_UDP_DATAGRAMS,
        &[(key::NETWORK_IO_DIRECTION, "transmit"), (key::NETWORK_TYPE, "ipv4")],
    ),
    row(
        &["NoPorts"],
        &container::STETH_CONTAINER_UDP_ERRORS,
        &[(key::NETWORK_TYPE, "ipv4"), (key::STETH_REASON, "no_port")],
    ),
    row(
        &["RcvbufErrors"],
        &container::STETH_CONTAINER_UDP_ERRORS,
        &[(key::NETWORK_TYPE, "ipv4"), (key::STETH_REASON, "receive_buffer")],
    ),
    row(
        &["SndbufErrors"],
        &container::STETH_CONTAINER_UDP_ERRORS,
        &[(key::NETWORK_TYPE, "ipv4"), (key::STETH_REASON, "send_buffer")],
    ),
    row(
        &["InCsumErrors"],
        &container::STETH_CONTAINER_UDP_ERRORS,
        &[(key::NETWORK_TYPE, "ipv4"), (key::STETH_REASON, "checksum")],
    ),
    row(
        &["MemErrors"],
        &container::STETH_CONTAINER_UDP_ERRORS,
        &[(key::NETWORK_TYPE, "ipv4"), (key::STETH_REASON, "memory")],
    ),
    Row {
        keys: &["InErrors"],
        less: &["RcvbufErrors", "InCsumErrors", "MemErrors"],
        times: 1,
        instrument: &container::STETH_CONTAINER_UDP_ERRORS,
        attributes: &[(key::NETWORK_TYPE, "ipv4"), (key::STETH_REASON, "other")],
    },
];

const GROUP_UDP6: &[Row] = &[
    row(
        &["Udp6InDatagrams"],
        &container::STETH_CONTAINER_UDP_DATAGRAMS,
        &[(key::NETWORK_IO_DIRECTION, "receive"), (key::NETWORK_TYPE, "ipv6")],
    ),
    row(
        &["Udp6OutDatagrams"],
        &container::STETH_CONTAINER_UDP_DATAGRAMS,
        &[(key::NETWORK_IO_DIRECTION, "transmit"), (key::NETWORK_TYPE, "ipv6")],
    ),
    row(
        &["Udp6NoPorts"],
        &container::STETH_CONTAINER_UDP_ERRORS,
        &[(key::NETWORK_TYPE, "ipv6"), (key::STETH_REASON, "no_port")],
    ),
    row(
        &["Udp6RcvbufErrors"],
        &container::STETH_CONTAINER_UDP_ERRORS,
        &[(key::NETWORK_TYPE, "ipv6"), (key::STETH_REASON, "receive_buffer")],
    ),
    row(
        &["Udp6SndbufErrors"],
        &container::STETH_CONTAINER_UDP_ERRORS,
        &[(key::NETWORK_TYPE, "ipv6"), (key::STETH_REASON, "send_buffer")],
    ),
    row(
        &["Udp6InCsumErrors"],
        &container::STETH_CONTAINER_UDP_ERRORS,
        &[(key::NETWORK_TYPE, "ipv6"), (key::STETH_REASON, "checksum")],
    ),
    row(
        &["Udp6MemErrors"],
        &container::STETH_CONTAINER_UDP_ERRORS,
        &[(key::NETWORK_TYPE, "ipv6"), (key::STETH_REASON, "memory")],
    ),
    Row {
        keys: &["Udp6InErrors"],
        less: &["Udp6RcvbufErrors", "Udp6InCsumErrors", "Udp6MemErrors"],
        times: 1,
        instrument: &container::STETH_CONTAINER_UDP_ERRORS,
        attributes: &[(key::NETWORK_TYPE, "ipv6"), (key::STETH_REASON, "other")],
    },
];

/// The series of a namespace, from `snmp`, `netstat` and `snmp6`.
#[derive(Debug)]
pub(crate) struct Counts {
    tcp: Sheet,
    tcp_ext: Sheet,
    udp: Sheet,
    udp6: Sheet,
}

/// What was told before of one namespace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Before([Told; 4]);

impl Counts {
    /// Of the host.
    pub(crate) fn of_host() -> Self {
        Self::new([HOST_TCP, HOST_TCP_EXT, HOST_UDP, HOST_UDP6])
    }

    /// Of a control group.
    pub(crate) fn of_group() -> Self {
        Self::new([GROUP_TCP, GROUP_TCP_EXT, GROUP_UDP, GROUP_UDP6])
    }

    fn new([tcp, tcp_ext, udp, udp6]: [&[Row]; 4]) -> Self {
        let [tcp, tcp_ext, udp, udp6] = [tcp, tcp_ext, udp, udp6].map(Sheet::new);
        Self { tcp, tcp_ext, udp, udp6 }
    }

    /// Puts what the files say. The first two have the same form.
    pub(crate) fn put(
        &self,
        owner: &Owner,
        [snmp, netstat, snmp6]: [&[u8]; 3],
        before: &mut Before,
        into: &mut Sink,
    ) {
        let mut sections = [Vec::new(), Vec::new(), Vec::new()];
        for content in [snmp, netstat] {
            keyed::paired(content, |section, key, value| {
                let at = match section {
                    "Tcp" => 0,
                    "TcpExt" => 1,
                    "Udp" => 2,
                    _ => return,
                };
                if let Some(pairs) = sections.get_mut(at) {
                    pairs.push((key, value));
                }
            });
        }
        let [tcp, tcp_ext, udp] = sections;
        let Before([a, b, c, d]) = before;
        self.tcp.put(owner, tcp.into_iter(), a, into);
        self.tcp_ext.put(owner, tcp_ext.into_iter(), b, into);
        self.udp.put(owner, udp.into_iter(), c, into);
        self.udp6.put(owner, keyed::flat(snmp6), d, into);
    }
}
