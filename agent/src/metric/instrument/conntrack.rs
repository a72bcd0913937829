//! The table of tracked connections.

crate::instruments! {
    STETH_SYSTEM_CONNTRACK_USAGE: updowncounter, "steth.system.conntrack.usage", "{connection}",
        "Connections that are tracked.",
        by [], from "/proc/sys/net/netfilter/nf_conntrack_count", asks "How full is the table?";
    STETH_SYSTEM_CONNTRACK_LIMIT: updowncounter, "steth.system.conntrack.limit", "{connection}",
        "Connections that can be tracked.",
        by [], from "/proc/sys/net/netfilter/nf_conntrack_max", asks "How large is the table?";
    STETH_SYSTEM_CONNTRACK_DROPS: counter, "steth.system.conntrack.drops", "{packet}",
        "Packets, or tracked connections, dropped for what the table could not take.",
        by [STETH_REASON], from "/proc/net/stat/nf_conntrack, all CPUs",
        asks "Are connections refused by the table?";
    STETH_SYSTEM_CONNTRACK_INVALID: counter, "steth.system.conntrack.invalid", "{packet}",
        "Packets that belong to no connection.",
        by [], from "/proc/net/stat/nf_conntrack, all CPUs", asks "Does traffic make no sense to the table?";
}
