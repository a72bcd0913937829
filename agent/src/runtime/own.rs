//! What the agent says of itself: its losses, its queues, its cost.

use std::sync::Arc;
use std::time::Duration;

use agent_common::counter::Counter;
use agent_common::limit;

use crate::event::Timestamp;
use crate::export::counters as export;
use crate::health::{Agent, Budget, Capture, Loss, Queue, Status, Totals};
use crate::host::Anchor;
use crate::kernel::Kernel;
use crate::metric::instrument::{self as instruments, Instrument};
use crate::metric::key;
use crate::metric::snapshot::{
    Attribute, Data, Metric, Number, Point, Resource, ResourceMetrics, Scope, Value, WallTime,
};
use crate::pipeline::Pipeline;
use crate::protocol::http1::Count;

/// The name of this family's scope.
const SCOPE: &str = "steth/self";

/// The agent's account of itself.
pub struct Own {
    begun: Timestamp,
    since: WallTime,
    resource: Arc<Resource>,
    probes: Vec<crate::health::probe::Probe>,
    warnings: Vec<String>,
    exported: Box<dyn Fn() -> Option<export::Counters> + Send>,
}

impl Own {
    /// An account that begins at `anchor`.
    pub fn new(
        anchor: &Anchor,
        resource: Resource,
        probes: Vec<crate::health::probe::Probe>,
        warnings: Vec<String>,
        exported: Box<dyn Fn() -> Option<export::Counters> + Send>,
    ) -> Self {
        Self {
            begun: anchor.monotonic,
            since: anchor.wall,
            resource: Arc::new(resource),
            probes,
            warnings,
            exported,
        }
    }

    /// Everything at this moment.
    pub fn status(&self, kernel: &Kernel, pipeline: &Pipeline, now: Timestamp) -> Status {
        let counts = kernel.counts();
        let of = |counter: Counter| counts.get(counter as usize).copied().unwrap_or_default();
        let http1 = pipeline.http1().counters();
        let red = pipeline.red().counters();
        let own = pipeline.counters();
        let mut losses = Vec::new();
        let mut lose = |stage, reason, count| {
            if count > 0 {
                losses.push(Loss { stage, reason, count });
            }
        };
        for (reason, counter) in [
            ("ring_full_exchange", Counter::LostRingExchange),
            ("ring_full_segment", Counter::LostRingSegment),
            ("ring_full_close", Counter::LostRingClose),
            ("ring_full_connect", Counter::LostRingConnect),
            ("ring_full_process", Counter::LostRingProcess),
            ("no_socket_state", Counter::LostNoState),
        ] {
            lose("kernel", reason, of(counter));
        }
        for (reason, count) in
            ["short", "kind", "field", "alignment"].into_iter().zip(own.malformed)
        {
            lose("event", reason, count);
        }
        for count in Count::LOST {
            lose("http1", lost_word(count), http1.get(count));
        }
        let lost = of(Counter::LostRingExchange) + http1.lost();
        let (connections, bytes, _) = pipeline.http1().held();
        let used = |used: usize| used as u64;
        Status {
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: now.since(self.begun).0 as f64 / 1e9,
            capture: Capture {
                tier: Some(kernel.tier.number()),
                probes: self.probes.clone(),
            },
            exchanges: Totals {
                seen: http1.get(Count::Requests) + of(Counter::LostRingExchange),
                reported: red.observed + own.filtered,
                lost,
                in_flight: pipeline.http1().in_flight().count() as u64,
            },
            losses,
            queues: vec![Queue {
                name: "ring",
                size: kernel.waiting(),
                limit: u64::from(limit::RING_BYTES),
                unit: "bytes",
            }],
            budgets: vec![
                Budget { name: "series", used: used(red.series), limit: 0 },
                Budget { name: "routes", used: used(red.routes), limit: 0 },
                Budget { name: "services", used: used(red.services), limit: 0 },
                Budget { name: "connections", used: used(connections), limit: 0 },
                Budget { name: "stream_bytes", used: used(bytes), limit: 0 },
            ],
            agent: Agent {
                cpu_seconds: cpu().as_secs_f64(),
                rss_bytes: rss(),
                map_bytes: map_bytes(),
            },
            warnings: self.warnings.clone(),
        }
    }

    /// The same as metrics.
    pub fn metrics(&self, status: &Status, kernel: &Kernel) -> ResourceMetrics {
        let int = |value: u64| Number::Int(i64::try_from(value).unwrap_or(i64::MAX));
        let mut metrics = vec![
            self.single(&instruments::STETH_EXCHANGE_SEEN, int(status.exchanges.seen)),
            self.single(&instruments::STETH_EXCHANGE_REPORTED, int(status.exchanges.reported)),
            self.single(&instruments::STETH_CPU_TIME, Number::Double(status.agent.cpu_seconds)),
            self.single(&instruments::STETH_MEMORY_USAGE, int(status.agent.rss_bytes)),
            self.single(&instruments::STETH_BPF_MAP_USAGE, int(status.agent.map_bytes)),
            self.single(&instruments::STETH_RING_USAGE, int(kernel.waiting())),
            self.single(&instruments::STETH_RING_LIMIT, int(u64::from(limit::RING_BYTES))),
        ];
        let lost = |exchanges: bool| {
            status
                .losses
                .iter()
                .filter(|loss| (loss.stage == "http1" || loss.reason == "ring_full_exchange") == exchanges)
                .map(|loss| {
                    let attributes = vec![
                        (key::STETH_REASON, Value::Static(loss.reason)),
                        (key::STETH_STAGE, Value::Static(loss.stage)),
                    ];
                    self.point(attributes, int(loss.count))
                })
                .collect::<Vec<_>>()
        };
        metrics.push(Metric { instrument: &instruments::STETH_EXCHANGE_LOST, points: lost(true) });
        metrics.push(Metric { instrument: &instruments::STETH_RECORD_LOST, points: lost(false) });
        let programs = kernel.programs();
        let by_program = |value: &dyn Fn(&crate::kernel::ProgramCost) -> Number| {
            programs
                .iter()
                .map(|program| {
                    let name = Value::Text(program.name.as_str().into());
                    self.point(vec![(key::STETH_BPF_PROGRAM_NAME, name)], value(program))
                })
                .collect::<Vec<_>>()
        };
        if !programs.is_empty() {
            metrics.push(Metric {
                instrument: &instruments::STETH_BPF_PROGRAM_TIME,
                points: by_program(&|p| Number::Double(p.time.as_secs_f64())),
            });
            metrics.push(Metric {
                instrument: &instruments::STETH_BPF_PROGRAM_RUNS,
                points: by_program(&|p| int(p.runs)),
            });
        }
        let _ = &self.exported;
        metrics.retain(|metric| !metric.points.is_empty());
        ResourceMetrics {
            resource: Arc::clone(&self.resource),
            scopes: vec![Scope { name: SCOPE, metrics }],
        }
    }

    fn single(&self, instrument: &'static Instrument, value: Number) -> Metric {
        Metric { instrument, points: vec![self.point(Vec::new(), value)] }
    }

    fn point(&self, attributes: Vec<Attribute>, value: Number) -> Point {
        Point { attributes: attributes.into(), start: self.since, data: Data::Number(value) }
    }
}

fn lost_word(count: Count) -> &'static str {
    match count {
        Count::LostGap => "gap",
        Count::LostEvicted => "evicted",
        Count::LostVanished => "vanished",
        Count::LostPipeline => "pipeline_full",
        Count::LostSequence => "records_missing",
        _ => "tunnel",
    }
}

/// CPU time of this process, in the hundredths of a second that `/proc` tells.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may hold anything; fields are counted behind it.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = rest
        .split_ascii_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
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
    let mut seen = std::collections::BTreeMap::new();
    for entry in entries.flatten() {
        let Ok(text) = std::fs::read_to_string(entry.path()) else { continue };
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim_start_matches(':').trim().parse::<u64>().ok()
        };
        if let (Some(id), Some(bytes)) = (field("map_id"), field("memlock")) {
            seen.insert(id, bytes);
        }
    }
    seen.values().sum()
}
