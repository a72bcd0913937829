//! The agent itself: its losses, its queues, its cost.

use super::SECONDS;

crate::instruments! {
    STETH_EXCHANGE_SEEN: counter, "steth.exchange.seen", "{exchange}",
        "Exchanges that the kernel side or the parser knew of.",
        by [],
        from "agent",
        asks "Is anything missing from what is told?";
    STETH_EXCHANGE_REPORTED: counter, "steth.exchange.reported", "{exchange}",
        "Exchanges that are in the exported metrics.",
        by [],
        from "agent",
        asks "Is anything missing from what is told?";
    STETH_EXCHANGE_LOST: counter, "steth.exchange.lost", "{exchange}",
        "Exchanges that were seen and are in no metric, by the stage that lost them and why.",
        by [STETH_REASON, STETH_STAGE],
        from "agent",
        asks "Is anything missing from what is told?";
    STETH_RECORD_SEEN: counter, "steth.record.seen", "{record}",
        "Kernel records read.",
        by [],
        from "agent",
        asks "Is anything missing from what is told?";
    STETH_RECORD_LOST: counter, "steth.record.lost", "{record}",
        "Kernel records that were not written or made no sense, by stage and reason.",
        by [STETH_REASON, STETH_STAGE],
        from "agent",
        asks "Is anything missing from what is told?";
    STETH_RECORD_WRITTEN: counter, "steth.record.written", "{record}",
        "Kernel records that were to be written, by kind.",
        by [STETH_RECORD_KIND],
        from "kernel side",
        asks "Is anything missing from what is told?";
    STETH_CONNECTION_OPAQUE: counter, "steth.connection.opaque", "{connection}",
        "Connections that turned out to carry no known protocol.",
        by [],
        from "kernel side",
        asks "Is anything missing from what is told?";
    STETH_CONNECTION_OPAQUE_IO: counter, "steth.connection.opaque.io", "By",
        "Bytes moved on connections of no known protocol.",
        by [],
        from "kernel side",
        asks "Is anything missing from what is told?";
    STETH_CONNECTION_SKIPPED_IO: counter, "steth.connection.skipped.io", "By",
        "Bytes that moved past every hook and are known by position alone.",
        by [],
        from "kernel side",
        asks "Is anything missing from what is told?";
    STETH_CONNECTION_FILTERED: counter, "steth.connection.filtered", "{connection}",
        "Connections left out by a filter.",
        by [],
        from "kernel side",
        asks "Is anything missing from what is told?";
    STETH_CALL_UNSEEN: counter, "steth.call.unseen", "{call}",
        "Calls whose first bytes could not be read where they lay.",
        by [],
        from "kernel side",
        asks "Is anything missing from what is told?";
    STETH_POD_WAITING: updowncounter, "steth.pod.waiting", "{container}",
        "Containers, and pods as a whole, of which nothing is told yet, as the name of their pod is waited for.",
        by [],
        from "cluster",
        asks "Is anything held back?";
    STETH_POD_UNNAMED: counter, "steth.pod.unnamed", "{container}",
        "Containers, and pods as a whole, that were told without the name of their pod.",
        by [STETH_REASON],
        from "cluster",
        asks "Is anything missing from what is told?";
    STETH_EXCHANGE_UNKNOWN: counter, "steth.exchange.unknown", "{exchange}",
        "Exchanges on connections whose protocol was never known, which are not told.",
        by [],
        from "kernel side",
        asks "Is anything missing from what is told?";
    STETH_RING_USAGE: updowncounter, "steth.ring.usage", "By",
        "Bytes that wait in the ring between the kernel side and the agent.",
        by [],
        from "kernel side",
        asks "Is the agent near one of its limits?";
    STETH_RING_LIMIT: updowncounter, "steth.ring.limit", "By",
        "Size of the ring.",
        by [],
        from "kernel side",
        asks "Is the agent near one of its limits?";
    STETH_BPF_MAP_USAGE: updowncounter, "steth.bpf.map.usage", "By",
        "Memory that kernel maps hold.",
        by [],
        from "bpf(2)",
        asks "What does the agent cost?";
    STETH_BPF_MAP_ENTRY_USAGE: updowncounter, "steth.bpf.map.entry.usage", "{entry}",
        "Entries in use of a kernel map.",
        by [STETH_BPF_MAP_NAME],
        from "bpf(2)",
        asks "Is the agent near one of its limits?";
    STETH_BPF_MAP_ENTRY_LIMIT: updowncounter, "steth.bpf.map.entry.limit", "{entry}",
        "Entries that a kernel map can hold.",
        by [STETH_BPF_MAP_NAME],
        from "bpf(2)",
        asks "Is the agent near one of its limits?";
    STETH_BPF_PROGRAM_TIME: counter, "steth.bpf.program.time", "s" nanos,
        "Time spent in a kernel program; counted while BPF run-time statistics are on.",
        by [STETH_BPF_PROGRAM_NAME],
        from "bpf(2)",
        asks "What does the agent cost?";
    STETH_BPF_PROGRAM_RUNS: counter, "steth.bpf.program.runs", "{run}",
        "Runs of a kernel program; counted while BPF run-time statistics are on.",
        by [STETH_BPF_PROGRAM_NAME],
        from "bpf(2)",
        asks "What does the agent cost?";
    STETH_CPU_TIME: counter, "steth.cpu.time", "s" nanos,
        "CPU time of the agent itself.",
        by [CPU_MODE],
        from "/proc/self",
        asks "What does the agent cost?";
    STETH_MEMORY_USAGE: updowncounter, "steth.memory.usage", "By",
        "Resident memory of the agent itself.",
        by [],
        from "/proc/self",
        asks "What does the agent cost?";
    STETH_STAGE_MEMORY_USAGE: updowncounter, "steth.stage.memory.usage", "By",
        "Bytes that a stage of the agent holds.",
        by [STETH_STAGE],
        from "agent",
        asks "Is the agent near one of its limits?";
    STETH_STAGE_MEMORY_LIMIT: updowncounter, "steth.stage.memory.limit", "By",
        "Bytes that a stage of the agent may hold.",
        by [STETH_STAGE],
        from "agent",
        asks "Is the agent near one of its limits?";
    STETH_CONNECTION_USAGE: updowncounter, "steth.connection.usage", "{connection}",
        "Connections that are followed.",
        by [],
        from "agent",
        asks "Is the agent near one of its limits?";
    STETH_CONNECTION_LIMIT: updowncounter, "steth.connection.limit", "{connection}",
        "Connections that can be followed at once.",
        by [],
        from "agent",
        asks "Is the agent near one of its limits?";
    STETH_SERIES_USAGE: updowncounter, "steth.series.usage", "{series}",
        "Series that are kept.",
        by [],
        from "agent",
        asks "Is the agent near one of its limits?";
    STETH_SERIES_LIMIT: updowncounter, "steth.series.limit", "{series}",
        "Series that can be kept.",
        by [],
        from "agent",
        asks "Is the agent near one of its limits?";
    STETH_SERIES_OVERFLOW: counter, "steth.series.overflow", "{exchange}",
        "Exchanges counted in an overflow series because a budget of series was used up.",
        by [],
        from "agent",
        asks "Is anything missing from what is told?";
    STETH_ROUTE_USAGE: updowncounter, "steth.route.usage", "{route}",
        "Routes that are kept.",
        by [],
        from "agent",
        asks "Is the agent near one of its limits?";
    STETH_ROUTE_LIMIT: updowncounter, "steth.route.limit", "{route}",
        "Routes that can be kept.",
        by [],
        from "agent",
        asks "Is the agent near one of its limits?";
    STETH_ROUTE_OTHER: counter, "steth.route.other", "{exchange}",
        "Exchanges counted under the route for all others.",
        by [],
        from "agent",
        asks "Is anything missing from what is told?";
    STETH_EXPORT_REQUESTS: counter, "steth.export.requests", "{request}",
        "Export requests by what came of them.",
        by [STETH_OUTCOME, STETH_SIGNAL],
        from "agent",
        asks "Does what is measured arrive?";
    STETH_EXPORT_POINTS: counter, "steth.export.points", "{point}",
        "Data points by what came of them.",
        by [STETH_OUTCOME, STETH_SIGNAL],
        from "agent",
        asks "Does what is measured arrive?";
    STETH_EXPORT_DURATION: histogram SECONDS, "steth.export.duration", "s" nanos,
        "Duration of export requests.",
        by [],
        from "agent",
        asks "Does what is measured arrive?";
    STETH_EXPORT_QUEUE_USAGE: updowncounter, "steth.export.queue.usage", "By",
        "Bytes that wait to be exported.",
        by [],
        from "agent",
        asks "Does what is measured arrive?";
    STETH_EXPORT_QUEUE_LIMIT: updowncounter, "steth.export.queue.limit", "By",
        "Bytes that may wait to be exported.",
        by [],
        from "agent",
        asks "Does what is measured arrive?";
    STETH_PROBE_STATE: updowncounter, "steth.probe.state", "{probe}",
        "1 for the state that a probe is in.",
        by [STETH_PROBE_NAME, STETH_PROBE_STATE],
        from "agent",
        asks "Which probes work?";
    STETH_COLLECT_TIME: counter, "steth.collect.time", "s" nanos,
        "Processor time spent reading a family of USE.",
        by [STETH_USAGE_FAMILY], from "agent", asks "What does each family cost?";
    STETH_COLLECT_ROUNDS: counter, "steth.collect.rounds", "{round}",
        "Rounds in which a family of USE was read.",
        by [STETH_USAGE_FAMILY], from "agent", asks "What does each family cost?";
    STETH_SPAN_KEPT: counter, "steth.span.kept", "{span}",
        "Spans kept, by why: error, slow, sampled (an incoming context says so), ratio, `in_flight`.",
        by [STETH_REASON], from "agent", asks "Which requests become spans?";
    STETH_SPAN_DROPPED: counter, "steth.span.dropped", "{span}",
        "Spans that were not kept or did not arrive, by stage and reason; not kept are `not_in_ratio`, `parent_unsampled`, `service_budget`, `total_budget`, untaken (more than can be sent), `rate_limit` (of more than `traces.rate`).",
        by [STETH_REASON, STETH_STAGE], from "agent", asks "Which requests become spans?";
    STETH_SPAN_EXPORTED: counter, "steth.span.exported", "{span}",
        "Spans sent, by what came of them.",
        by [STETH_OUTCOME], from "agent", asks "Does what is measured arrive?";
    STETH_SPAN_WAITING: updowncounter, "steth.span.waiting", "{span}",
        "Requests in the window: those not decided on, and those remembered for others of their trace.",
        by [], from "agent", asks "Is the agent near one of its limits?";
    STETH_SPAN_EARLY: counter, "steth.span.early", "{span}",
        "Requests decided on before the rest of their trace can have come, because the window was full.",
        by [], from "agent", asks "Is the agent near one of its limits?";
    STETH_WINDOW_USAGE: updowncounter, "steth.window.usage", "By",
        "Memory of the requests in the window.",
        by [], from "agent", asks "Is the agent near one of its limits?";
    STETH_WINDOW_LIMIT: updowncounter, "steth.window.limit", "By",
        "Memory that they may take.",
        by [], from "agent", asks "Is the agent near one of its limits?";
    STETH_SPAN_LINKED: counter, "steth.span.linked", "{span}",
        "Spans kept that have a parent, by the evidence for it.",
        by [STETH_LINK_METHOD], from "agent", asks "Which spans belong together?";
    STETH_SPAN_UNLINKED: counter, "steth.span.unlinked", "{span}",
        "Spans kept that have no parent, by why.",
        by [STETH_LINK_MISSING], from "agent", asks "Which spans belong together?";
    STETH_CONTEXT_LOST: counter, "steth.context.lost", "{request}",
        "Requests whose trace context made no sense (malformed), may stand where their head was not seen (`head_cut`), or had no place while in flight (`in_flight_full`); steps of requests that came too late to be put in order (unordered).",
        by [STETH_REASON], from "agent", asks "Which spans belong together?";
    STETH_SAMPLE_LOST: counter, "steth.sample.lost", "{sample}",
        "Samples of USE that are in no metric, by reason.",
        by [STETH_REASON], from "agent", asks "Is anything missing from what is told?";
}
