//! What the kernel side's tables of USE have in common: whose a row is, and how a distribution stands
//! in one.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::histogram::NANOS;

/// A process, told apart from others that had or will have its id.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct OwnerKey {
    /// Its id; 0 is nobody.
    pub tgid: u32,
    /// Keeps the layout free of holes.
    pub reserved: u32,
    /// When its first thread began, in nanoseconds of the boot-time clock; 0 where only the id is known.
    pub started: u64,
}

/// A distribution of nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Spread {
    /// Their sum.
    pub sum: u64,
    /// By bucket of [`NANOS`].
    pub counts: [u64; NANOS.len],
}

impl Default for Spread {
    fn default() -> Self {
        Self { sum: 0, counts: [0; NANOS.len] }
    }
}

impl Spread {
    /// What was recorded after `before`, an earlier state of this. Both may have wrapped.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let mut since = *self;
        since.sum = since.sum.wrapping_sub(before.sum);
        for (now, then) in since.counts.iter_mut().zip(&before.counts) {
            *now = now.wrapping_sub(*then);
        }
        since
    }

    /// Adds what `other` holds.
    pub fn merge(&mut self, other: &Self) {
        self.sum = self.sum.wrapping_add(other.sum);
        for (held, more) in self.counts.iter_mut().zip(&other.counts) {
            *held = held.wrapping_add(*more);
        }
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, n| sum.wrapping_add(*n))
    }
}

/// Where fields of the kernel's structs stand, as far as USE from kernel events reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct EventOffsets {
    /// `task_struct.tgid`
    pub tgid: u32,
    /// `task_struct.group_leader`
    pub group_leader: u32,
    /// `task_struct.start_boottime`
    pub started: u32,
    /// `task_struct.mm`
    pub mm: u32,
    /// `task_struct.comm`
    pub comm: u32,
    /// `task_struct.cgroups`
    pub cgroups: u32,
    /// `css_set.subsys`, at the memory controller.
    pub memory: u32,
    /// `cgroup_subsys_state.cgroup`
    pub cgroup: u32,
    /// `cgroup.kn`
    pub node: u32,
    /// `kernfs_node.id`
    pub node_id: u32,
    /// `kernfs_node.name`
    pub node_name: u32,
    /// `request.q`
    pub request_queue: u32,
    /// `request.rq_disk`, before 5.17.
    pub request_disk: u32,
    /// `request_queue.disk`, from 5.15 on.
    pub queue_disk: u32,
    /// `request.cmd_flags`
    pub request_flags: u32,
    /// `request.__data_len`
    pub request_len: u32,
    /// `request.start_time_ns`
    pub request_made: u32,
    /// `request.io_start_time_ns`
    pub request_issued: u32,
    /// `gendisk.major`
    pub major: u32,
    /// `gendisk.first_minor`
    pub minor: u32,
    /// `gendisk.disk_name`
    pub disk_name: u32,
    /// `sock.sk_ack_backlog`
    pub backlog: u32,
    /// `sock.sk_max_ack_backlog`
    pub max_backlog: u32,
    /// `sock.sk_drops`
    pub drops: u32,
    /// `tcp_sock.bytes_sent`
    pub bytes_sent: u32,
    /// `tcp_sock.bytes_retrans`
    pub bytes_retrans: u32,
    /// `tcp_sock.bytes_received`
    pub bytes_received: u32,
    /// `tcp_sock.total_retrans`
    pub total_retrans: u32,
    /// `tcp_sock.srtt_us`
    pub srtt: u32,
    /// `tcp_sock.delivered`
    pub delivered: u32,
    /// `sock.sk_socket`
    pub socket: u32,
    /// Keeps the size a multiple of eight.
    pub reserved2: u32,
    /// Parameters of `inet_csk_accept`: 4 before 6.10, then 2.
    pub accept_parameters: u32,
    /// Parameters of `block_rq_issue`: the queue and the request before 5.11, then the request.
    pub issue_parameters: u32,
    /// Keeps the size a multiple of eight.
    pub reserved: u32,
    /// Not 0 where `mark_victim` hands over the task (6.8 and newer), else the id alone.
    pub victim_task: u32,
}
