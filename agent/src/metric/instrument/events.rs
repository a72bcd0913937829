//! What is counted at events of the kernel, in the families `disk`, `memory`, `tcp` and `network`.

use super::FINE_SECONDS;

crate::instruments! {
    STETH_SYSTEM_DISK_REQUESTS: counter, "steth.system.disk.requests", "{request}",
        "Requests that a block device has done or failed; several operations may be merged into one.",
        by [STETH_DISK_OPERATION, SYSTEM_DEVICE], from "block_rq_complete",
        asks "How many requests does the device serve?";
    STETH_SYSTEM_DISK_REQUEST_IO: counter, "steth.system.disk.request.io", "By",
        "Bytes that these requests moved.",
        by [STETH_DISK_OPERATION, SYSTEM_DEVICE], from "block_rq_complete",
        asks "How much does the device move?";
    STETH_SYSTEM_DISK_REQUEST_FAILURES: counter,
        "steth.system.disk.request.failures", "{request}",
        "Requests that failed.",
        by [STETH_DISK_OPERATION, SYSTEM_DEVICE], from "block_rq_complete",
        asks "Does the device fail?";
    STETH_SYSTEM_DISK_REQUEST_UNTIMED: counter,
        "steth.system.disk.request.untimed", "{request}",
        "Requests that are in neither distribution of times, because the kernel did not note them.",
        by [STETH_DISK_OPERATION, SYSTEM_DEVICE], from "block_rq_complete",
        asks "How many requests do the distributions leave out?";
    STETH_SYSTEM_DISK_REQUEST_QUEUE_DURATION: histogram FINE_SECONDS,
        "steth.system.disk.request.queue.duration", "s" nanos,
        "From when a request was made until the device was given it.",
        by [STETH_DISK_OPERATION, SYSTEM_DEVICE], from "block_rq_complete (start_time_ns, io_start_time_ns)",
        asks "Do requests wait before the device sees them?";
    STETH_SYSTEM_DISK_REQUEST_DEVICE_DURATION: histogram FINE_SECONDS,
        "steth.system.disk.request.device.duration", "s" nanos,
        "From when the device was given a request until it was done.",
        by [STETH_DISK_OPERATION, SYSTEM_DEVICE], from "block_rq_complete (io_start_time_ns)",
        asks "Is the device itself slow?";
    STETH_RECLAIM_STALL_DURATION: histogram FINE_SECONDS,
        "steth.reclaim.stall.duration", "s" nanos,
        "Time that a thread had to look for memory itself before it could go on.",
        by [STETH_RECLAIM_KIND], from "mm_vmscan_direct_reclaim, mm_vmscan_memcg_reclaim, mm_compaction",
        asks "Does want of memory hold programs up?";
    STETH_OOM_KILLS: counter, "steth.oom.kills", "{process}",
        "Processes that the kernel chose to kill because memory ran out.",
        by [STETH_CGROUP_NAME, STETH_OOM_VICTIM], from "mark_victim",
        asks "Who was killed for want of memory?";
    STETH_SYSTEM_MACHINE_CHECKS: counter, "steth.system.machine_checks", "{error}",
        "Faults that processors found of themselves.",
        by [], from "mce_record", asks "Is a processor broken?";
    STETH_SYSTEM_MEMORY_ERRORS: counter, "steth.system.memory.errors", "{error}",
        "Faults that memory controllers reported, by severity.",
        by [STETH_SEVERITY], from "mc_event", asks "Is memory broken?";
    STETH_SYSTEM_NETWORK_PACKET_DROPS: counter,
        "steth.system.network.packet.drops", "{packet}",
        "Packets that the kernel dropped, by its own reason. What was consumed is not among them.",
        by [STETH_REASON], from "kfree_skb", asks "Why are packets dropped?";
    PROCESS_NETWORK_IO: counter, "process.network.io", "By",
        "Network bytes transferred.",
        by [NETWORK_IO_DIRECTION], from "tcp_sock bytes_sent, bytes_retrans, bytes_received",
        asks "How much does the process send and receive over TCP?";
    STETH_TCP_RETRANSMITS: counter, "steth.tcp.retransmits", "{segment}",
        "Segments sent again.",
        by [STETH_TCP_SEGMENT], from "tcp_sock total_retrans, tcp_retransmit_synack",
        asks "Does the network lose what the service sends?";
    STETH_TCP_RESETS: counter, "steth.tcp.resets", "{segment}",
        "Resets, by direction.",
        by [NETWORK_IO_DIRECTION], from "tcp_send_reset, tcp_receive_reset",
        asks "Are connections cut?";
    STETH_TCP_ROUND_TRIP_DURATION: histogram FINE_SECONDS,
        "steth.tcp.round_trip.duration", "s" nanos,
        "Smoothed round-trip time of connections: of each that delivered something, once a collection and once at its end.",
        by [], from "tcp_sock srtt_us", asks "How far away are the peers, and is the path congested?";
    STETH_TCP_ACCEPT_DURATION: histogram FINE_SECONDS, "steth.tcp.accept.duration", "s" nanos,
        "Time connections waited, established, until the service accepted them.",
        by [], from "inet_sock_set_state, inet_csk_accept",
        asks "Does the service accept too slowly?";
    STETH_TCP_ACCEPT_QUEUE_USAGE: updowncounter, "steth.tcp.accept_queue.usage", "{connection}",
        "Connections that wait to be accepted at this moment.",
        by [SERVER_PORT], from "sock sk_ack_backlog", asks "Does the service accept too slowly?";
    STETH_TCP_ACCEPT_QUEUE_LIMIT: updowncounter, "steth.tcp.accept_queue.limit", "{connection}",
        "Connections that may wait to be accepted.",
        by [SERVER_PORT], from "sock sk_max_ack_backlog", asks "How long may the queue get?";
    STETH_TCP_ACCEPT_QUEUE_DROPS: counter, "steth.tcp.accept_queue.drops", "{connection}",
        "Connections that a listening socket did not take: its queue was full, or it was out of memory.",
        by [SERVER_PORT], from "sock sk_drops", asks "Are clients turned away?";
}
