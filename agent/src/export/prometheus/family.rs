//! All series of one name.

use std::fmt::Write;

use super::name::{LabelSet, escaped};
use super::{Format, Rendered};
use crate::metric::exemplar::Exemplar;
use crate::metric::exposition::{LE, SPAN_ID, TOTAL, TRACE_ID, unit};
use crate::metric::histogram::Histogram;
use crate::metric::instrument::{Instrument, Kind};
use crate::metric::snapshot::{Data, Number, Point};

/// A family being gathered.
pub(super) struct Family<'a> {
    instrument: &'static Instrument,
    format: Format,
    series: Vec<(String, &'a Point)>,
    malformed: u64,
}

impl<'a> Family<'a> {
    pub(super) fn new(instrument: &'static Instrument, format: Format) -> Self {
        Self { instrument, format, series: Vec::new(), malformed: 0 }
    }

    /// Adds a series, unless it has ended.
    pub(super) fn add(&mut self, instrument: &Instrument, labels: &LabelSet, point: &'a Point) {
        let fits = match (self.instrument.kind, &point.data) {
            (_, Data::Ended | Data::Moved(_)) => return,
            (Kind::Histogram(bounds), Data::Histogram(histogram)) => {
                histogram.explicit.len() == bounds.len() + 1
            }
            (
                Kind::Counter | Kind::UpDownCounter | Kind::Gauge,
                Data::Number(_) | Data::Older { .. },
            ) => true,
            _ => false,
        };
        if fits && instrument == self.instrument {
            self.series.push((labels.text(), point));
        } else {
            self.malformed += 1;
        }
    }

    pub(super) fn write(mut self, name: &str, into: &mut Rendered) {
        into.malformed += self.malformed;
        self.series.sort_by(|(one, _), (other, _)| one.cmp(other));
        let all = self.series.len();
        self.series.dedup_by(|(one, _), (other, _)| one == other);
        into.clashes += (all - self.series.len()) as u64;
        if self.series.is_empty() {
            return;
        }
        self.write_head(name, &mut into.text);
        for (labels, point) in &self.series {
            match &point.data {
                Data::Number(number) | Data::Older { value: number, .. } => {
                    let value = self.number(*number);
                    // Writing to a string cannot fail.
                    let _ = writeln!(into.text, "{name}{labels} {value}");
                }
                Data::Histogram(histogram) => {
                    self.write_histogram(name, labels, histogram, &mut into.text);
                }
                Data::Ended | Data::Moved(_) => (),
            }
        }
    }

    fn write_head(&self, name: &str, text: &mut String) {
        let kind = match self.instrument.kind {
            Kind::Counter => "counter",
            Kind::UpDownCounter | Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let description = self.instrument.description;
        let (name, help) = match self.format {
            Format::Text => (name, description.replace('\\', "\\\\").replace('\n', "\\n")),
            Format::OpenMetrics => (base(name, self.instrument.kind), escaped(description)),
        };
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        if self.format == Format::OpenMetrics
            && let Some(unit) = unit(self.instrument)
            && name.strip_suffix(unit.as_str()).is_some_and(|rest| rest.ends_with('_'))
        {
            let _ = writeln!(text, "# UNIT {name} {unit}");
        }
    }

    fn write_histogram(&self, name: &str, labels: &str, histogram: &Histogram, text: &mut String) {
        let before = labels.strip_suffix('}').map_or("{".to_owned(), |open| format!("{open},"));
        let bounds = self.instrument.bounds().iter().copied().chain([f64::INFINITY]);
        let mut below: u64 = 0;
        for (at, (bound, count)) in bounds.zip(&histogram.explicit).enumerate() {
            below = below.saturating_add(*count);
            let bound = self.fraction(bound);
            let _ = write!(text, "{name}_bucket{before}{LE}=\"{bound}\"}} {below}");
            // Only OpenMetrics has a place for them.
            let exemplar = histogram.exemplars.of_bucket(at);
            if let Some(exemplar) = exemplar.filter(|_| self.format == Format::OpenMetrics) {
                self.write_exemplar(exemplar, text);
            }
            text.push('\n');
        }
        let sum = match self.instrument.scale {
            crate::metric::instrument::Scale::One => histogram.sum.to_string(),
            crate::metric::instrument::Scale::NanosToSeconds => {
                self.fraction(histogram.sum as f64 / 1e9)
            }
        };
        let _ =
            writeln!(text, "{name}_sum{labels} {sum}\n{name}_count{labels} {}", histogram.count);
    }

    fn write_exemplar(&self, exemplar: &Exemplar, text: &mut String) {
        let Exemplar { trace, span, time, value } = exemplar;
        let (trace, span) = (u128::from_be_bytes(*trace), u64::from_be_bytes(*span));
        let value = self.number(Number::Int(i64::try_from(*value).unwrap_or(i64::MAX)));
        let (seconds, millis) = (time.0 / 1_000_000_000, time.0 / 1_000_000 % 1000);
        let _ = write!(
            text,
            " # {{{TRACE_ID}=\"{trace:032x}\",{SPAN_ID}=\"{span:016x}\"}} {value} {seconds}.{millis:03}"
        );
    }

    fn number(&self, number: Number) -> String {
        match (number, self.instrument.scale) {
            (Number::Int(value), crate::metric::instrument::Scale::One) => value.to_string(),
            (Number::Int(value), crate::metric::instrument::Scale::NanosToSeconds) => {
                self.fraction(value as f64 / 1e9)
            }
            (Number::Double(value), _) => self.fraction(value),
        }
    }

    /// OpenMetrics writes whole fractions with a point.
    fn fraction(&self, value: f64) -> String {
        if value.is_nan() {
            return "NaN".to_owned();
        }
        if value.is_infinite() {
            return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
        }
        match self.format {
            Format::Text => value.to_string(),
            Format::OpenMetrics => format!("{value:?}"),
        }
    }
}

/// In OpenMetrics a counter's family has no `_total`, only its samples have.
fn base(name: &str, kind: Kind) -> &str {
    if kind != Kind::Counter {
        return name;
    }
    name.strip_suffix(TOTAL).and_then(|base| base.strip_suffix('_')).unwrap_or(name)
}
