//! The loop that owns the pipeline: drains the kernel's ring, sweeps, takes snapshots, tells verdicts.
//!
//! It is the only owner of kernel side and pipeline. Others ask by a [`Bell`] and are answered with
//! values.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tokio::sync::Notify;

use super::bell::{Bell, Heard};
use super::clock;
use super::conntrack::Conntrack;
use super::own::Own;
use super::tee::Tee;
use super::usage::{self, Caller};
use crate::cluster::{Cluster, News};
use crate::event::{Nanos, Timestamp};
use crate::export::own::OwnStats;
use crate::health::Status;
use crate::host::Translations;
use crate::kernel::{self, Kernel};
use crate::metric::snapshot::Snapshot;
use crate::pipeline::Pipeline;
use crate::protocol::Verdict;
use crate::source::Table;
use crate::trace;
use crate::usage::{ProcKey, Reading};

/// Sweeps while an exchange waits for the rest of its tree.
const SWEEPS: u64 = 6;
/// Records taken at once before anything else is looked at.
const BATCH: usize = 16 * 1024;
/// The wait after a batch that was not empty, and the longest wait when all are.
const BUSY: Duration = Duration::from_millis(10);
const IDLE: Duration = Duration::from_millis(250);
/// How often time passes for the stages.
const TICK: Nanos = Nanos(1_000_000_000);

/// Everything others may want to know of one moment.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Every series of the observed services.
    pub snapshot: Arc<Snapshot>,
    /// The agent itself.
    pub status: Status,
    /// The agent itself, as metrics.
    pub own: OwnStats,
}

/// What others may want.
#[derive(Debug)]
pub enum Ask {
    /// The moment that is now.
    Moment(SyncSender<Moment>),
    /// A round of USE was read.
    Usage(Reading),
    /// How connections are translated.
    Translations(Translations),
    /// A source of facts on pods speaks.
    Cluster(News),
    /// The end.
    Stop,
}

/// What is told of each regular moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Between snapshots that are exported.
    pub export: Duration,
    /// Between those that are shown; none without a live view.
    pub show: Option<Duration>,
    /// Between two hand-overs of spans; none if nobody wants any.
    pub spans: Option<Duration>,
    /// Between two looks at what is in flight, whatever is exported; none if nobody asks.
    pub look: Option<Duration>,
}

/// Owner of kernel side and pipeline.
pub struct Turnstile {
    kernel: Kernel,
    pipeline: Pipeline,
    own: Own,
    pace: Pace,
    /// Beginnings of the last sweep and of the one before.
    sweeps: [Timestamp; 2],
    /// Where everything goes as well, when it is recorded.
    tee: Option<Tee>,
    /// Who reads USE, if anybody does.
    collector: Option<Caller>,
    /// What the collector was told to look at more closely.
    wanted: Vec<ProcKey>,
    /// Who finds out how connections are translated, if anybody does.
    conntrack: Option<Conntrack>,
    /// Rung when something in a pod waits for its name, if anybody listens.
    pods: Option<Arc<Notify>>,
}

/// Where moments go.
pub struct Outlets {
    /// Those that are exported.
    pub export: Box<dyn Fn(&Moment) + Send>,
    /// Those that are shown.
    pub show: Show,
    /// Where spans go.
    pub spans: Box<dyn Fn(trace::Batch) + Send>,
}

/// Shows a moment, with the pipeline to ask for what a snapshot does not hold.
pub type Show = Box<dyn FnMut(&Moment, &Pipeline) + Send>;

impl Turnstile {
    /// Everything is attached; nothing has been read.
    pub fn new(kernel: Kernel, pipeline: Pipeline, own: Own, pace: Pace) -> Self {
        Self {
            kernel,
            pipeline,
            own,
            pace,
            sweeps: [Timestamp::default(); 2],
            tee: None,
            collector: None,
            wanted: Vec::new(),
            conntrack: None,
            pods: None,
        }
    }

    /// Records everything that goes into the pipeline. Series that end are kept, so that the
    /// recording has one snapshot, at its end.
    #[must_use]
    pub fn recording(mut self, tee: Tee) -> Self {
        self.tee = Some(tee);
        self
    }

    /// Has USE read by `collector`, if there is one, before each export and, if anything is shown, before that.
    #[must_use]
    pub fn collecting(mut self, collector: Option<Caller>) -> Self {
        self.collector = collector;
        self
    }

    /// Asks `conntrack`, if there is one, for connections whose other end is not found.
    #[must_use]
    pub fn tracking(mut self, conntrack: Option<Conntrack>) -> Self {
        self.conntrack = conntrack;
        self
    }

    /// Asks by `pods`, if anybody listens, for what runs in pods that are not known.
    #[must_use]
    pub fn naming(mut self, pods: Option<Arc<Notify>>) -> Self {
        self.pods = pods;
        self
    }

    /// Turns until it is asked to stop, then once more to the end of what has been seen.
    pub fn run(mut self, bell: &Bell<Ask>, mut outlets: Outlets) -> io::Result<()> {
        let (mut taken, mut wait) = (0, BUSY);
        let start = clock::now();
        // Where a filter decides by process, those that are there already must be known of.
        self.pipeline.entities().scan();
        if let Some(tee) = &mut self.tee {
            tee.clocks(clock::anchor());
        }
        let (mut next_tick, mut next_export) = (start, after(start, self.pace.export));
        let mut next_show = self.pace.show.map(|show| after(start, show));
        // What links spans must be known of long before they are decided on.
        let often = self.pipeline.trace().map(|trace| Nanos(trace.config().hold.0 / SWEEPS));
        let mut next_sweep = often.map(|often| Timestamp(start.0 + often.0));
        let mut next_spans = self.pace.spans.map(|spans| after(start, spans));
        let mut next_look = self.pace.look.map(|look| after(start, look));
        // The first round is what later ones are compared with.
        self.call();
        // An export that waits for its round, and until when.
        let mut awaited: Option<Timestamp> = None;
        loop {
            // The ring is always readable under load: then only time sets the pace.
            let ring = (taken == 0).then(|| self.kernel.wakes());
            let heard = bell.wait(ring, wait)?;
            taken = self.drain();
            wait = if taken == 0 { (wait * 2).min(IDLE) } else { BUSY };
            let now = clock::now();
            if now >= next_tick {
                next_tick = Timestamp(now.0 + TICK.0);
                self.tick(now);
            }
            // Not while records wait: two sweeps must not both be ahead of them.
            if next_sweep.is_some_and(|due| now >= due) && taken < 64 * BATCH {
                next_sweep = often.map(|often| Timestamp(now.0 + often.0));
                self.sweep();
                taken += self.drain();
            }
            match heard {
                Heard::Asked(Ask::Stop) | Heard::Deserted => break,
                Heard::Asked(Ask::Moment(answer)) => {
                    // Whoever asked may have gone meanwhile.
                    let _ = answer.try_send(self.moment());
                }
                Heard::Asked(Ask::Usage(reading)) => {
                    self.usage(reading);
                    // What the round found is what it is exported for.
                    awaited = awaited.map(|_| now);
                }
                Heard::Asked(Ask::Translations(all)) => self.pipeline.translate(&all),
                Heard::Asked(Ask::Cluster(news)) => self.pipeline.learn(news),
                Heard::Nothing => {}
            }
            if next_show.is_some_and(|due| now >= due) {
                next_show = self.pace.show.map(|show| after(now, show));
                let moment = self.moment();
                (outlets.show)(&moment, &self.pipeline);
                // For the next one: what is shown may be a second old.
                self.call();
            }
            if next_look.is_some_and(|due| now >= due) {
                next_look = self.pace.look.map(|look| after(now, look));
                self.sweep();
            }
            if next_spans.is_some_and(|due| now >= due) {
                next_spans = self.pace.spans.map(|spans| after(now, spans));
                (outlets.spans)(self.pipeline.spans(&clock::anchor()));
            }
            if now >= next_export && awaited.is_none() {
                next_export = after(now, self.pace.export);
                awaited = Some(if self.call() { after(now, usage::PATIENCE) } else { now });
            }
            if awaited.is_some_and(|until| now >= until) {
                awaited = None;
                (outlets.export)(&self.moment());
                if self.tee.is_none() {
                    self.pipeline.exported(&clock::anchor());
                }
            }
        }
        self.drain();
        self.pipeline.name_all();
        self.farewell(bell)?;
        let last = self.moment();
        (outlets.export)(&last);
        // The sweep of the last moment has shown what nothing followed.
        self.pipeline.end_spans();
        (outlets.spans)(self.pipeline.spans(&clock::anchor()));
        if let Some(tee) = &mut self.tee {
            tee.table(Table::COUNTERS, &self.kernel.counts());
            tee.clocks(clock::anchor());
        }
        Ok(())
    }

    /// Orders a round; false if nobody takes orders.
    fn call(&self) -> bool {
        self.collector.as_ref().map(Caller::call).is_some()
    }

    /// Takes a round in, and tells the collector whom to look at more closely from now on.
    fn usage(&mut self, reading: Reading) {
        self.pipeline.usage(reading);
        let wanted = self.pipeline.book().wanted();
        if let Some(collector) = &self.collector
            && self.wanted != wanted
        {
            self.wanted.clone_from(&wanted);
            collector.want(wanted);
        }
    }

    /// The last export has a round of its own in it.
    fn farewell(&mut self, bell: &Bell<Ask>) -> io::Result<()> {
        if !self.call() {
            return Ok(());
        }
        let until = after(clock::now(), usage::PATIENCE);
        loop {
            let left = until.since(clock::now());
            if left == Nanos(0) {
                return Ok(());
            }
            match bell.wait(None, Duration::from_nanos(left.0))? {
                Heard::Asked(Ask::Usage(reading)) => {
                    self.usage(reading);
                    self.drain();
                    return Ok(());
                }
                Heard::Deserted => return Ok(()),
                Heard::Asked(
                    Ask::Moment(_) | Ask::Translations(_) | Ask::Cluster(_) | Ask::Stop,
                )
                | Heard::Nothing => {}
            }
        }
    }

    /// Takes what the ring holds; gives how much that was.
    fn drain(&mut self) -> usize {
        let Self { kernel, pipeline, tee, .. } = self;
        let mut taken = 0;
        loop {
            let n = kernel.drain(
                BATCH,
                || clock::now().0,
                |record| {
                    pipeline.record(record);
                    if let Some(tee) = tee {
                        tee.record(record);
                    }
                },
            );
            if let Some(tee) = tee {
                tee.records();
            }
            for (conn, verdict) in pipeline.verdicts() {
                kernel.judge(
                    conn,
                    match verdict {
                        Verdict::Off => kernel::Verdict::Off,
                        Verdict::Follow => kernel::Verdict::Follow,
                        Verdict::Full => kernel::Verdict::Full,
                    },
                );
            }
            taken += n;
            // A ring that never empties must not keep time from passing.
            if n < BATCH || taken >= 64 * BATCH {
                return taken;
            }
        }
    }

    fn tick(&mut self, now: Timestamp) {
        let anchor = clock::anchor();
        self.pipeline.tick(now, anchor);
        if let Some(tee) = &mut self.tee {
            tee.tick(now, anchor);
        }
        self.tell_processes();
        if let Some(conntrack) = &self.conntrack {
            let strangers = self.pipeline.strangers();
            if !strangers.is_empty() && !conntrack.ask(strangers) {
                self.conntrack = None;
            }
        }
        if let Some(pods) = &self.pods
            && self.pipeline.cluster().is_some_and(Cluster::is_asked)
        {
            pods.notify_one();
        }
        if let Some(why) = self.kernel.judge_paths() {
            tracing::warn!(why, "traces are no longer carried to other hosts");
        }
    }

    fn tell_processes(&mut self) {
        for change in self.pipeline.entities().changes() {
            match change {
                crate::entity::registry::Change::Exclude(pid) => self.kernel.leave_out(pid),
                crate::entity::registry::Change::Include(pid) => self.kernel.forget(pid),
            }
        }
    }

    /// Reads the state of all sockets into the pipeline.
    fn sweep(&mut self) {
        let now = clock::now();
        let Self { kernel, pipeline, sweeps, tee, .. } = self;
        // Heads come along for two sweeps, so that what stands still can be told from what was never
        // seen.
        let [before, since] = *sweeps;
        *sweeps = [now, before];
        pipeline.begin_sweep(now);
        if let Some(tee) = tee {
            tee.table(Table::SWEEP_BEGIN, &[now.0]);
        }
        let outcome = kernel.sweep(since.0, |row| {
            pipeline.record(row);
            if let Some(tee) = tee {
                tee.row(row);
            }
        });
        if let Some(tee) = tee {
            tee.rows();
        }
        match outcome {
            Ok(true) => {
                pipeline.end_sweep();
                if let Some(tee) = tee {
                    tee.table(Table::SWEEP_END, &[]);
                }
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "a sweep over the sockets failed"),
        }
    }

    /// This moment: everything that has happened by now is in it.
    fn moment(&mut self) -> Moment {
        self.sweep();
        // What ended while the sweep ran is in the ring.
        self.drain();
        let anchor = clock::anchor();
        let status = self.own.status(&self.kernel, &self.pipeline, anchor.monotonic);
        let own = self.own.stats(&status, &self.kernel, &self.pipeline);
        Moment { snapshot: Arc::new(self.pipeline.snapshot(&anchor)), status, own }
    }
}

fn after(from: Timestamp, wait: Duration) -> Timestamp {
    Timestamp(from.0.saturating_add(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX)))
}
