//! The collector: reads the families of USE on a thread of its own, whenever it is asked.
//!
//! Nobody waits for it but who wants values of this moment: a read of a file may hang with its file
//! system, and the thread that empties the ring must not. What it reads goes through the turnstile's
//! bell, so a question that is asked after a round is answered with that round in it.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::bell::Ringer;
use super::clock;
use super::turnstile::Ask;
use crate::event::Nanos;
use crate::health::probe::{Probe as Row, State};
use crate::host::HostRoot;
use crate::usage::book::Standing;
use crate::usage::{
    Collected, Families, Family, Lack, Outcome, Probe, ProcKey, Reading, Reason, Sink, Tables,
};

/// How long anybody waits for a round.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// Without a round for so long, families may empty what would overflow.
const BETWEEN: Duration = Duration::from_millis(250);
/// The nice value of the thread: what it reads can wait, what it observes should not.
const MODESTY: i32 = 5;

/// What the collector is told.
#[derive(Debug)]
enum Order {
    /// Read everything, and say when that is done.
    Round(Option<SyncSender<()>>),
    /// Read more of these.
    Want(Vec<ProcKey>),
}

/// Orders rounds.
#[derive(Clone, Debug)]
pub struct Caller {
    orders: Sender<Order>,
}

impl Caller {
    /// A round, as soon as may be. It arrives by the turnstile's bell.
    pub fn call(&self) {
        // A collector that has ended gives no rounds.
        let _ = self.orders.send(Order::Round(None));
    }

    /// The same, and waits until its reading is with the turnstile, or for [`PATIENCE`].
    pub fn call_and_wait(&self) {
        let (done, waiting) = sync_channel(1);
        if self.orders.send(Order::Round(Some(done))).is_ok() {
            let _ = waiting.recv_timeout(PATIENCE);
        }
    }

    /// Read more of these processes.
    pub fn want(&self, processes: Vec<ProcKey>) {
        let _ = self.orders.send(Order::Want(processes));
    }
}

/// Reads all families.
pub struct Collector {
    host: HostRoot,
    tables: Box<dyn Tables + Send>,
    probes: Vec<Box<dyn Probe>>,
}

impl Collector {
    /// Reads these families of the host, and of the kernel side's tables.
    pub fn new(host: HostRoot, tables: Box<dyn Tables + Send>, families: Families) -> Self {
        Self { host, tables, probes: crate::usage::probes(families) }
    }

    /// Everything, once.
    pub fn round(&mut self) -> Reading {
        let Self { host, tables, probes } = self;
        let at = clock::anchor();
        let families = probes.iter_mut().map(|probe| {
            let mut sink = Sink::default();
            let begun = spent();
            let outcome = probe.collect(host, tables.as_mut(), &at, &mut sink);
            let cost = Nanos(spent().0.saturating_sub(begun.0));
            Collected { family: probe.family(), outcome, sink, cost }
        });
        Reading { at, families: families.collect() }
    }

    /// Begins the thread. It ends when nobody is left who could order a round.
    pub fn start(mut self, turnstile: Ringer<Ask>) -> std::io::Result<Caller> {
        let (orders, ordered) = channel();
        std::thread::Builder::new().name("steth-usage".to_owned()).spawn(move || {
            let _ = rustix::process::setpriority_process(None, MODESTY);
            self.run(&ordered, &turnstile);
        })?;
        Ok(Caller { orders })
    }

    fn run(&mut self, orders: &Receiver<Order>, turnstile: &Ringer<Ask>) {
        loop {
            let order = match orders.recv_timeout(BETWEEN) {
                Ok(order) => order,
                Err(RecvTimeoutError::Timeout) => {
                    let Self { tables, probes, .. } = self;
                    for probe in probes {
                        probe.between(tables.as_mut());
                    }
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let mut done = Vec::new();
            let mut wanted = None;
            let mut is_round = false;
            // Whoever asked before a round begins is served by it.
            for order in std::iter::once(order).chain(orders.try_iter()) {
                match order {
                    Order::Round(waiting) => {
                        is_round = true;
                        done.extend(waiting);
                    }
                    Order::Want(processes) => wanted = Some(processes),
                }
            }
            if let Some(wanted) = wanted {
                self.probes.iter_mut().for_each(|probe| probe.want(&wanted));
            }
            if !is_round {
                continue;
            }
            let reading = self.round();
            turnstile.ring(Ask::Usage(reading));
            for done in done {
                let _ = done.try_send(());
            }
        }
    }
}

/// Processor time of this thread.
fn spent() -> Nanos {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Nanos(seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// What came of the families, for `/status` and `steth check`: one line each, and one for each part
/// that is missing.
pub fn rows<'a>(standing: impl Iterator<Item = (Family, &'a Outcome, &'a [Lack])>) -> Vec<Row> {
    let mut rows = Vec::new();
    for (family, outcome, lacks) in standing {
        rows.push(row(family, "files", outcome.as_ref().err().map_or(State::Active, state)));
        rows.extend(lacks.iter().map(|lack| row(family, lack.part, state(&lack.reason))));
    }
    rows
}

/// The lines of families as they stand in the book, with those that are turned off.
pub fn standing<'a>(
    families: Families,
    standing: impl Iterator<Item = (Family, &'a Standing)>,
) -> Vec<Row> {
    let off = Family::ALL.into_iter().filter(|family| !families.has(*family));
    let off = off.map(|family| {
        row(family, "files", State::Disabled { why: "turned off in the configuration".to_owned() })
    });
    let on = standing.map(|(family, Standing { outcome, lacks, .. })| (family, outcome, &**lacks));
    rows(on).into_iter().chain(off).collect()
}

fn state(reason: &Reason) -> State {
    let why = reason.why().to_owned();
    match reason {
        Reason::Disabled(_) => State::Disabled { why },
        Reason::Failed(_) => State::Failed { why },
    }
}

fn row(family: Family, hook: &'static str, state: State) -> Row {
    let lost = matches!(state, State::Failed { .. }).then(|| family.loss());
    Row { name: family.scope(), hook, state, lost, grant: None }
}
