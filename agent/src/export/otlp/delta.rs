//! What the collector has acknowledged, series by series: the state that deltas count from.
//!
//! A baseline moves only when the request that carried its series was accepted. A collector that is
//! away costs one baseline a series, and the next delta covers the whole gap.

use std::collections::HashMap;
use std::sync::Arc;

use crate::metric::exemplar::Exemplars;
use crate::metric::snapshot::{Attribute, Data, Number, Resource, Snapshot, WallTime};

use super::{Series, series};

/// Family and instrument, by name.
pub(crate) type MetricName = (&'static str, &'static str);

/// The acknowledged state of one series.
#[derive(Debug)]
struct Baseline {
    start: WallTime,
    time: WallTime,
    data: Data,
    live: bool,
}

/// The series of one metric.
type ByAttributes = HashMap<Arc<[Attribute]>, Baseline>;

/// The acknowledged state of all series. At most one baseline for each series of the snapshots it
/// was last told to keep.
#[derive(Debug, Default)]
pub(crate) struct Baselines {
    resources: HashMap<Arc<Resource>, HashMap<MetricName, ByAttributes>>,
}

/// What a series gained, and since when.
#[derive(Debug)]
pub(crate) struct Gain {
    /// Everything up to here was acknowledged.
    pub(crate) since: WallTime,
    /// What came after.
    pub(crate) data: Data,
}

impl Baselines {
    /// What is to be sent of a series whose stream is one of deltas.
    pub(crate) fn gain(&self, series: &Series<'_>) -> Gain {
        let point = series.point;
        let baseline = self.find(series).filter(|baseline| baseline.start == point.start);
        let Some(baseline) = baseline else {
            if let Data::Older { value, before, since } = point.data
                && let Some(gained) = number(value, before)
            {
                return Gain { since, data: Data::Number(gained) };
            }
            return Gain { since: point.start, data: point.data.clone() };
        };
        let since = baseline.time.min(series.time);
        let data = match (&point.data, &baseline.data) {
            (Data::Number(newer) | Data::Older { value: newer, .. }, Data::Number(older)) => {
                number(*newer, *older).map(Data::Number)
            }
            (Data::Histogram(newer), Data::Histogram(older)) => {
                let grew = newer.count >= older.count && newer.sum >= older.sum;
                grew.then(|| Data::Histogram(Box::new(newer.since(older))))
            }
            (Data::Ended | Data::Moved(_), _) => Some(Data::Ended),
            _ => None,
        };
        match data {
            Some(data) => Gain { since, data },
            None => Gain { since: point.start, data: point.data.clone() },
        }
    }

    /// The collector has taken this state of the series.
    pub(crate) fn acknowledge(&mut self, series: &Series<'_>) {
        let point = series.point;
        let metrics = self.resources.entry(Arc::clone(series.resource)).or_default();
        let baselines = metrics.entry(name(series)).or_default();
        if matches!(point.data, Data::Ended | Data::Moved(_)) {
            baselines.remove(&point.attributes);
            return;
        }
        let baseline = Baseline {
            start: point.start,
            time: series.time,
            data: baseline(&point.data),
            live: false,
        };
        baselines.insert(Arc::clone(&point.attributes), baseline);
    }

    /// All that the series counted is part of another one from here on: so is what was acknowledged.
    pub(crate) fn apply(&mut self, moved: &Moved) {
        let Some(baselines) = self
            .resources
            .get_mut(&moved.resource)
            .and_then(|metrics| metrics.get_mut(&moved.metric))
        else {
            return;
        };
        if baselines.get(&moved.from).is_none_or(|baseline| baseline.start != moved.from_start) {
            return;
        }
        let Some(from) = baselines.remove(&moved.from) else { return };
        match baselines.get_mut(&moved.into) {
            Some(into) if into.start == moved.into_start => match (&mut into.data, from.data) {
                (Data::Number(into), Data::Number(from)) => *into = sum(*into, from),
                (Data::Histogram(into), Data::Histogram(from)) => into.merge(&from),
                _ => (),
            },
            _ => {
                let (start, data) = (moved.into_start, from.data);
                let baseline = Baseline { start, time: start, data, live: false };
                baselines.insert(Arc::clone(&moved.into), baseline);
            }
        }
    }

    /// Forgets every series that stands in none of these snapshots.
    pub(crate) fn retain<'a>(&mut self, snapshots: impl Iterator<Item = &'a Snapshot>) {
        for snapshot in snapshots {
            for series in series(snapshot) {
                if let Some(baseline) = self.find_mut(&series) {
                    baseline.live = true;
                }
            }
        }
        self.resources.retain(|_, metrics| {
            metrics.retain(|_, baselines| {
                baselines.retain(|_, baseline| std::mem::take(&mut baseline.live));
                !baselines.is_empty()
            });
            !metrics.is_empty()
        });
    }

    /// How many series have a baseline.
    pub(crate) fn len(&self) -> usize {
        self.resources.values().flat_map(HashMap::values).map(HashMap::len).sum()
    }

    fn find(&self, series: &Series<'_>) -> Option<&Baseline> {
        self.resources.get(series.resource)?.get(&name(series))?.get(&series.point.attributes)
    }

    fn find_mut(&mut self, series: &Series<'_>) -> Option<&mut Baseline> {
        self.resources
            .get_mut(series.resource)?
            .get_mut(&name(series))?
            .get_mut(&series.point.attributes)
    }
}

/// A series that became part of another one of the same metric.
#[derive(Clone, Debug)]
pub(crate) struct Moved {
    pub(crate) resource: Arc<Resource>,
    pub(crate) metric: MetricName,
    pub(crate) from: Arc<[Attribute]>,
    pub(crate) from_start: WallTime,
    into: Arc<[Attribute]>,
    into_start: WallTime,
}

/// All series of a snapshot that became part of others.
pub(crate) fn moved(snapshot: &Snapshot) -> impl Iterator<Item = Moved> {
    series(snapshot).filter_map(|series| {
        let Data::Moved(into) = &series.point.data else { return None };
        let target = series.metric.points.iter().find(|point| point.attributes == *into)?;
        Some(Moved {
            resource: Arc::clone(series.resource),
            metric: name(&series),
            from: Arc::clone(&series.point.attributes),
            from_start: series.point.start,
            into: Arc::clone(into),
            into_start: target.start,
        })
    })
}

/// What later states are compared with.
fn baseline(data: &Data) -> Data {
    let mut data = data.number().map_or_else(|| data.clone(), Data::Number);
    if let Data::Histogram(histogram) = &mut data {
        histogram.exemplars = Exemplars::new();
    }
    data
}

fn sum(one: Number, other: Number) -> Number {
    match (one, other) {
        (Number::Int(one), Number::Int(other)) => Number::Int(one.saturating_add(other)),
        (Number::Double(one), Number::Double(other)) => Number::Double(one + other),
        (one, _) => one,
    }
}

fn name(series: &Series<'_>) -> MetricName {
    (series.scope.name, series.metric.instrument.name)
}

/// `None` if the number shrank or changed its form: a counter that began anew.
fn number(newer: Number, older: Number) -> Option<Number> {
    match (newer, older) {
        (Number::Int(newer), Number::Int(older)) if newer >= older => {
            newer.checked_sub(older).map(Number::Int)
        }
        (Number::Double(newer), Number::Double(older)) if newer >= older => {
            Some(Number::Double(newer - older))
        }
        _ => None,
    }
}
