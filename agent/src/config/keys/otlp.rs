//! Where metrics and spans are pushed to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::unit::{Endpoint, Period, Secret};

/// Where metrics and spans are pushed to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Otlp {
    /// URL of the collector, or nothing: no push. Over HTTP `/v1/metrics` and
    /// `/v1/traces` are appended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// URL for metrics alone, used as it is. Stronger than `endpoint`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_endpoint: Option<Endpoint>,
    /// URL for spans alone, used as it is. Stronger than `endpoint`; turns spans on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traces_endpoint: Option<Endpoint>,
    /// Push nothing, whatever the endpoint says.
    pub disabled: bool,
    /// How requests travel. Nothing: gRPC if the endpoint's port is 4317, else HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// Headers sent with each request, for instance `authorization`. Never shown.
    pub headers: BTreeMap<String, Secret>,
    /// How requests are compressed.
    pub compression: Compression,
    /// How long one request may take.
    pub timeout: Period<100, 600_000>,
    /// PEM file with the certificates to trust, instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// PEM file with the key of `client_certificate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_key: Option<PathBuf>,
    /// PEM file with the certificate shown to the collector (mutual TLS).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<PathBuf>,
    /// No TLS for a gRPC endpoint that is written without scheme, as `host:port`.
    pub insecure: bool,
    /// What a number counts from.
    pub temporality: Temporality,
    /// How distributions are sent.
    pub histogram: HistogramForm,
}

impl Default for Otlp {
    fn default() -> Self {
        Self {
            endpoint: None,
            metrics_endpoint: None,
            traces_endpoint: None,
            disabled: false,
            protocol: None,
            headers: BTreeMap::new(),
            compression: Compression::Gzip,
            timeout: Period::from_millis(10_000),
            certificate: None,
            client_key: None,
            client_certificate: None,
            insecure: false,
            temporality: Temporality::Cumulative,
            histogram: HistogramForm::Exponential,
        }
    }
}

/// How requests travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Protocol {
    /// OTLP/gRPC.
    #[serde(rename = "grpc")]
    Grpc,
    /// OTLP/HTTP with protobuf bodies.
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
}

/// How requests are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, which every collector takes.
    Gzip,
    /// zstd: less CPU for the same size, where the collector takes it.
    Zstd,
}

/// What a number counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Temporality {
    /// From the start of its series.
    Cumulative,
    /// From the last report.
    Delta,
    /// Counters and histograms from the last report, up-down-counters from the start.
    #[serde(rename = "lowmemory")]
    LowMemory,
}

/// How distributions are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HistogramForm {
    /// Base-2 exponential buckets: fine everywhere, at most 160 of them.
    Exponential,
    /// The fixed buckets that the semantic conventions advise.
    Explicit,
}
