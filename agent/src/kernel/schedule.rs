//! The scheduler's view: attaches its programs, and reads what threads have gone through.
//!
//! Its storage is of a kind that kernels before 5.11 do not know and refuse with the whole object:
//! there the object is given another kind ([`without_task_storage`]), and the programs stay out.

use std::io;

use agent_common::schedule::{Calls, ScheduleOffsets, ScheduleWish};
use agent_common::settings::ABSENT;
use aya::{
    Btf, Ebpf,
    maps::{Array, MapData, RingBuf},
    util::KernelVersion,
};

use super::btf::Types;
use super::load::attach_to;
use super::offsets;
use super::probe::{Hook, Report, State};
use super::sweep::Sweep;
use crate::usage::{Families, Family, Reason};

/// The programs, in the order they are attached: what makes the storage of new threads, then of those
/// that are there, comes before what needs it.
const PROGRAMS: &[(&str, Hook, &str)] = &[
    (
        "thread_made",
        Hook::Tracepoint("sched_process_fork"),
        "what new threads go through before they are first collected",
    ),
    (
        "threads",
        Hook::Iterator("task", ""),
        "waits on run queues, switches and time off the processor",
    ),
    (
        "switch",
        Hook::Tracepoint("sched_switch"),
        "waits on run queues and time off the processor, each by itself",
    ),
];

/// Every struct and enumeration that is looked into, beside those of [`super::offsets`].
pub(crate) const STRUCTS: &[&str] = &["cfs_rq", "rq"];

/// Kernel functions that are looked for.
pub(crate) const FUNCTIONS: &[&str] = &["bpf_task_pt_regs"];

/// What the programs are told before they are loaded, or why they stay out.
pub(crate) struct Plan {
    pub(crate) offsets: ScheduleOffsets,
    pub(crate) wish: ScheduleWish,
    pub(crate) calls: Calls,
    /// Why nothing of it is loaded.
    pub(crate) out: Option<String>,
}

impl Plan {
    /// For the families that are on, on the kernel of these types.
    /// `why`: requests are to be told what their threads waited for, where the family is on anyway.
    pub(crate) fn new(types: &Types, families: Families, why: bool, empty: bool) -> Self {
        let (offsets, missing) = resolve(types);
        let on = |family| u32::from(families.has(family));
        let wish = ScheduleWish {
            off: on(Family::OffCpu)
                | on(Family::Locks)
                | u32::from(why && families.has(Family::Scheduler)),
            locks: on(Family::Locks),
            empty: u32::from(empty),
            reserved: 0,
        };
        let wanted = families.has(Family::Scheduler) || wish.off != 0;
        let out = if !wanted {
            Some("no family that is on needs it".to_owned())
        } else if !has_task_storage() {
            Some("this kernel keeps no storage with threads (5.11 does)".to_owned())
        } else if wish.off != 0 && types.parameters("bpf_task_pt_regs").is_none() {
            Some("this kernel does not tell programs a thread's registers (5.15 does)".to_owned())
        } else {
            missing.map(|field| format!("this kernel has no {field}"))
        };
        Self { offsets, wish, calls: Calls::HOST, out }
    }
}

/// Whether `BPF_MAP_TYPE_TASK_STORAGE` is known: since 5.11.
pub(crate) fn has_task_storage() -> bool {
    KernelVersion::current().is_ok_and(|version| version >= KernelVersion::new(5, 11, 0))
}

/// Where everything stands, and the first field without which nothing works.
pub(crate) fn resolve(types: &Types) -> (ScheduleOffsets, Option<&'static str>) {
    let mut missing = None;
    let optional = |of: &str, path: &str| types.offset(of, path).unwrap_or(ABSENT);
    let mut needed = |of: &str, paths: &[&str], name: &'static str| {
        paths.iter().find_map(|path| types.offset(of, path)).unwrap_or_else(|| {
            missing = missing.or(Some(name));
            ABSENT
        })
    };
    macro_rules! task {
        ($first:literal $(, $more:literal)*) => {
            needed("task_struct", &[$first $(, $more)*], concat!("task_struct.", $first))
        };
    }
    let (iowait, iowait_mask) =
        types.bit("task_struct", "in_iowait").map_or((ABSENT, 0), |bit| (bit / 8, 1 << (bit % 8)));
    let held =
        ["throttled_clock_self_time", "throttled_clock_pelt_time", "throttled_clock_task_time"];
    let offsets = ScheduleOffsets {
        pid: task!("pid"),
        tgid: task!("tgid"),
        flags: task!("flags"),
        state: task!("__state", "state"),
        born: task!("start_boottime"),
        leader: task!("group_leader"),
        voluntary: task!("nvcsw"),
        involuntary: task!("nivcsw"),
        delay: task!("sched_info.run_delay"),
        arrival: task!("sched_info.last_arrival"),
        ran: task!("se.sum_exec_runtime"),
        migrations: task!("se.nr_migrations"),
        queue: task!("se.cfs_rq"),
        queue_rq: needed("cfs_rq", &["rq"], "cfs_rq.rq"),
        rq_clock: needed("rq", &["clock"], "rq.clock"),
        queue_throttled: optional("cfs_rq", "throttle_count"),
        queue_held: held.into_iter().find_map(|f| types.offset("cfs_rq", f)).unwrap_or(ABSENT),
        groups: task!("cgroups"),
        groups_unified: needed("css_set", &["dfl_cgrp"], "css_set.dfl_cgrp"),
        groups_pids: offsets::controller(types, "pids_cgrp_id"),
        css_group: needed("cgroup_subsys_state", &["cgroup"], "cgroup_subsys_state.cgroup"),
        group_node: needed("cgroup", &["kn"], "cgroup.kn"),
        node_id: needed("kernfs_node", &["id"], "kernfs_node.id"),
        iowait: if iowait == ABSENT { task!("in_iowait") } else { iowait },
        iowait_mask,
        files: task!("files"),
        fdt: needed("files_struct", &["fdt"], "files_struct.fdt"),
        fd: needed("fdtable", &["fd"], "fdtable.fd"),
        max_fds: needed("fdtable", &["max_fds"], "fdtable.max_fds"),
        file_inode: needed("file", &["f_inode"], "file.f_inode"),
        inode_mode: needed("inode", &["i_mode"], "inode.i_mode"),
        reserved: 0,
    };
    (offsets, missing)
}

/// Threads and their last words.
pub(crate) struct Threads {
    sweep: Sweep,
    ended: RingBuf<MapData>,
    all: Array<MapData, u64>,
    rounds: u32,
}

/// Loads and attaches what `plan` says, with a report for each program.
pub(crate) fn attach(
    bpf: &mut Ebpf,
    btf: &Btf,
    plan: &Plan,
    reports: &mut Vec<Report>,
) -> Result<Threads, Reason> {
    let mut told = |hook: Hook, name, loss, state| {
        reports.push(Report { name, hook: hook.name(), loss, state });
    };
    if let Some(why) = &plan.out {
        for (name, hook, loss) in PROGRAMS.iter().copied() {
            told(hook, name, loss, State::Disabled { why: why.clone() });
        }
        return Err(Reason::Disabled(why.clone().into()));
    }
    let unusable = |e: aya::maps::MapError| Reason::Failed(e.to_string().into());
    let foreign = || Reason::Failed("agent and kernel object are of different builds".into());
    let ended = bpf.take_map("ENDED").ok_or_else(foreign)?;
    let all = bpf.take_map("TELL_ALL").ok_or_else(foreign)?;
    let ended = RingBuf::try_from(ended).map_err(unusable)?;
    let mut all: Array<MapData, u64> = Array::try_from(all).map_err(unusable)?;
    all.set(0, FIRST, 0).map_err(unusable)?;
    let (mut sweep, mut failed) = (None, None::<String>);
    for (name, hook, loss) in PROGRAMS.iter().copied() {
        let outcome = failed.clone().map_or_else(|| attach_to(bpf, btf, name, hook), Err);
        let outcome = outcome.and_then(|()| {
            if matches!(hook, Hook::Iterator(..)) {
                // The threads that are there get their storage before anything looks for it.
                let mut threads = Sweep::attach_plain(bpf, name).map_err(|e| e.to_string())?;
                threads.rows(|_| ()).map_err(|e| e.to_string())?;
                sweep = Some(threads);
            }
            Ok(())
        });
        failed = outcome.err();
        let state = failed.clone().map_or(State::Active, |why| State::Failed { why });
        told(hook, name, loss, state);
    }
    if let Some(why) = failed {
        return Err(Reason::Failed(why.into()));
    }
    let sweep = sweep.ok_or_else(foreign)?;
    Ok(Threads { sweep, ended, all, rounds: 0 })
}

/// In `TELL_ALL`: threads that are met now were there before anybody watched.
const FIRST: u64 = 2;

/// Rounds after which every thread is told, so that what is kept of threads whose last word was lost
/// is let go.
const ALL_EVERY: u32 = 32;

impl Threads {
    /// Every thread that has run since the last round, then the last words of those that have ended.
    /// The key of a row is 1 if every thread there is is among them.
    pub(crate) fn rows(&mut self, each: &mut dyn FnMut(&[u8], &[u8])) -> io::Result<()> {
        let Self { sweep, ended, all, rounds } = self;
        let everyone = *rounds % ALL_EVERY == ALL_EVERY - 1;
        *rounds = rounds.wrapping_add(1);
        // If it cannot be set, the round is one of the common kind, and says so.
        let everyone = all.set(0, u64::from(everyone), 0).is_ok() && everyone;
        sweep.rows(|row| each(&[u8::from(everyone)], row))?;
        ended_rows(ended, each);
        Ok(())
    }

    /// The last words alone, to make room for more.
    pub(crate) fn ended(&mut self, each: &mut dyn FnMut(&[u8], &[u8])) {
        ended_rows(&mut self.ended, each);
    }
}

fn ended_rows(ring: &mut RingBuf<MapData>, each: &mut dyn FnMut(&[u8], &[u8])) {
    while let Some(item) = ring.next() {
        each(&[0], &item);
    }
}

/// `object` for a kernel that does not know storage of tasks: the maps of that kind become storage of
/// sockets, which is declared the same way and never used. None if they are not found.
///
/// A map's kind stands in the object as the length of an array type: 29 for tasks, 24 for sockets.
pub(crate) fn without_task_storage(object: &[u8]) -> Option<Vec<u8>> {
    const ARRAY: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0];
    let of_tasks = |record: &[u8]| {
        record.starts_with(&ARRAY) && record.get(20..24) == Some(&29u32.to_le_bytes())
    };
    let mut found = object.windows(24).enumerate().filter(|(_, record)| of_tasks(record));
    let (at, _) = found.next()?;
    if found.next().is_some() {
        return None;
    }
    let mut object = object.to_vec();
    object.get_mut(at + 20..at + 24)?.copy_from_slice(&24u32.to_le_bytes());
    Some(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_of_tasks_can_be_taken_out_of_the_object() {
        let Some(object) = crate::KERNEL_OBJECT else {
            println!("left out: this build has no kernel programs");
            return;
        };
        let changed = without_task_storage(object).unwrap();
        let differing = object.iter().zip(&changed).filter(|(a, b)| a != b).count();
        assert_eq!((changed.len(), differing), (object.len(), 1));
        assert_eq!(without_task_storage(&changed), None);
    }

    #[test]
    fn finds_every_needed_field_of_the_running_kernel() {
        let path = std::path::Path::new("/sys/kernel/btf/vmlinux");
        if !path.exists() {
            println!("left out: this kernel has no BTF");
            return;
        }
        let structs = [super::super::offsets::STRUCTS, STRUCTS].concat();
        let types = Types::read(path, &structs, &[]).unwrap();
        let (offsets, missing) = resolve(&types);
        assert_eq!(missing, None);
        assert_ne!(offsets.iowait_mask, 0);
    }
}
