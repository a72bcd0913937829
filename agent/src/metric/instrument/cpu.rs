//! The family `cpu`: the host's processors.

crate::instruments! {
    SYSTEM_CPU_TIME: counter, "system.cpu.time", "s" nanos,
        "Seconds each logical CPU spent on each mode.",
        by [CPU_LOGICAL_NUMBER, CPU_MODE], from "/proc/stat",
        asks "How busy is each processor, and with what?";
    STETH_SYSTEM_CPU_INTERRUPT_TIME: counter, "steth.system.cpu.interrupt.time", "s" nanos,
        "Time processors spent in interrupts, hard and soft; part of cpu.mode=interrupt.",
        by [STETH_INTERRUPT_KIND], from "/proc/stat",
        asks "Do interrupts take time from the programs?";
    SYSTEM_CPU_LOGICAL_COUNT: updowncounter, "system.cpu.logical.count", "{cpu}",
        "Logical processors that are online.",
        by [], from "/proc/stat", asks "How many processors are there?";
    SYSTEM_CPU_PHYSICAL_COUNT: updowncounter, "system.cpu.physical.count", "{cpu}",
        "Physical cores of the processors that are online.",
        by [], from "/sys/devices/system/cpu/cpu*/topology",
        asks "How many of them are only threads of a core?";
    STETH_SYSTEM_CPU_RUN_QUEUE_LENGTH: updowncounter,
        "steth.system.cpu.run_queue.length", "{thread}",
        "Threads that run or wait for a processor at this moment.",
        by [], from "/proc/stat (procs_running)", asks "Is there more to run than processors?";
    STETH_SYSTEM_THREAD_BLOCKED: updowncounter, "steth.system.thread.blocked", "{thread}",
        "Threads that wait for a disk at this moment.",
        by [], from "/proc/stat (procs_blocked)", asks "Do programs wait for disks?";
    STETH_SYSTEM_CPU_LOAD: gauge, "steth.system.cpu.load", "{thread}",
        "Load average: threads that ran, waited to run or were in uninterruptible sleep.",
        by [STETH_LOAD_PERIOD], from "/proc/loadavg", asks "Has it been like this for long?";
    STETH_SYSTEM_CONTEXT_SWITCHES: counter,
        "steth.system.context_switches", "{context_switch}",
        "Context switches of all processors.",
        by [], from "/proc/stat (ctxt)", asks "How often do processors change what they run?";
    STETH_SYSTEM_INTERRUPTS: counter, "steth.system.interrupts", "{interrupt}",
        "Hard interrupts of all processors.",
        by [], from "/proc/stat (intr)", asks "Do devices keep the processors busy?";
    STETH_SYSTEM_SOFTIRQS: counter, "steth.system.softirqs", "{interrupt}",
        "Soft interrupts of all processors.",
        by [STETH_SOFTIRQ_NAME], from "/proc/stat (softirq)",
        asks "Which part of the kernel works in the background?";
    SYSTEM_PROCESS_CREATED: counter, "system.process.created", "{process}",
        "Total number of processes created over uptime of the host.",
        by [], from "/proc/stat (processes)", asks "Are processes made and thrown away?";
    STETH_SYSTEM_CPU_THERMAL_THROTTLES: counter,
        "steth.system.cpu.thermal.throttles", "{event}",
        "Times that a core slowed down because it was hot.",
        by [CPU_LOGICAL_NUMBER], from "/sys/devices/system/cpu/cpu*/thermal_throttle",
        asks "Do the processors overheat?";
    SYSTEM_UPTIME: gauge, "system.uptime", "s" nanos,
        "The time the system has been running.",
        by [], from "the boot-time clock", asks "When was the host restarted?";
}
