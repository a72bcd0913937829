//! What the agent says of itself: its losses, its queues, its cost.

use std::collections::BTreeMap;

use agent_common::counter::Counter;

use crate::event::Timestamp;
use crate::export::counters as export;
use crate::export::own::OwnStats;
use crate::health::probe::Probe;
use crate::health::{Agent, Budget, Capture, Loss, Queue, Status, Totals};
use crate::host::Anchor;
use crate::kernel::{Kernel, ProgramCost};
use crate::metric::instrument::{
    Instrument, STETH_BPF_MAP_USAGE, STETH_BPF_PROGRAM_RUNS, STETH_BPF_PROGRAM_TIME,
    STETH_RECORD_LOST, STETH_RECORD_SEEN, STETH_RING_LIMIT, STETH_RING_USAGE,
};
use crate::metric::key;
use crate::metric::snapshot::{Attribute, Data, Metric, Number, Point, Value, WallTime};
use crate::pipeline::Pipeline;
use crate::protocol::http1::Count;

/// What is told beside the numbers.
pub struct Fixed {
    /// Every probe.
    pub probes: Vec<Probe>,
    /// What passed without notice of anyone at start-up.
    pub warnings: Vec<String>,
    /// Limits of series and of connections.
    pub series: u64,
    /// See `series`.
    pub connections: u64,
    /// What became of exported points.
    pub exported: Box<dyn Fn() -> export::Counters + Send>,
}

/// The agent's account of itself.
pub struct Own {
    begun: Timestamp,
    since: WallTime,
    fixed: Fixed,
}

impl Own {
    /// An account that begins at `anchor`.
    pub fn new(anchor: &Anchor, fixed: Fixed) -> Self {
        Self { begun: anchor.monotonic, since: anchor.wall, fixed }
    }

    /// Everything at this moment.
    pub fn status(&self, kernel: &Kernel, pipeline: &Pipeline, now: Timestamp) -> Status {
        let Fixed { probes, warnings, series, connections, exported: _ } = &self.fixed;
        let counts = kernel.counts();
        let of = |counter: Counter| counts.get(counter as usize).copied().unwrap_or_default();
        let http1 = pipeline.http1().counters();
        let red = pipeline.red().counters();
        let own = pipeline.counters();
        let (followed, ..) = pipeline.http1().held();
        let budget = |name, used: usize, limit| Budget { name, used: used as u64, limit };
        let (user, system) = cpu();
        Status {
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: now.since(self.begun).0 as f64 / 1e9,
            capture: Capture { tier: Some(kernel.tier.number()), probes: probes.clone() },
            exchanges: Totals {
                seen: http1.get(Count::Requests) + of(Counter::LostRingExchange),
                reported: red.observed + own.filtered,
                lost: of(Counter::LostRingExchange) + http1.lost(),
                in_flight: pipeline.http1().in_flight().count() as u64,
            },
            losses: losses(&of, pipeline),
            queues: vec![Queue {
                name: "ring",
                size: kernel.waiting(),
                limit: u64::from(kernel.ring_bytes),
                unit: "bytes",
            }],
            budgets: vec![
                budget("series", red.series, *series),
                budget("connections_followed", followed, *connections),
            ],
            agent: Agent {
                cpu_seconds: (user + system) as f64 / 1e9,
                rss_bytes: rss(),
                map_bytes: map_bytes(),
            },
            warnings: warnings.clone(),
        }
    }

    /// The same as counts to be exported.
    pub fn stats(&self, status: &Status, kernel: &Kernel, pipeline: &Pipeline) -> OwnStats {
        let (cpu_user, cpu_system) = cpu();
        let of_exchanges = |loss: &&Loss| loss.stage == HTTP1 || loss.reason == RING_EXCHANGE;
        let lost = status.losses.iter().filter(of_exchanges);
        let mut more = vec![
            self.single(&STETH_RECORD_SEEN, pipeline.counters().records),
            self.single(&STETH_BPF_MAP_USAGE, status.agent.map_bytes),
            self.single(&STETH_RING_USAGE, kernel.waiting()),
            self.single(&STETH_RING_LIMIT, u64::from(kernel.ring_bytes)),
        ];
        let records = status.losses.iter().filter(|loss| !of_exchanges(loss));
        let records = records.map(|loss| {
            let reason = (key::STETH_REASON, Value::Static(loss.reason));
            let stage = (key::STETH_STAGE, Value::Static(loss.stage));
            self.point(vec![reason, stage], int(loss.count))
        });
        more.push(Metric { instrument: &STETH_RECORD_LOST, points: records.collect() });
        let programs = kernel.programs();
        let by_program = |value: fn(&ProgramCost) -> Number| {
            let point = |program: &ProgramCost| {
                let name = Value::Text(program.name.as_str().into());
                self.point(vec![(key::STETH_BPF_PROGRAM_NAME, name)], value(program))
            };
            programs.iter().map(point).collect()
        };
        more.push(Metric {
            instrument: &STETH_BPF_PROGRAM_TIME,
            points: by_program(|program| Number::Double(program.time.as_secs_f64())),
        });
        more.push(Metric {
            instrument: &STETH_BPF_PROGRAM_RUNS,
            points: by_program(|program| int(program.runs)),
        });
        more.retain(|metric: &Metric| !metric.points.is_empty());
        OwnStats {
            start: self.since,
            seen: status.exchanges.seen,
            reported: status.exchanges.reported,
            lost: lost.map(|loss| (loss.stage, loss.reason, loss.count)).collect(),
            queue_bytes: 0,
            cpu_user,
            cpu_system,
            rss_bytes: status.agent.rss_bytes,
            exports: (self.fixed.exported)(),
            more,
        }
    }

    fn single(&self, instrument: &'static Instrument, value: u64) -> Metric {
        Metric { instrument, points: vec![self.point(Vec::new(), int(value))] }
    }

    fn point(&self, attributes: Vec<Attribute>, value: Number) -> Point {
        Point { attributes: attributes.into(), start: self.since, data: Data::Number(value) }
    }
}

const KERNEL: &str = "kernel";
const HTTP1: &str = "http1";
const RING_EXCHANGE: &str = "ring_full_exchange";

/// Everything lost, where and why.
fn losses(of: &dyn Fn(Counter) -> u64, pipeline: &Pipeline) -> Vec<Loss> {
    let http1 = pipeline.http1().counters();
    let kernel = [
        (RING_EXCHANGE, Counter::LostRingExchange),
        ("ring_full_segment", Counter::LostRingSegment),
        ("ring_full_close", Counter::LostRingClose),
        ("ring_full_connect", Counter::LostRingConnect),
        ("ring_full_process", Counter::LostRingProcess),
        ("no_socket_state", Counter::LostNoState),
    ];
    let malformed = ["short", "kind", "field", "alignment"];
    let requests = [
        ("gap", Count::LostGap),
        ("evicted", Count::LostEvicted),
        ("vanished", Count::LostVanished),
        ("pipeline_full", Count::LostPipeline),
        ("records_missing", Count::LostSequence),
        ("tunnel", Count::LostTunnel),
    ];
    let kernel = kernel.map(|(reason, counter)| Loss { stage: KERNEL, reason, count: of(counter) });
    let malformed = malformed.into_iter().zip(pipeline.counters().malformed);
    let malformed = malformed.map(|(reason, count)| Loss { stage: "event", reason, count });
    let requests =
        requests.map(|(reason, count)| Loss { stage: HTTP1, reason, count: http1.get(count) });
    kernel.into_iter().chain(malformed).chain(requests).filter(|loss| loss.count > 0).collect()
}

fn int(value: u64) -> Number {
    Number::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

/// CPU time of this process in nanoseconds, user and kernel mode, by the hundredths of a second that
/// `/proc` tells.
fn cpu() -> (u64, u64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may hold anything; fields are counted behind it.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut next = || fields.next().and_then(|f| f.parse::<u64>().ok()).unwrap_or(0) * 10_000_000;
    (next(), next())
}

/// Resident memory of this process.
fn rss() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Memory of the kernel maps this process holds, as the kernel charges it.
fn map_bytes() -> u64 {
    let Ok(entries) = std::fs::read_dir("/proc/self/fdinfo") else { return 0 };
    let mut maps = BTreeMap::new();
    for entry in entries.flatten() {
        let Ok(text) = std::fs::read_to_string(entry.path()) else { continue };
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim_start_matches(':').trim().parse::<u64>().ok()
        };
        if let (Some(id), Some(bytes)) = (field("map_id"), field("memlock")) {
            maps.insert(id, bytes);
        }
    }
    maps.values().sum()
}
