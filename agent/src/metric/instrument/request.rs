//! Where the time of requests went.

use super::FINE_SECONDS;

crate::instruments! {
    STETH_REQUEST_WAIT_DURATION: histogram FINE_SECONDS, "steth.request.wait.duration", "s" nanos,
        "Time that requests waited, by what for: one value for each request that did.",
        by [STETH_REQUEST_ROLE, STETH_REQUEST_WAIT_CAUSE],
        from "sched_switch, task_struct.sched_info, sk_data_ready, inet_csk_accept",
        asks "What do requests spend their time with when nobody works on them?";
    STETH_REQUEST_CPU_DURATION: histogram FINE_SECONDS, "steth.request.cpu.duration", "s" nanos,
        "Time on a processor between the first bytes of request and response, where one thread moved both and was at no other request in between.",
        by [STETH_REQUEST_ROLE], from "sched_switch, task_struct.sched_info",
        asks "How much work is a request?";
    STETH_REQUEST_FIRST_BYTE_DURATION: histogram FINE_SECONDS, "steth.request.first_byte.duration", "s" nanos,
        "Time from the first byte of a request to the first byte of its response.",
        by [STETH_REQUEST_ROLE], from "sockets",
        asks "Is it the answer that takes long, or its transfer?";
}
