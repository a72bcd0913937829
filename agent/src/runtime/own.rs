//! What the agent says of itself: its losses, its queues, its cost.

use std::collections::BTreeMap;

use agent_common::counter::Counter;
use procfs::process::Process;

use super::account::{Account, KERNEL, account, is_of_exchanges};
use super::start::Limits;
use super::usage::standing;
use super::{check, pods};
use crate::cluster::Cluster;
use crate::event::Timestamp;
use crate::export::counters as export;
use crate::export::own::OwnStats;
use crate::health::probe::Probe as Row;
use crate::health::{Agent, Budget, Capture, Loss, Queue, Status};
use crate::host::Anchor;
use crate::kernel::{Kernel, ProgramCost};
use crate::metric::instrument::Instrument;
use crate::metric::instrument::own::{
    STETH_BPF_MAP_USAGE, STETH_BPF_PROGRAM_RUNS, STETH_BPF_PROGRAM_TIME, STETH_CALL_UNSEEN,
    STETH_COLLECT_ROUNDS, STETH_COLLECT_TIME, STETH_CONNECTION_FILTERED, STETH_CONNECTION_OPAQUE,
    STETH_CONNECTION_OPAQUE_IO, STETH_CONNECTION_SKIPPED_IO, STETH_CONTEXT_LOST,
    STETH_EXCHANGE_UNKNOWN, STETH_POD_UNNAMED, STETH_POD_WAITING, STETH_RECORD_LOST,
    STETH_RECORD_SEEN, STETH_RECORD_WRITTEN, STETH_RING_LIMIT, STETH_RING_USAGE, STETH_SAMPLE_LOST,
    STETH_SPAN_DROPPED, STETH_SPAN_EARLY, STETH_SPAN_EXPORTED, STETH_SPAN_KEPT, STETH_SPAN_LINKED,
    STETH_SPAN_UNLINKED, STETH_SPAN_WAITING, STETH_WINDOW_LIMIT, STETH_WINDOW_USAGE,
};
use crate::metric::key;
use crate::metric::snapshot::{Attribute, Data, Metric, Number, Point, Value, WallTime};
use crate::pipeline::Pipeline;
use crate::trace::{By, Missing, sampling};
use crate::usage::{Families, Family, book};

/// The name of USE among the stages.
const USAGE: &str = "usage";
/// That of what is known of pods.
const CLUSTER: &str = "cluster";

/// What is told beside the numbers.
pub struct Fixed {
    /// The families of USE that are on.
    pub families: Families,
    /// Their limits.
    pub usage: book::Config,
    /// What passed without notice of anyone at start-up.
    pub warnings: Vec<String>,
    /// What the agent has given up, row by row.
    pub confined: Vec<Row>,
    /// Limits of series and of connections.
    pub series: u64,
    /// See `series`.
    pub connections: u64,
    /// What became of exported points.
    pub exported: Box<dyn Fn() -> export::Counters + Send>,
    /// What became of exported spans.
    pub spans: Box<dyn Fn() -> export::Counters + Send>,
}

impl Fixed {
    /// For an agent that exports nothing.
    pub fn bare(limits: Limits, confined: Vec<Row>) -> Self {
        Self {
            families: Families::NONE,
            usage: book::Config::default(),
            warnings: Vec::new(),
            confined,
            series: limits.series,
            connections: limits.connections,
            exported: Box::new(export::Counters::default),
            spans: Box::new(export::Counters::default),
        }
    }
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
        let Fixed { families, usage, warnings, confined, series, connections, .. } = &self.fixed;
        let counts = kernel.counts();
        let of = |counter: Counter| counts.get(counter as usize).copied().unwrap_or_default();
        let Account { exchanges, mut losses, kernel: kernel_counters } = account(&of, pipeline);
        let map_bytes = map_bytes();
        let busy = kernel.left_out();
        if busy > 0 {
            losses.push(Loss { stage: KERNEL, reason: "program_busy", count: busy });
        }
        let red = pipeline.red().counters();
        let (followed, ..) = pipeline.http1().held();
        let budget = |name, used: usize, limit| Budget { name, used: used as u64, limit };
        let (user, system) = cpu();
        let book = pipeline.book();
        let held = book.held();
        let probes =
            kernel.reports.iter().map(check::probe).chain(standing(*families, book.standing()));
        let probes = probes.chain(pods::rows(pipeline.cluster())).chain(confined.iter().cloned());
        losses.extend(unsampled(pipeline));
        losses.extend(unnamed(pipeline));
        if red.other_far > 0 {
            losses.push(Loss { stage: CLUSTER, reason: FAR_ENDS, count: red.other_far });
        }
        Status {
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: now.since(self.begun).0 as f64 / 1e9,
            capture: Capture { tier: Some(kernel.tier.number()), probes: probes.collect() },
            exchanges,
            losses,
            kernel_counters,
            queues: vec![Queue {
                name: "ring",
                size: kernel.waiting(),
                limit: kernel.ring_bytes(),
                unit: "bytes",
            }],
            budgets: vec![
                budget("series", red.series, *series),
                budget("connections_followed", followed, *connections),
                budget("usage_processes", held.processes, usage.processes as u64),
                budget("usage_cgroups", held.cgroups, usage.cgroups as u64),
            ],
            agent: Agent { cpu_seconds: (user + system) as f64 / 1e9, rss_bytes: rss(), map_bytes },
            warnings: warnings.clone(),
        }
    }

    /// The same as counts to be exported.
    pub fn stats(&self, status: &Status, kernel: &Kernel, pipeline: &Pipeline) -> OwnStats {
        let (cpu_user, cpu_system) = cpu();
        let lost = status.losses.iter().filter(|loss| is_of_exchanges(loss));
        let mut more = vec![
            self.single(&STETH_RECORD_SEEN, pipeline.counters().records),
            self.single(&STETH_BPF_MAP_USAGE, status.agent.map_bytes),
            self.single(&STETH_RING_USAGE, kernel.waiting()),
            self.single(&STETH_RING_LIMIT, kernel.ring_bytes()),
        ];
        let records = status
            .losses
            .iter()
            .filter(|loss| !is_of_exchanges(loss) && ![USAGE, CLUSTER].contains(&loss.stage));
        let records = records.map(|loss| {
            let reason = (key::STETH_REASON, Value::Static(loss.reason));
            let stage = (key::STETH_STAGE, Value::Static(loss.stage));
            self.point(vec![reason, stage], int(loss.count))
        });
        more.push(Metric { instrument: &STETH_RECORD_LOST, points: records.collect() });
        more.extend(self.kernel_counters(&kernel.counts()));
        more.extend(self.usage(status, pipeline));
        more.extend(self.spans(pipeline));
        more.extend(self.pods(status, pipeline));
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

    /// What USE costs, by family, and what of it was lost.
    fn usage(&self, status: &Status, pipeline: &Pipeline) -> Vec<Metric> {
        let by_family = |value: fn(&book::Standing) -> u64| {
            let point = |(family, standing): (Family, &book::Standing)| {
                let labels = vec![(key::STETH_USAGE_FAMILY, Value::Static(family.name()))];
                self.point(labels, int(value(standing)))
            };
            pipeline.book().standing().map(point).collect()
        };
        let lost = status.losses.iter().filter(|loss| loss.stage == USAGE).map(|loss| {
            self.point(vec![(key::STETH_REASON, Value::Static(loss.reason))], int(loss.count))
        });
        vec![
            Metric { instrument: &STETH_COLLECT_TIME, points: by_family(|s| s.cost.0) },
            Metric { instrument: &STETH_COLLECT_ROUNDS, points: by_family(|s| s.rounds) },
            Metric { instrument: &STETH_SAMPLE_LOST, points: lost.collect() },
        ]
    }

    /// What is known of pods, and what was told without; nothing where nobody asked for it.
    fn pods(&self, status: &Status, pipeline: &Pipeline) -> Vec<Metric> {
        let Some(counts) = pipeline.cluster().map(Cluster::counts) else { return Vec::new() };
        let lost =
            status.losses.iter().filter(|loss| loss.stage == CLUSTER && loss.reason != FAR_ENDS);
        let lost = lost.map(|loss| {
            self.point(vec![(key::STETH_REASON, Value::Static(loss.reason))], int(loss.count))
        });
        vec![
            self.single(&STETH_POD_WAITING, counts.waiting),
            Metric { instrument: &STETH_POD_UNNAMED, points: lost.collect() },
        ]
    }

    /// What became of requests that could be spans; nothing where nobody wants any.
    fn spans(&self, pipeline: &Pipeline) -> Vec<Metric> {
        let Some(trace) = pipeline.trace() else { return Vec::new() };
        let counters = trace.counters();
        let exported = (self.fixed.spans)();
        let by = |key, name, count| self.point(vec![(key, Value::Static(name))], int(count));
        let kept = sampling::Why::ALL.into_iter().zip(counters.kept);
        let kept = kept.map(|(why, count)| by(key::STETH_REASON, why.name(), count));
        let lost = |reason, stage, count| {
            let reason = (key::STETH_REASON, Value::Static(reason));
            self.point(vec![reason, (key::STETH_STAGE, Value::Static(stage))], int(count))
        };
        let left = sampling::Left::ALL.into_iter().zip(counters.left);
        let left = left.map(|(left, count)| lost(left.name(), "trace", count));
        let unsent = export::DropReason::ALL.into_iter();
        let unsent = unsent.map(|reason| (reason, exported.dropped.by(reason)));
        let unsent = unsent.filter(|(_, count)| *count > 0);
        let unsent = unsent.map(|(reason, count)| lost(reason.name(), "export", count));
        let outcome = |name, count| by(key::STETH_OUTCOME, name, count);
        let linked = By::ALL.into_iter().zip(counters.linked);
        let roots = Missing::ALL.into_iter().zip(counters.roots);
        let (waiting, bytes) = trace.waiting();
        vec![
            Metric { instrument: &STETH_SPAN_KEPT, points: kept.collect() },
            Metric { instrument: &STETH_SPAN_DROPPED, points: left.chain(unsent).collect() },
            Metric {
                instrument: &STETH_SPAN_EXPORTED,
                points: vec![
                    outcome("accepted", exported.exported),
                    outcome("rejected", exported.rejected),
                ],
            },
            self.single(&STETH_SPAN_WAITING, waiting as u64),
            self.single(&STETH_SPAN_EARLY, counters.early),
            self.single(&STETH_WINDOW_USAGE, bytes as u64),
            self.single(&STETH_WINDOW_LIMIT, trace.config().bytes as u64),
            Metric {
                instrument: &STETH_SPAN_LINKED,
                points: linked.map(|(how, n)| by(key::STETH_LINK_METHOD, how.name(), n)).collect(),
            },
            Metric {
                instrument: &STETH_SPAN_UNLINKED,
                points: roots.map(|(why, n)| by(key::STETH_LINK_MISSING, why.name(), n)).collect(),
            },
            Metric {
                instrument: &STETH_CONTEXT_LOST,
                points: vec![
                    by(key::STETH_REASON, "malformed", counters.malformed),
                    by(key::STETH_REASON, "head_cut", counters.cut),
                    by(key::STETH_REASON, "unordered", counters.unordered),
                    by(key::STETH_REASON, "in_flight_full", counters.over),
                ],
            },
        ]
    }

    fn kernel_counters(&self, counts: &[u64]) -> Vec<Metric> {
        let of = |counter: Counter| counts.get(counter as usize).copied().unwrap_or_default();
        let kind = |kind, counter| {
            self.point(vec![(key::STETH_RECORD_KIND, Value::Static(kind))], int(of(counter)))
        };
        vec![
            Metric {
                instrument: &STETH_RECORD_WRITTEN,
                points: vec![
                    kind("exchange", Counter::ExchangesSeen),
                    kind("segment", Counter::SegmentsSeen),
                ],
            },
            self.single(&STETH_CONNECTION_OPAQUE, of(Counter::Opaque)),
            self.single(&STETH_CONNECTION_OPAQUE_IO, of(Counter::OpaqueBytes)),
            self.single(&STETH_CONNECTION_SKIPPED_IO, of(Counter::SkippedBytes)),
            self.single(&STETH_CONNECTION_FILTERED, of(Counter::Filtered)),
            self.single(&STETH_CALL_UNSEEN, of(Counter::Unseen)),
            self.single(&STETH_EXCHANGE_UNKNOWN, of(Counter::Unknown)),
        ]
    }

    fn single(&self, instrument: &'static Instrument, value: u64) -> Metric {
        Metric { instrument, points: vec![self.point(Vec::new(), int(value))] }
    }

    fn point(&self, attributes: Vec<Attribute>, value: Number) -> Point {
        Point { attributes: attributes.into(), start: self.since, data: Data::Number(value) }
    }
}

/// Samples of USE that are in no metric.
fn unsampled(pipeline: &Pipeline) -> impl Iterator<Item = Loss> {
    let book::Counters { unbound, refused, .. } = pipeline.book().counters();
    let losses = [("unbound", unbound), ("limit", refused)];
    let losses = losses.map(|(reason, count)| Loss { stage: USAGE, reason, count });
    losses.into_iter().filter(|loss| loss.count > 0)
}

/// Requests to one of more far ends than a service may have by name.
const FAR_ENDS: &str = "far_end_limit";

/// What was told without the name of its pod.
fn unnamed(pipeline: &Pipeline) -> impl Iterator<Item = Loss> {
    let counts = pipeline.cluster().map(Cluster::counts).unwrap_or_default();
    let losses = [("not_told", counts.nameless), ("limit", counts.refused)];
    let losses = losses.map(|(reason, count)| Loss { stage: CLUSTER, reason, count });
    losses.into_iter().filter(|loss| loss.count > 0)
}

fn int(value: u64) -> Number {
    Number::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

/// CPU time of this process in nanoseconds, user and kernel mode, as coarse as `/proc` tells it.
fn cpu() -> (u64, u64) {
    let Ok(stat) = Process::myself().and_then(|own| own.stat()) else { return (0, 0) };
    let nanos = 1_000_000_000 / procfs::ticks_per_second().max(1);
    (stat.utime * nanos, stat.stime * nanos)
}

/// Resident memory of this process.
fn rss() -> u64 {
    let status = Process::myself().and_then(|own| own.status());
    status.ok().and_then(|status| status.vmrss).unwrap_or(0) * 1024
}

/// Memory of the maps this process holds, as the kernel charges it.
fn map_bytes() -> u64 {
    let Ok(entries) = std::fs::read_dir("/proc/self/fdinfo") else { return 0 };
    // One map may be held by several descriptors.
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
