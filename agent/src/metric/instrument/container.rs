//! Control groups: containers, units of systemd, and what else has a limit.

crate::instruments! {
    CONTAINER_CPU_TIME: counter, "container.cpu.time", "s" nanos,
        "Total CPU time consumed.",
        by [CPU_MODE], from "cpu.stat; v1: cpuacct.usage_user, cpuacct.usage_sys",
        asks "How much CPU does it use?";
    CONTAINER_CPU_USAGE: gauge, "container.cpu.usage", "{cpu}",
        "Container's CPU usage, measured in CPUs. Range from 0 to the number of allocatable CPUs.",
        by [CPU_MODE], from "cpu.stat; v1: cpuacct",
        asks "How many CPUs does it use?";
    STETH_CONTAINER_CPU_LIMIT: updowncounter, "steth.container.cpu.limit", "{cpu}",
        "CPUs that the group's own quota allows.",
        by [], from "cpu.max; v1: cpu.cfs_quota_us, cpu.cfs_period_us",
        asks "How many CPUs may it use?";
    STETH_CONTAINER_CPU_PERIODS: counter, "steth.container.cpu.periods", "{period}",
        "Periods of the CPU quota in which the group ran.",
        by [], from "cpu.stat nr_periods",
        asks "In what share of its periods is it throttled?";
    STETH_CONTAINER_CPU_THROTTLED_PERIODS: counter, "steth.container.cpu.throttled.periods", "{period}",
        "Periods of the CPU quota in which the group was throttled.",
        by [], from "cpu.stat nr_throttled",
        asks "Is the CPU quota too small?";
    STETH_CONTAINER_CPU_THROTTLED_TIME: counter, "steth.container.cpu.throttled.time", "s" nanos,
        "Time that the group's run queues were throttled, summed over CPUs.",
        by [], from "cpu.stat throttled_usec; v1: throttled_time",
        asks "How long did it wait for its own quota?";
    CONTAINER_MEMORY_USAGE: updowncounter, "container.memory.usage", "By",
        "Memory usage of the container.",
        by [], from "memory.current; v1: memory.usage_in_bytes",
        asks "How much memory does it hold?";
    CONTAINER_MEMORY_AVAILABLE: updowncounter, "container.memory.available", "By",
        "Container memory available.",
        by [], from "the limit less the working set",
        asks "How much more may it use?";
    CONTAINER_MEMORY_RSS: updowncounter, "container.memory.rss", "By",
        "Container memory RSS.",
        by [], from "memory.stat anon; v1: total_rss",
        asks "How much memory is its own?";
    CONTAINER_MEMORY_WORKING_SET: updowncounter, "container.memory.working_set", "By",
        "Container memory working set.",
        by [], from "usage less inactive_file; v1: total_inactive_file",
        asks "How much memory does it need?";
    STETH_CONTAINER_MEMORY_LIMIT: updowncounter, "steth.container.memory.limit", "By",
        "Memory that the group may use: the least of its own limit and of those above it.",
        by [], from "memory.max; v1: hierarchical_memory_limit",
        asks "How much memory may it use?";
    STETH_CONTAINER_MEMORY_LIMIT_HITS: counter, "steth.container.memory.limit.hits", "{hit}",
        "Times that a limit of memory was met and memory had to be reclaimed.",
        by [STETH_LIMIT_KIND], from "memory.events high, max; v1: memory.failcnt",
        asks "Is the limit of memory too small?";
    STETH_CONTAINER_MEMORY_OOM_EVENTS: counter, "steth.container.memory.oom.events", "{event}",
        "Times that the group was out of memory.",
        by [], from "memory.events oom",
        asks "Did memory run out?";
    STETH_CONTAINER_MEMORY_OOM_KILLS: counter, "steth.container.memory.oom.kills", "{process}",
        "Processes of the group killed because memory ran out.",
        by [], from "memory.events oom_kill; v1: memory.oom_control",
        asks "Was it killed for memory?";
    STETH_CONTAINER_PAGING_USAGE: updowncounter, "steth.container.paging.usage", "By",
        "Swap that the group uses.",
        by [], from "memory.swap.current; v1: total_swap",
        asks "How much of it is swapped out?";
    CONTAINER_PAGING_FAULTS: counter, "container.paging.faults", "{fault}",
        "Container page faults.",
        by [SYSTEM_PAGING_FAULT_TYPE], from "memory.stat pgfault, pgmajfault",
        asks "Does it wait for pages from disk?";
    STETH_CONTAINER_PAGING_REFAULTS: counter, "steth.container.paging.refaults", "{fault}",
        "Pages that were needed again soon after they had been reclaimed.",
        by [STETH_PAGE_TYPE], from "memory.stat workingset_refault_*",
        asks "Is its memory too small for what it works on?";
    CONTAINER_DISK_IO: counter, "container.disk.io", "By",
        "Disk bytes for the container.",
        by [DISK_IO_DIRECTION, SYSTEM_DEVICE], from "io.stat; v1: blkio.throttle.io_service_bytes_recursive",
        asks "How much does it read and write?";
    STETH_CONTAINER_DISK_OPERATIONS: counter, "steth.container.disk.operations", "{operation}",
        "Disk operations for the container.",
        by [DISK_IO_DIRECTION, SYSTEM_DEVICE], from "io.stat; v1: blkio.throttle.io_serviced_recursive",
        asks "How many reads and writes does it make?";
    CONTAINER_NETWORK_IO: counter, "container.network.io", "By",
        "Network bytes for the container.",
        by [NETWORK_INTERFACE_NAME, NETWORK_IO_DIRECTION], from "/proc/PID/net/dev",
        asks "How much does it send and receive?";
    STETH_CONTAINER_NETWORK_PACKETS: counter, "steth.container.network.packets", "{packet}",
        "Packets of the container's interfaces.",
        by [NETWORK_INTERFACE_NAME, NETWORK_IO_DIRECTION], from "/proc/PID/net/dev",
        asks "How many packets does it send and receive?";
    STETH_CONTAINER_NETWORK_DROPS: counter, "steth.container.network.drops", "{packet}",
        "Packets dropped by the container's interfaces.",
        by [NETWORK_INTERFACE_NAME, NETWORK_IO_DIRECTION], from "/proc/PID/net/dev",
        asks "Are its packets dropped?";
    STETH_CONTAINER_NETWORK_ERRORS: counter, "steth.container.network.errors", "{error}",
        "Errors of the container's interfaces.",
        by [NETWORK_INTERFACE_NAME, NETWORK_IO_DIRECTION], from "/proc/PID/net/dev",
        asks "Are its packets damaged?";
    STETH_CONTAINER_TASK_USAGE: updowncounter, "steth.container.task.usage", "{task}",
        "Processes and threads of the group.",
        by [], from "pids.current, both versions",
        asks "How many threads has it?";
    STETH_CONTAINER_TASK_LIMIT: updowncounter, "steth.container.task.limit", "{task}",
        "Processes and threads that the group may have.",
        by [], from "pids.max, both versions",
        asks "How many threads may it have?";
    STETH_CONTAINER_TASK_LIMIT_HITS: counter, "steth.container.task.limit.hits", "{fork}",
        "Processes and threads that were not made because of the limit.",
        by [], from "pids.events max",
        asks "Do its forks fail?";
    STETH_CONTAINER_PRESSURE_STALL_TIME: counter, "steth.container.pressure.stall.time", "s" nanos,
        "Time in which some, or all, runnable tasks of the group waited for a resource.",
        by [STETH_PRESSURE_SCOPE, STETH_RESOURCE], from "cpu.pressure, memory.pressure, io.pressure, irq.pressure",
        asks "Which resource holds it up?";
    STETH_CONTAINER_TCP_SEGMENTS: counter, "steth.container.tcp.segments", "{segment}",
        "TCP segments, by direction; retransmitted ones are not among those sent.",
        by [NETWORK_IO_DIRECTION], from "/proc/PID/net snmp InSegs, OutSegs",
        asks "How much does TCP send and receive?";
    STETH_CONTAINER_TCP_RETRANSMITS: counter, "steth.container.tcp.retransmits", "{segment}",
        "TCP segments sent again.",
        by [], from "/proc/PID/net snmp RetransSegs",
        asks "Is the network losing packets?";
    STETH_CONTAINER_TCP_TIMEOUTS: counter, "steth.container.tcp.timeouts", "{timeout}",
        "Times that TCP waited for an acknowledgement in vain.",
        by [], from "/proc/PID/net netstat TCPTimeouts",
        asks "Does the peer not answer at all?";
    STETH_CONTAINER_TCP_ERRORS: counter, "steth.container.tcp.errors", "{segment}",
        "TCP segments received that were bad.",
        by [], from "/proc/PID/net snmp InErrs",
        asks "Are packets damaged?";
    STETH_CONTAINER_TCP_RESETS: counter, "steth.container.tcp.resets", "{segment}",
        "TCP resets sent.",
        by [], from "/proc/PID/net snmp OutRsts",
        asks "Are connections refused or cut from here?";
    STETH_CONTAINER_TCP_CONNECTION_RESETS: counter, "steth.container.tcp.connection.resets", "{connection}",
        "Established TCP connections that were reset, by either side.",
        by [], from "/proc/PID/net snmp EstabResets",
        asks "Are connections cut?";
    STETH_CONTAINER_TCP_CONNECTIONS: counter, "steth.container.tcp.connections", "{connection}",
        "TCP connections opened, by the role of this side.",
        by [STETH_CONNECTION_ROLE], from "/proc/PID/net snmp ActiveOpens, PassiveOpens",
        asks "Are connections reused?";
    STETH_CONTAINER_TCP_CONNECTION_FAILURES: counter, "steth.container.tcp.connection.failures", "{connection}",
        "TCP connections that were never established.",
        by [], from "/proc/PID/net snmp AttemptFails",
        asks "Do connects fail?";
    STETH_CONTAINER_TCP_LISTEN_OVERFLOWS: counter, "steth.container.tcp.listen.overflows", "{connection}",
        "Connections not taken because the accept queue was full.",
        by [], from "/proc/PID/net netstat ListenOverflows",
        asks "Do services accept too slowly?";
    STETH_CONTAINER_TCP_LISTEN_DROPS: counter, "steth.container.tcp.listen.drops", "{connection}",
        "Connections not taken by a listening socket, whatever the reason.",
        by [], from "/proc/PID/net netstat ListenDrops",
        asks "Are connections turned away?";
    STETH_CONTAINER_TCP_SYN_DROPS: counter, "steth.container.tcp.syn.drops", "{connection}",
        "Connections not taken because there were too many half-open ones.",
        by [], from "/proc/PID/net netstat TCPReqQFullDrop",
        asks "Is the SYN backlog too small?";
    STETH_CONTAINER_TCP_SYN_COOKIES: counter, "steth.container.tcp.syn.cookies", "{connection}",
        "Connections answered with a cookie because there were too many half-open ones.",
        by [], from "/proc/PID/net netstat SyncookiesSent",
        asks "Is this a flood?";
    STETH_CONTAINER_TCP_RECEIVE_PRUNES: counter, "steth.container.tcp.receive.prunes", "{prune}",
        "Times that a receive queue was over its memory and was made smaller.",
        by [], from "/proc/PID/net netstat PruneCalled",
        asks "Do programs read too slowly?";
    STETH_CONTAINER_TCP_RECEIVE_DROPS: counter, "steth.container.tcp.receive.drops", "{segment}",
        "Received data thrown away, to be sent again, by why.",
        by [STETH_REASON], from "/proc/PID/net netstat RcvPruned, OfoPruned, TCPBacklogDrop, TCPRcvQDrop, TCPZeroWindowDrop",
        asks "Is received data thrown away?";
    STETH_CONTAINER_TCP_ZERO_WINDOWS: counter, "steth.container.tcp.zero_windows", "{window}",
        "Times that a peer was told to stop sending.",
        by [], from "/proc/PID/net netstat TCPToZeroWindowAdv",
        asks "Do programs read too slowly?";
    STETH_CONTAINER_UDP_DATAGRAMS: counter, "steth.container.udp.datagrams", "{datagram}",
        "UDP datagrams, by direction.",
        by [NETWORK_IO_DIRECTION, NETWORK_TYPE], from "/proc/PID/net snmp, snmp6",
        asks "How much does UDP send and receive?";
    STETH_CONTAINER_UDP_ERRORS: counter, "steth.container.udp.errors", "{datagram}",
        "UDP datagrams that were lost, by why.",
        by [NETWORK_TYPE, STETH_REASON], from "/proc/PID/net snmp, snmp6",
        asks "Do programs read their datagrams too slowly?";
    K8S_CONTAINER_CPU_LIMIT_DESIRED: updowncounter, "k8s.container.cpu.limit.desired", "{cpu}",
        "Maximum CPU resource limit as defined by the container spec.",
        by [], from "spec.containers.resources of the pod at the API server",
        asks "How many CPUs is it to have at most?";
    K8S_CONTAINER_CPU_LIMIT_CURRENT: updowncounter, "k8s.container.cpu.limit.current", "{cpu}",
        "Maximum CPU resource limit currently configured for a running container.",
        by [], from "status.containerStatuses.resources of the pod at the API server",
        asks "How many CPUs may it use now?";
    K8S_CONTAINER_CPU_REQUEST_DESIRED: updowncounter, "k8s.container.cpu.request.desired", "{cpu}",
        "CPU resource requested as defined by the container spec.",
        by [], from "spec.containers.resources of the pod at the API server",
        asks "How many CPUs are to be kept for it?";
    K8S_CONTAINER_CPU_REQUEST_CURRENT: updowncounter, "k8s.container.cpu.request.current", "{cpu}",
        "CPU resource requested currently configured for a running container.",
        by [], from "status.containerStatuses.resources of the pod at the API server",
        asks "How many CPUs are kept for it?";
    K8S_CONTAINER_MEMORY_LIMIT_DESIRED: updowncounter, "k8s.container.memory.limit.desired", "By",
        "Maximum memory resource limit as defined by the container spec.",
        by [], from "spec.containers.resources of the pod at the API server",
        asks "How much memory is it to have at most?";
    K8S_CONTAINER_MEMORY_LIMIT_CURRENT: updowncounter, "k8s.container.memory.limit.current", "By",
        "Maximum memory resource limit currently configured for a running container.",
        by [], from "status.containerStatuses.resources of the pod at the API server",
        asks "How much memory may it use now?";
    K8S_CONTAINER_MEMORY_REQUEST_DESIRED: updowncounter, "k8s.container.memory.request.desired", "By",
        "Memory resource requested as defined by the container spec.",
        by [], from "spec.containers.resources of the pod at the API server",
        asks "How much memory is to be kept for it?";
    K8S_CONTAINER_MEMORY_REQUEST_CURRENT: updowncounter, "k8s.container.memory.request.current", "By",
        "Memory resource request currently configured for a running container.",
        by [], from "status.containerStatuses.resources of the pod at the API server",
        asks "How much memory is kept for it?";
    K8S_CONTAINER_RESTART_COUNT: updowncounter, "k8s.container.restart.count", "{restart}",
        "Describes how many times the container has restarted (since the last counter reset).",
        by [], from "the node's runtime (attempt), the API server (restartCount)",
        asks "Does it crash again and again?";
}
