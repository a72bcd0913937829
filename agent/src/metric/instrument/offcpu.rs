//! The family `offcpu`.

crate::instruments! {
    STETH_OFF_CPU_TIME: counter, "steth.off_cpu.time", "s" nanos,
        "Time that threads waited for something else than a processor, told when the wait is over.",
        by [STETH_OFF_CPU_CAUSE], from "sched_switch",
        asks "What do threads wait for when they do not run?";
}
