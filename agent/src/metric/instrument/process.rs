//! The family `process`: what single processes use.

crate::instruments! {
    PROCESS_MEMORY_USAGE: updowncounter, "process.memory.usage", "By",
        "The amount of physical memory in use.",
        by [], from "/proc/PID/stat (rss)", asks "How much memory does this process hold?";
    PROCESS_MEMORY_VIRTUAL: updowncounter, "process.memory.virtual", "By",
        "The amount of committed virtual memory.",
        by [], from "/proc/PID/stat (vsize)", asks "How much address space has it asked for?";
    PROCESS_CPU_TIME: counter, "process.cpu.time", "s" nanos,
        "Total CPU seconds broken down by different states.",
        by [CPU_MODE], from "/proc/PID/stat (utime, stime)",
        asks "Which process uses the processors?";
    PROCESS_PAGING_FAULTS: counter, "process.paging.faults", "{fault}",
        "Number of page faults the process has made.",
        by [SYSTEM_PAGING_FAULT_TYPE], from "/proc/PID/stat (minflt, majflt)",
        asks "Does it wait for pages to be read?";
    PROCESS_THREAD_COUNT: updowncounter, "process.thread.count", "{thread}",
        "Process threads count.",
        by [], from "/proc/PID/stat (num_threads)", asks "Do its threads pile up?";
    PROCESS_UPTIME: gauge, "process.uptime", "s" nanos,
        "The time the process has been running.",
        by [], from "/proc/PID/stat (starttime)", asks "When was it restarted?";
    PROCESS_CONTEXT_SWITCHES: counter, "process.context_switches", "{context_switch}",
        "Number of times the process has been context switched; of the threads that live.",
        by [PROCESS_CONTEXT_SWITCH_TYPE], from "/proc/PID/task/*/status",
        asks "Is it pushed off the processor, or does it wait by itself?";
    PROCESS_UNIX_FILE_DESCRIPTOR_COUNT: updowncounter,
        "process.unix.file_descriptor.count", "{file_descriptor}",
        "Number of unix file descriptors in use by the process.",
        by [], from "/proc/PID/fd (st_size)", asks "Does it leak descriptors?";
    STETH_PROCESS_UNIX_FILE_DESCRIPTOR_LIMIT: updowncounter,
        "steth.process.unix.file_descriptor.limit", "{file_descriptor}",
        "Descriptors that the processes may have open (the soft limit).",
        by [], from "/proc/PID/limits", asks "How near are its descriptors to their limit?";
    PROCESS_DISK_IO: counter, "process.disk.io", "By",
        "Disk bytes transferred.",
        by [DISK_IO_DIRECTION], from "/proc/PID/io (read_bytes, write_bytes)",
        asks "Who reads and writes the disks?";
    SYSTEM_PROCESS_COUNT: updowncounter, "system.process.count", "{process}",
        "Total number of processes in each state.",
        by [PROCESS_STATE], from "/proc/PID/stat (state)", asks "Do processes hang or pile up?";
}
