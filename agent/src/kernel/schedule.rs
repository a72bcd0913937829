//! The scheduler's view: attaches its programs, and reads what threads have gone through.
//!
//! Its storage is of a kind that kernels before 5.11 do not know and refuse with the whole object:
//! there the object is given another kind ([`without_task_storage`]), and the programs stay out.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;

use agent_common::schedule::{Calls, ScheduleOffsets, ScheduleWish, ThreadRow};
use agent_common::settings::ABSENT;
use aya::{
    Btf, Ebpf,
    maps::{Array, MapData, RingBuf},
    programs::{BtfTracePoint, Iter},
    util::KernelVersion,
};

use super::btf::Types;
use super::probe::{Report, State};
use super::sweep;
use crate::usage::{Families, Family, Reason};

/// The programs, in the order they are attached: what makes the storage comes before what needs it.
const PROGRAMS: &[(&str, &str, &str)] = &[
    ("threads", "task", "waits on run queues and time off the processor"),
    ("thread_made", "sched_process_fork", "the first moments of new threads"),
    ("switch", "sched_switch", "waits on run queues and time off the processor, each by itself"),
];

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
    pub(crate) fn new(types: &Types, families: Families, empty: bool) -> Self {
        let (offsets, missing) = resolve(types);
        let on = |family| u32::from(families.has(family));
        let wish = ScheduleWish {
            off: on(Family::OffCpu) | on(Family::Locks),
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
fn has_task_storage() -> bool {
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
    let (iowait, iowait_mask) = types
        .bit("task_struct", "in_iowait")
        .map_or((ABSENT, 0), |bit| (bit / 8, 1 << (bit % 8)));
    let held = [
        "throttled_clock_self_time",
        "throttled_clock_pelt_time",
        "throttled_clock_task_time",
    ];
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
        groups_pids: types
            .offset("css_set", "subsys")
            .zip(types.enumerator("cgroup_subsys_id", "pids_cgrp_id"))
            .map_or(ABSENT, |(at, index)| at + 8 * index),
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

/// Threads and their last words; detaches nothing when dropped, the kernel side does.
pub struct Threads {
    link: OwnedFd,
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
    let mut told = |name, hook, loss, state| reports.push(Report { name, hook, loss, state });
    if let Some(why) = &plan.out {
        for (name, hook, loss) in PROGRAMS.iter().copied() {
            told(name, hook, loss, State::Disabled { why: why.clone() });
        }
        return Err(Reason::Disabled(why.clone().into()));
    }
    let mut link = None;
    let mut failed = None;
    for (name, hook, loss) in PROGRAMS.iter().copied() {
        let outcome = failed.clone().map_or_else(|| one(bpf, btf, name, hook), Err);
        let state = match outcome {
            Ok(attached) => {
                if let Some(attached) = attached {
                    // The threads that are there get their storage before anything looks for it.
                    if let Err(error) = sweep::run(&attached).and_then(|mut all| drain(&mut all)) {
                        failed = Some(format!("cannot look at the threads there are: {error}"));
                    }
                    link = Some(attached);
                }
                State::Active
            }
            Err(why) => {
                failed = Some(why.clone());
                State::Failed { why }
            }
        };
        told(name, hook, loss, state);
    }
    let maps = bpf.take_map("ENDED").zip(bpf.take_map("TELL_ALL"));
    match (failed, link, maps) {
        (None, Some(link), Some((ended, all))) => Ok(Threads {
            link,
            ended: RingBuf::try_from(ended).map_err(|e| Reason::Failed(e.to_string().into()))?,
            all: Array::try_from(all).map_err(|e| Reason::Failed(e.to_string().into()))?,
            rounds: 0,
        }),
        (failed, ..) => {
            Err(Reason::Failed(failed.unwrap_or_else(|| "its maps are missing".to_owned()).into()))
        }
    }
}

fn drain(file: &mut File) -> io::Result<()> {
    io::copy(file, &mut io::sink()).map(drop)
}

fn one(bpf: &mut Ebpf, btf: &Btf, name: &str, hook: &str) -> Result<Option<OwnedFd>, String> {
    let program = bpf.program_mut(name).ok_or("not in the kernel object")?;
    if hook == "task" {
        let program: &mut Iter = program.try_into().map_err(super::load::chain)?;
        program.load(hook, btf).map_err(super::load::chain)?;
        return sweep::link(program).map(Some).map_err(|e| e.to_string());
    }
    let program: &mut BtfTracePoint = program.try_into().map_err(super::load::chain)?;
    program.load(hook, btf).map_err(super::load::chain)?;
    program.attach().map_err(super::load::chain)?;
    Ok(None)
}

/// Rounds after which every thread is told, so that what is kept of threads whose last word was lost
/// is let go.
const ALL_EVERY: u32 = 32;

impl Threads {
    /// Every thread that has run since the last round, then the last words of those that have ended.
    /// True if every thread there is was among them.
    pub fn rows(&mut self, each: &mut dyn FnMut(&ThreadRow)) -> io::Result<bool> {
        let all = self.rounds % ALL_EVERY == ALL_EVERY - 1;
        self.rounds = self.rounds.wrapping_add(1);
        let _ = self.all.set(0, u64::from(all), 0);
        let mut file = sweep::run(&self.link)?;
        let size = size_of::<ThreadRow>();
        let mut chunk = vec![0; size * 128];
        let mut held = 0;
        loop {
            let Some(free) = chunk.get_mut(held..) else { break };
            match file.read(free) {
                Ok(0) => break,
                Ok(n) => held += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            }
            let whole = held - held % size;
            for bytes in chunk.get(..whole).unwrap_or_default().chunks_exact(size) {
                told(bytes, each);
            }
            chunk.copy_within(whole..held, 0);
            held -= whole;
        }
        self.ended(each);
        Ok(all)
    }

    /// The last words alone.
    pub fn ended(&mut self, each: &mut dyn FnMut(&ThreadRow)) {
        while let Some(item) = self.ended.next() {
            told(&item, each);
        }
    }
}

fn told(bytes: &[u8], each: &mut dyn FnMut(&ThreadRow)) {
    if let Ok(row) = <ThreadRow as zerocopy::FromBytes>::read_from_bytes(bytes) {
        each(&row);
    }
}
