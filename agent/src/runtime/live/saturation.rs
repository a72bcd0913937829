//! From where on something counts as saturated, and is marked: every threshold of the live view.

use super::model::{Host, Usage};

/// PSI `some`: in more than a tenth of the time something had to wait for the resource.
pub(super) const PRESSURE: f64 = 0.10;
/// Threads that are ready wait for more than a tenth of a core: of a service in all, of the host for
/// each of its processors.
pub(super) const WAIT: f64 = 0.10;
/// Threads wait for disks for more than a tenth of the time of one.
pub(super) const DISK_WAIT: f64 = 0.10;
/// The processors of the host are busy for more than so much of the time.
pub(super) const CPU: f64 = 0.90;
/// A device works for more than so much of the time.
pub(super) const DISK: f64 = 0.90;
/// Less than a twentieth of the memory, or of its limit, is left.
pub(super) const MEMORY: f64 = 0.95;
/// Segments sent again, or packets dropped, a second.
pub(super) const LOSSES: f64 = 1.0;

fn above(value: Option<f64>, threshold: f64) -> bool {
    value.is_some_and(|value| value > threshold)
}

/// What is saturated of the host, in the order it is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a mark of its own")]
pub(super) struct OfHost {
    pub(super) cpu: bool,
    pub(super) wait: bool,
    pub(super) memory: bool,
    pub(super) disk: bool,
    pub(super) pressure: [bool; 3],
    pub(super) drops: bool,
    pub(super) retransmits: bool,
}

impl OfHost {
    pub(super) fn of(host: &Host) -> Self {
        Self {
            cpu: above(host.cpu, CPU),
            wait: above(host.wait, WAIT),
            memory: above(host.memory, MEMORY),
            disk: above(host.disk, DISK),
            pressure: host.pressure.map(|part| above(part, PRESSURE)),
            drops: above(host.drops, LOSSES),
            retransmits: above(host.retransmits, LOSSES),
        }
    }
}

/// What is saturated of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a mark of its own")]
pub(super) struct OfService {
    /// It waits for a processor.
    pub(super) wait: bool,
    /// Its quota was spent, however briefly.
    pub(super) throttled: bool,
    /// Its limit of memory is near, or was met.
    pub(super) memory: bool,
    pub(super) disk_wait: bool,
    pub(super) retransmits: bool,
    /// Clients wait to be accepted and there is no room for more, or some were turned away.
    pub(super) accept: bool,
    /// One of its processes was killed for want of memory.
    pub(super) oom: bool,
}

impl OfService {
    pub(super) fn of(usage: &Usage) -> Self {
        let Usage { wait, throttled, memory_full, disk_wait, retransmits, accept, oom, .. } =
            *usage;
        Self {
            wait: above(wait, WAIT),
            throttled: above(throttled, 0.0),
            memory: above(memory_full, MEMORY),
            disk_wait: above(disk_wait, DISK_WAIT),
            retransmits: above(retransmits, LOSSES),
            accept,
            oom,
        }
    }

    pub(super) fn any(self) -> bool {
        self != Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::{Host, Usage};
    use super::{OfHost, OfService};

    #[test]
    fn what_is_not_known_is_not_saturated() {
        assert!(!OfService::of(&Usage::default()).any());
        assert_eq!(OfHost::of(&Host::default()), OfHost::default());
    }

    #[test]
    fn a_threshold_is_passed_and_not_met() {
        let check = |usage: Usage, expect: bool| {
            assert_eq!(OfService::of(&usage).any(), expect, "{usage:?}");
        };
        let none = Usage::default();
        check(Usage { wait: Some(0.10), ..none }, false);
        check(Usage { wait: Some(0.11), ..none }, true);
        check(Usage { throttled: Some(0.0), ..none }, false);
        check(Usage { throttled: Some(0.0001), ..none }, true);
        check(Usage { cpu: Some(64.0), memory: Some(1 << 40), ..none }, false);
        check(Usage { memory_full: Some(0.96), ..none }, true);
        check(Usage { disk_wait: Some(0.2), ..none }, true);
        check(Usage { retransmits: Some(0.5), ..none }, false);
        check(Usage { retransmits: Some(1.5), ..none }, true);
        check(Usage { accept: true, ..none }, true);
        check(Usage { oom: true, ..none }, true);
        let host = Host { pressure: [Some(0.1), Some(0.2), None], ..Host::default() };
        assert_eq!(OfHost::of(&host).pressure, [false, true, false]);
    }
}
