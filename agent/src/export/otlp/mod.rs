//! Snapshots as OTLP: every service and process in one request, deltas from acknowledged baselines,
//! requests cut below what receivers take.

pub(crate) mod attribute;
pub(crate) mod batch;
pub(crate) mod delta;
pub(crate) mod departed;
pub(crate) mod point;
#[cfg(test)]
mod tests;

use crate::metric::snapshot::{Metric, Point, Resource, Scope, Snapshot, WallTime};

/// The version of the conventions that all names follow.
pub(crate) const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.44.0";

/// One series with all it stands under.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Series<'a> {
    /// Its resource.
    pub(crate) resource: &'a std::sync::Arc<Resource>,
    /// Its family.
    pub(crate) scope: &'a Scope,
    /// Its metric.
    pub(crate) metric: &'a Metric,
    /// Its state.
    pub(crate) point: &'a Point,
    /// When that was its state.
    pub(crate) time: WallTime,
}

/// All series of a snapshot, always in the same order: a series' place in it is how far a round of
/// requests has come.
pub(crate) fn series(snapshot: &Snapshot) -> impl Iterator<Item = Series<'_>> {
    let time = snapshot.time;
    snapshot.resources.iter().flat_map(move |entry| {
        let resource = &entry.resource;
        entry.scopes.iter().flat_map(move |scope| {
            scope.metrics.iter().flat_map(move |metric| {
                metric.points.iter().map(move |point| Series {
                    resource,
                    scope,
                    metric,
                    point,
                    time,
                })
            })
        })
    })
}
