//! TCP and UDP of the host's network namespace.

crate::instruments! {
    SYSTEM_NETWORK_CONNECTION_COUNT: updowncounter, "system.network.connection.count", "{connection}",
        "The number of connections.",
        by [NETWORK_CONNECTION_STATE, NETWORK_TRANSPORT], from "sock_diag, /proc/1/net/snmp, /proc/1/net/sockstat",
        asks "In which state are the connections?";
    STETH_SYSTEM_TCP_EPHEMERAL_PORT_USAGE: updowncounter, "steth.system.tcp.ephemeral_port.usage", "{port}",
        "Ports of the ephemeral range that connections use.",
        by [], from "sock_diag", asks "Will connects run out of ports?";
    STETH_SYSTEM_TCP_EPHEMERAL_PORT_LIMIT: updowncounter, "steth.system.tcp.ephemeral_port.limit", "{port}",
        "Ports of the ephemeral range.",
        by [], from "/proc/sys/net/ipv4/ip_local_port_range", asks "How many ports are there?";
    STETH_SYSTEM_TCP_SEGMENTS: counter, "steth.system.tcp.segments", "{segment}",
        "TCP segments, by direction; retransmitted ones are not among those sent.",
        by [NETWORK_IO_DIRECTION], from "/proc/1/net snmp InSegs, OutSegs",
        asks "How much does TCP send and receive?";
    STETH_SYSTEM_TCP_RETRANSMITS: counter, "steth.system.tcp.retransmits", "{segment}",
        "TCP segments sent again.",
        by [], from "/proc/1/net snmp RetransSegs",
        asks "Is the network losing packets?";
    STETH_SYSTEM_TCP_TIMEOUTS: counter, "steth.system.tcp.timeouts", "{timeout}",
        "Times that TCP waited for an acknowledgement in vain.",
        by [], from "/proc/1/net netstat TCPTimeouts",
        asks "Does the peer not answer at all?";
    STETH_SYSTEM_TCP_ERRORS: counter, "steth.system.tcp.errors", "{segment}",
        "TCP segments received that were bad.",
        by [], from "/proc/1/net snmp InErrs",
        asks "Are packets damaged?";
    STETH_SYSTEM_TCP_RESETS: counter, "steth.system.tcp.resets", "{segment}",
        "TCP resets sent.",
        by [], from "/proc/1/net snmp OutRsts",
        asks "Are connections refused or cut from here?";
    STETH_SYSTEM_TCP_CONNECTION_RESETS: counter, "steth.system.tcp.connection.resets", "{connection}",
        "Established TCP connections that were reset, by either side.",
        by [], from "/proc/1/net snmp EstabResets",
        asks "Are connections cut?";
    STETH_SYSTEM_TCP_CONNECTIONS: counter, "steth.system.tcp.connections", "{connection}",
        "TCP connections opened, by the role of this side.",
        by [STETH_CONNECTION_ROLE], from "/proc/1/net snmp ActiveOpens, PassiveOpens",
        asks "Are connections reused?";
    STETH_SYSTEM_TCP_CONNECTION_FAILURES: counter, "steth.system.tcp.connection.failures", "{connection}",
        "TCP connections that were never established.",
        by [], from "/proc/1/net snmp AttemptFails",
        asks "Do connects fail?";
    STETH_SYSTEM_TCP_LISTEN_OVERFLOWS: counter, "steth.system.tcp.listen.overflows", "{connection}",
        "Connections not taken because the accept queue was full.",
        by [], from "/proc/1/net netstat ListenOverflows",
        asks "Do services accept too slowly?";
    STETH_SYSTEM_TCP_LISTEN_DROPS: counter, "steth.system.tcp.listen.drops", "{connection}",
        "Connections not taken by a listening socket, whatever the reason.",
        by [], from "/proc/1/net netstat ListenDrops",
        asks "Are connections turned away?";
    STETH_SYSTEM_TCP_SYN_DROPS: counter, "steth.system.tcp.syn.drops", "{connection}",
        "Connections not taken because there were too many half-open ones.",
        by [], from "/proc/1/net netstat TCPReqQFullDrop",
        asks "Is the SYN backlog too small?";
    STETH_SYSTEM_TCP_SYN_COOKIES: counter, "steth.system.tcp.syn.cookies", "{connection}",
        "Connections answered with a cookie because there were too many half-open ones.",
        by [], from "/proc/1/net netstat SyncookiesSent",
        asks "Is this a flood?";
    STETH_SYSTEM_TCP_RECEIVE_PRUNES: counter, "steth.system.tcp.receive.prunes", "{prune}",
        "Times that a receive queue was over its memory and was made smaller.",
        by [], from "/proc/1/net netstat PruneCalled",
        asks "Do programs read too slowly?";
    STETH_SYSTEM_TCP_RECEIVE_DROPS: counter, "steth.system.tcp.receive.drops", "{segment}",
        "Received data thrown away, to be sent again, by why.",
        by [STETH_REASON], from "/proc/1/net netstat RcvPruned, OfoPruned, TCPBacklogDrop, TCPRcvQDrop, TCPZeroWindowDrop",
        asks "Is received data thrown away?";
    STETH_SYSTEM_TCP_ZERO_WINDOWS: counter, "steth.system.tcp.zero_windows", "{window}",
        "Times that a peer was told to stop sending.",
        by [], from "/proc/1/net netstat TCPToZeroWindowAdv",
        asks "Do programs read too slowly?";
    STETH_SYSTEM_TCP_MEMORY_PRESSURES: counter, "steth.system.tcp.memory.pressures", "{time}",
        "Times that TCP came under memory pressure.",
        by [], from "/proc/1/net netstat TCPMemoryPressures",
        asks "Is there too little memory for TCP?";
    STETH_SYSTEM_TCP_MEMORY_ABORTS: counter, "steth.system.tcp.memory.aborts", "{connection}",
        "Connections cut because TCP had no memory for them.",
        by [], from "/proc/1/net netstat TCPAbortOnMemory",
        asks "Does lack of memory cut connections?";
    STETH_SYSTEM_UDP_DATAGRAMS: counter, "steth.system.udp.datagrams", "{datagram}",
        "UDP datagrams, by direction.",
        by [NETWORK_IO_DIRECTION, NETWORK_TYPE], from "/proc/1/net snmp, snmp6",
        asks "How much does UDP send and receive?";
    STETH_SYSTEM_UDP_ERRORS: counter, "steth.system.udp.errors", "{datagram}",
        "UDP datagrams that were lost, by why.",
        by [NETWORK_TYPE, STETH_REASON], from "/proc/1/net snmp, snmp6",
        asks "Do programs read their datagrams too slowly?";
}
