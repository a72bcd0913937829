//! What the exporters are given: every series as it stands, cumulative since its start.
//!
//! Temporality is the exporter's affair: what it needs for deltas it keeps itself, so that a
//! collector that is away costs one baseline and no queue of snapshots.

use std::sync::Arc;

use super::histogram::Histogram;
use super::instrument::Instrument;
use super::key::Key;

/// Wall time, nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(pub u64);

/// An attribute's value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    /// Text from a closed set.
    Static(&'static str),
    /// Text from an open set that was bounded before it came here.
    Text(Arc<str>),
    /// A number.
    Int(i64),
    /// True or false.
    Bool(bool),
    /// A length of time in nanoseconds, told in seconds.
    Seconds(u64),
    /// A list of texts (`process.command_args`).
    List(Arc<[Arc<str>]>),
}

/// One attribute.
pub type Attribute = (Key, Value);

/// Who a set of series belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Resource {
    /// In the order of their keys, each key once.
    pub attributes: Vec<Attribute>,
}

/// A number that is counted or read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A whole number.
    Int(i64),
    /// A fraction.
    Double(f64),
}

impl Number {
    /// Both together; what does not fit stays at the greatest.
    #[must_use]
    pub fn plus(self, more: Self) -> Self {
        match (self, more) {
            (Self::Int(one), Self::Int(other)) => Self::Int(one.saturating_add(other)),
            (one, other) => Self::Double(one.as_double() + other.as_double()),
        }
    }

    /// How much more than `older` this is; `None` if it is less.
    pub fn since(self, older: Self) -> Option<Self> {
        match (self, older) {
            (Self::Int(newer), Self::Int(older)) if newer >= older => {
                newer.checked_sub(older).map(Self::Int)
            }
            (Self::Int(_), Self::Int(_)) => None,
            (newer, older) => {
                let more = newer.as_double() - older.as_double();
                (more >= 0.0).then_some(Self::Double(more))
            }
        }
    }

    /// As a fraction.
    pub fn as_double(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Double(value) => value,
        }
    }

    /// Nothing, in the form of this one.
    #[must_use]
    pub fn zero(self) -> Self {
        match self {
            Self::Int(_) => Self::Int(0),
            Self::Double(_) => Self::Double(0.0),
        }
    }
}

/// The state of one series.
#[derive(Clone, Debug)]
pub enum Data {
    /// For counters (monotonic) and up-down-counters: the sum since `start`. For gauges: the value.
    Number(Number),
    /// For counters whose source had counted before it was watched, or had been told elsewhere: for
    /// a reader of cumulative values the same as `Number(value)`; one that tells deltas tells of it
    /// only what came after `since`, when it was `before`.
    Older {
        /// The sum since `start`.
        value: Number,
        /// What it was when the watching began.
        before: Number,
        /// When that was.
        since: WallTime,
    },
    /// For histograms: everything since `start`.
    Histogram(Box<Histogram>),
    /// The series has ended: "no recorded value", sent once.
    Ended,
    /// The series has ended and all it counted is part of the one with these attributes from here
    /// on. For a reader of cumulative values the same as `Ended`; one that keeps baselines adds this
    /// series' baseline to that one's, or it would tell the same counts twice. Stands before the
    /// point that it names.
    Moved(Arc<[Attribute]>),
}

impl Data {
    /// The number, if it is one.
    pub fn number(&self) -> Option<Number> {
        match self {
            Self::Number(value) | Self::Older { value, .. } => Some(*value),
            Self::Histogram(_) | Self::Ended | Self::Moved(_) => None,
        }
    }
}

/// One series.
#[derive(Clone, Debug)]
pub struct Point {
    /// Its labels, in the order of their keys.
    pub attributes: Arc<[Attribute]>,
    /// When its counting began.
    pub start: WallTime,
    /// What it counts now.
    pub data: Data,
}

/// All series of one instrument in one resource.
#[derive(Clone, Debug)]
pub struct Metric {
    /// What is measured.
    pub instrument: &'static Instrument,
    /// Its series.
    pub points: Vec<Point>,
}

/// All metrics of one probe family in one resource.
#[derive(Clone, Debug)]
pub struct Scope {
    /// `steth/<family>`.
    pub name: &'static str,
    /// Its metrics.
    pub metrics: Vec<Metric>,
}

/// All metrics of one resource.
#[derive(Clone, Debug)]
pub struct ResourceMetrics {
    /// Who.
    pub resource: Arc<Resource>,
    /// What, by family.
    pub scopes: Vec<Scope>,
}

/// Everything at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// When.
    pub time: WallTime,
    /// By resource; a resource stands here once.
    pub resources: Vec<ResourceMetrics>,
}
