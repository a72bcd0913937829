//! Which fields of the kernel's structs the programs read: one table, each required or optional.
//!
//! A missing required field disables the probes that need its group, with a reason.

use agent_common::settings::{ABSENT, SockOffsets, TaskOffsets};

use super::btf::Types;

/// Every struct that is looked into.
pub const STRUCTS: &[&str] = &[
    "sock",
    "tcp_sock",
    "inet_connection_sock",
    "unix_sock",
    "socket",
    "file",
    "inode",
    "task_struct",
    "mm_struct",
    "files_struct",
    "fdtable",
    "signal_struct",
    "css_set",
    "cgroup_subsys_state",
    "cgroup_subsys_id",
    "cgroup",
    "kernfs_node",
];

/// What needs a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Every tier of capture.
    Capture,
    /// The walk from a descriptor to its socket, for tier 3.
    Walk,
    /// Process events.
    Life,
    /// Nothing stops without it.
    Optional,
}

/// A field that this kernel does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Its struct.
    pub of: &'static str,
    /// Its path.
    pub path: &'static str,
    /// What stops without it.
    pub need: Need,
}

macro_rules! table {
    ($types:ident, $missing:ident, $kind:ident { $($field:ident: $of:literal . $path:literal $need:ident,)* } $($more:ident: $value:expr,)*) => {
        $kind {
            $($field: $types.offset($of, $path).unwrap_or_else(|| {
                $missing.push(Missing { of: $of, path: $path, need: Need::$need });
                ABSENT
            }),)*
            $($more: $value,)*
        }
    };
}

/// Where the fields stand in this kernel, and which it does not have.
pub fn resolve(types: &Types) -> (SockOffsets, TaskOffsets, Vec<Missing>) {
    let mut missing = Vec::new();
    let sock = table!(types, missing, SockOffsets {
        family: "sock"."__sk_common.skc_family" Capture,
        state: "sock"."__sk_common.skc_state" Optional,
        num: "sock"."__sk_common.skc_num" Capture,
        dport: "sock"."__sk_common.skc_dport" Capture,
        daddr: "sock"."__sk_common.skc_daddr" Capture,
        v6_daddr: "sock"."__sk_common.skc_v6_daddr" Optional,
        protocol: "sock"."sk_protocol" Capture,
        kind: "sock"."sk_type" Capture,
        err: "sock"."sk_err" Capture,
        write_seq: "tcp_sock"."write_seq" Capture,
        copied_seq: "tcp_sock"."copied_seq" Capture,
        rcv_nxt: "tcp_sock"."rcv_nxt" Optional,
        queued: "sock"."sk_receive_queue.qlen" Optional,
        lrcvtime: "inet_connection_sock"."icsk_ack.lrcvtime" Optional,
        unix_peer: "unix_sock"."peer" Optional,
        socket_sk: "socket"."sk" Walk,
        file_private: "file"."private_data" Walk,
        file_inode: "file"."f_inode" Walk,
        inode_mode: "inode"."i_mode" Walk,
    });
    let task = table!(types, missing, TaskOffsets {
        tgid: "task_struct"."tgid" Life,
        pid: "task_struct"."pid" Optional,
        parent: "task_struct"."real_parent" Life,
        started: "task_struct"."start_boottime" Life,
        mm: "task_struct"."mm" Life,
        arg_start: "mm_struct"."arg_start" Optional,
        arg_end: "mm_struct"."arg_end" Optional,
        env_start: "mm_struct"."env_start" Optional,
        env_end: "mm_struct"."env_end" Optional,
        files: "task_struct"."files" Walk,
        fdt: "files_struct"."fdt" Walk,
        fd: "fdtable"."fd" Walk,
        max_fds: "fdtable"."max_fds" Walk,
        live: "signal_struct"."live" Life,
        signal: "task_struct"."signal" Life,
        voluntary: "task_struct"."nvcsw" Optional,
        groups: "task_struct"."cgroups" Optional,
        groups_unified: "css_set"."dfl_cgrp" Optional,
        css_group: "cgroup_subsys_state"."cgroup" Optional,
        group_node: "cgroup"."kn" Optional,
        node_name: "kernfs_node"."name" Optional,
    }
        groups_pids: controller(types, "pids_cgrp_id"),
        node_parent: ["__parent", "parent"]
            .into_iter()
            .find_map(|field| types.offset("kernfs_node", field))
            .unwrap_or(ABSENT),
        reserved: 0,
    );
    (sock, task, missing)
}

/// Where a task's control group of a controller stands in its set.
pub(super) fn controller(types: &Types, id: &str) -> u32 {
    let ids = types.values("cgroup_subsys_id");
    let id = ids.iter().find(|(name, _)| *name == id).map(|(_, id)| *id);
    let array = types.offset("css_set", "subsys");
    array.zip(id).map_or(ABSENT, |(array, id)| array + id * 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_required_field_of_the_running_kernel() {
        let path = std::path::Path::new("/sys/kernel/btf/vmlinux");
        if !path.exists() {
            println!("left out: this kernel has no BTF");
            return;
        }
        let types = Types::read(path, STRUCTS, &["tcp_recvmsg"]).unwrap();
        let (sock, _, missing) = resolve(&types);
        assert_eq!(missing, []);
        assert_eq!(sock.family, 16);
        assert!(types.parameters("tcp_recvmsg").is_some());
    }
}
