//! Block devices, from `/proc/diskstats`: whole ones only, as a partition's operations are its device's
//! too. Devices that stand on others (device mapper, software RAID, loop) are told apart, so that adding
//! up a layer counts nothing twice.

use std::collections::HashMap;

use super::sheet::{self, labels, text};
use super::wrap::Wide;
use super::{Amount, Family, Labels, Owner, Probe, Reason, Sink, Tables};
use crate::host::{Anchor, HostRoot, keyed};
use crate::metric::instrument::disk as of;
use crate::metric::key;
use crate::metric::snapshot::Value;

/// A host may have thousands of partitions and paths.
const LIMIT: usize = 1 << 20;
/// Devices that are told.
const DEVICES: usize = 256;
/// Lines of a device's name that are remembered.
const NAMES: usize = 16 * 1024;
/// Bytes of a sector here, whatever the device's own are.
const SECTOR: u64 = 512;
const MILLI: u64 = 1_000_000;

/// A line of `/proc/diskstats`; times in milliseconds, kept by the kernel in 32 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// Reads and writes.
    pub(crate) operations: [u64; 2],
    merged: [u64; 2],
    sectors: [u64; 2],
    millis: [u64; 2],
    in_flight: u64,
    busy: u64,
    weighted: u64,
}

impl Line {
    fn is_idle(&self) -> bool {
        self.operations == [0; 2] && self.in_flight == 0
    }
}

/// The lines: device number, name, counts. More columns (discards, flushes) are not looked at.
pub(crate) fn lines(content: &[u8]) -> impl Iterator<Item = (&str, (u32, u32), Line)> {
    keyed::lines(content).filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let number = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let name = words.next()?;
        let mut counts = words.map(|word| word.parse::<u64>().ok());
        let mut next = || counts.next().flatten();
        let mut one = || Some([next()?, next()?, next()?, next()?]);
        let [reads, writes] = [one()?, one()?];
        let both = |at: usize| -> Option<[u64; 2]> { Some([*reads.get(at)?, *writes.get(at)?]) };
        let line = Line {
            operations: both(0)?,
            merged: both(1)?,
            sectors: both(2)?,
            millis: both(3)?,
            in_flight: next()?,
            busy: next()?,
            weighted: next()?,
        };
        Some((name, number, line))
    })
}

#[derive(Debug)]
struct Device {
    /// By direction, and of the whole device.
    directions: [Labels; 2],
    whole: Labels,
    /// Reads, writes, busy, weighted.
    times: [Wide; 4],
    /// The file of its errors, if it has one.
    errors: Option<String>,
    seen: u64,
}

/// Reads block devices.
#[derive(Debug, Default)]
pub struct Disk {
    round: u64,
    /// By name; none is a partition, or a device that was never used.
    known: HashMap<String, Option<Device>>,
}

impl Probe for Disk {
    fn family(&self) -> Family {
        Family::Disk
    }

    fn collect(
        &mut self,
        host: &HostRoot,
        _: &mut dyn Tables,
        _: &Anchor,
        into: &mut Sink,
    ) -> Result<(), Reason> {
        let content = keyed::lines_of(host, "/proc/diskstats", LIMIT)
            .map_err(|why| sheet::reason("/proc/diskstats", why))?;
        self.round += 1;
        let mut left_out = 0;
        for (name, _, line) in lines(&content) {
            // A device that was never used is not remembered: it may be used later.
            if line.is_idle() && !self.known.contains_key(name) {
                continue;
            }
            if !self.known.contains_key(name) {
                let told = self.known.values().flatten().count();
                if self.known.len() >= NAMES || told >= DEVICES {
                    left_out += 1;
                    continue;
                }
                self.known.insert(name.to_owned(), Device::of(host, name));
            }
            let Some(Some(device)) = self.known.get_mut(name) else { continue };
            device.seen = self.round;
            device.put(&line, host, into);
        }
        // Whatever takes the name of a device that is gone is another one. Partitions go with it.
        let round = self.round;
        if self.known.values().flatten().any(|device| device.seen != round) {
            self.known.retain(|_, device| device.as_ref().is_some_and(|d| d.seen == round));
        }
        if left_out > 0 {
            let why = format!("{left_out} of them beyond the {DEVICES} that are told");
            into.lacks("block devices", Reason::Failed(why.into()));
        }
        Ok(())
    }
}

impl Device {
    /// What stands in `/sys`; none for a partition.
    fn of(host: &HostRoot, name: &str) -> Option<Self> {
        // The kernel writes a slash in a device's name as `!` there.
        let place = format!("/sys/class/block/{}", name.replace('/', "!"));
        if host.path(format!("{place}/partition")).exists() {
            return None;
        }
        let stacked = host.names(format!("{place}/slaves"), 1).is_ok_and(|names| !names.is_empty())
            || host.path(format!("{place}/loop")).exists()
            // A loop device's file is only there while it has one.
            || name.strip_prefix("loop").is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
        let layer = Value::Static(if stacked { "stacked" } else { "device" });
        let whole = [(key::STETH_DISK_LAYER, layer.clone()), (key::SYSTEM_DEVICE, text(name))];
        let [device, layer] = [whole[1].clone(), whole[0].clone()];
        let directions = ["read", "write"].map(|direction| {
            let direction = (key::DISK_IO_DIRECTION, Value::Static(direction));
            labels([direction, layer.clone(), device.clone()])
        });
        let errors = format!("{place}/device/ioerr_cnt");
        let errors = host.path(&errors).exists().then_some(errors);
        Some(Self { directions, whole: labels(whole), times: Default::default(), errors, seen: 0 })
    }

    fn put(&mut self, line: &Line, host: &HostRoot, into: &mut Sink) {
        let [reads, writes, busy, weighted] = &mut self.times;
        let millis = [reads.take(line.millis[0]), writes.take(line.millis[1])];
        for (at, labels) in self.directions.iter().enumerate() {
            let of = |counts: &[u64; 2], times: u64| {
                Amount::total(counts.get(at).copied().unwrap_or(0).saturating_mul(times))
            };
            let mut put = |instrument, amount| into.put(&Owner::Host, instrument, labels, amount);
            put(&of::SYSTEM_DISK_IO, of(&line.sectors, SECTOR));
            put(&of::SYSTEM_DISK_OPERATIONS, of(&line.operations, 1));
            put(&of::SYSTEM_DISK_MERGED, of(&line.merged, 1));
            put(&of::SYSTEM_DISK_OPERATION_TIME, of(&millis, MILLI));
        }
        let mut put = |instrument, amount| into.put(&Owner::Host, instrument, &self.whole, amount);
        put(&of::STETH_SYSTEM_DISK_IN_FLIGHT, Amount::now(line.in_flight));
        let nanos = |millis: u64| Amount::total(millis.saturating_mul(MILLI));
        put(&of::SYSTEM_DISK_IO_TIME, nanos(busy.take(line.busy)));
        put(&of::STETH_SYSTEM_DISK_QUEUE_TIME, nanos(weighted.take(line.weighted)));
        let errors = self.errors.as_ref().and_then(|path| host.read(path, 64).ok());
        if let Some(count) = errors.and_then(|content| hexadecimal(&content.bytes)) {
            put(&of::STETH_SYSTEM_DISK_ERRORS, Amount::total(count));
        }
    }
}

/// `0x1f`.
fn hexadecimal(content: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(content).ok()?.trim();
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::super::sheet::fake::{HOSTILE, Host, has, told};
    use super::*;

    const STATS: &str = "\
   8       0 sda 10 1 80 5 20 2 160 7 3 9 12 0 0 0 0 4 1
   8       1 sda1 10 1 80 5 20 2 160 7 3 9 12
   7       0 loop0 1 0 8 1 0 0 0 0 0 1 1
   7       1 loop1 0 0 0 0 0 0 0 0 0 0 0
 253       0 dm-0 4 0 32 4 0 0 0 0 0 4 4
   9       0 short 1 2 3
";

    fn host() -> Host {
        Host::new(&[
            ("/proc/diskstats", STATS),
            ("/sys/class/block/sda/device/ioerr_cnt", "0x1f\n"),
            ("/sys/class/block/sda1/partition", "1\n"),
            ("/sys/class/block/dm-0/slaves/sda1", ""),
        ])
    }

    #[test]
    fn whole_devices_are_told_by_layer() {
        let (lines, outcome, _) = told(&mut Disk::default(), &host().root());
        assert_eq!(outcome, Ok(()));
        has(
            &lines,
            &[
                "system.disk.io{read,device,sda} 40960",
                "system.disk.io{write,device,sda} 81920",
                "system.disk.operations{write,device,sda} 20",
                "system.disk.merged{read,device,sda} 1",
                "system.disk.operation_time{write,device,sda} 7000000",
                "system.disk.io_time{device,sda} 9000000",
                "steth.system.disk.queue.time{device,sda} 12000000",
                "steth.system.disk.in_flight{device,sda} =3",
                "steth.system.disk.errors{device,sda} 31",
                "system.disk.io{read,stacked,dm-0} 16384",
                "system.disk.io{read,stacked,loop0} 4096",
            ],
        );
        assert!(!lines.iter().any(|line| line.contains("sda1") || line.contains("loop1")));
    }

    #[test]
    fn times_go_on_over_a_wrap_and_a_device_that_comes_again_is_another() {
        let host = host();
        let mut probe = Disk::default();
        let busy = |probe: &mut Disk| {
            told(probe, &host.root())
                .0
                .into_iter()
                .find(|line| line.starts_with("system.disk.io_time"))
        };
        let line = |millis: u64| format!("8 0 sda 1 0 8 0 0 0 0 0 0 {millis} 0\n");
        host.write("/proc/diskstats", &line(4_294_967_295));
        assert_eq!(
            busy(&mut probe).as_deref(),
            Some("system.disk.io_time{device,sda} 4294967295000000")
        );
        host.write("/proc/diskstats", &line(1));
        assert_eq!(
            busy(&mut probe).as_deref(),
            Some("system.disk.io_time{device,sda} 4294967297000000")
        );
        host.write("/proc/diskstats", "");
        assert_eq!(busy(&mut probe), None);
        assert!(probe.known.is_empty());
        host.write("/proc/diskstats", &line(5));
        assert_eq!(busy(&mut probe).as_deref(), Some("system.disk.io_time{device,sda} 5000000"));
    }

    #[test]
    fn what_makes_no_sense_is_nothing_and_what_is_not_there_a_reason() {
        for text in HOSTILE {
            let host = Host::new(&[("/proc/diskstats", text)]);
            let (_, outcome, _) = told(&mut Disk::default(), &host.root());
            assert_eq!(outcome, Ok(()), "{text}");
        }
        let (_, outcome, _) = told(&mut Disk::default(), &Host::new(&[]).root());
        assert_eq!(outcome, Err(Reason::Disabled("/proc/diskstats is not there".into())));
    }
}
