//! The host's memory: `/proc/meminfo`, `/proc/vmstat`, `/proc/swaps`, and the memory controllers' own
//! account of errors.

use super::sheet::{self, Row, Sheet, Told, fixed, labels, row, text};
use super::{Amount, Family, Labels, Owner, Probe, Reason, Sink, Tables};
use crate::host::{Anchor, HostRoot, Unread, keyed, text as clean};
use crate::metric::instrument::memory as of;
use crate::metric::key;
use crate::metric::snapshot::Value;

const LIMIT: usize = 64 * 1024;
/// Swap devices and memory controllers that are told.
const DEVICES: usize = 32;

const MEMINFO: &[Row] = &[
    row(&["MemTotal"], &of::SYSTEM_MEMORY_LIMIT, &[]),
    row(&["MemAvailable"], &of::SYSTEM_MEMORY_LINUX_AVAILABLE, &[]),
    row(&["Shmem"], &of::SYSTEM_MEMORY_LINUX_SHARED, &[]),
    row(
        &["SReclaimable"],
        &of::SYSTEM_MEMORY_LINUX_SLAB_USAGE,
        &[(key::SYSTEM_MEMORY_LINUX_SLAB_STATE, "reclaimable")],
    ),
    row(
        &["SUnreclaim"],
        &of::SYSTEM_MEMORY_LINUX_SLAB_USAGE,
        &[(key::SYSTEM_MEMORY_LINUX_SLAB_STATE, "unreclaimable")],
    ),
    row(&["Committed_AS"], &of::STETH_SYSTEM_MEMORY_COMMITTED_USAGE, &[]),
    row(&["CommitLimit"], &of::STETH_SYSTEM_MEMORY_COMMITTED_LIMIT, &[]),
    row(&["HardwareCorrupted"], &of::STETH_SYSTEM_MEMORY_CORRUPTED, &[]),
];

const HUGE: &[Row] = &[
    row(&["HugePages_Total"], &of::SYSTEM_MEMORY_LINUX_HUGEPAGES_LIMIT, &[]),
    row(&["HugePages_Rsvd"], &of::SYSTEM_MEMORY_LINUX_HUGEPAGES_RESERVED, &[]),
    row(&["HugePages_Surp"], &of::SYSTEM_MEMORY_LINUX_HUGEPAGES_SURPLUS, &[]),
    row(&["Hugepagesize"], &of::SYSTEM_MEMORY_LINUX_HUGEPAGES_PAGE_SIZE, &[]),
    row(
        &["HugePages_Free"],
        &of::SYSTEM_MEMORY_LINUX_HUGEPAGES_USAGE,
        &[(key::SYSTEM_MEMORY_LINUX_HUGEPAGES_STATE, "free")],
    ),
    Row {
        keys: &["HugePages_Total"],
        less: &["HugePages_Free"],
        times: 1,
        instrument: &of::SYSTEM_MEMORY_LINUX_HUGEPAGES_USAGE,
        attributes: &[(key::SYSTEM_MEMORY_LINUX_HUGEPAGES_STATE, "used")],
    },
];

/// Only faults that wait for swap are told as paging operations: what files are read with is no fault.
const MAJOR: (key::Key, &str) = (key::SYSTEM_PAGING_FAULT_TYPE, "major");

const VMSTAT: &[Row] = &[
    row(&["pgmajfault"], &of::SYSTEM_PAGING_FAULTS, &[MAJOR]),
    Row {
        keys: &["pgfault"],
        less: &["pgmajfault"],
        times: 1,
        instrument: &of::SYSTEM_PAGING_FAULTS,
        attributes: &[(key::SYSTEM_PAGING_FAULT_TYPE, "minor")],
    },
    row(&["pswpin"], &of::SYSTEM_PAGING_OPERATIONS, &[(key::SYSTEM_PAGING_DIRECTION, "in"), MAJOR]),
    row(
        &["pswpout"],
        &of::SYSTEM_PAGING_OPERATIONS,
        &[(key::SYSTEM_PAGING_DIRECTION, "out"), MAJOR],
    ),
    row(
        &["workingset_refault_anon"],
        &of::STETH_SYSTEM_PAGING_REFAULTS,
        &[(key::STETH_PAGE_TYPE, "anonymous")],
    ),
    // Before Linux 5.9 there is one counter, of pages of files.
    row(
        &["workingset_refault_file", "workingset_refault"],
        &of::STETH_SYSTEM_PAGING_REFAULTS,
        &[(key::STETH_PAGE_TYPE, "file")],
    ),
    row(
        &["pgscan_kswapd"],
        &of::STETH_SYSTEM_MEMORY_RECLAIM_SCANNED,
        &[(key::STETH_RECLAIM_ACTOR, "kswapd")],
    ),
    row(
        &["pgscan_direct"],
        &of::STETH_SYSTEM_MEMORY_RECLAIM_SCANNED,
        &[(key::STETH_RECLAIM_ACTOR, "direct")],
    ),
    row(
        &["pgscan_khugepaged"],
        &of::STETH_SYSTEM_MEMORY_RECLAIM_SCANNED,
        &[(key::STETH_RECLAIM_ACTOR, "khugepaged")],
    ),
    row(
        &["pgscan_proactive"],
        &of::STETH_SYSTEM_MEMORY_RECLAIM_SCANNED,
        &[(key::STETH_RECLAIM_ACTOR, "proactive")],
    ),
    row(
        &["pgsteal_kswapd"],
        &of::STETH_SYSTEM_MEMORY_RECLAIM_RECLAIMED,
        &[(key::STETH_RECLAIM_ACTOR, "kswapd")],
    ),
    row(
        &["pgsteal_direct"],
        &of::STETH_SYSTEM_MEMORY_RECLAIM_RECLAIMED,
        &[(key::STETH_RECLAIM_ACTOR, "direct")],
    ),
    row(
        &["pgsteal_khugepaged"],
        &of::STETH_SYSTEM_MEMORY_RECLAIM_RECLAIMED,
        &[(key::STETH_RECLAIM_ACTOR, "khugepaged")],
    ),
    row(
        &["pgsteal_proactive"],
        &of::STETH_SYSTEM_MEMORY_RECLAIM_RECLAIMED,
        &[(key::STETH_RECLAIM_ACTOR, "proactive")],
    ),
    row(
        &[
            "allocstall_dma",
            "allocstall_dma32",
            "allocstall_normal",
            "allocstall_movable",
            "allocstall_device",
            "allocstall_high",
        ],
        &of::STETH_SYSTEM_MEMORY_ALLOCATION_STALLS,
        &[],
    ),
    row(&["compact_stall"], &of::STETH_SYSTEM_MEMORY_COMPACTION_STALLS, &[]),
    row(&["oom_kill"], &of::STETH_SYSTEM_MEMORY_OOM_KILLS, &[]),
];

/// Reads the host's memory.
#[derive(Debug)]
pub struct Memory {
    meminfo: Sheet,
    huge: Sheet,
    vmstat: Sheet,
    told: Told,
    states: [(&'static str, Labels); 4],
}

impl Default for Memory {
    fn default() -> Self {
        let states = ["used", "free", "buffers", "cached"]
            .map(|state| (state, fixed(&[(key::SYSTEM_MEMORY_STATE, state)])));
        Self {
            meminfo: Sheet::new(MEMINFO),
            huge: Sheet::new(HUGE),
            vmstat: Sheet::new(VMSTAT),
            told: Told::default(),
            states,
        }
    }
}

impl Probe for Memory {
    fn family(&self) -> Family {
        Family::Memory
    }

    fn collect(
        &mut self,
        host: &HostRoot,
        _: &mut dyn Tables,
        _: &Anchor,
        into: &mut Sink,
    ) -> Result<(), Reason> {
        match keyed::lines_of(host, "/proc/vmstat", LIMIT) {
            Ok(text) => self.vmstat.put(&Owner::Host, keyed::flat(&text), &mut self.told, into),
            Err(why) => into.lacks("paging and reclaim", sheet::reason("/proc/vmstat", why)),
        }
        swaps(host, into);
        controllers(host, into);
        let text = keyed::lines_of(host, "/proc/meminfo", LIMIT)
            .map_err(|why| sheet::reason("/proc/meminfo", why))?;
        self.meminfo.put(&Owner::Host, keyed::flat(&text), &mut Told::default(), into);
        let read = Meminfo::parse(&text);
        if read.huge > 0 {
            self.huge.put(&Owner::Host, keyed::flat(&text), &mut Told::default(), into);
        }
        let total = read.total.ok_or_else(|| sheet::reason("/proc/meminfo", Unread::Malformed))?;
        for (state, labels) in &self.states {
            let bytes = match *state {
                "used" => read.used(),
                "free" => read.free,
                "buffers" => read.buffers,
                _ => read.cached,
            };
            let Some(bytes) = bytes else { continue };
            into.put(&Owner::Host, &of::SYSTEM_MEMORY_USAGE, labels, Amount::now(bytes));
            if let Some(share) = sheet::fraction(bytes, total) {
                into.put(&Owner::Host, &of::SYSTEM_MEMORY_UTILIZATION, labels, share);
            }
        }
        Ok(())
    }
}

/// What the states are made of.
#[derive(Debug, Default, PartialEq, Eq)]
struct Meminfo {
    total: Option<u64>,
    available: Option<u64>,
    free: Option<u64>,
    buffers: Option<u64>,
    cached: Option<u64>,
    huge: u64,
}

impl Meminfo {
    fn parse(text: &[u8]) -> Self {
        let mut read = Self::default();
        for (name, value) in keyed::flat(text) {
            match name {
                "MemTotal" => read.total = Some(value),
                "MemAvailable" => read.available = Some(value),
                "MemFree" => read.free = Some(value),
                "Buffers" => read.buffers = Some(value),
                "Cached" => read.cached = Some(value),
                "HugePages_Total" => read.huge = value,
                _ => {}
            }
        }
        read
    }

    /// As the conventions have it: what is not available, not what is not free.
    fn used(&self) -> Option<u64> {
        Some(self.total?.saturating_sub(self.available?))
    }
}

fn swaps(host: &HostRoot, into: &mut Sink) {
    let Ok(text) = keyed::lines_of(host, "/proc/swaps", LIMIT) else { return };
    for (device, size, used) in swap_devices(&text).take(DEVICES) {
        for (state, bytes) in [("used", used), ("free", size.saturating_sub(used))] {
            let labels = labels([
                (key::SYSTEM_DEVICE, Value::Text(device.as_str().into())),
                (key::SYSTEM_PAGING_STATE, Value::Static(state)),
            ]);
            into.put(&Owner::Host, &of::SYSTEM_PAGING_USAGE, &labels, Amount::now(bytes));
            if let Some(share) = sheet::fraction(bytes, size) {
                into.put(&Owner::Host, &of::SYSTEM_PAGING_UTILIZATION, &labels, share);
            }
        }
    }
}

/// Device, bytes, bytes used.
fn swap_devices(text: &[u8]) -> impl Iterator<Item = (String, u64, u64)> {
    keyed::lines(text).skip(1).filter_map(|line| {
        // A name's blanks are written as `\040`, so words are columns; the numbers are kilobytes.
        let mut words = line.split_ascii_whitespace();
        let device = clean::text(words.next()?.as_bytes());
        let mut kilobytes = words.skip(1).map(|word| word.parse::<u64>().ok()?.checked_mul(1024));
        Some((device, kilobytes.next()??, kilobytes.next()??))
    })
}

/// Errors that memory controllers have corrected, or not. Few hosts have such controllers: that there
/// is none is nothing to tell.
fn controllers(host: &HostRoot, into: &mut Sink) {
    const PLACE: &str = "/sys/devices/system/edac/mc";
    let Ok(names) = host.names(PLACE, 1024) else { return };
    for name in names.iter().filter(|name| is_controller(name)).take(DEVICES) {
        for (file, error) in [("ce_count", "corrected"), ("ue_count", "uncorrected")] {
            let path = format!("{PLACE}/{name}/{file}");
            let Some(count) = host.read(&path, 64).ok().and_then(|c| keyed::number(&c.bytes))
            else {
                continue;
            };
            let labels = labels([
                (key::ERROR_TYPE, Value::Static(error)),
                (key::HW_ID, text(name)),
                (key::HW_TYPE, Value::Static("memory")),
            ]);
            into.put(&Owner::Host, &of::HW_ERRORS, &labels, Amount::total(count));
        }
    }
}

fn is_controller(name: &str) -> bool {
    name.strip_prefix("mc").is_some_and(|n| n.len() < 8 && n.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::super::sheet::fake::{HOSTILE, Host, has, told};
    use super::*;

    #[test]
    fn memory_is_told_by_state_and_faults_by_type() {
        let host = Host::new(&[
            (
                "/proc/meminfo",
                "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 250 kB\nBuffers: 50 kB\nCached: 60 kB\n\
                 Shmem: 5 kB\nSReclaimable: 7 kB\nHugePages_Total: 10\nHugePages_Free: 4\nHugePages_Rsvd: 1\n\
                 Hugepagesize: 2048 kB\nHardwareCorrupted: 4 kB\n",
            ),
            (
                "/proc/vmstat",
                "pgfault 100\npgmajfault 30\npswpin 5\nallocstall_normal 2\nallocstall_movable 3\noom_kill 1\n\
                 workingset_refault 9\n",
            ),
            (
                "/proc/swaps",
                "Filename\tType\tSize\tUsed\tPriority\n/dev/a\\040b partition 100 25 -2\nx y z\n",
            ),
            ("/sys/devices/system/edac/mc/mc0/ce_count", "3\n"),
            ("/sys/devices/system/edac/mc/power/ce_count", "8\n"),
        ]);
        let mut probe = Memory::default();
        let (lines, outcome, _) = told(&mut probe, &host.root());
        assert_eq!(outcome, Ok(()));
        has(
            &lines,
            &[
                "system.memory.usage{used} =768000",
                "system.memory.usage{free} =102400",
                "system.memory.utilization{used} =0.75",
                "system.memory.limit{} =1024000",
                "system.memory.linux.hugepages.usage{used} =6",
                "system.memory.linux.hugepages.page_size{} =2097152",
                "steth.system.memory.corrupted{} =4096",
                "system.paging.faults{major} 30",
                "system.paging.faults{minor} 70",
                "system.paging.operations{in,major} 5",
                "steth.system.paging.refaults{file} 9",
                "steth.system.memory.allocation.stalls{} 5",
                "steth.system.memory.oom.kills{} 1",
                "system.paging.usage{/dev/a\\040b,used} =25600",
                "system.paging.utilization{/dev/a\\040b,free} =0.75",
                "hw.errors{corrected,mc0,memory} 3",
            ],
        );
        assert!(!lines.iter().any(|line| line.contains("power")));
        // The two counters are not read at one moment: no step back is told.
        host.write("/proc/vmstat", "pgfault 100\npgmajfault 31\n");
        has(&told(&mut probe, &host.root()).0, &["system.paging.faults{minor} 70"]);
    }

    #[test]
    fn what_makes_no_sense_or_is_not_there_is_a_reason() {
        for text in HOSTILE {
            let host = Host::new(&[
                ("/proc/meminfo", text),
                ("/proc/vmstat", text),
                ("/proc/swaps", text),
            ]);
            let (_, outcome, _) = told(&mut Memory::default(), &host.root());
            assert_eq!(outcome, Err(Reason::Failed("/proc/meminfo makes no sense".into())));
        }
        let (lines, outcome, sink) = told(&mut Memory::default(), &Host::new(&[]).root());
        assert_eq!(outcome, Err(Reason::Disabled("/proc/meminfo is not there".into())));
        assert_eq!((lines.len(), sink.lacks.len()), (0, 1));
    }
}
