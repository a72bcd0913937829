//! Memory of the host: how it is used, what paging and reclaim do, what it has lost.

crate::instruments! {
    SYSTEM_MEMORY_USAGE: updowncounter, "system.memory.usage", "By",
        "Reports memory in use by state.",
        by [SYSTEM_MEMORY_STATE], from "/proc/meminfo", asks "What is the memory used for?";
    SYSTEM_MEMORY_LIMIT: updowncounter, "system.memory.limit", "By",
        "Total virtual memory available in the system.",
        by [], from "/proc/meminfo", asks "How much memory is there?";
    SYSTEM_MEMORY_UTILIZATION: gauge, "system.memory.utilization", "1",
        "Percentage of memory bytes in use.",
        by [SYSTEM_MEMORY_STATE], from "/proc/meminfo", asks "How full is the memory?";
    SYSTEM_MEMORY_LINUX_AVAILABLE: updowncounter, "system.memory.linux.available", "By",
        "An estimate of how much memory is available for starting new applications, without causing swapping.",
        by [], from "/proc/meminfo", asks "How much more memory can be had without swapping?";
    SYSTEM_MEMORY_LINUX_SHARED: updowncounter, "system.memory.linux.shared", "By",
        "Shared memory used (mostly by tmpfs).",
        by [], from "/proc/meminfo", asks "How much memory do files in memory hold?";
    SYSTEM_MEMORY_LINUX_SLAB_USAGE: updowncounter, "system.memory.linux.slab.usage", "By",
        "Reports the memory used by the Linux kernel for managing caches of frequently used objects.",
        by [SYSTEM_MEMORY_LINUX_SLAB_STATE], from "/proc/meminfo",
        asks "How much memory does the kernel itself hold?";
    SYSTEM_MEMORY_LINUX_HUGEPAGES_LIMIT: updowncounter, "system.memory.linux.hugepages.limit", "{page}",
        "Total number of hugepages available.",
        by [], from "/proc/meminfo", asks "How many huge pages are set aside?";
    SYSTEM_MEMORY_LINUX_HUGEPAGES_USAGE: updowncounter, "system.memory.linux.hugepages.usage", "{page}",
        "Number of hugepages in use by state.",
        by [SYSTEM_MEMORY_LINUX_HUGEPAGES_STATE], from "/proc/meminfo",
        asks "Are the huge pages used?";
    SYSTEM_MEMORY_LINUX_HUGEPAGES_RESERVED: updowncounter, "system.memory.linux.hugepages.reserved", "{page}",
        "Number of reserved hugepages.",
        by [], from "/proc/meminfo", asks "How many huge pages are promised?";
    SYSTEM_MEMORY_LINUX_HUGEPAGES_SURPLUS: updowncounter, "system.memory.linux.hugepages.surplus", "{page}",
        "Number of surplus hugepages.",
        by [], from "/proc/meminfo", asks "How many huge pages are there beyond those set aside?";
    SYSTEM_MEMORY_LINUX_HUGEPAGES_PAGE_SIZE: updowncounter, "system.memory.linux.hugepages.page_size", "By",
        "Size of a hugepage.",
        by [], from "/proc/meminfo", asks "How large is a huge page?";
    SYSTEM_PAGING_USAGE: updowncounter, "system.paging.usage", "By",
        "Unix swap or windows pagefile usage.",
        by [SYSTEM_DEVICE, SYSTEM_PAGING_STATE], from "/proc/swaps", asks "How much is swapped out?";
    SYSTEM_PAGING_UTILIZATION: gauge, "system.paging.utilization", "1",
        "Swap (unix) or pagefile (windows) utilization.",
        by [SYSTEM_DEVICE, SYSTEM_PAGING_STATE], from "/proc/swaps", asks "How full is swap?";
    SYSTEM_PAGING_FAULTS: counter, "system.paging.faults", "{fault}",
        "The number of page faults.",
        by [SYSTEM_PAGING_FAULT_TYPE], from "/proc/vmstat pgfault, pgmajfault",
        asks "Do programs wait for pages from disk?";
    SYSTEM_PAGING_OPERATIONS: counter, "system.paging.operations", "{operation}",
        "The number of paging operations.",
        by [SYSTEM_PAGING_DIRECTION, SYSTEM_PAGING_FAULT_TYPE], from "/proc/vmstat pswpin, pswpout",
        asks "Is the host swapping?";
    STETH_SYSTEM_PAGING_REFAULTS: counter, "steth.system.paging.refaults", "{fault}",
        "Pages that were needed again soon after they had been reclaimed.",
        by [STETH_PAGE_TYPE], from "/proc/vmstat workingset_refault_*",
        asks "Is the memory too small for what is worked on?";
    STETH_SYSTEM_MEMORY_RECLAIM_SCANNED: counter, "steth.system.memory.reclaim.scanned", "{page}",
        "Pages looked at to be reclaimed, by who looked.",
        by [STETH_RECLAIM_ACTOR], from "/proc/vmstat pgscan_*",
        asks "Do programs have to look for memory themselves?";
    STETH_SYSTEM_MEMORY_RECLAIM_RECLAIMED: counter, "steth.system.memory.reclaim.reclaimed", "{page}",
        "Pages reclaimed, by who reclaimed them.",
        by [STETH_RECLAIM_ACTOR], from "/proc/vmstat pgsteal_*", asks "Does reclaim find anything?";
    STETH_SYSTEM_MEMORY_ALLOCATION_STALLS: counter, "steth.system.memory.allocation.stalls", "{stall}",
        "Allocations that had to reclaim memory before they went on.",
        by [], from "/proc/vmstat allocstall_*", asks "How often is memory waited for?";
    STETH_SYSTEM_MEMORY_COMPACTION_STALLS: counter, "steth.system.memory.compaction.stalls", "{stall}",
        "Allocations that had to move pages together before they went on.",
        by [], from "/proc/vmstat compact_stall", asks "Is the memory too fragmented?";
    STETH_SYSTEM_MEMORY_OOM_KILLS: counter, "steth.system.memory.oom.kills", "{process}",
        "Processes killed because memory ran out, on the whole host or in a control group.",
        by [], from "/proc/vmstat oom_kill", asks "Did the kernel kill anything for memory?";
    STETH_SYSTEM_MEMORY_COMMITTED_USAGE: updowncounter, "steth.system.memory.committed.usage", "By",
        "Memory that was promised to programs.",
        by [], from "/proc/meminfo Committed_AS", asks "How much could programs still claim?";
    STETH_SYSTEM_MEMORY_COMMITTED_LIMIT: updowncounter, "steth.system.memory.committed.limit", "By",
        "Memory that may be promised where promises are limited.",
        by [], from "/proc/meminfo CommitLimit", asks "Will the kernel refuse memory soon?";
    STETH_SYSTEM_MEMORY_CORRUPTED: updowncounter, "steth.system.memory.corrupted", "By",
        "Memory that the kernel has taken out of use because it is broken.",
        by [], from "/proc/meminfo HardwareCorrupted", asks "Is memory broken?";
    HW_ERRORS: counter, "hw.errors", "{error}",
        "Number of errors encountered by the component.",
        by [ERROR_TYPE, HW_ID, HW_TYPE], from "/sys/devices/system/edac/mc",
        asks "Does the memory make errors?";
}
