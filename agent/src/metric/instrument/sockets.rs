//! Sockets and open files of the host, and what they may use.

crate::instruments! {
    STETH_SYSTEM_SOCKET_USAGE: updowncounter, "steth.system.socket.usage", "{socket}",
        "Sockets by transport; of TCP by what has become of them too.",
        by [NETWORK_TRANSPORT, STETH_SOCKET_STATE], from "/proc/1/net/sockstat, sockstat6",
        asks "Are sockets left behind?";
    STETH_SYSTEM_SOCKET_MEMORY_USAGE: updowncounter, "steth.system.socket.memory.usage", "By",
        "Memory in the buffers of a transport's sockets.",
        by [NETWORK_TRANSPORT], from "/proc/1/net/sockstat", asks "How much memory do sockets hold?";
    STETH_SYSTEM_SOCKET_MEMORY_LIMIT: updowncounter, "steth.system.socket.memory.limit", "By",
        "Memory that a transport's sockets may hold.",
        by [NETWORK_TRANSPORT], from "/proc/sys/net/ipv4/tcp_mem, udp_mem",
        asks "Will connections be dropped for memory?";
    STETH_SYSTEM_FILE_USAGE: updowncounter, "steth.system.file.usage", "{file}",
        "Open files of all processes.",
        by [], from "/proc/sys/fs/file-nr", asks "How many files are open?";
    STETH_SYSTEM_FILE_LIMIT: updowncounter, "steth.system.file.limit", "{file}",
        "Files that all processes together may have open.",
        by [], from "/proc/sys/fs/file-nr", asks "Will the host run out of open files?";
}
