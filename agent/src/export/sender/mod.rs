//! Carries encoded requests to a collector and says what became of each, by the rules of the OTLP
//! specification. Whether and when to try again is the caller's business, with what is said here.

#[cfg(test)]
pub(crate) mod certificates;
#[cfg(test)]
pub(crate) mod collector;
pub(crate) mod gate;
mod grpc;
mod http;
#[cfg(test)]
mod tests;
pub(crate) mod tls;

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
};

use super::config::{Protocol, Target};

/// The signal a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Metrics.
    Metrics,
    /// Spans.
    Traces,
}

/// What became of one attempt.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// The collector has it.
    Accepted {
        /// Points or spans it rejected all the same; they are never sent again.
        rejected: u64,
        /// What it said about them, or a warning if it rejected none.
        message: String,
    },
    /// May be tried again.
    Retry {
        /// The wait the server asked for.
        after: Option<Duration>,
        /// What went wrong.
        why: String,
    },
    /// Must not be sent again.
    Fatal {
        /// What went wrong.
        why: String,
    },
}

/// Something that carries requests.
pub trait Wire: Send + 'static {
    /// Makes one attempt.
    fn send(&mut self, body: &Bytes) -> impl Future<Output = Outcome> + Send;
}

/// Why no sender could be made of a target.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error("{path} holds no usable PEM {what}: {why}")]
    Pem {
        /// Which.
        path: std::path::PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
    /// The system has no root certificates.
    #[error(
        "no root certificates on this system ({0}); name a file with OTEL_EXPORTER_OTLP_CERTIFICATE"
    )]
    Roots(std::io::Error),
    /// Certificate and key do not go together, or similar.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The gRPC channel cannot be built.
    #[error("gRPC: {0}")]
    Channel(#[from] tonic::transport::Error),
}

/// A connection to a collector, made when first used and made again when it broke.
#[derive(Debug)]
pub struct Sender(Kind);

#[derive(Debug)]
enum Kind {
    Grpc(Box<grpc::Grpc>),
    Http(Box<http::Http>),
}

impl Sender {
    /// Reads the target's files; connects to nothing yet. To be called inside the runtime.
    pub fn new(target: &Target, signal: Signal) -> Result<Self, Error> {
        Ok(Self(match target.protocol {
            Protocol::Grpc => Kind::Grpc(Box::new(grpc::Grpc::new(target, signal)?)),
            Protocol::HttpProtobuf => Kind::Http(Box::new(http::Http::new(target)?)),
        }))
    }
}

impl Wire for Sender {
    async fn send(&mut self, body: &Bytes) -> Outcome {
        match &mut self.0 {
            Kind::Grpc(grpc) => grpc.send(body).await,
            Kind::Http(http) => http.send(body).await,
        }
    }
}

/// The channel and its metadata as the agent's own telemetry uses them.
pub(crate) use grpc::channel as grpc_channel;
pub(crate) use http::connector as http_connector;

/// A collector's answer to a request it took. The answers of all signals are the same on the wire.
fn accepted(response: ExportMetricsServiceResponse) -> Outcome {
    let ExportMetricsPartialSuccess { rejected_data_points, error_message } =
        response.partial_success.unwrap_or_default();
    let rejected = u64::try_from(rejected_data_points).unwrap_or(0);
    Outcome::Accepted { rejected, message: printable(&error_message) }
}

/// What a server said, short and on one line.
fn printable(text: &str) -> String {
    const LONGEST: usize = 300;
    text.chars()
        .take(LONGEST)
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect()
}

/// An error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = error.source();
    }
    printable(&text)
}
