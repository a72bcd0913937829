//! What the agent counts about itself, and the metrics that say it.

use std::sync::Arc;

use crate::export::counters::Counters;
use crate::metric::instrument::Instrument;
use crate::metric::instrument::own::{
    STETH_CPU_TIME, STETH_EXCHANGE_LOST, STETH_EXCHANGE_REPORTED, STETH_EXCHANGE_SEEN,
    STETH_EXPORT_POINTS, STETH_EXPORT_QUEUE_USAGE, STETH_EXPORT_REQUESTS, STETH_MEMORY_USAGE,
};
use crate::metric::key::{CPU_MODE, STETH_OUTCOME, STETH_REASON, STETH_SIGNAL, STETH_STAGE};
use crate::metric::snapshot::{Attribute, Data, Metric, Number, Point, Value, WallTime};

/// The agent's own counts since its start. `seen` is `reported` and all that is `lost`.
#[derive(Clone, Debug, Default)]
pub struct OwnStats {
    /// When the agent started.
    pub start: WallTime,
    /// Exchanges that were known of.
    pub seen: u64,
    /// Exchanges that are in the metrics.
    pub reported: u64,
    /// Exchanges that are not: stage, reason, how many.
    pub lost: Vec<(&'static str, &'static str, u64)>,
    /// Bytes that wait to be exported.
    pub queue_bytes: u64,
    /// CPU time in user mode, nanoseconds.
    pub cpu_user: u64,
    /// CPU time in kernel mode, nanoseconds.
    pub cpu_system: u64,
    /// Resident memory, bytes.
    pub rss_bytes: u64,
    /// What became of the points.
    pub exports: Counters,
    /// What other stages measure of themselves, made of `steth.` instruments.
    pub more: Vec<Metric>,
}

impl OwnStats {
    /// The same as metrics: for the SDK, and for a snapshot that `/metrics` is made of.
    pub fn metrics(&self) -> Vec<Metric> {
        let Self {
            start,
            seen,
            reported,
            lost,
            queue_bytes,
            cpu_user,
            cpu_system,
            rss_bytes,
            exports,
            more,
        } = self;
        let metric = |instrument: &'static Instrument, points: Vec<(Vec<Attribute>, u64)>| Metric {
            instrument,
            points: points
                .into_iter()
                .map(|(attributes, value)| Point {
                    attributes: Arc::from(attributes),
                    start: *start,
                    data: Data::Number(Number::Int(i64::try_from(value).unwrap_or(i64::MAX))),
                })
                .collect(),
        };
        let outcome = |outcome, value| {
            let signal = (STETH_SIGNAL, Value::Static("metrics"));
            (vec![(STETH_OUTCOME, Value::Static(outcome)), signal], value)
        };
        let mode = |mode, value| (vec![(CPU_MODE, Value::Static(mode))], value);
        let lost = lost.iter().map(|(stage, reason, value)| {
            let reason = (STETH_REASON, Value::Static(reason));
            (vec![reason, (STETH_STAGE, Value::Static(stage))], *value)
        });
        let mut metrics = vec![
            metric(&STETH_EXCHANGE_SEEN, vec![(Vec::new(), *seen)]),
            metric(&STETH_EXCHANGE_REPORTED, vec![(Vec::new(), *reported)]),
            metric(&STETH_EXCHANGE_LOST, lost.collect()),
            metric(
                &STETH_EXPORT_QUEUE_USAGE,
                vec![(vec![(STETH_SIGNAL, Value::Static("metrics"))], *queue_bytes)],
            ),
            metric(&STETH_CPU_TIME, vec![mode("system", *cpu_system), mode("user", *cpu_user)]),
            metric(&STETH_MEMORY_USAGE, vec![(Vec::new(), *rss_bytes)]),
            metric(
                &STETH_EXPORT_POINTS,
                vec![
                    outcome("accepted", exports.exported),
                    outcome("rejected", exports.rejected),
                    outcome("dropped", exports.dropped.total()),
                ],
            ),
            metric(
                &STETH_EXPORT_REQUESTS,
                vec![outcome("accepted", exports.requests), outcome("retried", exports.retries)],
            ),
        ];
        metrics.extend(more.iter().cloned());
        metrics
    }
}
