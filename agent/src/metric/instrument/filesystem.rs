//! File systems of the host.

crate::instruments! {
    SYSTEM_FILESYSTEM_USAGE: updowncounter, "system.filesystem.usage", "By",
        "Reports a filesystem's space usage across different states.",
        by [SYSTEM_DEVICE, SYSTEM_FILESYSTEM_MODE, SYSTEM_FILESYSTEM_MOUNTPOINT, SYSTEM_FILESYSTEM_STATE,
            SYSTEM_FILESYSTEM_TYPE],
        from "statfs of the mounts in /proc/1/mountinfo", asks "How much space is left?";
    SYSTEM_FILESYSTEM_LIMIT: updowncounter, "system.filesystem.limit", "By",
        "The total storage capacity of the filesystem.",
        by [SYSTEM_DEVICE, SYSTEM_FILESYSTEM_MODE, SYSTEM_FILESYSTEM_MOUNTPOINT, SYSTEM_FILESYSTEM_TYPE],
        from "statfs", asks "How large is the file system?";
    SYSTEM_FILESYSTEM_UTILIZATION: gauge, "system.filesystem.utilization", "1",
        "Fraction of filesystem bytes used.",
        by [SYSTEM_DEVICE, SYSTEM_FILESYSTEM_MODE, SYSTEM_FILESYSTEM_MOUNTPOINT, SYSTEM_FILESYSTEM_STATE,
            SYSTEM_FILESYSTEM_TYPE],
        from "statfs", asks "How full is the file system?";
    STETH_SYSTEM_FILESYSTEM_INODE_USAGE: updowncounter, "steth.system.filesystem.inode.usage", "{inode}",
        "Inodes of a file system by state.",
        by [SYSTEM_DEVICE, SYSTEM_FILESYSTEM_MODE, SYSTEM_FILESYSTEM_MOUNTPOINT, SYSTEM_FILESYSTEM_STATE,
            SYSTEM_FILESYSTEM_TYPE],
        from "statfs", asks "How many more files can be made?";
    STETH_SYSTEM_FILESYSTEM_INODE_LIMIT: updowncounter, "steth.system.filesystem.inode.limit", "{inode}",
        "Inodes that a file system can have.",
        by [SYSTEM_DEVICE, SYSTEM_FILESYSTEM_MODE, SYSTEM_FILESYSTEM_MOUNTPOINT, SYSTEM_FILESYSTEM_TYPE],
        from "statfs", asks "How many files can there be?";
    STETH_SYSTEM_FILESYSTEM_ERRORS: counter, "steth.system.filesystem.errors", "{error}",
        "Errors that a file system has found in itself since it was last repaired.",
        by [SYSTEM_DEVICE, SYSTEM_FILESYSTEM_TYPE], from "/sys/fs/ext4/DEVICE/errors_count",
        asks "Is the file system damaged?";
    STETH_SYSTEM_FILESYSTEM_READ_ONLY_REMOUNTS: counter, "steth.system.filesystem.read_only.remounts", "{remount}",
        "Times that a file system became read-only while it was mounted.",
        by [SYSTEM_DEVICE, SYSTEM_FILESYSTEM_MOUNTPOINT, SYSTEM_FILESYSTEM_TYPE],
        from "/proc/1/mountinfo", asks "Did a file system give up?";
}
