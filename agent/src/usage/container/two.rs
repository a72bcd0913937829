//! Version 2 of control groups.

use super::{Common, Place};
use crate::host::{HostRoot, keyed};
use crate::metric::instrument::container as of;
use crate::metric::key;
use crate::usage::sheet::{Row, row};

/// `cpu.stat`, in microseconds. Only with the controller enabled are there periods.
pub(super) const CPU: &[Row] = &[
    row(&["nr_periods"], &of::STETH_CONTAINER_CPU_PERIODS, &[]),
    row(&["nr_throttled"], &of::STETH_CONTAINER_CPU_THROTTLED_PERIODS, &[]),
    Row {
        keys: &["throttled_usec"],
        less: &[],
        times: 1000,
        instrument: &of::STETH_CONTAINER_CPU_THROTTLED_TIME,
        attributes: &[],
    },
];

/// `memory.stat`.
pub(super) const MEMORY: &[Row] = &[
    row(&["anon"], &of::CONTAINER_MEMORY_RSS, &[]),
    row(&["pgmajfault"], &of::CONTAINER_PAGING_FAULTS, &[(key::SYSTEM_PAGING_FAULT_TYPE, "major")]),
    Row {
        keys: &["pgfault"],
        less: &["pgmajfault"],
        times: 1,
        instrument: &of::CONTAINER_PAGING_FAULTS,
        attributes: &[(key::SYSTEM_PAGING_FAULT_TYPE, "minor")],
    },
    row(
        &["workingset_refault_anon"],
        &of::STETH_CONTAINER_PAGING_REFAULTS,
        &[(key::STETH_PAGE_TYPE, "anonymous")],
    ),
    row(
        &["workingset_refault_file", "workingset_refault"],
        &of::STETH_CONTAINER_PAGING_REFAULTS,
        &[(key::STETH_PAGE_TYPE, "file")],
    ),
];

/// `memory.events`.
pub(super) const EVENTS: &[Row] = &[
    row(&["high"], &of::STETH_CONTAINER_MEMORY_LIMIT_HITS, &[(key::STETH_LIMIT_KIND, "high")]),
    row(&["max"], &of::STETH_CONTAINER_MEMORY_LIMIT_HITS, &[(key::STETH_LIMIT_KIND, "max")]),
    row(&["oom"], &of::STETH_CONTAINER_MEMORY_OOM_EVENTS, &[]),
    row(&["oom_kill"], &of::STETH_CONTAINER_MEMORY_OOM_KILLS, &[]),
];

/// User and system of `cpu.stat`, in nanoseconds.
pub(super) fn cpu_time(stat: &[u8]) -> Option<[u64; 2]> {
    let find = |wanted: &str| {
        let (_, micros) = keyed::flat(stat).find(|(key, _)| *key == wanted)?;
        micros.checked_mul(1000)
    };
    Some([find("user_usec")?, find("system_usec")?])
}

/// The quota as a number of processors, of `cpu.max`.
pub(super) fn quota(content: &[u8]) -> Option<f64> {
    let mut words = std::str::from_utf8(content).ok()?.split_ascii_whitespace();
    let quota = words.next()?.parse().ok()?;
    super::share(quota, words.next()?.parse().ok()?)
}

/// What both versions have, of memory. The limit is the least of the group's and of those above it.
pub(super) fn memory(host: &HostRoot, place: Place<'_>, path: &str, stat: &[u8]) -> Common {
    let number =
        |path: &str, name: &str| keyed::number(&host.read(place.file(path, name), 64).ok()?.bytes);
    let mut limit: Option<u64> = None;
    let mut above = path;
    while !above.is_empty() {
        let own = number(above, "memory.max");
        limit = limit.into_iter().chain(own).min();
        above = above.rsplit_once('/').map_or("", |(parent, _)| parent);
    }
    let inactive = keyed::flat(stat).find(|(key, _)| *key == "inactive_file");
    Common {
        usage: number(path, "memory.current"),
        inactive: inactive.map(|(_, bytes)| bytes),
        limit,
        hits: None,
    }
}

/// A device's number, with its bytes and operations by direction.
type Device = ((u32, u32), [[u64; 2]; 2]);

/// The devices in `io.stat`.
pub(super) fn devices(content: &[u8]) -> impl Iterator<Item = Device> {
    keyed::nested(content).filter_map(|(name, pairs)| {
        let device = super::device(name)?;
        let mut counts = [[0; 2]; 2];
        let [bytes, operations] = &mut counts;
        for (key, value) in pairs {
            match key {
                "rbytes" => bytes[0] = value,
                "wbytes" => bytes[1] = value,
                "rios" => operations[0] = value,
                "wios" => operations[1] = value,
                _ => {}
            }
        }
        Some((device, counts))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_a_number_of_processors() {
        let check = |text: &[u8], expect: Option<f64>| assert_eq!(quota(text), expect);
        check(b"50000 100000\n", Some(0.5));
        check(b"max 100000\n", None);
        check(b"50000 0\n", None);
        check(b"50000\n", None);
        check(b"-1 100000\n", None);
        check(b"", None);
        check(b"\xff", None);
    }

    #[test]
    fn devices_are_read_whatever_else_is_on_their_lines() {
        let check = |text: &[u8], expect: &[Device]| {
            assert_eq!(devices(text).collect::<Vec<_>>(), expect);
        };
        check(
            b"254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n7:1 \n",
            &[((254, 0), [[1, 2], [3, 4]]), ((7, 1), [[0; 2]; 2])],
        );
        check(b"254 rbytes=1\n:: rbytes=1\n(unknown) rbytes=1\n", &[]);
    }
}
