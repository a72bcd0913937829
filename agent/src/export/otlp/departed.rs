//! What a newer snapshot no longer tells of an older one that was not sent.
//!
//! A cumulative value that a newer one replaces is no loss. The last value of a series that has
//! ended meanwhile is: a process that lived for a second would never be counted.

use std::collections::HashMap;
use std::sync::Arc;

use super::delta::Moved;
use super::{Series, series};
use crate::metric::instrument::Kind;
use crate::metric::snapshot::{
    Attribute, Data, Metric, Point, Resource, ResourceMetrics, Scope, Snapshot, WallTime,
};

/// What tells two series apart.
type Identity<'a> = (&'a Resource, &'static str, &'static str, &'a Arc<[Attribute]>);

/// Of the series from place `from` on in `older`, those whose last state `newer` does not continue.
/// What became part of another series is continued by that one; `moved` are the moves of snapshots
/// between the two. Readings of gauges are left out: they say nothing afterwards.
pub(crate) fn left_behind(
    older: &Snapshot,
    from: usize,
    newer: &Snapshot,
    moved: &[Moved],
) -> Snapshot {
    let mut continued: HashMap<Identity<'_>, (WallTime, bool)> = series(newer)
        .map(|series| {
            let ended = matches!(series.point.data, Data::Ended);
            (identity(&series), (series.point.start, ended))
        })
        .collect();
    for moved in moved {
        let (scope, metric) = moved.metric;
        let identity = (moved.resource.as_ref(), scope, metric, &moved.from);
        continued.entry(identity).or_insert((moved.from_start, false));
    }
    let mut left = Snapshot { time: older.time, resources: Vec::new() };
    for series in series(older).skip(from) {
        let ended = matches!(series.point.data, Data::Ended | Data::Moved(_));
        let keep = match continued.get(&identity(&series)) {
            None => ended || series.metric.instrument.kind != Kind::Gauge,
            Some((start, newer_ended)) => {
                !ended
                    && series.metric.instrument.kind != Kind::Gauge
                    && (*newer_ended || *start != series.point.start)
            }
        };
        if keep {
            push(&mut left, &series);
        }
    }
    left
}

/// How many points a snapshot has.
pub(crate) fn points(snapshot: &Snapshot) -> usize {
    snapshot
        .resources
        .iter()
        .flat_map(|resource| &resource.scopes)
        .flat_map(|scope| &scope.metrics)
        .map(|metric| metric.points.len())
        .sum()
}

fn identity<'a>(series: &Series<'a>) -> Identity<'a> {
    (
        series.resource.as_ref(),
        series.scope.name,
        series.metric.instrument.name,
        &series.point.attributes,
    )
}

/// Adds a series behind the last; series come in the order of a snapshot.
fn push(snapshot: &mut Snapshot, series: &Series<'_>) {
    let point: Point = series.point.clone();
    if snapshot.resources.last().is_none_or(|last| !Arc::ptr_eq(&last.resource, series.resource)) {
        let resource = Arc::clone(series.resource);
        snapshot.resources.push(ResourceMetrics { resource, scopes: Vec::new() });
    }
    let Some(entry) = snapshot.resources.last_mut() else { return };
    if entry.scopes.last().is_none_or(|last| last.name != series.scope.name) {
        entry.scopes.push(Scope { name: series.scope.name, metrics: Vec::new() });
    }
    let Some(scope) = entry.scopes.last_mut() else { return };
    let instrument = series.metric.instrument;
    if scope.metrics.last().is_none_or(|last| !std::ptr::eq(last.instrument, instrument)) {
        scope.metrics.push(Metric { instrument, points: Vec::new() });
    }
    if let Some(metric) = scope.metrics.last_mut() {
        metric.points.push(point);
    }
}
