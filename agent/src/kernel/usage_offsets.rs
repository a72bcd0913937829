//! Which fields USE from kernel events reads: one table, each with the family that needs it.

use agent_common::{drops::REASONS, settings::ABSENT, usage::EventOffsets};

use super::btf::Types;
use super::offsets;
use crate::usage::Family;

/// Every struct and enumeration that is looked into, beside those of [`super::offsets`].
pub(crate) const STRUCTS: &[&str] = &["request", "request_queue", "gendisk", "skb_drop_reason"];

/// What this kernel has.
pub(crate) struct Events {
    /// Where the fields stand.
    pub(crate) at: EventOffsets,
    /// Fields it does not have, and the families that cannot do without.
    pub(crate) missing: Vec<(Family, &'static str, &'static str)>,
    /// The names of reasons to drop a packet, by number.
    pub(crate) reasons: Vec<Box<str>>,
}

macro_rules! table {
    ($types:ident, $missing:ident { $($field:ident: $of:literal . $path:literal $($need:ident)?,)* } $($more:ident: $value:expr,)*) => {
        EventOffsets {
            $($field: $types.offset($of, $path).unwrap_or_else(|| {
                $($missing.push((Family::$need, $of, $path));)?
                ABSENT
            }),)*
            $($more: $value,)*
        }
    };
}

/// Where the fields stand in this kernel, and which it does not have.
pub(crate) fn resolve(types: &Types) -> Events {
    let mut missing = Vec::new();
    let mut at = table!(types, missing {
        tgid: "task_struct"."tgid" Memory,
        group_leader: "task_struct"."group_leader" Memory,
        started: "task_struct"."start_boottime" Memory,
        mm: "task_struct"."mm" Memory,
        comm: "task_struct"."comm" Memory,
        cgroups: "task_struct"."cgroups",
        cgroup: "cgroup_subsys_state"."cgroup",
        node: "cgroup"."kn",
        node_id: "kernfs_node"."id",
        node_name: "kernfs_node"."name",
        request_queue: "request"."q" Disk,
        request_disk: "request"."rq_disk",
        queue_disk: "request_queue"."disk",
        request_flags: "request"."cmd_flags" Disk,
        request_len: "request"."__data_len" Disk,
        request_made: "request"."start_time_ns" Disk,
        request_issued: "request"."io_start_time_ns" Disk,
        major: "gendisk"."major" Disk,
        minor: "gendisk"."first_minor" Disk,
        disk_name: "gendisk"."disk_name" Disk,
        backlog: "sock"."sk_ack_backlog" Tcp,
        max_backlog: "sock"."sk_max_ack_backlog" Tcp,
        drops: "sock"."sk_drops" Tcp,
        bytes_sent: "tcp_sock"."bytes_sent" Tcp,
        bytes_retrans: "tcp_sock"."bytes_retrans" Tcp,
        bytes_received: "tcp_sock"."bytes_received" Tcp,
        total_retrans: "tcp_sock"."total_retrans" Tcp,
        srtt: "tcp_sock"."srtt_us" Tcp,
        delivered: "tcp_sock"."delivered" Tcp,
        socket: "sock"."sk_socket",
    }
        memory: offsets::controller(types, "memory_cgrp_id"),
        accept_parameters: types.parameters("inet_csk_accept").unwrap_or(0),
        issue_parameters: types.arguments("block_rq_issue").unwrap_or(1),
        victim_task: u32::from(types.arguments("mark_victim").is_some_and(|n| n > 1)),
        reserved: 0,
        reserved2: 0,
    );
    if at.queue_disk == ABSENT && at.request_disk == ABSENT {
        missing.push((Family::Disk, "request", "rq_disk"));
    }
    for (family, needed) in [
        (Family::Tcp, at.tgid | at.started | at.group_leader | at.mm),
        (Family::Memory, at.tgid | at.started | at.group_leader | at.mm),
    ] {
        if needed == ABSENT && !missing.iter().any(|m| m.0 == family) {
            missing.push((family, "task_struct", "group_leader"));
        }
    }
    if [at.cgroups, at.cgroup, at.node, at.node_id, at.node_name].contains(&ABSENT) {
        at.memory = ABSENT;
    }
    Events { at, missing, reasons: reasons(types) }
}

/// The names of reasons, lower case and without what all have in common.
fn reasons(types: &Types) -> Vec<Box<str>> {
    let values = types.values("skb_drop_reason");
    let end = values.iter().find(|(name, _)| *name == "SKB_DROP_REASON_MAX");
    let end = end.map_or(REASONS, |(_, end)| *end).min(REASONS - 1);
    let mut names = vec![Box::from(""); if values.is_empty() { 0 } else { end as usize }];
    for (name, value) in values {
        if let Some(place) = names.get_mut(value as usize) {
            let short = name.strip_prefix("SKB_DROP_REASON_").or(name.strip_prefix("SKB_"));
            *place = short.unwrap_or(name).to_ascii_lowercase().into();
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_needed_field_of_the_running_kernel() {
        let path = std::path::Path::new("/sys/kernel/btf/vmlinux");
        if !path.exists() {
            println!("left out: this kernel has no BTF");
            return;
        }
        let structs = [super::super::offsets::STRUCTS, STRUCTS].concat();
        let types = Types::read(path, &structs, &["inet_csk_accept"]).unwrap();
        let events = resolve(&types);
        assert_eq!(events.missing, []);
        if types.arguments("kfree_skb").is_some_and(|n| n > 2) {
            assert!(events.reasons.iter().any(|name| &**name == "no_socket"));
        }
        assert_eq!(types.arguments("tcp_receive_reset"), Some(1));
    }
}
