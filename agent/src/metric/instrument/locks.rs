//! The family `locks`.

use super::FINE_SECONDS;

crate::instruments! {
    STETH_FUTEX_WAIT: histogram FINE_SECONDS, "steth.futex.wait", "s" nanos,
        "Time that threads waited for a futex: a lock, a condition, the end of a thread.",
        by [], from "sched_switch",
        asks "How long do threads wait for one another?";
}
