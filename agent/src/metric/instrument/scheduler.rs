//! The family `scheduler`.

use super::FINE_SECONDS;

crate::instruments! {
    STETH_CPU_RUN_QUEUE_WAIT: histogram FINE_SECONDS, "steth.cpu.run_queue.wait", "s" nanos,
        "Time a thread was ready to run and waited for a processor, once for each time it got one.",
        by [], from "sched_switch",
        asks "How long does work wait for a processor?";
    STETH_CPU_RUN_QUEUE_TIME: counter, "steth.cpu.run_queue.time", "s" nanos,
        "Time that threads were ready to run and waited for a processor, by what they waited for.",
        by [STETH_RUN_QUEUE_CAUSE], from "task_struct.sched_info, /proc/schedstat",
        asks "Is it the neighbours that hold this service up, or its own quota?";
    STETH_CPU_CONTEXT_SWITCHES: counter, "steth.cpu.context_switches", "{switch}",
        "Times that threads left a processor.",
        by [PROCESS_CONTEXT_SWITCH_TYPE], from "task_struct",
        asks "Do threads give the processor up, or is it taken from them?";
    STETH_CPU_PREEMPTIONS: counter, "steth.cpu.preemptions", "{preemption}",
        "Times that a thread was taken off a processor while it would have gone on.",
        by [STETH_PREEMPTED_BY], from "sched_switch",
        asks "Who takes the processor from this service?";
    STETH_CPU_MIGRATIONS: counter, "steth.cpu.migrations", "{migration}",
        "Times that a thread was moved to another processor.",
        by [], from "task_struct",
        asks "Do threads lose their caches by moving?";
}
