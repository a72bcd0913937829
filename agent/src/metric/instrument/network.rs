//! Network interfaces of the host, and what the kernel does between them and its protocols.

crate::instruments! {
    SYSTEM_NETWORK_IO: counter, "system.network.io", "By",
        "The number of bytes transmitted and received.",
        by [NETWORK_INTERFACE_NAME, NETWORK_IO_DIRECTION], from "/proc/1/net/dev",
        asks "How much goes over the wire?";
    SYSTEM_NETWORK_PACKET_COUNT: counter, "system.network.packet.count", "{packet}",
        "The number of packets transferred.",
        by [NETWORK_IO_DIRECTION, SYSTEM_DEVICE], from "/proc/1/net/dev",
        asks "How many packets go over the wire?";
    SYSTEM_NETWORK_PACKET_DROPPED: counter, "system.network.packet.dropped", "{packet}",
        "Count of packets that are dropped or discarded even though there was no error.",
        by [NETWORK_INTERFACE_NAME, NETWORK_IO_DIRECTION], from "/proc/1/net/dev",
        asks "Does the interface drop packets?";
    SYSTEM_NETWORK_ERRORS: counter, "system.network.errors", "{error}",
        "Count of network errors detected.",
        by [NETWORK_INTERFACE_NAME, NETWORK_IO_DIRECTION], from "/proc/1/net/dev",
        asks "Is the wire or the card bad?";
    STETH_SYSTEM_NETWORK_OVERRUNS: counter, "steth.system.network.overruns", "{packet}",
        "Packets lost because a queue of the card was full.",
        by [NETWORK_INTERFACE_NAME, NETWORK_IO_DIRECTION], from "/proc/1/net/dev fifo",
        asks "Is the card emptied too slowly?";
    STETH_SYSTEM_NETWORK_CARRIER_CHANGES: counter, "steth.system.network.carrier.changes", "{change}",
        "Times that the link came or went.",
        by [NETWORK_INTERFACE_NAME], from "/sys/class/net/INTERFACE/carrier_changes",
        asks "Does the link flap?";
    HW_NETWORK_BANDWIDTH_LIMIT: updowncounter, "hw.network.bandwidth.limit", "By/s",
        "Link speed.",
        by [HW_ID, NETWORK_INTERFACE_NAME], from "/sys/class/net/INTERFACE/speed",
        asks "How much could go over the wire?";
    STETH_SYSTEM_NETWORK_SOFTNET_PACKETS: counter, "steth.system.network.softnet.packets", "{packet}",
        "Packets that the kernel took from its cards.",
        by [], from "/proc/net/softnet_stat, all CPUs", asks "How many packets are received?";
    STETH_SYSTEM_NETWORK_SOFTNET_DROPS: counter, "steth.system.network.softnet.drops", "{packet}",
        "Received packets dropped because a CPU's queue was full or one flow had too much of it.",
        by [STETH_REASON], from "/proc/net/softnet_stat, all CPUs",
        asks "Are the CPUs too slow for what is received?";
    STETH_SYSTEM_NETWORK_SOFTNET_SQUEEZES: counter, "steth.system.network.softnet.squeezes", "{squeeze}",
        "Times that a CPU stopped receiving with packets left, because its budget was used up.",
        by [], from "/proc/net/softnet_stat, all CPUs",
        asks "Do packets wait for the CPU that receives them?";
    STETH_SYSTEM_NETWORK_QUEUE_USAGE: updowncounter, "steth.system.network.queue.usage", "{packet}",
        "Packets that wait to be sent by an interface.",
        by [NETWORK_INTERFACE_NAME], from "rtnetlink RTM_GETQDISC, root", asks "Is the wire too slow?";
    STETH_SYSTEM_NETWORK_QUEUE_BACKLOG: updowncounter, "steth.system.network.queue.backlog", "By",
        "Bytes that wait to be sent by an interface.",
        by [NETWORK_INTERFACE_NAME], from "rtnetlink RTM_GETQDISC, root", asks "Is the wire too slow?";
    STETH_SYSTEM_NETWORK_QUEUE_DROPS: counter, "steth.system.network.queue.drops", "{packet}",
        "Packets dropped before they were sent, by the queue of an interface.",
        by [NETWORK_INTERFACE_NAME], from "rtnetlink RTM_GETQDISC, root",
        asks "Is the queue to the wire full?";
    STETH_SYSTEM_NETWORK_QUEUE_OVERLIMITS: counter, "steth.system.network.queue.overlimits", "{packet}",
        "Packets that a queue's rate limit held back.",
        by [NETWORK_INTERFACE_NAME], from "rtnetlink RTM_GETQDISC, root", asks "Is a rate limit in force?";
}
