//! Block devices of the host.

crate::instruments! {
    SYSTEM_DISK_IO: counter, "system.disk.io", "By",
        "Disk bytes transferred.",
        by [DISK_IO_DIRECTION, STETH_DISK_LAYER, SYSTEM_DEVICE], from "/proc/diskstats",
        asks "How much is read and written?";
    SYSTEM_DISK_OPERATIONS: counter, "system.disk.operations", "{operation}",
        "Disk operations count.",
        by [DISK_IO_DIRECTION, STETH_DISK_LAYER, SYSTEM_DEVICE], from "/proc/diskstats",
        asks "How many reads and writes are there?";
    SYSTEM_DISK_IO_TIME: counter, "system.disk.io_time", "s" nanos,
        "Time disk spent activated.",
        by [STETH_DISK_LAYER, SYSTEM_DEVICE], from "/proc/diskstats", asks "How busy is the device?";
    SYSTEM_DISK_OPERATION_TIME: counter, "system.disk.operation_time", "s" nanos,
        "Sum of the time each operation took to complete.",
        by [DISK_IO_DIRECTION, STETH_DISK_LAYER, SYSTEM_DEVICE], from "/proc/diskstats",
        asks "How long do reads and writes take?";
    SYSTEM_DISK_MERGED: counter, "system.disk.merged", "{operation}",
        "The number of disk reads/writes merged into single physical disk access operations.",
        by [DISK_IO_DIRECTION, STETH_DISK_LAYER, SYSTEM_DEVICE], from "/proc/diskstats",
        asks "Are small operations joined?";
    STETH_SYSTEM_DISK_IN_FLIGHT: updowncounter, "steth.system.disk.in_flight", "{operation}",
        "Operations that the device or its queue holds at this moment.",
        by [STETH_DISK_LAYER, SYSTEM_DEVICE], from "/proc/diskstats", asks "How long is the queue?";
    STETH_SYSTEM_DISK_QUEUE_TIME: counter, "steth.system.disk.queue.time", "s" nanos,
        "Time with operations in flight, multiplied with how many there were.",
        by [STETH_DISK_LAYER, SYSTEM_DEVICE], from "/proc/diskstats",
        asks "How long was the queue on average?";
    STETH_SYSTEM_DISK_ERRORS: counter, "steth.system.disk.errors", "{error}",
        "Operations that the device said it could not do.",
        by [STETH_DISK_LAYER, SYSTEM_DEVICE], from "/sys/block/DEVICE/device/ioerr_cnt",
        asks "Is the device failing?";
}
