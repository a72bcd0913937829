//! The stages in their order: records in, metric snapshots and verdicts out. Does no I/O, cannot
//! fail, and is the same function whether the records come from a kernel or from a recording.

mod container;
#[cfg(test)]
mod far;
mod owners;
mod paths;
#[cfg(test)]
mod untold;

pub use paths::Paths;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cluster::{Cluster, News};
use crate::entity::{Entities, EntityId, Registry};
use crate::event::{self, ConnId, Event, Malformed, Pid, Timestamp};
use crate::host::{Anchor, Translations};
use crate::metric::snapshot::{Resource, ResourceMetrics, Scope, Snapshot};
use crate::protocol::http1::{self, Http1};
use crate::protocol::{Authority, Begun, Exchange, Fault, Role, Sink, Verdict};
use crate::red::{self, Red};
use crate::trace::{self, Trace};
use crate::usage::Reading;
use crate::usage::book::{self, Book};

/// What the stages are told.
#[derive(Debug, Default)]
pub struct Config {
    /// The HTTP/1 stage.
    pub http1: http1::Limits,
    /// The RED stage.
    pub red: red::Config,
    /// Which request paths are counted.
    pub paths: Paths,
    /// The book of USE.
    pub usage: book::Config,
    /// The stage of spans; none if nobody wants any.
    pub trace: Option<trace::Config>,
}

/// What the pipeline itself counted; its stages have counters of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records taken, those of sweeps included.
    pub records: u64,
    /// Records that made no sense, by reason.
    pub malformed: [u64; 4],
    /// Exchanges left out by a filter that only userspace can apply.
    pub filtered: u64,
    /// Connects that failed.
    pub connects_failed: u64,
}

/// All stages.
pub struct Pipeline {
    http1: Http1,
    entities: Registry,
    red: Red,
    trace: Option<Trace>,
    usage: Book,
    paths: Paths,
    verdicts: Vec<(ConnId, Verdict)>,
    counters: Counters,
    /// Beginnings of the last sweep, and of the last whole one before it.
    swept: [Timestamp; 2],
}

/// Where the HTTP/1 stage's results go.
struct Next<'a> {
    entities: &'a mut Registry,
    red: &'a mut Red,
    trace: Option<&'a mut Trace>,
    paths: &'a Paths,
    verdicts: &'a mut Vec<(ConnId, Verdict)>,
    filtered: &'a mut u64,
}

impl Sink for Next<'_> {
    fn exchange(&mut self, exchange: &Exchange<'_>) {
        if !self.paths.watches(exchange.path)
            || !self.entities.watched(exchange.pid, exchange.begun)
        {
            *self.filtered += 1;
            return;
        }
        let entity = self.entities.of(exchange.pid, exchange.begun);
        let counted = self.red.observe(entity, exchange, self.entities.fars());
        if let Some(trace) = &mut self.trace {
            trace.observe(entity, exchange, counted, self.red);
        }
    }

    fn begun(&mut self, begun: &Begun<'_>) {
        if let Some(trace) = &mut self.trace {
            trace.begun(begun);
        }
    }

    fn verdict(&mut self, conn: ConnId, verdict: Verdict) {
        self.verdicts.push((conn, verdict));
    }
}

impl Pipeline {
    /// Stages that have seen nothing.
    pub fn new(config: Config, mut entities: Registry, anchor: &Anchor) -> Self {
        // What ends before the first tick is to be known for as long as what ends later.
        entities.tick(anchor.monotonic, *anchor);
        Self {
            http1: Http1::new(config.http1),
            entities,
            red: Red::new(config.red, anchor.wall),
            trace: config.trace.map(Trace::new),
            usage: Book::new(config.usage),
            paths: config.paths,
            verdicts: Vec::new(),
            counters: Counters::default(),
            swept: [Timestamp::default(); 2],
        }
    }

    /// Takes one record.
    pub fn record(&mut self, bytes: &[u8]) {
        self.counters.records += 1;
        match event::decode(bytes) {
            Ok(event) => self.event(&event),
            Err(reason) => {
                let at = match reason {
                    Malformed::Short => 0,
                    Malformed::Kind => 1,
                    Malformed::Field => 2,
                    Malformed::Alignment => 3,
                };
                if let Some(count) = self.counters.malformed.get_mut(at) {
                    *count += 1;
                }
            }
        }
    }

    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Exec(exec) => self.entities.exec(exec),
            Event::Fork(fork) => self.entities.fork(fork),
            Event::Exit(exit) => {
                self.entities.exit(exit);
                self.usage.exited(Pid(exit.tgid));
            }
            Event::Carried(carried) => {
                if let Some(trace) = &mut self.trace {
                    trace.carried(carried);
                }
            }
            Event::Joint(joint) => {
                if let Some(trace) = &mut self.trace {
                    trace.joint(joint);
                }
            }
            Event::ConnectFailed(failed) => {
                self.counters.connects_failed += 1;
                let (pid, begun) = (Pid(failed.tgid), Timestamp(failed.begun));
                if self.entities.watched(pid, begun) {
                    let entity = self.entities.of(pid, begun);
                    let fault = connect_fault(failed.errno);
                    let fars = self.entities.fars();
                    let far = fars.and_then(|fars| fars.at(failed.peer.address));
                    self.red.connect_failed(entity, fault, &failed.peer, far);
                    if let Some(trace) = &mut self.trace {
                        trace.connect_failed(entity, failed, fault, far, &self.red);
                    }
                }
            }
            _ => {
                let mut next = Next {
                    entities: &mut self.entities,
                    red: &mut self.red,
                    trace: self.trace.as_mut(),
                    paths: &self.paths,
                    verdicts: &mut self.verdicts,
                    filtered: &mut self.counters.filtered,
                };
                self.http1.event(event, &mut next);
            }
        }
    }

    /// A sweep begins: the rows that come as records until [`Pipeline::end_sweep`] are of one moment.
    pub fn begin_sweep(&mut self, now: Timestamp) {
        self.swept[0] = now;
        self.http1.begin_sweep(now);
    }

    /// The sweep was whole: what it did not show is gone, what it showed is in flight.
    pub fn end_sweep(&mut self) {
        let mut next = Next {
            entities: &mut self.entities,
            red: &mut self.red,
            trace: self.trace.as_mut(),
            paths: &self.paths,
            verdicts: &mut self.verdicts,
            filtered: &mut self.counters.filtered,
        };
        self.http1.end_sweep(&mut next);
        // Records from before this sweep may still be on their way, those from before the last are not.
        let [now, before] = self.swept;
        self.swept = [now, now];
        if let Some(trace) = &mut self.trace {
            trace.learn(&mut self.entities);
            trace.complete(before);
        }
        let Self { http1, entities, red, .. } = self;
        let active: Vec<_> = http1
            .in_flight()
            .filter(|request| request.role == Role::Server)
            .map(|request| (entities.of(request.pid, request.since), request.method))
            .collect();
        let open: Vec<_> = http1
            .connections()
            .map(|open| {
                let host = open.host.as_deref();
                red::Open {
                    entity: entities.of(open.pid, Timestamp(open.conn.0 >> 8)),
                    conn: open.conn,
                    authority: host.map(|host| Authority { host, port: open.port }),
                    peer: open.peer,
                    idle: !open.active,
                }
            })
            .collect();
        red.gauges(active.into_iter(), open.into_iter(), entities.fars());
        self.in_flight(Trace::in_flight);
    }

    /// Tells the stage of spans of all that is in flight.
    fn in_flight(
        &mut self,
        mut tell: impl FnMut(&mut Trace, EntityId, &Exchange<'_>, &dyn trace::Counts),
    ) {
        let Self { http1, entities, red, trace, paths, swept, .. } = self;
        let Some(trace) = trace else { return };
        for request in http1.in_flight() {
            if paths.watches(&request.path) && entities.watched(request.pid, request.since) {
                let entity = entities.of(request.pid, request.since);
                tell(trace, entity, &request.exchange(swept[0]), red);
            }
        }
    }

    /// Time has come to `now`.
    pub fn tick(&mut self, now: Timestamp, anchor: Anchor) {
        for entity in self.entities.tick(now, anchor) {
            self.red.retire(entity);
            self.usage.retire(entity);
        }
        if let Some(trace) = &mut self.trace {
            trace.tick(now, &self.red);
            for (entity, sample) in trace.samples() {
                self.red.exemplify(entity, &sample, &anchor);
            }
        }
    }

    /// A round of USE was read.
    pub fn usage(&mut self, reading: Reading) {
        let Self { entities, red, usage, .. } = self;
        usage.take(reading, &mut owners::Known { entities, red });
    }

    /// The book of USE, to be asked.
    pub fn book(&self) -> &Book {
        &self.usage
    }

    /// Everything counted, as it stands. Changes nothing: see [`Pipeline::exported`].
    pub fn snapshot(&self, anchor: &Anchor) -> Snapshot {
        let mut services: BTreeMap<EntityId, Vec<Scope>> = BTreeMap::new();
        let counted = self.red.snapshot();
        for (entity, scope) in counted.into_iter().filter(|(e, _)| !self.entities.waits(*e)) {
            services.entry(entity).or_default().push(scope);
        }
        for (entity, scopes) in self.usage.instances() {
            services.entry(entity).or_default().extend(scopes);
        }
        let services = services.into_iter().map(|(entity, scopes)| ResourceMetrics {
            resource: self.entities.resource(entity),
            scopes,
        });
        let resources = services.chain(self.usage.snapshot());
        Snapshot { time: anchor.wall, resources: resources.collect() }
    }

    /// A snapshot has been exported: series that had ended in it are forgotten, those to come begin now.
    pub fn exported(&mut self, anchor: &Anchor) {
        self.red.tick(anchor.wall);
        self.usage.exported();
    }

    /// The spans kept since this was asked, by service; none where nobody wants any.
    pub fn spans(&mut self, anchor: &Anchor) -> trace::Batch {
        let Self { entities, trace, .. } = self;
        let mut services: BTreeMap<EntityId, Vec<trace::Span>> = BTreeMap::new();
        if let Some(trace) = trace {
            let kept = trace.take().into_iter();
            let (early, told): (Vec<_>, Vec<_>) =
                kept.partition(|span| entities.waits(span.entity));
            trace.give_back(early);
            for span in told {
                services.entry(span.entity).or_default().push(span);
            }
        }
        let services = services.into_iter();
        let services = services.map(|(entity, spans)| (entities.resource(entity), spans));
        trace::Batch { anchor: *anchor, services: services.collect() }
    }

    /// A source of facts about pods speaks.
    pub fn learn(&mut self, news: News) {
        self.entities.learn(news);
    }

    /// Nothing more will be learned: who waits for a name is told without.
    pub fn name_all(&mut self) {
        self.entities.name_all();
    }

    /// What is known of pods; none if nobody asked for it.
    pub fn cluster(&self) -> Option<&Cluster> {
        self.entities.cluster()
    }

    /// Processes with connections of which it is to be found out whether they are translated.
    pub fn strangers(&mut self) -> Vec<Pid> {
        self.trace.as_mut().map(Trace::strangers).unwrap_or_default()
    }

    /// How servers see connections that are translated.
    pub fn translate(&mut self, all: &Translations) {
        if let Some(trace) = &mut self.trace {
            trace.translate(all, self.entities.fars());
        }
    }

    /// Nothing more will come: what the last sweep showed in flight is told of, and what waits for the
    /// rest of its tree is judged now.
    pub fn end_spans(&mut self) {
        self.in_flight(Trace::unfinished);
        if let Some(trace) = &mut self.trace {
            trace.finish(&self.red);
        }
    }

    /// The stage of spans, to be asked; none if nobody wants any.
    pub fn trace(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    /// What the kernel side is to be told of connections since this was asked.
    pub fn verdicts(&mut self) -> std::vec::Drain<'_, (ConnId, Verdict)> {
        self.verdicts.drain(..)
    }

    /// What an instance stands for, as far as is known by now.
    pub fn resource(&self, entity: EntityId) -> Arc<Resource> {
        self.entities.resource(entity)
    }

    /// The processes' registry.
    pub fn entities(&mut self) -> &mut Registry {
        &mut self.entities
    }

    /// The HTTP/1 stage, to be asked.
    pub fn http1(&self) -> &Http1 {
        &self.http1
    }

    /// The RED stage, to be asked.
    pub fn red(&self) -> &Red {
        &self.red
    }

    /// What the pipeline itself counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

/// What a connect's error number says. None at all: the program gave up waiting.
fn connect_fault(errno: u16) -> Fault {
    match errno {
        0 | 110 => Fault::Timeout,
        104 => Fault::Reset,
        111 => Fault::Refused,
        101 | 113 => Fault::Unreachable,
        _ => Fault::Other,
    }
}

#[cfg(test)]
mod tests {
    use agent_common::record::{Exec, Exit, Kind};
    use zerocopy::IntoBytes;

    use super::*;
    use crate::event::Nanos;
    use crate::host::{Facts, Machine, Process, Unread};
    use crate::metric::key;
    use crate::metric::snapshot::{Value, WallTime};

    struct Nobody;

    impl Facts for Nobody {
        fn process(&mut self, _: Pid) -> Result<Process, Unread> {
            Err(Unread::Vanished)
        }

        fn pids(&mut self, _: usize) -> Vec<Pid> {
            Vec::new()
        }
    }

    #[test]
    fn who_ends_before_the_first_tick_is_still_known_behind_it() {
        let at = |millis: u64| Timestamp(3_600_000_000_000 + millis * 1_000_000);
        let anchor = Anchor { monotonic: at(0), boot: Nanos(at(0).0), wall: WallTime(1) };
        let registry =
            Registry::new(crate::entity::Config::default(), Machine::default(), Box::new(Nobody));
        let mut pipeline = Pipeline::new(Config::default(), registry, &anchor);
        let (args, env) = (b"curl\0", b"OTEL_SERVICE_NAME=asker\0");
        let exec = Exec {
            kind: Kind::Exec as u8,
            args: 5,
            env: 24,
            tgid: 7,
            time: at(1).0,
            ..Exec::default()
        };
        pipeline.record(&[exec.as_bytes(), args, env].concat());
        let exit = Exit { kind: Kind::Exit as u8, tgid: 7, time: at(3).0, ..Exit::default() };
        pipeline.record(exit.as_bytes());
        pipeline.tick(at(10), anchor);
        let entity = pipeline.entities().of(Pid(7), at(2));
        let resource = pipeline.resource(entity);
        let name = resource.attributes.iter().find(|(key, _)| *key == key::SERVICE_NAME);
        assert_eq!(name.map(|(_, value)| value), Some(&Value::Text("asker".into())));
    }
}
