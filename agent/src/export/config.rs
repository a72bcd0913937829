//! Where telemetry goes and in what form: checked once, never again after.

use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};

/// How a request is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP with binary protobuf.
    HttpProtobuf,
}

/// How a request's bytes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// As they are.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// Whether sums and histograms say all since their start, or all since the last request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temporality {
    /// Everything cumulative.
    Cumulative,
    /// Counters and histograms as deltas; up-down-counters cumulative.
    Delta,
    /// Histograms as deltas, all else cumulative: every counter of the agent is observed, not
    /// recorded, so that its cumulative form is the one that needs no memory.
    LowMemory,
}

/// In which buckets histograms are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregation {
    /// The bounds that the conventions advise.
    Explicit,
    /// Base-2 exponential.
    Exponential,
}

/// Files of a TLS connection, PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Who is trusted; the system's roots if absent.
    pub ca: Option<PathBuf>,
    /// Our certificate chain with its key, for collectors that ask for one.
    pub client: Option<ClientIdentity>,
}

/// A certificate chain and its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The chain.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// One collector for one signal.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// For HTTP the whole address of the signal, for gRPC scheme and authority.
    pub endpoint: Uri,
    /// How requests are carried.
    pub protocol: Protocol,
    /// Sent with each request; the values are marked sensitive, so they do not reach a log.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How bodies are packed.
    pub compression: Compression,
    /// Files for `https`.
    pub tls: Tls,
}

/// Metrics over OTLP.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    /// Where to.
    pub target: Target,
    /// Cumulative or delta.
    pub temporality: Temporality,
    /// Buckets of histograms.
    pub histograms: Aggregation,
    /// A request older than this is given up.
    pub max_age: Duration,
}

/// Spans over OTLP.
#[derive(Clone, Debug, PartialEq)]
pub struct Traces {
    /// Where to.
    pub target: Target,
    /// Between two requests while there are few spans.
    pub delay: Duration,
    /// Spans that may wait, before and behind the encoder.
    pub queue: usize,
    /// Spans in one request at most.
    pub batch: usize,
    /// A request older than this is given up.
    pub max_age: Duration,
    /// Asked for by name, or by an address of its own.
    pub asked: bool,
}

/// All that is exported.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Metrics over OTLP; `None` is off.
    pub metrics: Option<Metrics>,
    /// Spans over OTLP; `None` is off.
    pub traces: Option<Traces>,
    /// Whether `/metrics` is served.
    pub prometheus: bool,
    /// How often a snapshot is to be published.
    pub interval: Duration,
    /// `OTEL_RESOURCE_ATTRIBUTES` of the agent itself.
    pub resource_attributes: Vec<(String, String)>,
    /// What was odd, yet not wrong enough to stop; to be logged once.
    pub warnings: Vec<String>,
}
