//! The agent's own telemetry, sent as any program sends its own: by the OpenTelemetry SDK and its
//! OTLP exporter, under `service.name=steth`, to the collector that the observed services go to.
//!
//! The stages count; here the counts are only read. The SDK's reader has a thread of its own, which
//! waits for the collector inside the agent's runtime, as long as the [`door`] there is open.

mod door;
mod stats;
#[cfg(test)]
mod tests;

pub use stats::OwnStats;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_otlp::{MetricExporter, WithExportConfig, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality as SdkTemporality};
use tokio::runtime::Handle;

use super::config::{self, Compression, Protocol, Target};
use super::otlp::SCHEMA_URL;
use super::sender;
use crate::metric::instrument::{self, Instrument, Kind, Scale};
use crate::metric::key::{Key, SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_VERSION};
use crate::metric::snapshot::{Attribute, Data, Metric, Number, Value};
use door::Door;

/// The scope of the agent's own metrics, here and in a snapshot.
pub const SCOPE: &str = "steth/self";
/// What the agent calls itself.
const SERVICE: &str = "steth";

/// Why the agent's own telemetry did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The target cannot be used.
    #[error(transparent)]
    Target(#[from] sender::Error),
    /// The exporter refused its settings.
    #[error("own telemetry: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// What the instruments read.
type Readings = Arc<RwLock<Arc<[Metric]>>>;

/// The agent's own telemetry while it runs.
#[derive(Debug)]
pub struct Own {
    provider: Option<SdkMeterProvider>,
    door: Arc<Door>,
    readings: Readings,
}

impl Own {
    /// Starts it. To be called inside the runtime; nothing is connected before the first interval.
    /// `attributes` are those of the environment: they win over the agent's own name for itself.
    pub fn start(
        metrics: &config::Metrics,
        interval: Duration,
        instance: &str,
        attributes: &[(String, String)],
    ) -> Result<Self, Error> {
        let door = Arc::new(Door::new(Handle::current()));
        let exporter = Inside {
            exporter: exporter(&metrics.target, metrics.temporality)?,
            door: Arc::clone(&door),
        };
        let reader = PeriodicReader::builder(exporter).with_interval(interval).build();
        let own = [
            (SERVICE_NAME, SERVICE),
            (SERVICE_VERSION, env!("CARGO_PKG_VERSION")),
            (SERVICE_INSTANCE_ID, instance),
        ];
        let own = own.map(|(Key(key), value)| KeyValue::new(key, value.to_owned()));
        let given = attributes.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
        let resource = Resource::builder_empty()
            .with_schema_url(own.into_iter().chain(given), SCHEMA_URL)
            .build();
        let provider =
            SdkMeterProvider::builder().with_reader(reader).with_resource(resource).build();
        let readings = Readings::default();
        let meter = provider.meter(SCOPE);
        for instrument in instrument::own::ALL {
            observe(&meter, instrument, &readings);
        }
        Ok(Self { provider: Some(provider), door, readings })
    }

    /// What the instruments say from here on.
    pub fn update(&self, stats: &OwnStats) {
        let metrics = stats.metrics().into();
        *self.readings.write().unwrap_or_else(PoisonError::into_inner) = metrics;
    }

    /// Sends the last values, for no longer than `deadline`, and stops: the runtime may end afterwards.
    pub async fn shutdown(mut self, deadline: Duration) {
        let Some(provider) = self.provider.take() else { return };
        // The SDK waits by blocking; the runtime has to go on for it to get its answer.
        let mut stopping = tokio::task::spawn_blocking(move || provider.shutdown());
        let in_time = tokio::time::timeout(deadline, &mut stopping).await;
        // The SDK has a limit of its own, after which its thread may still wait.
        self.door.shut();
        let stopped = match in_time {
            Ok(stopped) => stopped,
            Err(_) => stopping.await,
        };
        if let Ok(Err(error)) = stopped {
            tracing::debug!(%error, "own telemetry: the last values were not sent");
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.door.shut();
        // Dropping the provider waits for its thread, which must not be done in the runtime.
        if let Some(provider) = self.provider.take() {
            std::thread::spawn(move || drop(provider));
        }
    }
}

fn exporter(target: &Target, temporality: config::Temporality) -> Result<MetricExporter, Error> {
    let temporality = match temporality {
        config::Temporality::Cumulative => SdkTemporality::Cumulative,
        config::Temporality::Delta => SdkTemporality::Delta,
        config::Temporality::LowMemory => SdkTemporality::LowMemory,
    };
    let compression = match target.compression {
        Compression::None => None,
        Compression::Gzip => Some(opentelemetry_otlp::Compression::Gzip),
        Compression::Zstd => Some(opentelemetry_otlp::Compression::Zstd),
    };
    let builder = MetricExporter::builder().with_temporality(temporality);
    match target.protocol {
        Protocol::Grpc => {
            let headers = target.headers.iter().cloned().collect();
            let mut builder = builder
                .with_tonic()
                .with_channel(sender::grpc_channel(target)?)
                .with_metadata(tonic::metadata::MetadataMap::from_headers(headers))
                .with_timeout(target.timeout);
            if let Some(compression) = compression {
                builder = builder.with_compression(compression);
            }
            Ok(builder.build()?)
        }
        Protocol::HttpProtobuf => {
            let client = HyperClient::new(sender::http_connector(target)?, target.timeout, None);
            let text = |value: &hyper::header::HeaderValue| value.to_str().map(str::to_owned);
            let headers = target
                .headers
                .iter()
                .filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value).ok()?)))
                .collect();
            let mut builder = builder
                .with_http()
                .with_http_client(client)
                .with_endpoint(target.endpoint.to_string())
                .with_headers(headers)
                .with_timeout(target.timeout);
            if let Some(compression) = compression {
                builder = builder.with_compression(compression);
            }
            Ok(builder.build()?)
        }
    }
}

/// Lets the SDK's thread wait for sockets and timers of the agent's runtime, while there is one.
#[derive(Debug)]
struct Inside {
    exporter: MetricExporter,
    door: Arc<Door>,
}

impl PushMetricExporter for Inside {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let export = self.door.through(self.exporter.export(metrics)).await;
        export.unwrap_or(Err(OTelSdkError::AlreadyShutdown))
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> SdkTemporality {
        self.exporter.temporality()
    }
}

/// Makes an instrument that reads.
fn observe(meter: &Meter, instrument: &'static Instrument, readings: &Readings) {
    let readings = Arc::clone(readings);
    let Instrument { name, unit, description, kind, scale, .. } = *instrument;
    macro_rules! observable {
        ($make:ident, $of:expr) => {
            let _registered = meter
                .$make(name)
                .with_unit(unit)
                .with_description(description)
                .with_callback(move |observer| {
                    for (number, attributes) in read(&readings, instrument) {
                        observer.observe($of(number), &attributes);
                    }
                })
                .build();
        };
    }
    match (kind, scale) {
        (Kind::Counter, Scale::One) => {
            observable!(u64_observable_counter, |number| match number {
                Number::Int(value) => u64::try_from(value).unwrap_or(0),
                Number::Double(_) => 0,
            });
        }
        (Kind::Counter, Scale::NanosToSeconds) => {
            observable!(f64_observable_counter, |number| fraction(number, scale));
        }
        (Kind::UpDownCounter, _) => {
            observable!(i64_observable_up_down_counter, |number| match number {
                Number::Int(value) => value,
                Number::Double(_) => 0,
            });
        }
        (Kind::Gauge, _) => {
            observable!(f64_observable_gauge, |number| fraction(number, scale));
        }
        // A histogram is recorded, not read: these have no place in the SDK.
        (Kind::Histogram(_), _) => (),
    }
}

fn fraction(number: Number, scale: Scale) -> f64 {
    match (number, scale) {
        (Number::Int(value), Scale::NanosToSeconds) => value as f64 / 1e9,
        (Number::Int(value), Scale::One) => value as f64,
        (Number::Double(value), _) => value,
    }
}

/// The present values of an instrument.
fn read(readings: &Readings, instrument: &Instrument) -> Vec<(Number, Vec<KeyValue>)> {
    let readings = Arc::clone(&readings.read().unwrap_or_else(PoisonError::into_inner));
    readings
        .iter()
        .filter(|metric| metric.instrument == instrument)
        .flat_map(|metric| &metric.points)
        .filter_map(|point| match point.data {
            Data::Number(number) | Data::Older { value: number, .. } => {
                Some((number, point.attributes.iter().map(key_value).collect()))
            }
            _ => None,
        })
        .collect()
}

fn key_value((Key(key), value): &Attribute) -> KeyValue {
    match value {
        Value::Static(text) => KeyValue::new(*key, *text),
        Value::Text(text) => KeyValue::new(*key, Arc::clone(text)),
        Value::Int(number) => KeyValue::new(*key, *number),
        Value::Bool(truth) => KeyValue::new(*key, *truth),
        Value::Seconds(nanos) => KeyValue::new(*key, *nanos as f64 / 1e9),
        Value::List(texts) => KeyValue::new(*key, texts.join(" ")),
    }
}
