//! The family `scheduler`: waiting for a processor, by process, control group and host.
//!
//! Where the kernel side cannot tell (before 5.11), the kernel's own totals remain: of the host from
//! `/proc/schedstat`, of the few processes that are told by themselves from their threads' `schedstat`.

mod parse;

use agent_common::schedule::{TAKERS, Taker};

use super::threads::{Shared, Sum, add, add_waits, label};
use super::{Amount, Family, Labels, Owner, Probe, ProcKey, Reason, Sink, Tables};
use crate::host::{Anchor, HostRoot};
use crate::metric::instrument::scheduler as instrument;
use crate::metric::key;

/// Threads that are read of one process.
const THREADS: usize = 256;
/// Bytes of `/proc/schedstat`: some lines a processor.
const FILE: usize = 1 << 20;

/// Reads the family.
#[derive(Debug)]
pub struct Scheduler {
    threads: Shared,
    wanted: Vec<ProcKey>,
    labels: Fixed,
}

#[derive(Debug)]
struct Fixed {
    none: Labels,
    contention: Labels,
    quota: Labels,
    voluntary: Labels,
    involuntary: Labels,
    takers: [Labels; TAKERS],
}

/// What is missing where the kernel side does not tell.
const DISTRIBUTION: &str = "waits one by one, switches and pre-emptions";

impl Scheduler {
    /// Shares `threads` with the families that tell other parts of it.
    pub fn new(threads: &Shared) -> Self {
        let taker = |taker: Taker| {
            label(
                key::STETH_PREEMPTED_BY,
                match taker {
                    Taker::Same => "same_group",
                    Taker::Other => "other_group",
                    Taker::Kernel => "kernel",
                    Taker::Quota => "quota",
                },
            )
        };
        Self {
            threads: threads.clone(),
            wanted: Vec::new(),
            labels: Fixed {
                none: Labels::from([]),
                contention: label(key::STETH_RUN_QUEUE_CAUSE, "contention"),
                quota: label(key::STETH_RUN_QUEUE_CAUSE, "quota"),
                voluntary: label(key::PROCESS_CONTEXT_SWITCH_TYPE, "voluntary"),
                involuntary: label(key::PROCESS_CONTEXT_SWITCH_TYPE, "involuntary"),
                takers: Taker::ALL.map(taker),
            },
        }
    }

    fn files(&self, host: &HostRoot, into: &mut Sink) -> Result<(), Reason> {
        let why = "this kernel does not tell how long threads wait (CONFIG_SCHED_INFO)";
        let content = host.read("proc/schedstat", FILE).ok();
        let total = content.and_then(|content| parse::waited_of_processors(&content.bytes));
        let total = total.ok_or(Reason::Disabled(why.into()))?;
        let (time, labels) = (&instrument::STETH_CPU_RUN_QUEUE_TIME, &self.labels.contention);
        into.put(&Owner::Host, time, labels, Amount::total(total));
        for process in &self.wanted {
            let tasks = format!("proc/{}/task", process.pid.0);
            let Ok(names) = host.names(&tasks, THREADS) else { continue };
            let mut line = [0; 96];
            let mut waited = 0;
            for name in names {
                let read = host.peek(format!("{tasks}/{name}/schedstat"), &mut line);
                let bytes = read.ok().and_then(|len| line.get(..len)).unwrap_or_default();
                waited += parse::waited_of_thread(bytes).unwrap_or(0);
            }
            // What threads that have ended had waited is gone with them: a total that falls back.
            into.put(&Owner::Process(*process), time, labels, Amount::total(waited));
        }
        Ok(())
    }
}

fn tell(labels: &Fixed, into: &mut Sink, owner: &Owner, sum: &Sum) {
    use instrument::{
        STETH_CPU_CONTEXT_SWITCHES as SWITCHES, STETH_CPU_MIGRATIONS as MIGRATIONS,
        STETH_CPU_PREEMPTIONS as PREEMPTIONS, STETH_CPU_RUN_QUEUE_TIME as TIME,
        STETH_CPU_RUN_QUEUE_WAIT as WAIT,
    };
    let quota = sum.quota.min(sum.delay);
    add(into, owner, &TIME, &labels.contention, sum.delay - quota);
    add(into, owner, &TIME, &labels.quota, quota);
    add_waits(into, owner, &WAIT, &labels.none, &sum.waits, sum.delay);
    add(into, owner, &SWITCHES, &labels.voluntary, sum.voluntary);
    add(into, owner, &SWITCHES, &labels.involuntary, sum.involuntary);
    add(into, owner, &MIGRATIONS, &labels.none, sum.migrations);
    for (taker, count) in labels.takers.iter().zip(sum.taken) {
        add(into, owner, &PREEMPTIONS, taker, count);
    }
}

impl Probe for Scheduler {
    fn family(&self) -> Family {
        Family::Scheduler
    }

    fn want(&mut self, processes: &[ProcKey]) {
        self.wanted = processes.to_vec();
    }

    fn between(&mut self, tables: &mut dyn Tables) {
        self.threads.relieve(tables);
    }

    fn collect(
        &mut self,
        host: &HostRoot,
        tables: &mut dyn Tables,
        _: &Anchor,
        into: &mut Sink,
    ) -> Result<(), Reason> {
        let Self { threads, labels, .. } = self;
        let each = |owner: &Owner, sum: &Sum| tell(labels, into, owner, sum);
        if let Err(reason) = threads.tell(Family::Scheduler, host, tables, each) {
            into.lacks(DISTRIBUTION, reason);
            return self.files(host, into);
        }
        Ok(())
    }
}
