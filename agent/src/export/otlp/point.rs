//! One series as an OTLP data point, and the metric it stands in.

use opentelemetry_proto::tonic::metrics::v1 as otlp;
use opentelemetry_proto::tonic::metrics::v1::exemplar::Value as ExemplarValue;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data as MetricData;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as NumberValue;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, DataPointFlags};
use prost::Message;

use super::Series;
use super::attribute::attributes;
use super::delta::{Baselines, Gain};
use crate::export::config::{Aggregation, Temporality};
use crate::metric::exemplar::Exemplar;
use crate::metric::histogram::Histogram;
use crate::metric::instrument::{Instrument, Kind, Scale};
use crate::metric::snapshot::{Data, Number, WallTime};

/// In which form metrics are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// Cumulative or delta.
    pub(crate) temporality: Temporality,
    /// Buckets of histograms.
    pub(crate) histograms: Aggregation,
}

impl Form {
    /// Whether anything is sent as deltas.
    pub(crate) fn has_deltas(self) -> bool {
        self.temporality != Temporality::Cumulative
    }

    /// Whether this kind of instrument is sent as deltas.
    pub(crate) fn is_delta(self, kind: Kind) -> bool {
        match kind {
            Kind::UpDownCounter | Kind::Gauge => false,
            Kind::Counter => self.temporality == Temporality::Delta,
            Kind::Histogram(_) => self.temporality != Temporality::Cumulative,
        }
    }

    /// A metric of this instrument without points.
    pub(crate) fn metric(self, instrument: &Instrument) -> otlp::Metric {
        let temporality = if self.is_delta(instrument.kind) {
            AggregationTemporality::Delta
        } else {
            AggregationTemporality::Cumulative
        };
        let aggregation_temporality = temporality.into();
        let data_points = Vec::new();
        let data = match (instrument.kind, self.histograms) {
            (Kind::Counter | Kind::UpDownCounter, _) => MetricData::Sum(otlp::Sum {
                data_points,
                aggregation_temporality,
                is_monotonic: instrument.kind == Kind::Counter,
            }),
            (Kind::Gauge, _) => MetricData::Gauge(otlp::Gauge { data_points }),
            (Kind::Histogram(_), Aggregation::Explicit) => MetricData::Histogram(otlp::Histogram {
                data_points: Vec::new(),
                aggregation_temporality,
            }),
            (Kind::Histogram(_), Aggregation::Exponential) => {
                MetricData::ExponentialHistogram(otlp::ExponentialHistogram {
                    data_points: Vec::new(),
                    aggregation_temporality,
                })
            }
        };
        otlp::Metric {
            name: instrument.name.to_owned(),
            description: instrument.description.to_owned(),
            unit: instrument.unit.to_owned(),
            data: Some(data),
            ..otlp::Metric::default()
        }
    }

    /// The point of a series; `None` if its data does not fit its instrument.
    pub(crate) fn point(self, series: &Series<'_>, baselines: &Baselines) -> Option<DataPoint> {
        let instrument = series.metric.instrument;
        let delta = self.is_delta(instrument.kind);
        let gain;
        let (since, data) = if delta {
            gain = baselines.gain(series);
            let Gain { since, data } = &gain;
            (*since, data)
        } else {
            (series.point.start, &series.point.data)
        };
        let after = if delta { since } else { WallTime(0) };
        let times = Times {
            after,
            start: if instrument.kind == Kind::Gauge { 0 } else { since.0 },
            now: series.time.0,
        };
        match (instrument.kind, data) {
            (Kind::Histogram(bounds), Data::Histogram(histogram)) => Some(match self.histograms {
                Aggregation::Explicit => {
                    DataPoint::Histogram(explicit(series, times, bounds, histogram)?)
                }
                Aggregation::Exponential => {
                    DataPoint::Exponential(exponential(series, times, histogram))
                }
            }),
            (Kind::Histogram(_), Data::Ended | Data::Moved(_)) => Some(match self.histograms {
                Aggregation::Explicit => DataPoint::Histogram(otlp::HistogramDataPoint {
                    attributes: attributes(&series.point.attributes),
                    start_time_unix_nano: times.start,
                    time_unix_nano: times.now,
                    flags: NO_RECORDED_VALUE,
                    ..otlp::HistogramDataPoint::default()
                }),
                Aggregation::Exponential => {
                    DataPoint::Exponential(otlp::ExponentialHistogramDataPoint {
                        attributes: attributes(&series.point.attributes),
                        start_time_unix_nano: times.start,
                        time_unix_nano: times.now,
                        flags: NO_RECORDED_VALUE,
                        ..otlp::ExponentialHistogramDataPoint::default()
                    })
                }
            }),
            (
                Kind::Counter | Kind::UpDownCounter | Kind::Gauge,
                Data::Number(number) | Data::Older { value: number, .. },
            ) => Some(DataPoint::Number(numeric(
                series,
                times,
                Some(scaled(*number, instrument.scale)),
            ))),
            (Kind::Counter | Kind::UpDownCounter | Kind::Gauge, Data::Ended | Data::Moved(_)) => {
                Some(DataPoint::Number(numeric(series, times, None)))
            }
            _ => None,
        }
    }
}

const NO_RECORDED_VALUE: u32 = DataPointFlags::NoRecordedValueMask as u32;

#[derive(Clone, Copy)]
struct Times {
    /// Exemplars of a delta are of its own time.
    after: WallTime,
    start: u64,
    now: u64,
}

/// A point of any kind.
#[derive(Debug)]
pub(crate) enum DataPoint {
    /// Of a sum or gauge.
    Number(otlp::NumberDataPoint),
    /// With explicit bounds.
    Histogram(otlp::HistogramDataPoint),
    /// With exponential buckets.
    Exponential(otlp::ExponentialHistogramDataPoint),
}

impl DataPoint {
    /// Its size once encoded, less what frames it.
    pub(crate) fn encoded_len(&self) -> usize {
        match self {
            Self::Number(point) => point.encoded_len(),
            Self::Histogram(point) => point.encoded_len(),
            Self::Exponential(point) => point.encoded_len(),
        }
    }

    /// Puts it into a metric that [`Form::metric`] made for the same instrument.
    pub(crate) fn push_to(self, metric: &mut otlp::Metric) {
        match (self, &mut metric.data) {
            (Self::Number(point), Some(MetricData::Sum(sum))) => sum.data_points.push(point),
            (Self::Number(point), Some(MetricData::Gauge(gauge))) => gauge.data_points.push(point),
            (Self::Histogram(point), Some(MetricData::Histogram(histogram))) => {
                histogram.data_points.push(point);
            }
            (Self::Exponential(point), Some(MetricData::ExponentialHistogram(histogram))) => {
                histogram.data_points.push(point);
            }
            (_, _) => debug_assert!(false, "a point belongs to a metric of its own kind"),
        }
    }
}

fn numeric(series: &Series<'_>, times: Times, value: Option<NumberValue>) -> otlp::NumberDataPoint {
    otlp::NumberDataPoint {
        attributes: attributes(&series.point.attributes),
        start_time_unix_nano: times.start,
        time_unix_nano: times.now,
        flags: if value.is_none() { NO_RECORDED_VALUE } else { 0 },
        value,
        ..otlp::NumberDataPoint::default()
    }
}

fn explicit(
    series: &Series<'_>,
    times: Times,
    bounds: &[f64],
    histogram: &Histogram,
) -> Option<otlp::HistogramDataPoint> {
    if histogram.explicit.len() != bounds.len() + 1 {
        return None;
    }
    let scale = series.metric.instrument.scale;
    let range = histogram.range();
    Some(otlp::HistogramDataPoint {
        attributes: attributes(&series.point.attributes),
        start_time_unix_nano: times.start,
        time_unix_nano: times.now,
        count: histogram.count,
        sum: Some(scale_of(histogram.sum as f64, scale)),
        bucket_counts: histogram.explicit.to_vec(),
        explicit_bounds: bounds.to_vec(),
        min: range.map(|(least, _)| scale_of(least as f64, scale)),
        max: range.map(|(_, most)| scale_of(most as f64, scale)),
        exemplars: exemplars(histogram, times, scale),
        ..otlp::HistogramDataPoint::default()
    })
}

fn exponential(
    series: &Series<'_>,
    times: Times,
    histogram: &Histogram,
) -> otlp::ExponentialHistogramDataPoint {
    let scale = series.metric.instrument.scale;
    let buckets = &histogram.exponential;
    let range = histogram.range();
    otlp::ExponentialHistogramDataPoint {
        attributes: attributes(&series.point.attributes),
        start_time_unix_nano: times.start,
        time_unix_nano: times.now,
        count: histogram.count,
        sum: Some(scale_of(histogram.sum as f64, scale)),
        scale: buckets.scale,
        zero_count: buckets.zero_count,
        positive: Some(Buckets { offset: buckets.offset, bucket_counts: buckets.counts.clone() }),
        negative: None,
        min: range.map(|(least, _)| scale_of(least as f64, scale)),
        max: range.map(|(_, most)| scale_of(most as f64, scale)),
        exemplars: exemplars(histogram, times, scale),
        ..otlp::ExponentialHistogramDataPoint::default()
    }
}

/// The spans that came to stand for buckets since the last snapshot.
fn exemplars(histogram: &Histogram, times: Times, scale: Scale) -> Vec<otlp::Exemplar> {
    let within = |exemplar: &&Exemplar| exemplar.time > times.after;
    let fresh = histogram.exemplars.fresh().filter(within);
    let told = fresh.map(|exemplar| otlp::Exemplar {
        filtered_attributes: Vec::new(),
        time_unix_nano: exemplar.time.0,
        span_id: exemplar.span.to_vec(),
        trace_id: exemplar.trace.to_vec(),
        value: Some(match scale {
            Scale::One => ExemplarValue::AsInt(i64::try_from(exemplar.value).unwrap_or(i64::MAX)),
            Scale::NanosToSeconds => {
                ExemplarValue::AsDouble(scale_of(exemplar.value as f64, scale))
            }
        }),
    });
    told.collect()
}

/// Whole numbers are scaled; a fraction is in the exported unit already.
fn scaled(number: Number, scale: Scale) -> NumberValue {
    match (number, scale) {
        (Number::Int(value), Scale::One) => NumberValue::AsInt(value),
        (Number::Int(value), Scale::NanosToSeconds) => {
            NumberValue::AsDouble(scale_of(value as f64, scale))
        }
        (Number::Double(value), _) => NumberValue::AsDouble(value),
    }
}

/// A kept number in the exported unit. Divided, not multiplied: so 0.25 s comes out as 0.25.
pub(crate) fn scale_of(value: f64, scale: Scale) -> f64 {
    match scale {
        Scale::One => value,
        Scale::NanosToSeconds => value / 1e9,
    }
}
