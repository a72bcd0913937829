//! The programs of USE: which hook, which family, how each fares. A program that cannot be had costs
//! its family alone, and says why.

use aya::{Btf, Ebpf, util::KernelVersion};

use super::{
    btf::Types,
    load::{attach_to, chain},
    probe::{Hook, Report, State},
    sweep::Sweep,
    usage_tables::UsageTables,
};
use crate::usage::{Families, Family};

/// Kernel functions whose exits are hooked.
pub(crate) const FUNCTIONS: &[&str] = &["inet_csk_accept"];

/// One program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) hook: Hook,
    pub(crate) family: Family,
    /// The least kernel, where it is not the agent's own.
    pub(crate) floor: Option<(u8, u8)>,
    /// Arguments that the hook must have.
    pub(crate) arguments: u32,
    pub(crate) loss: &'static str,
}

const fn on(
    name: &'static str,
    tracepoint: &'static str,
    family: Family,
    loss: &'static str,
) -> Program {
    Program { name, hook: Hook::Tracepoint(tracepoint), family, floor: None, arguments: 0, loss }
}

const fn of_tcp(name: &'static str, hook: Hook, loss: &'static str) -> Program {
    // Socket storage from tracing programs.
    Program { name, hook, family: Family::Tcp, floor: Some((5, 11)), arguments: 0, loss }
}

/// Every program there is.
pub(crate) const ALL: &[Program] = &[
    on("block_issue", "block_rq_issue", Family::Disk, "queue and device time of some devices"),
    on("block_complete", "block_rq_complete", Family::Disk, "latency and failures of devices"),
    on("reclaim_begin", "mm_vmscan_direct_reclaim_begin", Family::Memory, "reclaim stalls"),
    on("reclaim_end", "mm_vmscan_direct_reclaim_end", Family::Memory, "reclaim stalls"),
    on(
        "cgroup_reclaim_begin",
        "mm_vmscan_memcg_reclaim_begin",
        Family::Memory,
        "reclaim stalls at the limits of control groups",
    ),
    on(
        "cgroup_reclaim_end",
        "mm_vmscan_memcg_reclaim_end",
        Family::Memory,
        "reclaim stalls at the limits of control groups",
    ),
    on("compaction_begin", "mm_compaction_begin", Family::Memory, "compaction stalls"),
    on("compaction_end", "mm_compaction_end", Family::Memory, "compaction stalls"),
    on("oom_victim", "mark_victim", Family::Memory, "who is killed for want of memory"),
    on("machine_check", "mce_record", Family::Memory, "machine checks"),
    on("memory_error", "mc_event", Family::Memory, "errors of memory modules"),
    Program {
        arguments: 3,
        ..on("packet_drop", "kfree_skb", Family::Network, "why packets are dropped")
    },
    of_tcp(
        "tcp_state",
        Hook::Tracepoint("inet_sock_set_state"),
        "bytes, retransmits and round trips by process",
    ),
    of_tcp(
        "tcp_sweep",
        Hook::Iterator("bpf_sk_storage_map", "TCP_SOCKS"),
        "accept queues, and what long connections did before they end",
    ),
    of_tcp(
        "tcp_adopt",
        Hook::Iterator("task_file", ""),
        "connections and listeners that are older than the agent",
    ),
    of_tcp("tcp_accept", Hook::Exit("inet_csk_accept"), "time from established to accepted"),
    of_tcp("tcp_synack", Hook::Tracepoint("tcp_retransmit_synack"), "SYN-ACKs sent again"),
    of_tcp("tcp_reset_sent", Hook::Tracepoint("tcp_send_reset"), "resets sent"),
    of_tcp("tcp_reset_received", Hook::Tracepoint("tcp_receive_reset"), "resets received"),
];

/// What is to be loaded, and why not what is not.
pub(crate) type Plan = Vec<(Program, Result<(), State>)>;

/// Which programs this kernel can have.
pub(crate) fn plan(
    types: &Types,
    missing: &[(Family, &'static str, &'static str)],
    families: Families,
) -> Plan {
    let version = KernelVersion::current().ok();
    let verdict = |program: &Program| {
        let disabled = |why: String| Err(State::Disabled { why });
        if !families.has(program.family) {
            return disabled(format!("the family {} is off", program.family.name()));
        }
        let there = match program.hook {
            Hook::Tracepoint(name) => types.arguments(name),
            Hook::Exit(name) => types.parameters(name),
            Hook::Iterator(..) => Some(0),
        };
        let Some(arguments) = there else {
            return disabled("this kernel does not have the hook".to_owned());
        };
        if arguments < program.arguments {
            return disabled("the hook tells less in this kernel".to_owned());
        }
        if let Some(((major, minor), version)) = program.floor.zip(version)
            && version < KernelVersion::new(major, minor, 0)
        {
            return disabled(format!("needs kernel {major}.{minor}"));
        }
        if let Some((_, of, path)) = missing.iter().find(|(family, ..)| *family == program.family) {
            return Err(State::Failed { why: format!("this kernel has no {of}.{path}") });
        }
        Ok(())
    };
    ALL.iter().map(|program| (*program, verdict(program))).collect()
}

/// Whether the state of TCP sockets is kept.
pub(crate) fn keeps_sockets(plan: &Plan) -> bool {
    plan.iter().any(|(program, planned)| program.name == "tcp_state" && planned.is_ok())
}

/// Loads and attaches what is planned, says how each program fares, and gives the tables.
pub(crate) fn attach(
    bpf: &mut Ebpf,
    btf: &Btf,
    plan: &Plan,
    reasons: Vec<Box<str>>,
    reports: &mut Vec<Report>,
) -> UsageTables {
    let mut tables = UsageTables::new(reasons);
    let from = reports.len();
    for (program, planned) in plan {
        let outcome = planned.clone().and_then(|()| {
            start(bpf, btf, program, &mut tables).map_err(|why| refused(program.hook, why))
        });
        reports.push(Report {
            name: program.name,
            hook: program.hook.name(),
            loss: program.loss,
            state: outcome.err().unwrap_or(State::Active),
        });
    }
    tables.open(bpf, reports.get(from..).unwrap_or_default());
    tables
}

/// A host that lets nobody hook functions refuses so without a word of the verifier: nothing is broken.
fn refused(hook: Hook, why: String) -> State {
    if matches!(hook, Hook::Exit(_)) && why.contains("Operation not permitted") {
        let why = "this host does not let programs hook functions".to_owned();
        return State::Disabled { why };
    }
    State::Failed { why }
}

fn start(
    bpf: &mut Ebpf,
    btf: &Btf,
    program: &Program,
    tables: &mut UsageTables,
) -> Result<(), String> {
    attach_to(bpf, btf, program.name, program.hook)?;
    match program.hook {
        Hook::Iterator(_, "") => {
            let mut walk = Sweep::attach_plain(bpf, program.name).map_err(chain)?;
            walk.rows(|_| ()).map_err(chain)
        }
        Hook::Iterator(_, map) => {
            tables.sweep(program.name, Sweep::attach(bpf, program.name, map).map_err(chain)?);
            Ok(())
        }
        Hook::Tracepoint(_) | Hook::Exit(_) => Ok(()),
    }
}
