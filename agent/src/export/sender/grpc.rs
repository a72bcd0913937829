//! OTLP/gRPC.
//!
//! The message is encoded before it comes here, so the codec passes bytes on: an attempt repeated
//! costs no second copy of a request, which the generated client would ask for.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use hyper::http::uri::PathAndQuery;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::tls::Files;
use super::{Error, Outcome, Signal, accepted, chain};
use crate::export::config::{Compression, Target};

/// A connection for one signal.
#[derive(Debug)]
pub(crate) struct Grpc {
    endpoint: Endpoint,
    channel: Channel,
    metadata: MetadataMap,
    compression: Option<CompressionEncoding>,
    timeout: Duration,
    path: PathAndQuery,
}

impl Grpc {
    pub(crate) fn new(target: &Target, signal: Signal) -> Result<Self, Error> {
        let endpoint = endpoint(target)?;
        let path = PathAndQuery::from_static(match signal {
            Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        });
        Ok(Self {
            channel: endpoint.connect_lazy(),
            endpoint,
            metadata: MetadataMap::from_headers(target.headers.iter().cloned().collect()),
            compression: match target.compression {
                Compression::None => None,
                Compression::Gzip => Some(CompressionEncoding::Gzip),
                Compression::Zstd => Some(CompressionEncoding::Zstd),
            },
            timeout: target.timeout,
            path,
        })
    }

    pub(crate) async fn send(&mut self, body: &Bytes) -> Outcome {
        if let Ok(outcome) = tokio::time::timeout(self.timeout, self.attempt(body)).await {
            return outcome;
        }
        // A connection into nothing stays open for a quarter of an hour: begin a new one.
        self.channel = self.endpoint.connect_lazy();
        Outcome::Retry { after: None, why: format!("no answer within {:?}", self.timeout) }
    }

    async fn attempt(&self, body: &Bytes) -> Outcome {
        let mut client = tonic::client::Grpc::new(self.channel.clone())
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Zstd);
        if let Some(encoding) = self.compression {
            client = client.send_compressed(encoding);
        }
        if let Err(error) = client.ready().await {
            return Outcome::Retry { after: None, why: chain(&error) };
        }
        let mut request = tonic::Request::new(body.clone());
        *request.metadata_mut() = self.metadata.clone();
        match client.unary(request, self.path.clone(), Encoded).await {
            Ok(response) => accepted(response.into_inner()),
            Err(status) => classify(&status),
        }
    }
}

/// What an answer other than OK asks for.
fn classify(status: &Status) -> Outcome {
    let why = format!("{:?}: {}", status.code(), chain(status));
    let asked = status
        .get_details_retry_info()
        .and_then(|info| info.retry_delay)
        .filter(|delay| !delay.is_zero());
    // A status with a cause was not sent by the server: the connection broke under the request.
    let broken = std::error::Error::source(status).is_some()
        && matches!(status.code(), Code::Unknown | Code::Internal);
    let retry = broken
        || match status.code() {
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss => true,
            Code::ResourceExhausted => status.get_details_retry_info().is_some(),
            _ => false,
        };
    if retry { Outcome::Retry { after: asked, why } } else { Outcome::Fatal { why } }
}

/// A channel to the target; connects when first used.
pub(crate) fn channel(target: &Target) -> Result<Channel, Error> {
    Ok(endpoint(target)?.connect_lazy())
}

fn endpoint(target: &Target) -> Result<Endpoint, Error> {
    let endpoint = Endpoint::from_shared(target.endpoint.to_string())?
        .user_agent(super::http::USER_AGENT)?
        .connect_timeout(target.timeout);
    if target.endpoint.scheme_str() != Some("https") {
        return Ok(endpoint);
    }
    let Files { ca, client } = Files::read(&target.tls)?;
    let mut tls = ClientTlsConfig::new();
    tls = match ca {
        Some((_, pem)) => tls.ca_certificate(Certificate::from_pem(pem)),
        None => tls.with_native_roots(),
    };
    if let Some(client) = client {
        tls = tls.identity(Identity::from_pem(client.certificate, client.key));
    }
    Ok(endpoint.tls_config(tls)?)
}

/// Passes encoded requests on and decodes answers.
struct Encoded;

impl Codec for Encoded {
    type Encode = Bytes;
    type Decode = ExportMetricsServiceResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Encoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(item);
        Ok(())
    }
}

impl Decoder for Encoded {
    type Item = ExportMetricsServiceResponse;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        // An answer that cannot be read is still the answer to a request that was taken.
        let response = ExportMetricsServiceResponse::decode(&mut *from).unwrap_or_default();
        from.advance(from.remaining());
        Ok(Some(response))
    }
}
