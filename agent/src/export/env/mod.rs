//! What the `OTEL_*` variables ask for, as the OpenTelemetry specification defines them.
//!
//! A pure function from variables and overrides to a [`Config`]. An empty variable is an absent one.
//! Every error names the variable, what is wrong with its value, and what would be right.

mod target;
#[cfg(test)]
mod tests;
mod value;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::config::{Aggregation, Compression, Config, Metrics, Protocol, Temporality, Traces};
use target::Signal;
use value::Variables;

/// A variable that cannot mean anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {wrong}; {right}")]
pub struct Error {
    /// Whose value it is.
    pub variable: String,
    /// What is wrong with it.
    pub wrong: String,
    /// What would be right.
    pub right: String,
}

/// What the agent's own configuration says; it wins over the variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Base address of the collector, as `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub endpoint: Option<String>,
    /// How requests are carried.
    pub protocol: Option<Protocol>,
    /// Sent with each request, besides those of the variables.
    pub headers: BTreeMap<String, String>,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// How bodies are packed.
    pub compression: Option<Compression>,
    /// Trusted authorities, PEM.
    pub certificate: Option<PathBuf>,
    /// Our certificate chain, PEM.
    pub client_certificate: Option<PathBuf>,
    /// Our private key, PEM.
    pub client_key: Option<PathBuf>,
    /// How often metrics are pushed.
    pub interval: Option<Duration>,
    /// Cumulative or delta.
    pub temporality: Option<Temporality>,
    /// Buckets of histograms.
    pub histograms: Option<Aggregation>,
}

/// How often metrics are pushed if nobody says.
const INTERVAL: Duration = Duration::from_mins(1);
/// How often spans are pushed if nobody says.
const SPAN_DELAY: Duration = Duration::from_secs(5);
/// Spans that may wait if nobody says: more than an SDK has, since one agent is that of many services.
const SPAN_QUEUE: usize = 16_384;
/// Spans in one request if nobody says.
const SPAN_BATCH: usize = 512;
/// How long a request is retried if nobody says.
const MAX_AGE: Duration = Duration::from_mins(5);

/// Which exporters of a signal are on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Otlp {
    /// Asked for by name: without an address the default one is meant.
    Asked,
    /// Nobody said: on if an address is set.
    IfAddressed,
    /// Another choice was made.
    Off,
}

/// The configuration that variables and overrides make together; `for_traces` are those of spans.
pub fn config(
    variables: &BTreeMap<String, String>,
    overrides: &Overrides,
    for_traces: &Overrides,
) -> Result<Config, Error> {
    let mut read = Variables::new(variables);
    let interval = match overrides.interval {
        Some(interval) => interval,
        None => read.millis("OTEL_METRIC_EXPORT_INTERVAL")?.unwrap_or(INTERVAL),
    };
    let max_age = read.millis("OTEL_METRIC_EXPORT_TIMEOUT")?.unwrap_or(MAX_AGE);
    let resource_attributes = read.pairs("OTEL_RESOURCE_ATTRIBUTES")?;
    let (metrics_otlp, prometheus) = metrics_exporters(&read)?;
    let traces_otlp = traces_exporters(&read)?;
    let temporality = temporality(&read)?;
    let histograms = aggregation(&read)?;
    let metrics = target::target(&mut read, overrides, Signal::Metrics, metrics_otlp)?;
    let traces = target::target(&mut read, for_traces, Signal::Traces, traces_otlp)?;
    let traces = match traces {
        Some(target) => Some(spans(&read, target, traces_otlp)?),
        None => None,
    };
    let disabled = read.truth("OTEL_SDK_DISABLED");
    if disabled {
        read.warn("OTEL_SDK_DISABLED is true: nothing is exported".to_owned());
    }
    let metrics = metrics.map(|target| Metrics {
        target,
        temporality: overrides.temporality.unwrap_or(temporality),
        histograms: overrides.histograms.unwrap_or(histograms),
        max_age,
    });
    Ok(Config {
        metrics: metrics.filter(|_| !disabled),
        traces: traces.filter(|_| !disabled),
        prometheus: prometheus && !disabled,
        interval,
        resource_attributes,
        warnings: read.into_warnings(),
    })
}

fn metrics_exporters(read: &Variables<'_>) -> Result<(Otlp, bool), Error> {
    let variable = "OTEL_METRICS_EXPORTER";
    let Some(list) = read.text(variable) else { return Ok((Otlp::IfAddressed, true)) };
    let (mut otlp, mut prometheus) = (Otlp::Off, false);
    for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match name {
            "otlp" => otlp = Otlp::Asked,
            "prometheus" => prometheus = true,
            "none" => (),
            other => {
                return Err(Error {
                    variable: variable.to_owned(),
                    wrong: format!("there is no exporter `{other}` here"),
                    right: "use otlp, prometheus, both with a comma, or none".to_owned(),
                });
            }
        }
    }
    Ok((otlp, prometheus))
}

fn traces_exporters(read: &Variables<'_>) -> Result<Otlp, Error> {
    let variable = "OTEL_TRACES_EXPORTER";
    let Some(list) = read.text(variable) else { return Ok(Otlp::IfAddressed) };
    let mut otlp = Otlp::Off;
    for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match name {
            "otlp" => otlp = Otlp::Asked,
            "none" => (),
            other => {
                return Err(Error {
                    variable: variable.to_owned(),
                    wrong: format!("there is no exporter `{other}` here"),
                    right: "use otlp or none".to_owned(),
                });
            }
        }
    }
    Ok(otlp)
}

/// What the batch span processor's variables say. The queue is counted in spans, as theirs is.
fn spans(read: &Variables<'_>, target: super::config::Target, otlp: Otlp) -> Result<Traces, Error> {
    let delay = read.millis("OTEL_BSP_SCHEDULE_DELAY")?.unwrap_or(SPAN_DELAY);
    let max_age = read.millis("OTEL_BSP_EXPORT_TIMEOUT")?.unwrap_or(MAX_AGE);
    let queue = read.count("OTEL_BSP_MAX_QUEUE_SIZE")?.unwrap_or(SPAN_QUEUE);
    let batch = read.count("OTEL_BSP_MAX_EXPORT_BATCH_SIZE")?.unwrap_or(SPAN_BATCH);
    let own = read.text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").is_some();
    let asked = own || otlp == Otlp::Asked;
    Ok(Traces { target, delay, queue, batch: batch.min(queue), max_age, asked })
}

fn temporality(read: &Variables<'_>) -> Result<Temporality, Error> {
    let choice = read.choice(
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        &[
            ("cumulative", Temporality::Cumulative),
            ("delta", Temporality::Delta),
            ("lowmemory", Temporality::LowMemory),
        ],
    )?;
    Ok(choice.unwrap_or(Temporality::Cumulative))
}

fn aggregation(read: &Variables<'_>) -> Result<Aggregation, Error> {
    let choice = read.choice(
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        &[
            ("base2_exponential_bucket_histogram", Aggregation::Exponential),
            ("explicit_bucket_histogram", Aggregation::Explicit),
        ],
    )?;
    Ok(choice.unwrap_or(Aggregation::Exponential))
}
