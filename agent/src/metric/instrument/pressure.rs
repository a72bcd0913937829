//! Pressure stall information of the host.

crate::instruments! {
    STETH_SYSTEM_PRESSURE_STALL_TIME: counter, "steth.system.pressure.stall.time", "s" nanos,
        "Time in which some, or all, runnable tasks of the host waited for a resource.",
        by [STETH_PRESSURE_SCOPE, STETH_RESOURCE], from "/proc/pressure",
        asks "Which resource holds work up?";
}
