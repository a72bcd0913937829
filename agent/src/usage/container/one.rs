//! Version 1 of control groups: what its files say, as the same series that version 2 has.

use super::Common;
use crate::host::{HostRoot, keyed};
use crate::metric::instrument::container as of;
use crate::metric::key;
use crate::usage::sheet::{Row, row};

/// No limit is written as the largest number of whole pages, whatever their size.
pub(super) const NO_LIMIT: u64 = 1 << 62;

/// `cpu.stat`.
pub(super) const CPU: &[Row] = &[
    row(&["nr_periods"], &of::STETH_CONTAINER_CPU_PERIODS, &[]),
    row(&["nr_throttled"], &of::STETH_CONTAINER_CPU_THROTTLED_PERIODS, &[]),
    // In nanoseconds, unlike version 2.
    row(&["throttled_time"], &of::STETH_CONTAINER_CPU_THROTTLED_TIME, &[]),
];

/// `memory.stat`: what begins with `total_` counts the groups within too, as version 2 does.
pub(super) const MEMORY: &[Row] = &[
    row(&["total_rss"], &of::CONTAINER_MEMORY_RSS, &[]),
    row(&["total_swap"], &of::STETH_CONTAINER_PAGING_USAGE, &[]),
    row(
        &["total_pgmajfault"],
        &of::CONTAINER_PAGING_FAULTS,
        &[(key::SYSTEM_PAGING_FAULT_TYPE, "major")],
    ),
    Row {
        keys: &["total_pgfault"],
        less: &["total_pgmajfault"],
        times: 1,
        instrument: &of::CONTAINER_PAGING_FAULTS,
        attributes: &[(key::SYSTEM_PAGING_FAULT_TYPE, "minor")],
    },
    row(
        &["total_workingset_refault_anon"],
        &of::STETH_CONTAINER_PAGING_REFAULTS,
        &[(key::STETH_PAGE_TYPE, "anonymous")],
    ),
    row(
        &["total_workingset_refault_file", "total_workingset_refault"],
        &of::STETH_CONTAINER_PAGING_REFAULTS,
        &[(key::STETH_PAGE_TYPE, "file")],
    ),
];

/// `memory.oom_control`. Unlike in version 2 the groups within are not counted.
pub(super) const OOM: &[Row] = &[row(&["oom_kill"], &of::STETH_CONTAINER_MEMORY_OOM_KILLS, &[])];

/// User and system, in nanoseconds.
pub(super) fn cpu_time(host: &HostRoot, place: super::Place<'_>, path: &str) -> Option<[u64; 2]> {
    let number = |name: &str| keyed::number(&host.read(place.file(path, name), 64).ok()?.bytes);
    Some([number("cpuacct.usage_user")?, number("cpuacct.usage_sys")?])
}

/// The quota as a number of processors, in thousandths.
pub(super) fn quota(host: &HostRoot, place: super::Place<'_>, path: &str) -> Option<f64> {
    let number = |name: &str| keyed::number(&host.read(place.file(path, name), 64).ok()?.bytes);
    // Without a quota it is -1.
    super::share(number("cpu.cfs_quota_us")?, number("cpu.cfs_period_us")?)
}

/// What both versions have, of memory.
pub(super) fn memory(host: &HostRoot, place: super::Place<'_>, path: &str, stat: &[u8]) -> Common {
    let number = |name: &str| keyed::number(&host.read(place.file(path, name), 64).ok()?.bytes);
    let find = |wanted: &str| keyed::flat(stat).find(|(key, _)| *key == wanted).map(|(_, v)| v);
    Common {
        usage: number("memory.usage_in_bytes"),
        inactive: find("total_inactive_file"),
        limit: find("hierarchical_memory_limit").filter(|limit| *limit < NO_LIMIT),
        hits: number("memory.failcnt"),
    }
}

/// Bytes or operations by device, of a file with a line for each device and direction.
pub(super) fn devices(content: &[u8]) -> impl Iterator<Item = ((u32, u32), usize, u64)> {
    keyed::lines(content).filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let device = super::device(words.next()?)?;
        let direction = match words.next()? {
            "Read" => 0,
            "Write" => 1,
            _ => return None,
        };
        Some((device, direction, words.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_by_direction() {
        let check = |text: &[u8], expect: &[((u32, u32), usize, u64)]| {
            assert_eq!(devices(text).collect::<Vec<_>>(), expect);
        };
        check(
            b"8:0 Read 10\n8:0 Write 20\n8:0 Sync 30\n8:0 Total 30\nTotal 30\n",
            &[((8, 0), 0, 10), ((8, 0), 1, 20)],
        );
        check(b"8:0 Read\n8-0 Read 1\n8:0 Read -1\n8:99999999999 Write 1\n\xff", &[]);
    }
}
