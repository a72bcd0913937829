//! Series as they are kept: cumulative, never falling, ended once.

use std::sync::Arc;

use crate::metric::histogram::Histogram;
use crate::metric::instrument::Instrument;
use crate::metric::snapshot::{Data, Metric, Number, Point, Scope, WallTime};
use crate::usage::{Amount, Family, Labels};

/// ```text
/// Live --not read any more--> Last (only if its last value was not exported yet) --exported--> Ended
/// Live --not read any more, but told already--> Ended --exported--> gone
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Live,
    Last,
    Ended,
}

/// What is counted.
#[derive(Debug)]
enum State {
    /// A counter whose source has a total: what was read last, if anything was.
    Total { value: Number, last: Number },
    /// A counter that is added to.
    Sum(Number),
    /// A state.
    Now(Number),
    /// A distribution.
    Histogram(Box<Histogram>),
}

/// One series.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) family: Family,
    pub(super) instrument: &'static Instrument,
    labels: Labels,
    start: WallTime,
    /// Of a total: what it was before it was watched here, and until when.
    older: Option<(Number, WallTime)>,
    state: State,
    round: u32,
    told: bool,
    phase: Phase,
}

/// Where a series begins that is met for the first time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    /// When its owner began to count.
    pub(super) start: WallTime,
    /// When it could have been read last and was not there.
    pub(super) before: WallTime,
    /// Now.
    pub(super) now: WallTime,
    /// Everything it counted happened under our eyes: nothing of it is older.
    pub(super) whole: bool,
}

/// What a series gained by a sample.
#[derive(Debug)]
pub(super) enum Gain {
    /// A counter: so much more.
    More(Number),
    /// A state: it is so much.
    Is(Number),
    /// A distribution: all these.
    Values(Box<Histogram>),
}

/// All series of one owner.
#[derive(Debug, Default)]
pub(super) struct Account {
    series: Vec<Series>,
    /// Samples come in the same order each round: where the next one is looked for first.
    cursor: usize,
}

/// A key into an account with what tells its series apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Which<'a> {
    pub(super) family: Family,
    pub(super) instrument: &'static Instrument,
    pub(super) labels: &'a Labels,
}

impl Series {
    fn is(&self, which: Which<'_>) -> bool {
        std::ptr::eq(self.instrument, which.instrument)
            && (Arc::ptr_eq(&self.labels, which.labels) || self.labels == *which.labels)
            && self.family == which.family
    }

    fn data(&self) -> Data {
        if self.phase == Phase::Ended {
            return Data::Ended;
        }
        match (&self.state, self.older) {
            (State::Total { value, .. }, Some((before, since))) => {
                Data::Older { value: *value, before, since }
            }
            (State::Total { value, .. } | State::Sum(value) | State::Now(value), _) => {
                Data::Number(*value)
            }
            (State::Histogram(histogram), _) => Data::Histogram(histogram.clone()),
        }
    }

    fn end(&mut self) {
        if self.phase == Phase::Live {
            self.phase = if self.told { Phase::Ended } else { Phase::Last };
        }
    }
}

/// How much a total grew. One that fell by more than half began anew; one that fell by less (the
/// kernel's account of idle time does) stands still until it is made up for.
fn growth(value: Number, last: &mut Number) -> Number {
    if let Some(more) = value.since(*last) {
        *last = value;
        return more;
    }
    if value.as_double() < last.as_double() / 2.0 {
        *last = value;
        return value;
    }
    value.zero()
}

impl Account {
    /// Takes a sample in; `None` if there is no room for its series (more than `limit`).
    pub(super) fn take(
        &mut self,
        which: Which<'_>,
        amount: Amount,
        round: u32,
        origin: Origin,
        limit: usize,
    ) -> Option<Gain> {
        let Some(at) = self.find(which) else {
            if self.series.len() >= limit {
                return None;
            }
            let (series, gain) = begin(which, amount, round, origin);
            self.series.push(series);
            self.cursor = self.series.len();
            return Some(gain);
        };
        self.cursor = at + 1;
        let series = self.series.get_mut(at)?;
        // One whose end is told already begins anew, with nothing older.
        if series.phase == Phase::Ended {
            let (anew, gain) = begin(which, amount, round, origin);
            *series = anew;
            return Some(gain);
        }
        let again = series.round == round;
        (series.round, series.told, series.phase) = (round, false, Phase::Live);
        Some(match (&mut series.state, amount) {
            (State::Total { value, last }, Amount::Total(total)) => {
                let more = growth(total, last);
                *value = value.plus(more);
                Gain::More(more)
            }
            (State::Sum(value) | State::Total { value, .. }, Amount::Add(more)) => {
                *value = value.plus(more);
                Gain::More(more)
            }
            // A state told twice in a round is that of several: they add up.
            (State::Now(value), Amount::Now(now)) => {
                *value = if again { value.plus(now) } else { now };
                Gain::Is(now)
            }
            (State::Histogram(histogram), Amount::AddHistogram(more)) => {
                histogram.merge(&more);
                Gain::Values(more)
            }
            // A probe that changed its mind: the series begins anew.
            (_, amount) => {
                let (anew, gain) = begin(which, amount, round, origin);
                *series = anew;
                gain
            }
        })
    }

    fn find(&self, which: Which<'_>) -> Option<usize> {
        let (front, back) = self.series.split_at_checked(self.cursor)?;
        let behind = back.iter().position(|series| series.is(which));
        behind
            .map(|at| at + self.cursor)
            .or_else(|| front.iter().position(|series| series.is(which)))
    }

    /// Series of `family` that were read before and not in this round have ended: what is only added
    /// to stays, nothing to add is no end.
    pub(super) fn end_unread(&mut self, family: Family, round: u32) {
        for series in &mut self.series {
            let is_read = matches!(series.state, State::Total { .. } | State::Now(_));
            if series.family == family && series.round != round && is_read {
                series.end();
            }
        }
    }

    /// The owner has ended.
    pub(super) fn end(&mut self) {
        self.series.iter_mut().for_each(Series::end);
    }

    /// A snapshot with these series was exported.
    pub(super) fn exported(&mut self) {
        self.cursor = 0;
        self.series.retain_mut(|series| {
            series.told = true;
            match series.phase {
                Phase::Live => true,
                Phase::Last => {
                    series.phase = Phase::Ended;
                    true
                }
                Phase::Ended => false,
            }
        });
    }

    /// What was counted up to here was told elsewhere.
    pub(super) fn told_elsewhere(&mut self, now: WallTime) {
        for series in &mut self.series {
            if let State::Total { value, .. } = series.state {
                series.older = Some((value, now));
            }
        }
    }

    pub(super) fn rewind(&mut self) {
        self.cursor = 0;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    /// The series that `wanted` lets through, by family and instrument.
    pub(super) fn scopes(&self, wanted: impl Fn(&Series) -> bool) -> Vec<Scope> {
        let mut scopes: Vec<Scope> = Vec::new();
        for series in self.series.iter().filter(|series| wanted(series)) {
            let name = series.family.scope();
            let at = scopes.iter().position(|scope| scope.name == name).unwrap_or_else(|| {
                scopes.push(Scope { name, metrics: Vec::new() });
                scopes.len() - 1
            });
            let Some(scope) = scopes.get_mut(at) else { continue };
            let point = Point {
                attributes: Arc::clone(&series.labels),
                start: series.start,
                data: series.data(),
            };
            let same = |metric: &&mut Metric| std::ptr::eq(metric.instrument, series.instrument);
            match scope.metrics.iter_mut().rev().find(same) {
                Some(metric) => metric.points.push(point),
                None => scope
                    .metrics
                    .push(Metric { instrument: series.instrument, points: vec![point] }),
            }
        }
        scopes
    }
}

fn begin(which: Which<'_>, amount: Amount, round: u32, origin: Origin) -> (Series, Gain) {
    let Origin { start, before, now, whole } = origin;
    let (state, start, older, gain) = match amount {
        Amount::Total(value) => {
            let more = if whole { value } else { value.zero() };
            let older = (!whole).then_some((value, now));
            (State::Total { value, last: value }, start, older, Gain::More(more))
        }
        Amount::Add(more) => (State::Sum(more), before.max(start), None, Gain::More(more)),
        Amount::Now(value) => (State::Now(value), before.max(start), None, Gain::Is(value)),
        Amount::AddHistogram(values) => {
            let gain = Gain::Values(values.clone());
            (State::Histogram(values), before.max(start), None, gain)
        }
    };
    let Which { family, instrument, labels } = which;
    let labels = Arc::clone(labels);
    let (told, phase) = (false, Phase::Live);
    (Series { family, instrument, labels, start, older, state, round, told, phase }, gain)
}
